import numpy as np
import pytest

from realtime_affect.micro.config import MicroConfig
from realtime_affect.micro.excursions import (
    TICK_HZ,
    Excursion,
    ExcursionDetector,
    detail_filters,
    measure_excursion,
    restlessness,
)

REGIONS = 6
AMPLITUDE = 0.01
TICK = round(1e9 / TICK_HZ)


def bump(t, start, length):
    """A movement that comes and goes, 0 to 1."""
    phase = np.clip((t - start) / length, 0, 1)
    return 0.5 - 0.5 * np.cos(2 * np.pi * phase)


def watch(course, seconds=9.0, fps=30.0, doubts=None, regions=(0, 1), noise=0.0003, longest_s=None):
    """Events in displacements that follow `course(t)` in some regions, the others at rest."""
    rng = np.random.default_rng(0)
    brief = ExcursionDetector(REGIONS)
    found = []
    longest_s = 0.5 + 5 / fps if longest_s is None else longest_s
    for t in np.arange(round(seconds * fps)) / fps:
        places = rng.normal(0, noise, (REGIONS, 2))
        places[list(regions), 1] -= AMPLITUDE * course(t)
        doubt = np.ones(REGIONS) if doubts is None else doubts(t)
        found += brief.add(round(t * 1e9), places, doubt, longest_s)
    return found


def test_details_see_brief_excursions_and_neither_drift_nor_posture():
    filters = detail_filters()
    ticks = np.arange(41.0)
    np.testing.assert_allclose(filters @ np.ones(41), 0, atol=1e-12)
    np.testing.assert_allclose(filters @ ticks, 0, atol=1e-12)
    # A triangle of a level's own width has its whole height there, and less at every other level.
    for level, half in enumerate((1, 2, 4, 8)):
        hat = np.maximum(0, 1 - np.abs(ticks - 24) / half)
        shown = filters @ hat
        assert shown[level] == pytest.approx(1.0)
        assert (np.delete(shown, level) < 0.9).all()


def test_the_finest_detail_is_the_wavelets_prediction_of_one_sample_by_two():
    filters = detail_filters()
    wanted = np.zeros(41)
    wanted[[23, 24, 25]] = -0.5, 1.0, -0.5
    np.testing.assert_allclose(filters[0], wanted, atol=1e-12)


@pytest.mark.parametrize("fps", [25.0, 30.0, 60.0, 100.0])
@pytest.mark.parametrize("length", [0.2, 0.3, 0.45])
def test_a_brief_movement_has_its_times(fps, length):
    (event,) = watch(lambda t: bump(t, 6.0, length), fps=fps)
    assert event.kind == "micro"
    assert event.onset_ns / 1e9 == pytest.approx(6.0, abs=0.06)
    assert event.apex_ns / 1e9 == pytest.approx(6.0 + length / 2, abs=0.05)
    assert event.offset_ns / 1e9 == pytest.approx(6.0 + length, abs=0.06)
    assert 0 < (event.decided_ns - event.apex_ns) / 1e9 <= 0.7
    assert sorted(np.argsort(-event.strengths)[:2]) == [0, 1]
    assert event.moves[0, 1] == pytest.approx(-AMPLITUDE, rel=0.25)
    assert event.score > 1.5


def test_a_longer_movement_is_macro_and_so_is_one_of_two_seconds():
    (event,) = watch(lambda t: bump(t, 6.0, 1.1))
    assert event.kind == "macro"

    def smile(t):
        return 3 * (np.clip((t - 5.0) / 0.3, 0, 1) - np.clip((t - 7.0) / 0.4, 0, 1))

    (event,) = watch(smile, seconds=10)
    assert event.kind == "macro"
    assert event.onset_ns / 1e9 == pytest.approx(5.0, abs=0.1)
    assert event.offset_ns / 1e9 == pytest.approx(7.35, abs=0.1)


@pytest.mark.parametrize(
    "course",
    [
        lambda t: 0.0,
        lambda t: 0.4 * t,  # drift
        lambda t: 3 * float(t > 5),  # a step
        lambda t: np.clip((t - 5) / 0.3, 0, 1),  # a new posture
        lambda t: 2 * np.sin(2 * np.pi * 0.3 * t),  # a head that sways
        lambda t: bump(t % 0.25, 0, 0.25) * (t > 4),  # speech goes on and on
    ],
    ids=["rest", "drift", "step", "posture", "sway", "speech"],
)
def test_what_is_not_a_brief_movement_is_not_told(course):
    assert [event for event in watch(course) if event.kind == "micro"] == []


def test_a_slow_sway_does_not_hide_a_brief_movement():
    def swaying(t):
        return 2 * np.sin(2 * np.pi * 0.25 * t) + 1.5 * bump(t, 6.0, 0.2)

    assert [event.kind for event in watch(swaying)] == ["micro"]


