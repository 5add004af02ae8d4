import numpy as np
import pytest

from realtime_affect.action_units import (
    MEASURES,
    UNITS,
    ActionUnitConfig,
    NeutralBaseline,
    eye_openness,
    measure,
    movements,
    read_action_units,
)
from realtime_affect.pose import fit_heads, load_neutral_face
from realtime_affect.types import AU_INTENSITIES, AU_OCCURRENCES
from tests.realtime_affect.world import Person, mesh_points

BROWS_INNER = (107, 55, 66, 65, 336, 285, 296, 295)
BROWS_OUTER = (70, 46, 63, 53, 300, 276, 293, 283)
UPPER_LIDS = (158, 159, 160, 385, 386, 387)
LOWER_LIDS = (144, 145, 153, 373, 374, 380)
CHEEKS = (50, 101, 117, 118, 280, 330, 346, 347)
NOSE_WINGS = (48, 64, 98, 278, 294, 327)
LOWER_LIP = (14, 87, 317, 17)
CHIN = (175, 199, 200)


def shift(points, dx=0.0, dy=0.0):
    return dict.fromkeys(points, (dx, dy, 0.0))


def neutral_measures():
    points = load_neutral_face().points[None]
    return measure(points, fit_heads(points))[0]


def score(moved, angles=(0.0, 0.0, 0.0), calibration=1.0):
    points = mesh_points(Person("a", 320, 180, 120, angles), moved)[None]
    neutral = NeutralBaseline(ActionUnitConfig())
    neutral.measures = neutral_measures()
    neutral.calibration = calibration
    return read_action_units(measure(points, fit_heads(points)), [neutral])[0]


MOVES = {
    "AU01": shift(BROWS_INNER, dy=-6),
    "AU02": shift(BROWS_OUTER, dy=-6),
    "AU04": shift((107, 55, 66, 65), 1.5, 4) | shift((336, 285, 296, 295), -1.5, 4),
    "AU05": shift(UPPER_LIDS, dy=-2.5),
    "AU06": shift(LOWER_LIDS, dy=-1.5) | shift(CHEEKS, dy=-3.5),
    "AU07": shift(LOWER_LIDS, dy=-2),
    "AU09": shift(NOSE_WINGS, dy=-5),
    "AU10": shift((0,), dy=-5),
    "AU12": shift((61,), -6, -6) | shift((291,), 6, -6),
    "AU15": shift((61, 291), dy=5),
    "AU17": shift(CHIN, dy=-7),
    "AU20": shift((61,), -6) | shift((291,), 6),
    "AU25": shift(LOWER_LIP, dy=10),
    "AU26": shift((152,), dy=15),
    "AU45": shift(UPPER_LIDS, dy=4),
}


@pytest.mark.parametrize("unit", MOVES)
def test_each_movement_of_the_facs_manual_raises_its_unit(unit):
    units = score(MOVES[unit])
    assert units[unit] >= 2.5
    assert units.occurrence[AU_OCCURRENCES.index(unit)] == 1


def test_sucked_lips_are_present_without_an_intensity():
    units = score(shift((0,), dy=4) | shift((17,), dy=-4))
    assert units.occurrence[AU_OCCURRENCES.index("AU28")] == 1


def test_a_neutral_face_shows_nothing_and_what_cannot_be_measured_is_nan():
    units = score({})
    blind = [AU_INTENSITIES.index("AU14"), AU_INTENSITIES.index("AU23")]
    assert np.isnan(units.intensity[blind]).all()
    assert np.isnan(units.occurrence[blind]).all()
    assert np.delete(units.intensity, blind).max() == 0
    assert np.delete(units.occurrence, blind).max() == 0


@pytest.mark.parametrize("unit", ["AU01", "AU12", "AU25", "AU45"])
def test_turning_the_head_changes_nothing(unit):
    front, turned = score(MOVES[unit]), score(MOVES[unit], angles=(0.2, 0.5, -0.3))
    np.testing.assert_allclose(turned.intensity, front.intensity, atol=1e-3)


def test_a_larger_movement_never_scores_less_and_stays_within_five():
    smile = [score(shift((61,), -k, -k) | shift((291,), k, k))["AU12"] for k in range(20)]
    assert np.all(np.diff(smile) >= 0)
    assert smile[0] == 0
    assert smile[-1] == 5


def test_before_calibration_a_persons_shape_is_not_an_expression():
    raised = shift(BROWS_INNER, dy=-3.5)
    assert score(raised, calibration=1.0)["AU01"] > 1
    assert score(raised, calibration=0.0)["AU01"] == 0


