"""The one command's steps."""

from pathlib import Path

from training.ifdd_stream import __main__ as pipeline


def test_each_step_uses_what_an_earlier_one_made():
    steps = pipeline.steps(Path("shared"), Path("work"), Path("results"), "why")
    assert [module for module, _ in steps] == [
        "sequences", "sequences", "sequences", "sequences", "frames", "frames", "train", "train",
        "export", "evaluate", "ablation", "card",
    ]  # fmt: skip
    made = set()
    for module, arguments in steps:
        options = dict(zip(arguments[::2], arguments[1::2], strict=False))
        for needs in ("--frames", "--sequences", "--run", "--begin", "--onnx"):
            if needs in options:
                assert options[needs] in made, (module, needs)
        if module == "card":
            assert options["--report"] in made
        made |= {options.get("--out", ""), options.get("--report", "")}
