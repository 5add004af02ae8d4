import contextlib

import numpy as np
import pytest

from affect_engines import load_card
from realtime_affect.capture import open_source
from realtime_affect.face.action_units import (
    ActionUnitConfig,
    ActionUnitEstimator,
    NeutralBaseline,
    eye_openness,
    is_at_rest,
)
from realtime_affect.face.pose import load_neutral_face
from realtime_affect.face.vision import Vision
from realtime_affect.names import AU_INTENSITIES, AU_OCCURRENCES, SIDED_UNITS

FEATURES = np.linspace(-1, 1, load_card("action_units").decode["features"]).astype(np.float32)
POINTS = load_neutral_face().points.astype(np.float32)
CROP = np.full((96, 96), 120, np.uint8)
OUTPUTS = load_card("action_units").decode["outputs"]


class FakeEngine:
    """Answers with what it is told and remembers what it was fed."""

    def __init__(self, **units):
        self.units, self.feeds, self.closed = units, None, False

    def infer(self, feeds):
        self.feeds = feeds
        n = len(feeds["points"])
        row = np.array([self.units.get(name, 0.0) for name in OUTPUTS], np.float32)
        marked = self.units.get("population", 0.0)
        return {
            "units": np.tile([row, np.full_like(row, marked)], (n, 1, 1)),
            "features": np.tile(FEATURES, (n, 1)),
        }

    def close(self):
        self.closed = True


def read(n=1, neutrals=None, **units):
    reader = ActionUnitEstimator(FakeEngine(**units))
    neutrals = neutrals or [NeutralBaseline(ActionUnitConfig()) for _ in range(n)]
    return reader.read(np.array([POINTS] * n), [CROP] * n, np.zeros((n, 3), np.float32), neutrals)


def units_of(**units):
    return read(**units)[0].units


def test_each_output_reaches_its_column():
    card = load_card("action_units")
    for name in OUTPUTS:
        unit, _, side = name.partition("_")
        found = units_of(**{name: 4.5})
        if side:
            row = SIDED_UNITS.index(unit)
            assert found.sides[row, ("right", "left").index(side)] == 4.5
            assert np.count_nonzero(found.sides == 4.5) == 1
        elif unit in AU_INTENSITIES:
            assert found[unit] == 4.5
            assert np.count_nonzero(found.intensity == 4.5) == 1
        for seen, present in zip(AU_OCCURRENCES, found.occurrence, strict=True):
            if not np.isnan(present):
                assert present == (seen == unit and not side and card.units[unit].present_at <= 4.5)


def test_a_unit_is_present_from_the_cards_threshold_on():
    at = load_card("action_units").units["AU12"].present_at
    column = AU_OCCURRENCES.index("AU12")
    assert units_of(AU12=at - 0.01).occurrence[column] == 0
    assert units_of(AU12=at + 0.01).occurrence[column] == 1


def test_units_without_evidence_are_nan():
    found = units_of(AU12=5.0)
    assert np.isnan(found["AU23"])
    assert np.isnan(found.occurrence[AU_OCCURRENCES.index("AU23")])
    assert np.isfinite(found["AU12"])


def test_the_network_is_given_each_face_with_its_own_rest():
    engine = FakeEngine()
    known, unknown = (NeutralBaseline(ActionUnitConfig()) for _ in range(2))
    known.observe(FEATURES + 3, at_rest=True, t_ns=0)
    known.set_neutral()
    ActionUnitEstimator(engine).read(
        np.array([POINTS, POINTS]), [CROP, CROP], np.zeros((2, 3), np.float32), [known, unknown]
    )
    assert engine.feeds["calibration"].tolist() == [[1], [0]]
    assert np.allclose(engine.feeds["rest"], [FEATURES + 3, 0 * FEATURES])
    assert {name: feed.dtype.name for name, feed in engine.feeds.items()} == {
        "points": "float32", "crops": "uint8", "angles": "float32", "rest": "float32",
        "calibration": "float32",
    }  # fmt: skip


def test_a_face_rests_when_nothing_is_marked_against_the_population():
    assert read(AU12=5.0, population=1.5)[0].at_rest  # its own rest does not matter
    assert not read(population=2.5)[0].at_rest
    assert np.array_equal(read()[0].features, FEATURES)


def test_several_faces_are_read_in_one_go():
    assert len(read(3, AU01=2.0)) == 3


def test_closing_the_reader_closes_its_network():
    engine = FakeEngine()
    with ActionUnitEstimator(engine):
        assert not engine.closed
    assert engine.closed


