"""Sequences to learn from: what they show, and that it is what was asked for."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: make training")

from training.action_units.dataset import Observer
from training.filming import write_arrays
from training.ifdd_stream import sequences
from training.ifdd_stream.network import SLOT_HZ
from training.ifdd_stream.sequences import (
    COMES,
    GOES,
    KINDS,
    SLOTS_FILMED,
    displayed,
    draw_script,
    read_sequences,
)
from training.ifdd_stream.stills import EXPRESSIONS
from training.synthetic.motion import Event, make_motion

NEUTRAL, ANGER = EXPRESSIONS.index("neutral"), EXPRESSIONS.index("anger")


def scripted(event, split="train"):
    return make_motion(
        1, seconds=2, fps=SLOT_HZ, split=split, content="script", script=(event,)
    )  # fmt: skip


def test_an_expression_counts_earlier_while_it_comes_than_while_it_goes():
    motion = scripted(Event("macro", "anger", 0.2, 0.9, 1.1, 1.8, 0.8, ()))
    shown, level, going = displayed(motion, "train")
    assert np.allclose(shown.sum(1), 1)
    assert shown[0, NEUTRAL] == shown[-1, NEUTRAL] == 1
    assert shown[:, ANGER].max() == 1
    coming = (level > COMES[1]) & ~going
    assert (shown[coming, ANGER] == 1).all()
    low = (level > COMES[1]) & (level < GOES[0] + 0.1) & going
    assert (shown[low, ANGER] < 0.6).all()
    assert not going[: int(1.1 * SLOT_HZ)].any()


def test_a_script_shows_its_expression_and_nothing_else():
    motion = scripted(Event("macro", "anger", 0.2, 0.9, 1.1, 1.8, 0.8, ()))
    expressions = [event for event in motion.events if event.kind == "macro"]
    assert [event.emotion for event in expressions] == ["anger"]
    assert "AU04" in expressions[0].units


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_script_has_its_times_in_order(kind):
    for seed in range(200):
        for event in draw_script(kind, "fear", np.random.default_rng(seed)):
            assert event.onset_s < event.apex_s <= event.hold_s < event.offset_s
            assert event.apex_s - event.onset_s > 0.05
            assert 0.3 <= event.strength <= 1
            assert event.onset_s < SLOTS_FILMED / SLOT_HZ


@pytest.fixture(scope="module")
def tools(head, models):
    return sequences.Tools(Observer(), head)


@pytest.fixture(scope="module")
def filmed(tools, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sequences")
    write_arrays(folder / "train_00003.npz", sequences.film_with(tools, "train", 3))
    return folder


def test_a_person_is_filmed_in_every_kind_of_sequence(filmed):
    found = read_sequences(sorted(filmed.glob("*.npz")))
    assert found.kind.tolist() == list(range(len(KINDS)))
    assert found.pictures.shape == (len(KINDS), SLOTS_FILMED, 48, 48)
    assert found.shown.shape == (len(KINDS), SLOTS_FILMED, 8)
    assert (found.shown[KINDS.index("neutral"), :, NEUTRAL] == 1).all()
    assert found.shown[KINDS.index("speech")].max() == 1
    # Faces, not background: the middle of the picture is not flat and moves little.
    assert found.pictures[:, :, 12:36, 12:36].std(axis=(2, 3)).min() > 4


def test_the_same_person_is_filmed_the_same_way(filmed, tools):
    first = read_sequences(sorted(filmed.glob("*.npz")))
    assert np.array_equal(first.pictures, sequences.film_with(tools, "train", 3)["pictures"])


def test_the_sheet_marks_what_counts(filmed):
    found = read_sequences(sorted(filmed.glob("*.npz")))
    sheet = sequences.contact_sheet(found, 5)
    assert sheet.shape == (5 * (48 + 4), SLOTS_FILMED * 48)
    bars = sheet[48:52].max(axis=0).reshape(SLOTS_FILMED, 48) == 255
    assert np.allclose(bars.mean(axis=1), 1 - found.shown[0, :, NEUTRAL], atol=0.03)
