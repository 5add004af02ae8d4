"""The one command's steps."""

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed: make training")

from training.ifdd_stream import __main__ as pipeline
from training.ifdd_stream.views import KINDS


def test_each_step_uses_what_an_earlier_one_made():
    shared, work, results = Path("shared"), Path("work"), Path("results")
    steps = pipeline.steps(shared, work, results, "why", ablation=True)
    assert [module for module, _ in steps] == [
        "cuts", "sequences", "sequences", "sequences", "shipped", "teacher",
        *["views"] * len(KINDS), "train", "export", "evaluate", "card", "ablation",
    ]  # fmt: skip
    longer = pipeline.steps(shared, work, results, "why", ablation=True, without_lfw=True)
    assert [module for module, _ in longer].count("teacher") == 2
    assert steps[:-1] == pipeline.steps(shared, work, results, "why", ablation=False)
    made = set()
    for module, arguments in longer:
        options = dict(zip(arguments[::2], arguments[1::2], strict=False))
        for needs in (
            "--teacher", "--teacher-without-lfw", "--sequences", "--run", "--views", "--begin",
            "--onnx", "--stills",
        ):  # fmt: skip
            if needs in options and module != "shipped":
                assert options[needs] in made, (module, needs)
        if module == "card":
            assert options["--report"] in made
        made |= {options.get("--out", ""), options.get("--report", "")}
