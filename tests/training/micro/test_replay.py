import itertools

import numpy as np
import pytest

from training.micro.film import CLEAR, WEAK, make_clip_motion, write_script
from training.micro.replay import f1, iou, match


def test_agreement_is_the_shared_part_of_what_both_cover():
    assert iou((0.0, 1.0), (0.0, 1.0)) == 1.0
    assert iou((0.0, 1.0), (0.5, 1.5)) == pytest.approx(1 / 3)
    assert iou((0.0, 1.0), (2.0, 3.0)) == 0.0


def test_one_spotted_event_finds_one_event_the_best_first():
    truth = [(0.0, 1.0), (1.1, 2.0), (5.0, 5.3)]
    spotted = [(0.1, 1.0), (0.0, 0.9), (1.0, 2.0), (5.2, 5.6)]
    assert match(truth, spotted) in ([(0, 0), (1, 2)], [(0, 1), (1, 2)])
    assert match(truth, []) == []


def test_f1_is_the_harmonic_mean_and_nan_without_anything():
    figures = f1(3, 5, 4)
    assert figures["precision"] == 0.6
    assert figures["recall"] == 0.75
    assert figures["f1"] == pytest.approx(2 / 3)
    assert np.isnan(f1(0, 0, 0)["f1"])


def test_what_is_scripted_comes_one_after_another_and_differs_by_split():
    for seed in range(6):
        shown, between = write_script(seed, "validation", 30.0)
        events = sorted([*shown, *between], key=lambda event: event.onset_s)
        assert all(b.onset_s - a.offset_s >= 0.8 for a, b in itertools.pairwise(events))
        assert all(WEAK[0] <= e.strength <= CLEAR[1] for e in shown if e.kind == "micro")
        assert all(0.04 <= e.offset_s - e.onset_s <= 0.5 for e in shown if e.kind == "micro")
        assert [e.onset_s for e in shown] != [
            e.onset_s for e in write_script(seed, "test", 30.0)[0]
        ]


def test_a_clips_motion_shows_its_events_and_goes_on_turning_and_blinking():
    motion = make_clip_motion(1, "validation", 20.0, 30)
    kinds = {event.kind for event in motion.events}
    assert {"micro", "blink"} <= kinds
    for event in motion.events:
        if event.kind == "micro" and event.offset_s - event.onset_s > 0.2:
            apex = round(event.apex_s * 30)
            assert motion.units[apex].max() > 0.02
    assert np.ptp(motion.angles_rad, axis=0).min() > 0.01
    repeated = make_clip_motion(1, "validation", 20.0, 30)
    np.testing.assert_array_equal(motion.units, repeated.units)
