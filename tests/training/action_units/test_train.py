"""Training on made-up faces whose only moving point is what their unit says."""

import json
import sys

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: make training")

import torch

from realtime_affect.face.pose import load_neutral_face
from training.action_units import train
from training.action_units.export import load_network
from training.action_units.faces import EXPRESSIONS, join, studio_part
from training.action_units.network import (
    OUTPUTS,
    ActionUnitNetwork,
    count_parameters,
    intensity,
)
from training.action_units.real_faces import TAUGHT
from training.action_units.train import Mirror, augment, mirror_partners, predict
from training.synthetic.studio import TRUTH_UNITS

PEOPLE, EACH = 6, 40
AU12 = TRUTH_UNITS.index("AU12")


def made_up(seed):
    """Samples of people whose lip corners rise by 12 mm at AU12 E, and do nothing else."""
    rng = np.random.default_rng(seed)
    n = PEOPLE * EACH
    units = np.zeros((n, len(TRUTH_UNITS), 2), np.float16)
    units[:, AU12] = rng.uniform(0, 1, (n, 2))
    reference = np.arange(n) % EACH < 4
    units[reference] = 0
    points = np.repeat(load_neutral_face().points[None], n, axis=0)
    points[:, 61, 1] -= 12 * units[:, AU12, 0]
    points[:, 291, 1] -= 12 * units[:, AU12, 1]
    return {
        "points": np.round(points * 100).astype(np.int16),
        "crops": rng.integers(0, 255, (n, 96, 96)).astype(np.uint8),
        "angles_rad": np.zeros((n, 3), np.float32),
        "presence": np.where(np.arange(n) % EACH == 5, 0.1, 1.0).astype(np.float32),
        "units": units,
        "scene": np.zeros(n, np.int8),
        "reference": reference,
        "person": (np.arange(n) // EACH).astype(np.int32),
    }


@pytest.fixture
def faces(tmp_path):
    return join({"studio": studio_part([write(tmp_path, "train", 1)])})


def write(folder, split, seed):
    samples = made_up(seed)
    person = samples.pop("person")
    paths = []
    for k in range(PEOPLE):
        paths.append(folder / f"{split}_{k:05}.npz")
        np.savez(paths[-1], **{name: array[person == k] for name, array in samples.items()})
    return paths[0]


def test_every_point_has_a_partner_in_the_mirror():
    partners = mirror_partners()
    assert (partners[partners] == np.arange(468)).all()
    assert partners[61] == 291


def lfw_folders(tmp_path, n=40):
    """Stills of LFW whose lip corners rise as the teacher says they do, and the pack."""
    rng = np.random.default_rng(4)
    smiles = rng.uniform(0, 1, n).astype(np.float32)
    points = np.repeat(load_neutral_face().points[None], n, axis=0)
    points[:, [61, 291], 1] -= 12 * smiles[:, None]
    np.savez(
        tmp_path / "stills_lfw_000.npz", points=np.round(points * 100).astype(np.int16),
        crops=rng.integers(0, 255, (n, 96, 96)).astype(np.uint8),
        angles_rad=np.zeros((n, 3), np.float32), presence=np.ones(n, np.float32),
    )  # fmt: skip
    names = {shape for taught in TAUGHT.values() for shape in taught.shapes}
    names |= {"mouthRollLower", "mouthRollUpper", "eyeWideLeft", "eyeWideRight"}
    scores = np.repeat(smiles[:, None], len(names), axis=1)
    np.savez(tmp_path / "teacher_lfw_000.npz", names=np.array(sorted(names)), scores=scores)
    np.savez(
        tmp_path / "lfw.npz", person=np.array([f"{k:08x}" for k in range(n)]),
        label=(smiles > 0.5).astype(np.int8), label_names=np.array(["neutral", "happiness"]),
    )  # fmt: skip
    return [
        "--data", str(tmp_path), "--teacher", str(tmp_path), "--lfw", str(tmp_path / "lfw.npz"),
        "--ferplus", str(tmp_path / "none.npz"),
    ]  # fmt: skip


def test_a_network_learns_and_goes_on_from_its_checkpoint(tmp_path, monkeypatch, capsys):
    write(tmp_path, "train", 1)
    write(tmp_path, "validation", 2)
    arguments = ["train", *lfw_folders(tmp_path), "--out", str(tmp_path / "run"), "--no-picture"]
    monkeypatch.setattr(sys, "argv", [*arguments, "--rounds", "8", "--threads", "1"])
    monkeypatch.setattr(train, "ROUND", 6)
    monkeypatch.setattr(train, "SHARES", {"studio": 16, "lfw": 16})
    stop = train.torch.save

    def stop_after_two(content, path):
        stop(content, path)
        if content["epoch"] == 2:
            path.replace(path.with_name("checkpoint.pt"))
            raise KeyboardInterrupt

    monkeypatch.setattr(train.torch, "save", stop_after_two)
    with pytest.raises(KeyboardInterrupt):
        train.main()
    monkeypatch.setattr(train.torch, "save", stop)
    train.main()
    text = capsys.readouterr().out
    assert text.count("round 1:") == text.count("round 8:") == 1
    losses = [float(line.split()[3].rstrip(";")) for line in text.splitlines() if ": loss" in line]
    assert losses[-1] < losses[0]
    about = json.loads((tmp_path / "run" / "about.json").read_text("utf-8"))
    assert about["rounds"] == 8
    assert set(about["faces"]) == {"studio", "lfw"}
    assert about["faces"]["lfw"] == 32  # no person that is kept out
    assert len(about["data_sha256"]) == 64
    assert not load_network(tmp_path / "run").picture


def test_a_mirrored_face_is_turned_with_all_that_is_seen_of_it(faces):
    points, crops, angles = faces.seen(np.arange(4))
    angles = angles + 0.1
    chosen = torch.tensor([True, False, True, False])
    turned, pictures, views = Mirror()(points, crops, angles, chosen)
    assert torch.equal(turned[1], points[1])
    assert torch.allclose(turned[0, 291, 1], points[0, 61, 1])
    assert torch.equal(pictures[0], crops[0].flip(1))
    assert views[0].tolist() == pytest.approx([0.1, -0.1, -0.1])
    assert OUTPUTS[Mirror().outputs[OUTPUTS.index("AU12_right")]] == "AU12_left"


def test_errors_within_bounds_cost_nothing():
    evidence = torch.tensor([[0.5, 2.0, 4.0]])
    low, high = torch.tensor([[-1.0, 1.0, 3.0]]), torch.tensor([[1.0, 2.0, 3.0]])
    rendered = train._loss(evidence, low, high, torch.tensor([[False]]))
    real = train._loss(evidence, low, high, torch.tensor([[True]]))
    assert rendered.item() == pytest.approx(train._RENDERED / 3)
    assert real.item() == pytest.approx(
        train._FLAT**2 / 3, rel=1e-4
    )  # above a trace, ranks weigh less


def test_a_pair_in_the_raters_order_costs_less_and_kinds_are_not_compared():
    expression = np.array([EXPRESSIONS["happiness"], EXPRESSIONS["neutral"]], np.int8)
    evidence = torch.zeros(2, len(OUTPUTS))
    evidence[0, OUTPUTS.index("AU12")] = 0.5
    same, other = np.zeros(2, np.int8), np.array([0, 1], np.int8)
    right = train._rate_pairs(evidence, expression, same)
    wrong = train._rate_pairs(-evidence, expression, same)
    assert 0 < right < wrong
    assert train._rate_pairs(evidence, expression, other) == 0


def test_the_rate_rises_stands_and_falls_to_nothing():
    rates = [train.rate_at(step, 10_000) for step in (0, 299, 3500, 6750, 10_000)]
    assert rates == pytest.approx([1 / 300, 1, 1, 0.5, 0])


def test_augmented_pictures_stay_pictures_of_the_same_size():
    crops = torch.full((30, 96, 96), 128.0)
    changed = augment(crops, torch.Generator().manual_seed(1))
    assert changed.shape == crops.shape
    assert torch.isfinite(changed).all()
    assert not torch.equal(changed, crops)


def test_reading_against_the_population_ignores_the_own_rest(faces):
    torch.manual_seed(0)
    network = ActionUnitNetwork().eval()
    rows = faces.tested()
    first, second = (predict(network, faces, rows, calibrated=False, seed=s) for s in (0, 1))
    assert np.array_equal(first, second)
    own = predict(network, faces, rows, calibrated=True)
    assert not np.array_equal(first, own)


def test_evidence_under_a_trace_keeps_its_order_and_shows_little():
    evidence = torch.tensor([-1.0, 0.0, 0.4, 0.9, 1.0, 2.5, 7.0])
    assert intensity(evidence).tolist() == pytest.approx([0, 0, 0.16, 0.81, 1, 2.5, 5])


def test_the_network_keeps_to_its_budget():
    assert count_parameters(ActionUnitNetwork()) <= 1_000_000