def test_jaw_drop_alone_is_not_a_fallen_lip_corner():
    opened = shift((61, 291), dy=3.3) | shift((14, 87, 317), dy=10)
    assert score(opened)["AU15"] == 0


def test_eye_openness_is_gap_over_width():
    measures = np.zeros((1, len(MEASURES)))
    measures[0, -4:] = 6.0, 9.0, 30.0, 30.0
    np.testing.assert_allclose(eye_openness(measures), [[0.2, 0.3]])


def resting(**moved):
    measures = load_neutral_face().measure_mean.copy()
    for name, mm in moved.items():
        measures[MEASURES.index(name)] += mm
    return measures


def feed(baseline, measures, seconds, start_s=0.0):
    for step in range(round(seconds * 30) + 1):
        baseline.observe(measures, round((start_s + step / 30) * 1e9))


def test_the_neutral_becomes_the_persons_own_over_the_first_seconds():
    baseline = NeutralBaseline(ActionUnitConfig(adapt_s=3.0))
    own = resting(inner_brow=3.0)
    assert baseline.calibration == 0
    feed(baseline, own, 1.5)
    assert baseline.calibration == pytest.approx(0.5, abs=0.02)
    feed(baseline, own, 2.0, start_s=1.5)
    assert baseline.calibration == 1
    np.testing.assert_allclose(baseline.measures, own)


def test_once_learned_the_neutral_stands_still():
    baseline = NeutralBaseline(ActionUnitConfig(adapt_s=1.0))
    feed(baseline, resting(), 1.2)
    before = baseline.measures
    feed(baseline, resting(corner_up=8.0), 60, start_s=2)
    np.testing.assert_array_equal(baseline.measures, before)


def test_a_smile_at_the_start_cannot_become_the_neutral():
    baseline = NeutralBaseline(ActionUnitConfig(adapt_s=1.0))
    smile = resting(corner_up=9.0, corner_out=6.0)
    feed(baseline, smile, 1.2)
    moved = dict(zip(UNITS, movements(smile, baseline.measures), strict=True))
    assert moved["AU12"] > 4


def test_the_user_can_set_the_neutral():
    baseline = NeutralBaseline(ActionUnitConfig())
    feed(baseline, resting(), 0.3)
    own = resting(corner_up=5.0)
    feed(baseline, own, 1.0, start_s=1.0)
    baseline.set_neutral()
    np.testing.assert_allclose(baseline.measures, own)
    assert baseline.calibration == 1


def test_the_neutral_can_be_taken_from_the_first_seconds():
    baseline = NeutralBaseline(ActionUnitConfig(neutral_after_s=1.0))
    own = resting(corner_up=9.0)
    feed(baseline, own, 0.5)
    assert baseline.calibration == 0
    feed(baseline, own, 0.7, start_s=0.5)
    np.testing.assert_allclose(baseline.measures, own)


def test_setting_a_neutral_before_any_face_was_seen_does_nothing():
    baseline = NeutralBaseline(ActionUnitConfig())
    baseline.set_neutral()
    assert baseline.calibration == 0


def test_faces_are_scored_each_against_its_own_neutral():
    points = mesh_points(Person("a", 320, 180, 120), MOVES["AU12"])[None]
    measures = np.repeat(measure(points, fit_heads(points)), 2, axis=0)
    own, other = (NeutralBaseline(ActionUnitConfig()) for _ in range(2))
    own.measures, own.calibration = measures[0], 1.0
    other.measures, other.calibration = neutral_measures(), 1.0
    first, second = read_action_units(measures, [own, other])
    assert first["AU12"] == 0
    assert second["AU12"] > 2


def test_measures_are_those_of_the_mesh_turned_to_the_front():
    tilted = np.stack(
        [
            mesh_points(Person("a", 320, 180, 90, angles), MOVES["AU12"])
            for angles in ((0.0, 0.0, 0.0), (0.3, -0.4, 0.2))
        ]
    )
    heads = fit_heads(tilted)
    front = heads.invert(tilted)
    gap = front[:, [14, 87, 317], 1].mean(axis=1) - front[:, [13, 82, 312], 1].mean(axis=1)
    width = (front[:, 291, 0] - front[:, 61, 0]) / 2
    measures = measure(tilted, heads)
    np.testing.assert_allclose(measures[:, MEASURES.index("lip_gap")], gap, atol=1e-3)
    np.testing.assert_allclose(measures[:, MEASURES.index("corner_out")], width, atol=1e-3)
