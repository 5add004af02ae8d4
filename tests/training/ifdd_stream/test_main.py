"""The one command's steps."""

from pathlib import Path

from training.ifdd_stream import __main__ as pipeline
from training.ifdd_stream.views import KINDS


def test_each_step_uses_what_an_earlier_one_made():
    shared, work, results = Path("shared"), Path("work"), Path("results")
    steps = pipeline.steps(shared, work, results, "why", ablation=True)
    assert [module for module, _ in steps] == [
        "cuts", "sequences", "sequences", "sequences", "shipped", *["views"] * len(KINDS),
        "frames", "frames", "train", "export", "evaluate", "card", "ablation",
    ]  # fmt: skip
    assert steps[:-1] == pipeline.steps(shared, work, results, "why", ablation=False)
    made = set()
    for module, arguments in steps:
        options = dict(zip(arguments[::2], arguments[1::2], strict=False))
        folders = (
            "--frames",
            "--frames-without-lfw",
            "--sequences",
            "--run",
            "--views",
            "--begin",
            "--onnx",
            "--stills",
        )
        for needs in folders:
            if needs in options and module != "shipped":
                assert options[needs] in made, (module, needs)
        if module == "card":
            assert options["--report"] in made
        made |= {options.get("--out", ""), options.get("--report", "")}