def test_what_peaks_and_falls_before_it_rises_for_good_has_no_apex_before_its_onset():
    brief = ExcursionDetector(REGIONS)
    course = np.concatenate([np.zeros(10), np.ones(8), np.zeros(14), np.ones(9)])
    excursion = Excursion(
        "micro", 9 * TICK, 14 * TICK, 18 * TICK, 0, 2.0, np.ones(2), np.zeros((2, 2))
    )
    brief._hold(course, np.ones((REGIONS, 2)), excursion, 0)
    held = brief._held.excursion
    assert held.onset_ns == 31 * TICK
    assert held.apex_ns >= held.onset_ns


def test_a_brief_movement_after_a_macro_one_that_ended_is_told():
    def smile_then_bump(t):
        smile = np.clip((t - 5.0) / 0.3, 0, 1) - np.clip((t - 7.0) / 0.4, 0, 1)
        return 3 * smile + 2 * bump(t, 8.3, 0.2)

    kinds = {event.kind: event for event in watch(smile_then_bump, seconds=11)}
    assert set(kinds) == {"macro", "micro"}
    assert kinds["micro"].onset_ns / 1e9 == pytest.approx(8.3, abs=0.1)


def test_one_of_many_alike_is_speech():
    def babble(t):
        return sum(bump(t, start, 0.25) for start in np.arange(3.2, 8.4, 0.4))

    assert watch(babble) == []


def test_the_farther_a_movement_goes_the_cleaner_it_must_stand_out():
    def among_others(height):
        def course(t):
            return height * (bump(t, 6.0, 0.3) + 0.17 * np.sin(2 * np.pi * 2.5 * t))

        return course

    assert [event.kind for event in watch(among_others(2))] == ["micro"]
    assert watch(among_others(9)) == []
    assert [event.kind for event in watch(lambda t: 9 * bump(t, 6.0, 0.3))] == ["micro"]
    assert watch(lambda t: 13 * bump(t, 6.0, 0.3)) == []


@pytest.mark.parametrize("rise", [0.03, 0.1, 0.3])
def test_a_movement_that_jumps_and_one_that_creeps_are_told_whole(rise):
    def course(t):
        return 2 * min(np.clip((t - 6.0) / rise, 0, 1), np.clip((6.45 - t) / 0.12, 0, 1))

    (event,) = watch(course)
    assert event.kind == "micro"
    assert event.onset_ns / 1e9 == pytest.approx(6.0, abs=0.06)
    assert event.offset_ns / 1e9 == pytest.approx(6.45, abs=0.06)


def test_one_region_alone_is_taken_for_noise():
    assert watch(lambda t: 3 * bump(t, 6.0, 0.3), regions=(2,)) == []


def test_moments_that_cannot_be_judged_tell_nothing():
    def doubts(t):
        return np.full(REGIONS, np.inf if 6.0 < t < 6.3 else 1.0)

    assert watch(lambda t: bump(t, 6.0, 0.3), doubts=doubts) == []


def test_doubt_raises_the_threshold_of_its_region_alone():
    def doubts(t):
        return np.array([9.0, 9.0, 1.0, 1.0, 1.0, 1.0])

    assert watch(lambda t: bump(t, 6.0, 0.3), doubts=doubts) == []
    assert len(watch(lambda t: bump(t, 6.0, 0.3), doubts=doubts, regions=(2, 3))) == 1


def test_the_threshold_follows_the_noise_of_its_region():
    def jitter(brief, amount):
        rng = np.random.default_rng(3)
        for i in range(300):
            places = rng.normal(0, amount, (REGIONS, 2))
            brief.add(round(i / 30 * 1e9), places, np.ones(REGIONS), 0.667)
        return brief.thresholds

    assert (jitter(ExcursionDetector(REGIONS), 0.0002) == MicroConfig().floor_iod).all()
    assert (jitter(ExcursionDetector(REGIONS), 0.003) > 2 * MicroConfig().floor_iod).all()


def test_nothing_is_told_while_warming_up():
    assert watch(lambda t: bump(t, 1.0, 0.3), seconds=3) == []


def test_two_movements_a_second_apart_are_two_events():
    events = watch(lambda t: bump(t, 5.0, 0.3) + bump(t, 6.2, 0.25))
    assert [round(event.apex_ns / 1e9, 1) for event in events] == [5.2, 6.3]


def test_the_same_frames_give_the_same_events():
    first, second = (watch(lambda t: bump(t, 6.0, 0.3)) for _ in range(2))
    assert repr(first) == repr(second)


def test_a_pulse_is_measured_where_its_flanks_meet_its_feet():
    course = np.zeros(41)
    course[20:29] = [0, 0.25, 0.5, 0.75, 1.0, 0.75, 0.5, 0.25, 0]
    shape = measure_excursion(course, 22, 20)
    assert shape.apex == 24
    assert (shape.onset, shape.offset) == (pytest.approx(20, abs=0.3), pytest.approx(28, abs=0.3))
    assert shape.returned
    assert restlessness(course, shape) < 0.01
    course[32:36] = 0.8
    assert restlessness(course, shape) > 0.5
    assert not measure_excursion(np.r_[np.zeros(22), np.ones(19)], 22, 20).returned
