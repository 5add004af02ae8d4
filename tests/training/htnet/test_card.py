"""The card says what the reports say, and the one command's steps fit together."""

import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed: make training")

from affect_engines.cards import parse_card
from realtime_affect.names import MICRO_CLASSES
from training.htnet import __main__ as pipeline
from training.htnet import card

ROW = {"uf1": 0.5, "uf1_interval": [0.4, 0.6], "uar": 0.55, "uar_interval": [0.45, 0.65]}
LIVE = {
    "about": {"pairs": 100, "people": 7, "seed": 3, "data_sha256": "d"},
    "sha256": "e" * 64,
    "temperature": 0.9,
    "studio_test": ROW
    | {
        "people": 5, "pairs": 50, "calibration_error": 0.02, "uar_by_camera_fps": {"30": 0.5},
        "refused": {"blink": 0.9}, "by_strength": {"0.05-0.1": {"uar": 0.3}},
        "confusion": [[1, 2, 3, 4]] * 4,
    },
}  # fmt: skip
PACK = ROW | {"clips": 442, "subjects": 68, "confusion": [[7, 8, 9]] * 3}
ZERO_SHOT = {"first": PACK | {"uf1": 0.45}, "second": PACK}
LOSO = {
    "linear": {"last_epoch": PACK},
    "tuned": {"last_epoch": PACK, "best_epoch_on_the_test_fold": PACK | {"uf1": 0.9}},
}


def test_the_card_tells_what_was_measured_and_every_attempt():
    made = parse_card("htnet_live", card.card_text(LIVE, ZERO_SHOT, LOSO, "f" * 64))
    assert made.sha256 == "f" * 64
    assert made.ran_by_tensorrt == ()
    assert tuple(made.decode["outputs"]) == MICRO_CLASSES
    assert made.decode["temperature"] == 0.9
    found = made.evaluation
    assert found["studio_test"]["refused_blink"] == 0.9
    assert found["studio_test"]["uar_strength_005_to_01"] == 0.3
    assert found["sibling_zero_shot"]["attempts_uf1"] == [0.45, 0.5]
    assert found["sibling_zero_shot"]["uf1"] == 0.45  # the first, which nothing was chosen by
    assert found["sibling_zero_shot_confusion"]["positive"] == [7, 8, 9]
    tuned = found["sibling_highest_level_tuned_left_one_subject_out"]
    assert tuned["uf1"] == 0.5
    assert tuned["uf1_best_epoch_on_the_test_fold"] == 0.9
    assert "published_form_reduced_left_one_subject_out" not in found  # not in the report
    assert "must not be used to detect lies" in made.limits
    assert "7 people who do not exist" in made.trained_on


@pytest.fixture
def reports(tmp_path):
    for name, content in (("live", LIVE), ("zero_shot", ZERO_SHOT), ("loso", LOSO)):
        (tmp_path / f"{name}.json").write_text(json.dumps(content), "utf-8")
    (tmp_path / card.NAME).write_bytes(b"another network")
    return tmp_path


def test_a_network_that_was_not_evaluated_gets_no_card(reports, monkeypatch, capsys):
    arguments = ["card", "--onnx", str(reports), "--out", str(reports / "out")]
    for name in ("live", "zero_shot", "loso"):
        arguments += [f"--{name.replace('_', '-')}", str(reports / f"{name}.json")]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit):
        card.main()
    assert "not the file of the report" in capsys.readouterr().err
    assert not (reports / "out").exists()


def test_each_step_uses_what_an_earlier_one_made():
    steps = pipeline.steps(Path("shared"), Path("work"), Path("results"), "why")
    made = set()
    for module, arguments in steps:
        names = arguments[module in ("train", "loso") :]
        options = dict(zip(names[::2], names[1::2], strict=True))
        for needs in ("--pairs", "--flows", "--run", "--pretrained", "--onnx"):
            if needs in options:
                assert options[needs] in made, (module, needs)
        if module == "card":
            assert {options[f"--{name}"] for name in ("live", "zero-shot", "loso")} <= made
        made |= {options.get("--out", ""), options.get("--report", "")}
    assert [module for module, _ in steps].count("pairs") == 3
    assert steps[-1][0] == "card"
