"""What raters and a teacher say of real faces, as bounds of evidence."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: make training")

from realtime_affect.face.pose import load_neutral_face
from training.action_units import real_faces
from training.action_units.network import OUTPUTS
from training.action_units.real_faces import (
    HIGHEST,
    LOWEST,
    PROTOTYPES,
    REST,
    SMILE,
    TAUGHT,
    Answers,
    Curves,
    agreed,
    bounds_of,
    evidence_of,
    limits,
)

SHAPES = sorted({shape for taught in TAUGHT.values() for shape in taught.shapes}
                | {"mouthRollLower", "mouthRollUpper", "eyeWideLeft", "eyeWideRight"})  # fmt: skip
NEUTRAL = load_neutral_face().points


def answers(values):
    """Every shape has the same score."""
    scores = np.array(values, np.float32)
    return Answers(SHAPES, np.repeat(scores[:, None], len(SHAPES), axis=1))


@pytest.fixture
def curves():
    return Curves(answers(np.linspace(0, 0.5, 1001)))


def column(evidence, name):
    return evidence[..., OUTPUTS.index(name)]


@pytest.mark.parametrize("bounds", [REST, SMILE, *PROTOTYPES.values()])
def test_bounds_name_outputs_and_leave_room(bounds):
    assert set(bounds[0]) | set(bounds[1]) <= set(OUTPUTS)
    low, high = limits(bounds)
    assert (low >= LOWEST).all()
    assert (high <= HIGHEST).all()
    assert (high - low > 0).all()  # never a truth


def test_a_face_at_rest_shows_no_unit_and_a_smile_shows_lip_corners():
    assert (limits(REST)[1] < 1).all()
    low, high = (dict(zip(OUTPUTS, row.tolist(), strict=True)) for row in limits(SMILE))
    assert low["AU12"] >= 1
    assert high["AU04"] <= 1
    assert (low["AU06"], high["AU06"]) == (LOWEST, HIGHEST)  # a posed smile may leave the cheeks


def test_evidence_undoes_what_intensity_does():
    from torch import from_numpy

    from training.action_units.network import intensity

    told = np.array([0.0, 0.1, 0.99, 1.0, 3.0, 5.0], np.float32)
    assert intensity(from_numpy(evidence_of(told))).numpy() == pytest.approx(told, abs=1e-6)


def test_evidence_rises_with_the_score_and_is_one_where_the_stated_share_begins(curves):
    scores = np.linspace(0, 1, 201)
    evidence = curves.evidence(answers(scores))
    for name, taught in TAUGHT.items():
        row = column(evidence, name)
        assert (np.diff(row) >= 0).all()
        assert row.min() == 0
        assert row.max() == HIGHEST
        at = curves.threshold[name]
        assert at == pytest.approx(0.5 * (1 - taught.share), abs=1e-3)
        assert column(curves.evidence(answers([at])), name)[0] == pytest.approx(1, abs=0.02)


def test_a_shape_that_hardly_moves_is_told_by_its_rank(curves):
    dead = column(curves.evidence(answers([0.499])), "AU06")[0]
    live = column(curves.evidence(answers([0.499])), "AU07")[0]
    assert dead > 4
    assert live < 2


def test_what_nobody_teaches_and_faces_not_found_are_unknown(curves):
    evidence = curves.evidence(answers([0.3, np.nan]))
    assert np.isnan(column(evidence, "AU09")).all()
    assert np.isnan(evidence[1]).all()
    assert np.isfinite(column(evidence, "AU12")[0])


def test_the_teacher_is_believed_as_far_as_raters_leave_room(curves):
    faces = np.repeat(NEUTRAL[None], 4, axis=0)
    expressions = [None, "neutral", "anger", "anger"]
    low, high = bounds_of(answers([0.5, 0.5, 0.5, 0.0]), curves, faces, expressions)
    assert column(low, "AU12")[0] == column(high, "AU12")[0] > 1
    assert column(low, "AU12")[1] == column(high, "AU12")[1] < 1
    assert column(low, "AU12")[2] == column(high, "AU12")[2] == 1
    assert column(low, "AU04")[3] == column(high, "AU04")[3] == 1.5
    assert column(high, "AU09")[1] < 1
    assert column(high, "AU09")[2] == HIGHEST


def test_raters_are_heard_where_the_teacher_was_not_asked(curves):
    faces = np.repeat(NEUTRAL[None], 2, axis=0)
    low, high = bounds_of(answers([np.nan] * 2), curves, faces, ["surprise", None])
    assert column(low, "AU01")[0] == 1.5
    assert column(high, "AU01")[0] == HIGHEST
    assert (column(low, "AU01")[1], column(high, "AU01")[1]) == (LOWEST, HIGHEST)


def test_lips_apart_are_a_length(curves):
    faces = np.repeat(NEUTRAL[None], 2, axis=0)
    faces[1, [14, 87, 317], 1] += 10
    low, high = bounds_of(answers([0.0] * 2), curves, faces, [None, None])
    assert column(high, "AU25")[0] < 1.5
    assert column(low, "AU25")[1] > 2


def test_raters_agree_or_say_nothing():
    votes = np.zeros((3, 10), np.uint8)
    votes[0, 0], votes[1, 1], votes[2, :2] = 10, 10, 5
    assert agreed(votes, ["neutral", "happiness", *"cdefghij"]) == ["neutral", "happiness", None]


def test_the_london_set_gives_rest_and_smiles_of_the_persons_learned_from(
    shared_data, models, monkeypatch
):
    folder = shared_data / "london_faces"
    if not folder.is_dir():
        pytest.skip("the London Set is not on this machine")
    monkeypatch.setattr(real_faces, "VARIANTS", 1)
    monkeypatch.setattr(real_faces, "PERSONS", range(1, 4))
    arrays = real_faces.film_london(folder)
    assert set(arrays["person"].tolist()) <= {1, 2, 3}
    assert set(arrays["reference"].tolist()) == {True, False}
    for at_rest, bounds in zip(arrays["reference"], arrays["bounds"], strict=True):
        assert np.array_equal(bounds, limits(REST if at_rest else SMILE))
