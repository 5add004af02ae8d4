"""Thresholds and figures of networks whose answers are known."""

import json

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: make training")

import torch

from realtime_affect.face.align import ALIGNED_PX
from realtime_affect.face.pose import load_neutral_face
from training.action_units import evaluate
from training.action_units.dataset import Samples
from training.action_units.london import Photographs, groups
from training.action_units.network import OUTPUTS
from training.action_units.train import Sampler
from training.synthetic.studio import TRUTH_UNITS

SMILE = OUTPUTS.index("AU12")
PERSONS = tuple(
    {"face_id": f"{k:03}", "face_gender": "female" if k % 2 else "male", "face_eth": "x"}
    for k in range(31, 45)
)


class Network(torch.nn.Module):
    """Reads AU12 off the first pixel, in tenths; everything else off the second."""

    def __init__(self):
        super().__init__()
        self.population = torch.from_numpy(load_neutral_face().points.astype(np.float32)).flatten()

    def forward(self, points, crops, angles, rest, rest_crops, calibration):
        units = crops[:, 0, 1:2].expand(-1, len(OUTPUTS)).clone()
        units[:, SMILE] = crops[:, 0, 0]
        return units / 10


def faces(smiles, others=0.0):
    n = len(smiles)
    crops = np.zeros((n, ALIGNED_PX, ALIGNED_PX), np.uint8)
    crops[:, 0, 0], crops[:, 0, 1] = np.multiply(smiles, 10), np.multiply(others, 10)
    points = np.repeat(load_neutral_face().points[None].astype(np.float32), n, axis=0)
    return Samples(points, crops, np.zeros((n, 3), np.float32), np.ones(n, np.float32))


def photographs(neutral, smiling, others=0.0):
    n = len(PERSONS)
    still = faces([neutral] * n, others)
    return Photographs(PERSONS, still, faces([smiling] * n), still)


def studio(intensities):
    """A sampler whose truth of every unit is what the network reads."""
    n = len(intensities)
    seen = faces(intensities, intensities)
    units = np.repeat(np.array(intensities)[:, None, None] / 5, len(TRUTH_UNITS), 1)
    return Sampler({
        "points": np.round(seen.points * 100).astype(np.int16), "crops": seen.crops,
        "angles_rad": seen.angles_rad, "presence": seen.presence,
        "units": np.repeat(units, 2, 2), "scene": np.zeros(n, np.int8),
        "reference": np.zeros(n, bool), "person": np.arange(n, dtype=np.int32),
    })  # fmt: skip


def test_a_perfect_network_scores_full():
    figures = evaluate.studio_figures(
        Network(), studio([0, 0, 1, 2, 3, 5]), calibrated=False, present_at={}
    )
    assert figures["AU04"]["icc"] == pytest.approx(1)
    assert figures["AU04"]["mae"] == pytest.approx(0, abs=1e-6)
    assert figures["AU04"]["f1"] == 1
    assert figures["AU04"]["share"] == pytest.approx(4 / 6)
    assert evaluate.mean_icc(figures) == pytest.approx(1)


def test_a_threshold_is_never_under_a_trace():
    chosen = evaluate.choose_thresholds(
        Network(), photographs(0, 5), studio([0, 0, 0.4, 0.4, 1, 2, 3])
    )
    assert chosen["AU04"] == pytest.approx(1.0)


def test_a_threshold_keeps_real_resting_faces_out():
    chosen = evaluate.choose_thresholds(
        Network(), photographs(0.2, 5, others=2.0), studio([0, 0, 1, 2, 3])
    )
    assert chosen["AU04"] == pytest.approx(2.25)
    assert chosen["AU12"] == pytest.approx(2.0, abs=0.03)


def test_the_smile_s_threshold_lies_in_the_middle_of_what_separates_photographs():
    pictures = photographs(1.2, 2.0)
    chosen = evaluate.choose_thresholds(Network(), pictures, studio([0, 0, 1, 2, 3]))
    assert chosen["AU12"] == pytest.approx(1.625, abs=0.03)


def test_one_unseen_person_is_enough_to_raise_a_threshold():
    pictures = photographs(0, 5)
    unseen = [int(row["face_id"]) > 35 for row in PERSONS].index(True)
    pictures.neutral.crops[unseen, 0, 1] = 30  # AU 3.0 on one of 28 pictures
    chosen = evaluate.choose_thresholds(Network(), pictures, studio([0, 0, 1, 2, 3]))
    assert chosen["AU04"] == pytest.approx(3.25)


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
