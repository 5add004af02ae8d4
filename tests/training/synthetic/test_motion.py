import numpy as np
import pytest

from training.synthetic.motion import (
    BLINK_S,
    EMOTIONS,
    MACRO_S,
    MICRO_S,
    MICRO_STRENGTH,
    PROTOTYPES,
    UNITS,
    combination_split,
    facs_letter,
    make_motion,
    posed,
)

SPLITS = ("train", "validation", "test")
FPS = (30, 60, 100, 200)
CONTENTS = ("mixed", "macro", "micro", "speech", "neutral", "units")
ARRAYS = ("t_s", "units", "extras", "angles_rad", "shift_cm", "look", "emotion")


def sequences(content, fps=30, n=12, seconds=6.0, split="train"):
    return [
        make_motion(seed, seconds=seconds, fps=fps, split=split, content=content)
        for seed in range(n)
    ]


@pytest.mark.parametrize("content", CONTENTS)
def test_the_same_seed_is_the_same_motion_and_another_is_not(content):
    first, again, other = (
        make_motion(seed, seconds=3, fps=30, content=content) for seed in (5, 5, 6)
    )
    assert all(np.array_equal(getattr(first, a), getattr(again, a)) for a in ARRAYS)
    assert first.events == again.events
    assert not np.array_equal(first.angles_rad, other.angles_rad)


def test_splits_differ_for_the_same_seed():
    motions = [make_motion(3, seconds=4, fps=30, split=split) for split in SPLITS]
    assert len({motion.units.tobytes() for motion in motions}) == 3


@pytest.mark.parametrize("split", SPLITS)
def test_combinations_of_units_belong_to_one_split(split):
    shown = {
        event.units
        for motion in sequences("units", split=split, n=20)
        for event in motion.events
        if event.kind == "unit" and len(event.units) > 1
    }
    assert len(shown) > 30
    assert {combination_split(units) for units in shown} == {split}


def rise_of(split):
    """The shape of an onset: values between 0 and 1 at equal steps of time."""
    for seed in range(50):
        motion = make_motion(seed, seconds=6, fps=200, split=split, content="macro")
        for event in motion.events:
            if event.kind == "macro" and event.apex_s - event.onset_s > 0.5:
                unit = max(event.units, key=lambda name: motion.units[:, UNITS.index(name)].max())
                row = motion.units[:, UNITS.index(unit)].max(axis=1)
                inside = (motion.t_s > event.onset_s + 0.1) & (motion.t_s < event.apex_s)
                rise = row[inside] / row[inside].max()
                return np.interp(np.linspace(0, 1, 20), np.linspace(0, 1, len(rise)), rise)
    raise AssertionError


def test_test_curves_are_not_training_curves():
    train, test = rise_of("train"), rise_of("test")
    assert np.abs(train - test).max() > 0.1


@pytest.mark.parametrize("fps", FPS)
def test_expressions_last_and_reach_what_is_said(fps):
    for kind, lengths in (("macro", MACRO_S), ("micro", MICRO_S)):
        events = [
            (event, motion)
            for motion in sequences(kind, fps)
            for event in motion.events
            if event.kind == kind
        ]
        assert len(events) > 10
        for event, motion in events:
            length = event.offset_s - event.onset_s
            assert lengths[0] <= length <= lengths[1] + 1e-9
            assert event.onset_s < event.apex_s <= event.hold_s < event.offset_s
            assert event.apex_s - event.onset_s < event.offset_s - event.apex_s + 1e-9
            if kind == "micro":
                assert MICRO_STRENGTH[0] <= event.strength <= MICRO_STRENGTH[1]
            columns = [UNITS.index(name) for name in event.units]
            near = np.abs(motion.t_s - event.apex_s) <= 1 / fps
            level = motion.units[near][:, columns].max()
            if length > 4 / fps:
                assert level > 0.3 * event.strength * 0.3


def test_blinks_are_short_and_both_lids_close():
    events = [
        (event, motion)
        for motion in sequences("neutral", 200, seconds=20)
        for event in motion.events
        if event.kind == "blink"
    ]
    assert 12 * 20 / 60 * 10 < len(events) < 12 * 20 / 60 * 30
    for event, motion in events:
        assert BLINK_S[0] <= event.offset_s - event.onset_s <= BLINK_S[1]
        near = np.abs(motion.t_s - event.apex_s) <= 0.006
        closed = motion.units[near, UNITS.index("AU45")]
        assert closed.min() > 0.75 * event.strength


def test_a_neutral_face_only_blinks_looks_and_sways():
    for motion in sequences("neutral"):
        others = np.delete(motion.units, UNITS.index("AU45"), axis=1)
        assert not others.any()
        assert not motion.extras.any()
        assert not motion.emotion.any()
        assert motion.look.std() > 0


def test_a_speaking_mouth_opens_several_times_a_second():
    for motion in sequences("speech", 100, n=5):
        jaw = motion.units[:, UNITS.index("AU26"), 0]
        peaks = (jaw[1:-1] > jaw[:-2]) & (jaw[1:-1] >= jaw[2:]) & (jaw[1:-1] > 0.01)
        assert 1.5 < peaks.sum() / 6.0 < 7
        assert jaw.max() <= 0.36


@pytest.mark.parametrize("content", CONTENTS)
def test_nothing_jumps_between_two_frames_at_200_fps(content):
    for motion in sequences(content, 200, n=4):
        assert np.abs(np.diff(motion.units, axis=0)).max() < 0.3
        assert np.abs(np.diff(motion.angles_rad, axis=0)).max() < np.deg2rad(2.0)
        assert motion.units.min() >= 0
        assert motion.units.max() <= 1


def test_poses_show_every_unit_over_its_whole_range_and_rest_often():
    motion = posed(1, 2000)
    strongest = motion.units.max(axis=2)
    for k, _ in enumerate(UNITS):
        assert strongest[:, k].max() > 0.9
        assert {facs_letter(level) for level in strongest[:, k]} == set("ABCDE") | {""}
    resting = ~(motion.units.any(axis=(1, 2)) | motion.extras.any(axis=1))
    assert 0.1 < resting.mean() < 0.2
    lopsided = np.abs(motion.units[..., 0] - motion.units[..., 1]).max(axis=1) > 0.05
    assert 0.15 < lopsided.mean() < 0.6


def test_every_emotion_is_shown_by_the_units_of_its_prototype():
    motion = posed(2, 3000)
    for name, variants in PROTOTYPES.items():
        shown = np.flatnonzero(motion.emotion == EMOTIONS.index(name))
        assert len(shown) > 20
        needed = set.intersection(*(set(variant) for variant in variants))
        for unit in needed - {"AU05", "AU17", "AU15"}:  # which others may hold back
            assert (motion.units[shown, UNITS.index(unit)].max(axis=1) > 0).all()


def test_contempt_shows_on_one_side():
    motion = posed(3, 3000)
    sides = motion.units[motion.emotion == EMOTIONS.index("contempt")][:, UNITS.index("AU12")]
    assert (sides.min(axis=1) == 0).all()
    assert (sides.max(axis=1) > 0).all()


@pytest.mark.parametrize(
    ("intensity", "letter"),
    [
        (0, ""),
        (0.09, ""),
        (0.1, "A"),
        (0.3, "B"),
        (0.49, "B"),
        (0.5, "C"),
        (0.7, "D"),
        (0.9, "E"),
        (1, "E"),
    ],
)
def test_letters_are_fifths_of_the_scale(intensity, letter):
    assert facs_letter(intensity) == letter
