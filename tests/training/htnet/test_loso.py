"""Leave one subject out: nobody is seen who is answered for, and the published rule beside it."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: make training")

import torch

from training.htnet.folds import Lessons, Readout, Reduced, Tuned, mirror, variants
from training.htnet.linear import LinearReader
from training.htnet.live import StretchedHTNet
from training.htnet.loso import (
    Pack,
    best_on_the_test_fold,
    figures,
    linear,
    paired_interval,
    read_pack,
    run_folds,
)


@pytest.fixture
def pack():
    rng = np.random.default_rng(0)
    label = np.arange(24) % 3
    images = rng.integers(0, 80, (24, 28, 28, 3)).astype(np.uint8)
    for i, k in enumerate(label.tolist()):
        images[i, 9 * k : 9 * k + 9, :, 1] += 150
    subject = np.array(list("abcdefgh")).repeat(3)
    return Pack(images, images.copy(), label, subject, np.array(["x", "y"]).repeat(12))


def test_no_fold_sees_the_subject_it_answers_for(pack, tmp_path):
    seen = []

    def learner(given, taught, seed):
        held = ~taught
        assert len(set(given.subject[held].tolist())) == 1
        assert not set(given.subject[held].tolist()) & set(given.subject[taught].tolist())
        seen.append(seed)
        return [np.full(held.sum(), seed % 3)]

    answers = run_folds(pack, learner, tmp_path)
    assert answers.shape == (1, 24)
    assert (answers[0] == np.arange(8).repeat(3) % 3).all()
    (tmp_path / "003.npy").unlink()
    assert np.array_equal(run_folds(pack, learner, tmp_path), answers)
    assert seen == [*range(8), 3]  # a stopped run goes on


def test_the_published_rule_keeps_the_best_epoch_of_the_test_fold_the_later_of_equal_ones(pack):
    wrong = (pack.label + 1) % 3
    half = np.where(np.arange(24) % 3 == 0, pack.label, wrong)
    other = np.where(np.arange(24) % 3 == 1, pack.label, wrong)
    answers = np.stack([half, other, wrong])
    assert np.array_equal(best_on_the_test_fold(pack, answers), other)
    assert figures(pack, answers[-1])["uar"] == 0


def test_figures_are_pooled_and_by_database(pack):
    read = pack.label.copy()
    read[:3] = 2
    found = figures(pack, read)
    assert found["subjects"] == 8
    assert found["databases"]["y"] == {"uf1": 1.0, "uar": 1.0}
    assert found["databases"]["x"]["uar"] < 1
    low, high = found["uf1_interval"]
    assert low < found["uf1"] <= high
    assert paired_interval(pack, pack.label, read)[0] >= 0


def test_the_linear_reader_reads_what_is_linear(pack):
    taught = pack.subject != "h"
    assert np.array_equal(linear(pack, taught, 0)[0], pack.label[~taught])


def test_the_linear_reader_weighs_classes_not_samples():
    rng = np.random.default_rng(1)
    label = np.array([0] * 180 + [1] * 20)
    x = rng.normal(0, 1, (200, 3))
    x[:, 0] += np.where(label == 1, 1.0, -1.0)
    read = LinearReader.fit(x, label, 2).read(x)
    assert (read[label == 1] == 1).mean() > 0.7


def test_a_mirror_image_of_a_mirror_image_is_the_image(pack):
    assert np.array_equal(mirror(mirror(pack.flow)), pack.flow)
    mirrored = mirror(pack.flow)
    assert np.array_equal(mirrored[:, :, ::-1, 1:], pack.flow[..., 1:])
    made = variants(pack.flow)
    assert len(made) == 10
    assert np.array_equal(made[2][:, 1:], pack.flow[:, :-1])


def test_the_reduced_form_learns_a_fold_and_answers_after_every_epoch(pack):
    learner = Reduced(lessons=Lessons(epochs=3, batch=8, rate=5e-3))
    answers = learner(pack, pack.subject != "h", 0)
    assert [len(one) for one in answers] == [3, 3, 3]
    assert not torch.is_inference_mode_enabled()
    assert torch.is_grad_enabled()


@pytest.mark.parametrize(("whole", "epochs"), [(False, 25), (True, 6)])
def test_a_network_is_tuned_in_each_fold_from_where_the_studio_left_it(
    pack, tmp_path, whole, epochs
):
    torch.manual_seed(4)
    torch.save({"network": StretchedHTNet().state_dict()}, tmp_path / "checkpoint.pt")
    learner = Tuned(tmp_path, Lessons(epochs, 8, 3e-3, balanced=True), whole=whole)
    taught = pack.subject != "h"
    answers = learner(pack, taught, 0)
    assert np.array_equal(answers[-1], pack.label[~taught])
    again = Tuned(tmp_path, learner.lessons, whole=whole)(pack, taught, 0)
    assert all(np.array_equal(a, b) for a, b in zip(answers, again, strict=True))


def test_the_pack_has_68_subjects_of_three_databases(shared_data):
    path = shared_data / "htnet_flow" / "htnet_pack.npz"
    if not path.is_file():
        pytest.skip("the flow images (htnet_flow) are not on this machine")
    read = read_pack(path)
    assert len(read) == 442
    assert len(np.unique(read.subject)) == 68
    assert np.bincount(read.label).tolist() == [250, 109, 83]


@pytest.mark.parametrize("joined", [False, True])
def test_a_readout_learns_only_from_other_subjects(pack, tmp_path, joined):
    torch.manual_seed(5)
    torch.save({"network": StretchedHTNet().state_dict()}, tmp_path / "checkpoint.pt")
    taught = pack.subject != "h"
    answers = Readout(tmp_path, joined=joined)(pack, taught, 0)
    assert np.array_equal(answers[0], pack.label[~taught])
    lies = Pack(
        pack.flow, pack.composed, np.where(taught, pack.label, 0), pack.subject, pack.database
    )
    assert np.array_equal(Readout(tmp_path, joined=joined)(lies, taught, 0)[0], answers[0])
