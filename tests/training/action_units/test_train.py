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
from training.action_units.network import OUTPUTS, ActionUnitNetwork, count_parameters
from training.action_units.train import Sampler, mirror_partners, predict, true_outputs
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
def sampler():
    return Sampler(made_up(1))


def test_truth_is_told_by_the_stronger_side_and_side_by_side():
    units = np.zeros((1, len(TRUTH_UNITS), 2))
    units[0, AU12] = 0.2, 0.6
    told = dict(zip(OUTPUTS, true_outputs(units)[0].tolist(), strict=True))
    assert told["AU12"] == pytest.approx(3)
    assert told["AU12_right"] == pytest.approx(1)
    assert told["AU12_left"] == pytest.approx(3)
    assert sum(told.values()) == pytest.approx(7)


def test_every_point_has_a_partner_in_the_mirror():
    partners = mirror_partners()
    assert (partners[partners] == np.arange(468)).all()
    assert partners[61] == 291


def test_a_face_nobody_found_is_neither_learned_from_nor_tested(sampler):
    assert not {5, EACH + 5} & set(sampler.wanted.tolist())
    assert not {0, 1, 2, 3, 5} & set(sampler.tested.tolist())


def test_the_rest_is_another_picture_of_the_same_person(sampler):
    rng = np.random.default_rng(0)
    for i in (0, 10, 100):
        others = sampler.resting(i, rng)
        assert 1 <= len(others) <= 3
        assert i not in others
        assert (others // EACH == i // EACH).all()
        assert (others % EACH < 4).all()


def test_a_network_learns_and_goes_on_from_its_checkpoint(tmp_path, monkeypatch, capsys):
    for split, seed in (("train", 1), ("validation", 2)):
        samples = made_up(seed)
        del samples["person"]
        np.savez(tmp_path / f"{split}_00000.npz", **samples)
    arguments = ["train", "--data", str(tmp_path), "--out", str(tmp_path / "run"), "--no-picture"]
    monkeypatch.setattr(sys, "argv", [*arguments, "--epochs", "8", "--threads", "1"])
    stop = train.torch.save

    def stop_after_two(content, path):
        stop(content, path)
        if content["epoch"] == 2:
            path.replace(path.with_suffix(".pt"))
            raise KeyboardInterrupt

    monkeypatch.setattr(train.torch, "save", stop_after_two)
    with pytest.raises(KeyboardInterrupt):
        train.main()
    monkeypatch.setattr(train.torch, "save", stop)
    train.main()
    text = capsys.readouterr().out
    assert text.count("epoch 1:") == text.count("epoch 2:") == text.count("epoch 8:") == 1
    losses = [float(line.split()[3].rstrip(",")) for line in text.splitlines() if ": loss" in line]
    assert losses[-1] < losses[0]
    about = json.loads((tmp_path / "run" / "about.json").read_text("utf-8"))
    assert about["epochs"] == 8
    assert len(about["data_sha256"]) == 64
    network = load_network(tmp_path / "run")
    assert not network.picture


def test_a_mirrored_face_reads_as_the_mirrored_one():
    """What training relies on when it flips: targets, points and pictures flip together."""
    samples = made_up(3)
    told = true_outputs(samples["units"])
    flipped = true_outputs(samples["units"][:, :, ::-1])
    swap = [OUTPUTS.index(train._mirrored(name)) for name in OUTPUTS]
    assert np.array_equal(told[:, swap], flipped)
    points = samples["points"].astype(np.float32) / 100
    mirrored = points[:, mirror_partners()] * [-1, 1, 1]
    right, left = points[:, 61, 1], points[:, 291, 1]
    assert np.allclose(mirrored[:, 291, 1] - mirrored[:, 61, 1], right - left, atol=0.02)


def test_reading_against_the_population_ignores_the_own_rest(sampler):
    network = ActionUnitNetwork().eval()
    torch.manual_seed(0)
    first, second = (
        predict(network, sampler, sampler.tested, calibrated=False, seed=seed) for seed in (0, 1)
    )
    assert np.array_equal(first, second)
    own = predict(network, sampler, sampler.tested, calibrated=True)
    assert not np.array_equal(first, own)


def test_the_network_keeps_to_its_budget():
    assert count_parameters(ActionUnitNetwork()) <= 1_000_000


def real_faces(n, low, high):
    samples = made_up(4)
    part = {name: array[:n] for name, array in samples.items() if name != "units"}
    bound = np.tile(np.array([low, high], np.float32)[:, None, None], (1, n, len(OUTPUTS)))
    part.update(low=bound[0], high=bound[1], person=-1 - np.arange(n), reference=np.zeros(n, bool))
    return part


def test_real_faces_take_their_share_of_an_epoch_and_are_never_tested():
    sampler = Sampler(made_up(1), [(real_faces(20, 0, 1), 0.5), (real_faces(40, 0, 1), 0.1)])
    epoch = sampler.epoch(np.random.default_rng(1))
    studio = len(sampler.wanted)
    counts = np.bincount(epoch, minlength=len(sampler.low))
    assert (counts[sampler.wanted] == 1).all()
    n = PEOPLE * EACH
    assert counts[n : n + 20].sum() == round(0.5 * studio)
    assert counts[n + 20 :].sum() == round(0.1 * studio)
    assert sampler.tested.max() < n


@pytest.mark.parametrize(("low", "high", "learned"), [(0, 5, False), (4, 5, True)])
def test_between_its_bounds_a_real_face_teaches_nothing(low, high, learned):
    """All faces are real here, so that nothing else can move the network."""
    samples = made_up(1)
    samples["presence"][:] = np.where(np.arange(PEOPLE * EACH) < train.BATCH, 1.0, 0.0)
    faces = Sampler(samples)
    faces.low[:], faces.high[:] = low, high
    torch.manual_seed(5)
    network = ActionUnitNetwork(picture=False)
    with torch.no_grad():
        network.head[-1].bias.fill_(2.0)
    before = [p.clone() for p in network.parameters()]
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.ConstantLR(optimiser, 1.0)
    loss = train.train_epoch(network, faces, optimiser, schedule, seed=1)
    same = all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))
    assert same != learned
    assert (loss > 0) == learned
