import hashlib
import json

import pytest

pytest.importorskip("torch", reason="torch is not installed: make training")

from affect_engines.cards import parse_card
from training.action_units import card
from training.action_units.card import card_text, trust
from training.action_units.export import N_FEATURES
from training.action_units.network import OUTPUTS


def ranks(mean):
    return {
        "faces": 7, "mean_spearman": mean, "mean_spearman_95": [mean - 0.1, mean + 0.1],
        "units": {"AU04": {"spearman": mean}},
    }  # fmt: skip


def report():
    figures = {name: {"icc": 0.9, "mae": 0.2, "f1": 0.8, "share": 0.1} for name in OUTPUTS}
    smiles = {"smile_auc": 0.99, "smile_accuracy": 0.96, "worst_false_units": 1}
    scores = {"lfw_validation_spearman": 0.8, "ferplus_valid_mean_auc": 0.9,
              "london_001_045_smile_auc": 0.97}  # fmt: skip
    persons = {"persons": 30, "uncalibrated": smiles, "calibrated": smiles}
    return {
        "about": {
            "people": 2, "seed": 3, "data_sha256": "a" * 64,
            "faces": {"studio": 10, "lfw": 6, "ferplus": 5, "london": 4},
        },
        "forms": {"fp32": {"sha256": "b" * 64, **scores}, "int8": {"sha256": "c" * 64, **scores}},
        "present_at": dict.fromkeys(OUTPUTS, 1.0),
        "trace": dict.fromkeys(OUTPUTS, 1.25),
        "studio_test": {"calibrated": figures, "uncalibrated": figures},
        "ferplus_valid": {"auc": {"AU12": {"expression": "happiness", "faces": 99, "auc": 0.95}}
                          | {n: {"expression": "x", "faces": 99, "auc": 0.5} for n in OUTPUTS
                             if n not in ("AU12", *card.CARRIES_OVER)}},
        "ablation_mean_icc": {"mesh and picture, own rest": 0.81},
        "lfw_validation": ranks(0.80),
        "lfw_test": ranks(0.79),
        "london_001_045": persons,
        "london_061_090": persons,
    }  # fmt: skip


def test_a_card_says_what_the_report_says():
    read = parse_card("action_units", card_text(report()))
    assert (read.sha256, read.precision) == ("c" * 64, "int8")
    assert read.form("fp32").sha256 == "b" * 64
    assert read.data_sha256 == "a" * 64
    assert read.seed == 3
    assert read.ran_by_tensorrt == ()
    assert tuple(read.decode["outputs"]) == OUTPUTS
    assert read.units["AU12"].trust == "high"
    assert read.units["AU12"].figures["ferplus_auc"] == 0.95
    assert read.units["AU01"].trust == "low"  # nothing of it is seen on real faces
    assert "ferplus_auc" not in read.units["AU45"].figures
    assert read.units["AU23"].trust == "none"
    assert read.evaluation["london_061_090"]["smile_auc_uncalibrated"] == 0.99
    for number in ("10 rendered", "2 people", "4 perturbed", "5 pictures of FER+", "6 news"):
        assert number in read.trained_on
    assert "no licence of their own, the people in them were not asked" in read.trained_on
    assert read.decode["features"] == N_FEATURES
    assert read.units["AU04"].figures["lfw_spearman"] == 0.79
    assert read.evaluation["lfw_test"]["spearman_95_low"] == 0.69


def test_a_network_that_never_saw_labeled_faces_does_not_say_it_did():
    told = report()
    del told["about"]["faces"]["lfw"]
    assert "news photographs" not in card_text(told)


@pytest.mark.parametrize(
    ("unit", "icc", "present_at", "auc", "faces", "expected"),
    [
        ("AU12", 0.9, 1.0, 0.9, 99, "high"),
        ("AU12", 0.7, 1.0, 0.9, 99, "medium"),
        ("AU12", 0.6, 1.0, 0.9, 99, "low"),
        ("AU12", 0.9, 2.5, 0.9, 99, "medium"),
        ("AU12", 0.9, 3.5, 0.9, 99, "low"),
        ("AU12", 0.9, 1.0, 0.8, 99, "medium"),
        ("AU12", 0.9, 1.0, 0.6, 99, "low"),
        ("AU12", 0.9, 1.0, 0.9, 20, "medium"),
        ("AU12", 0.9, 1.0, 0.6, 20, "low"),
        ("AU12", 0.9, 1.0, 0.99, 2, "medium"),
        ("AU45", 0.9, 1.0, None, 0, "high"),
        ("AU14", 0.9, 1.0, None, 0, "low"),
    ],
)
def test_trust_is_the_lowest_of_its_grounds(unit, icc, present_at, auc, faces, expected):
    real = None if auc is None else {"auc": auc, "faces": faces}
    assert trust(unit, icc, present_at, real) == expected


def test_every_unit_told_has_evidence_from_real_faces_or_a_stated_guess():
    from training.action_units.evaluate import EVIDENCE

    told = {name for name in OUTPUTS if "_" not in name}
    assert told == set(EVIDENCE) | set(card.CARRIES_OVER)


def test_int8_is_preferred_as_long_as_no_figure_suffers():
    told = report()
    assert card.preferred(told) == "int8"
    told["forms"]["int8"]["ferplus_valid_mean_auc"] -= 0.006
    assert card.preferred(told) == "fp32"
    read = parse_card("action_units", card_text(told))
    assert (read.file, read.form("int8").sha256) == ("action_units.onnx", "c" * 64)


def test_the_command_writes_card_and_weights(tmp_path, monkeypatch, capsys):
    told = report()
    path = tmp_path / "out" / "cards" / "action_units.toml"
    arguments = ["card", "--report", str(tmp_path / "report.json"), "--onnx", str(tmp_path),
                 "--out", str(tmp_path / "out")]  # fmt: skip
    monkeypatch.setattr("sys.argv", arguments)

    def write(content):
        for form, file in card.NAMES.items():
            (tmp_path / file).write_bytes(content)
            told["forms"][form]["sha256"] = hashlib.sha256(content).hexdigest()
        (tmp_path / "report.json").write_text(json.dumps(told))

    write(b"network")
    card.main()
    assert (tmp_path / "out" / "weights" / "action_units.int8.onnx").read_bytes() == b"network"
    text = path.read_text()
    assert parse_card("action_units", text).units["AU12"].trust == "high"
    assert text.strip() in capsys.readouterr().out
    path.write_text(text.replace("ran_by_tensorrt = []", 'ran_by_tensorrt = ["10.3.0 (Orin)"]'))
    card.main()  # the same network: what has run it still has
    assert parse_card("action_units", path.read_text()).ran_by_tensorrt == ("10.3.0 (Orin)",)
    write(b"another network")
    card.main()
    assert parse_card("action_units", path.read_text()).ran_by_tensorrt == ()
    (tmp_path / "action_units.onnx").write_bytes(b"not the one that was evaluated")
    with pytest.raises(SystemExit):
        card.main()
