"""A person's rest out of readings."""

import pytest

from realtime_affect.cli.profiles import rest_of
from realtime_affect.errors import UsageError
from realtime_affect.names import AU_INTENSITIES
from realtime_affect.types import AffectResult, AffectSnapshot, Reading
from tests.realtime_affect.interpret.faces import jobs

REST = ({"AU04": 1.2}, {"neutral": 0.9})
SMILE = ({"AU12": 3.0}, {"happiness": 0.9})


def readings(frames):
    for job, expressions in jobs(frames, calibration=0.0):
        results = {
            k: AffectResult(k, 0, (0.0, 0.0), 0.0, shown) for k, shown in expressions.items()
        }
        yield Reading(job.scene, AffectSnapshot(0, 0, results))


def test_the_first_seconds_are_taken_and_no_more():
    rest = rest_of(readings([{1: REST}] * 90 + [{1: SMILE}] * 30), "anna", 2.0)
    assert rest.seconds == pytest.approx(2.0, abs=0.05)
    assert rest.units[AU_INTENSITIES.index("AU04")] == pytest.approx(1.2)
    assert rest.calibration == 0.0


def test_automatic_takes_moments_at_rest_only():
    rest = rest_of(readings(([{1: SMILE}] * 5 + [{1: REST}] * 25) * 4), "a", 2.0, automatic=True)
    assert rest.units[AU_INTENSITIES.index("AU12")] == 0.0


def test_several_faces_have_no_rest_of_one_person():
    with pytest.raises(UsageError, match="2 faces in view"):
        rest_of(readings([{1: REST, 2: REST}] * 9), "anna", 2.0)


def test_nobody_in_view_has_no_rest():
    with pytest.raises(UsageError, match=r"0\.0 s of one"):
        rest_of(readings([{}] * 9), "anna", 2.0)