def test_a_face_with_a_marked_unit_is_not_at_rest():
    assert is_at_rest(np.array([0.0, 1.5, np.nan]))
    assert not is_at_rest(np.array([0.0, 2.5]))


def observed(config, seconds, fps=30, at_rest=lambda t: True, shift=lambda t: 1.0):
    baseline = NeutralBaseline(config)
    for k in range(round(seconds * fps) + 1):
        t = k / fps
        features = FEATURES + np.float32(shift(t))
        baseline.observe(features, at_rest=at_rest(t), t_ns=round(t * 1e9))
    return baseline


def test_the_neutral_becomes_the_persons_own_while_at_rest():
    config = ActionUnitConfig(adapt_s=2.0)
    half = observed(config, 1.0)
    assert half.calibration == pytest.approx(0.5, abs=0.02)
    assert half.learning
    assert np.allclose(half.features, FEATURES + 1, atol=1e-3)
    whole = observed(config, 2.1)
    assert whole.calibration == 1.0
    assert not whole.learning
    assert np.allclose(whole.features, FEATURES + 1, atol=1e-3)


def test_a_smile_at_the_beginning_does_not_pass_for_the_neutral():
    smiling = lambda t: t < 1.5  # noqa: E731
    baseline = observed(
        ActionUnitConfig(adapt_s=1.0), 3.0, at_rest=lambda t: not smiling(t),
        shift=lambda t: 9.0 if smiling(t) else 1.0,
    )  # fmt: skip
    assert baseline.calibration == 1.0
    assert np.allclose(baseline.features, FEATURES + 1, atol=1e-3)


def test_a_face_never_at_rest_stays_measured_against_the_population():
    baseline = observed(ActionUnitConfig(), 10.0, at_rest=lambda t: False)
    assert baseline.calibration == 0.0
    assert baseline.features is None


def test_once_known_the_neutral_stands_still():
    baseline = observed(ActionUnitConfig(adapt_s=1.0), 6.0, shift=lambda t: 1.0 if t < 2 else 7.0)
    assert np.allclose(baseline.features, FEATURES + 1, atol=0.05)


def test_nothing_is_learned_when_that_is_switched_off():
    baseline = observed(ActionUnitConfig(adapt_s=0.0), 5.0)
    assert baseline.calibration == 0.0
    assert not baseline.learning


def test_the_first_seconds_count_without_reserve_when_asked():
    config = ActionUnitConfig(neutral_after_s=1.0)
    baseline = observed(config, 0.9, at_rest=lambda t: False, shift=lambda t: 4.0)
    assert baseline.calibration == 0.0
    baseline = observed(config, 3.0, at_rest=lambda t: False, shift=lambda t: 4.0 if t < 1.5 else 0)
    assert baseline.calibration == 1.0
    assert np.allclose(baseline.features, FEATURES + 4, atol=1e-3)


def test_the_users_word_takes_the_last_half_second():
    baseline = observed(ActionUnitConfig(), 5.0, shift=lambda t: 1.0 if t < 4.0 else 6.0)
    baseline.set_neutral()
    assert baseline.calibration == 1.0
    assert not baseline.learning
    assert np.allclose(baseline.features, FEATURES + 6, atol=1e-3)


def test_the_users_word_before_any_face_changes_nothing():
    baseline = NeutralBaseline(ActionUnitConfig())
    baseline.set_neutral()
    assert baseline.calibration == 0.0


def test_a_gap_in_the_video_is_not_time_at_rest():
    baseline = NeutralBaseline(ActionUnitConfig(adapt_s=3.0))
    for t_s in (0, 10):
        baseline.observe(FEATURES, at_rest=True, t_ns=t_s * 10**9)
    assert baseline.calibration < 0.1


def test_eye_openness_is_the_lid_gap_over_the_width():
    shut = POINTS.copy()
    shut[[158, 159, 160], 1] = shut[[144, 145, 153], 1]
    opened, closed = eye_openness(np.array([POINTS, shut]))
    assert opened[0] == pytest.approx(opened[1], rel=0.05)
    assert 0.15 < opened[0] < 0.6
    assert closed[0] == pytest.approx(0, abs=0.01)
    assert closed[1] == opened[1]


def test_the_real_network_reads_the_demo_s_resting_faces_as_resting(models):
    with (
        contextlib.closing(open_source("demo", live=False)) as source,
        contextlib.closing(Vision()) as vision,
    ):
        tracks = vision.analyse_still(source.read(10.0)).tracks
    assert len(tracks) == 2
    for track in tracks:
        assert is_at_rest(track.face.action_units.intensity)
