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
        *["views"] * (len(KINDS) - 1), "train", "export", "evaluate", "card", "ablation",
    ]  # fmt: skip
    longer = pipeline.steps(shared, work, results, "why", ablation=True, with_lfw=True)
    learned = [options for module, options in longer if module in ("teacher", "views", "train")]
    seen = [options for options in learned if "--without-lfw" not in options]
    assert [options[options.index("--out") + 1] for options in seen] == ["work/teacher_with_lfw"]
    assert steps[:-1] == pipeline.steps(shared, work, results, "why", ablation=False)
    made = set()
    for module, arguments in longer:
        options = dict(zip(arguments[::2], arguments[1::2], strict=False))
        for needs in (
            "--teacher", "--teacher-with-lfw", "--sequences", "--run", "--views", "--begin",
            "--onnx", "--stills",
        ):  # fmt: skip
            if needs in options and module != "shipped":
                assert options[needs] in made, (module, needs)
        if module == "card":
            assert options["--report"] in made
        made |= {options.get("--out", ""), options.get("--report", "")}
