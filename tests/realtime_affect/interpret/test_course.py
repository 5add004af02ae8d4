"""Since when a unit has been away from its rest."""

import numpy as np

from realtime_affect.interpret.course import UnitCourse

FRAME_NS = 33_000_000


def onset_of(values, threshold=1.0, at_once=1):
    """Index of the last frame in which one unit is found to be at rest; None = not known."""
    course = UnitCourse((threshold,))
    times = [FRAME_NS * i for i in range(len(values))]
    for start in range(0, len(values), at_once):
        part = slice(start, start + at_once)
        course.add(times[part], np.array(values[part], float)[:, None])
    (onset,) = course.onsets_ns()
    return None if onset < 0 else onset // FRAME_NS


def test_a_ramp_begins_where_it_leaves_the_rest_not_where_it_is_marked():
    ramp = [0.0] * 60 + [0.2 * k for k in range(1, 17)]
    assert onset_of(ramp) == 59
    assert onset_of(ramp, at_once=3) == 59


def test_noise_of_the_rest_is_no_onset():
    noise = np.random.default_rng(0).normal(0.2, 0.08, 90)
    ramp = np.linspace(0.3, 3.0, 12)
    assert abs(onset_of([*noise, *ramp]) - 90) <= 2


def test_a_unit_that_was_there_from_the_first_frame_on_has_no_onset():
    assert onset_of([3.0] * 10) is None


def test_one_frame_of_noise_does_not_cut_a_movement():
    assert onset_of([0.0] * 10 + [2.0] * 10 + [0.0] + [2.0] * 5) == 9


def test_a_new_movement_after_a_pause_has_an_onset_of_its_own():
    assert onset_of([0.0] * 10 + [2.0] * 10 + [0.0] * 10 + [2.0] * 5) == 29


def test_a_slow_drift_is_no_onset():
    drift = list(np.linspace(0, 0.4, 300))
    assert abs(onset_of([*drift, *np.linspace(0.6, 3, 8)]) - 300) <= 2


def test_what_was_never_measured_has_no_onset():
    assert onset_of([np.nan] * 20) is None


def test_it_says_which_units_have_just_left_their_rest():
    course = UnitCourse((1.0, 1.0))
    course.add([0, FRAME_NS], np.zeros((2, 2)))
    assert course.add([2 * FRAME_NS, 3 * FRAME_NS], np.array([[0, 0.0], [0, 0.5]])) == [1]
    assert course.add([4 * FRAME_NS], np.array([[0, 0.9]])) == []


def test_an_onset_can_be_moved_back_only():
    course = UnitCourse((1.0,))
    course.add([0, FRAME_NS, 2 * FRAME_NS], np.zeros((3, 1)))
    course.add([3 * FRAME_NS], np.ones((1, 1)))
    course.begin_earlier(0, FRAME_NS)
    assert course.onsets_ns() == [FRAME_NS]
    course.begin_earlier(0, 5 * FRAME_NS)
    assert course.onsets_ns() == [FRAME_NS]
