"""Figures of networks whose answers are known."""

import json

import pytest

pytest.importorskip("torch", reason="torch is not installed: make training")
pytest.importorskip("onnx", reason="onnx is not installed: make training")

import numpy as np
import torch

from tests.training.action_units.known_answers import (
    PERSONS,
    Network,
    photographs,
    stills,
    studio,
)
from training.action_units import evaluate
from training.action_units.export import export
from training.action_units.london import groups
from training.action_units.network import OUTPUTS, ActionUnitNetwork
from training.action_units.real_faces import TAUGHT
from training.action_units.thresholds import read_faces


def test_a_perfect_network_scores_full():
    figures = evaluate.studio_figures(
        Network(), studio([0, 0, 1, 2, 3, 5]), calibrated=False, present_at={}
    )
    assert figures["AU04"]["icc"] == pytest.approx(1)
    assert figures["AU04"]["mae"] == pytest.approx(0, abs=1e-6)
    assert figures["AU04"]["f1"] == 1
    assert figures["AU04"]["share"] == pytest.approx(4 / 6)
    assert evaluate.mean_icc(figures) == pytest.approx(1)


def test_agreement_with_the_teacher_is_that_of_ranks():
    persons = stills([0.2, 0.4, 0.6, 0.8, 2, 3], [0.1, 0.2, 0.4, 0.3, 1.5, 2])
    at = dict.fromkeys(OUTPUTS, 1.0)
    found = evaluate.ranks_figures(Network(), persons, dict.fromkeys(TAUGHT, 0.3), at)
    assert found["mean_spearman"] == pytest.approx(1 - 6 * 2 / (6 * 35))
    assert found["units"]["AU04"]["share"] == found["units"]["AU04"]["teacher_share"] == 2 / 6
    low, high = found["mean_spearman_95"]
    assert low <= found["mean_spearman"] <= high


def test_smiles_and_false_units_are_counted_by_group():
    at = dict.fromkeys(OUTPUTS, 1.0)
    found = evaluate.london_figures(Network(), photographs(0.5, 4, others=1.5), at)["uncalibrated"]
    assert found["smile_auc"] == 1
    assert found["smile_accuracy"] == 1
    assert found["worst_false_units"] == len(PERSONS)
    assert "AU12" not in found["false_units_on_neutral"]
    assert found["groups"]["gender female"]["persons"] == 7
    assert found["groups"]["eth x"]["false_units_a_face"] == len(TOLD) - 1


TOLD = [name for name in OUTPUTS if "_" not in name]


def test_groups_are_those_of_the_table():
    found = groups(PERSONS)
    assert set(found) == {"gender female", "gender male", "eth x"}
    assert (found["gender female"] != found["gender male"]).all()


def test_each_look_at_the_reported_persons_is_a_line(tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate, "LOOKS", tmp_path / "looks.jsonl")
    weights = tmp_path / "w.onnx"
    weights.write_bytes(b"1")
    for why in ("first", "second"):
        evaluate.log_look(why, weights)
    lines = [json.loads(line) for line in (tmp_path / "looks.jsonl").read_text().splitlines()]
    assert [line["why"] for line in lines] == ["first", "second"]
    assert len(lines[0]["weights_sha256"]) == 64


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_exported_file_is_read_in_the_place_of_its_network(tmp_path):
    torch.manual_seed(3)
    network = ActionUnitNetwork().eval()
    network.head[-1].weight.data *= 50  # what chance says is little
    path = tmp_path / "network.onnx"
    path.write_bytes(export(network))
    pictures = photographs(3, 5).smiling
    read = read_faces(network, pictures)
    assert np.allclose(read_faces(evaluate.Exported(path), pictures), read, atol=1e-3)
    assert read.max() > 0.1
