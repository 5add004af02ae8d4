import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: make training")

from training.action_units import compare
from training.action_units.faces import EXPRESSIONS
from training.action_units.network import OUTPUTS
from training.synthetic.motion import UNITS

N = 40


def part(seed):
    """Stills of which each shows one unit more than the one before."""
    rng = np.random.default_rng(seed)
    taught = np.tile(np.linspace(0, 4, N, dtype=np.float32)[:, None], (1, len(OUTPUTS)))
    expression = np.full(N, EXPRESSIONS["neutral"], np.int8)
    expression[::4] = EXPRESSIONS["disgust"]
    angles = np.zeros((N, 3), np.float32)
    angles[-1] = 0.0, 0.6, 0.0
    return {
        "crops": rng.integers(0, 256, (N, 96, 96)).astype(np.uint8),
        "presence": np.ones(N, np.float32),
        "angles_rad": angles,
        "taught": taught,
        "expression": expression,
    }


def test_the_studio_does_what_the_teacher_says_side_by_side():
    evidence = np.full((1, len(OUTPUTS)), np.nan, np.float32)
    evidence[0, OUTPUTS.index("AU04")] = 3.0
    evidence[0, OUTPUTS.index("AU12_left")] = 5.0
    units = compare.units_of(evidence)[0]
    assert units[UNITS.index("AU04")] == pytest.approx([0.6, 0.6])
    assert units[UNITS.index("AU12")] == pytest.approx([0.0, 1.0])  # the person's right, left
    assert units.sum() == pytest.approx(2.2)


def test_ends_are_the_faces_ahead_that_show_a_unit_most_and_least():
    lfw = part(1)
    ends = compare.choose_ends(lfw, part(2), "AU06", 3)
    assert np.array_equal(ends.most[0], lfw["crops"][[N - 2, N - 3, N - 4]])  # the last looks aside
    assert np.array_equal(ends.least[0], lfw["crops"][:3])
    assert ends.most[1][0, UNITS.index("AU06")].min() > 0.7


def test_units_that_nobody_teaches_are_raters_faces_and_driven():
    ferplus = part(2)
    ends = compare.choose_ends(part(1), ferplus, "AU09", 3)
    disgusted = ferplus["crops"][ferplus["expression"] == EXPRESSIONS["disgust"]]
    assert all((disgusted == crop).all(axis=(1, 2)).any() for crop in ends.most[0])
    assert (ends.most[1][:, UNITS.index("AU09")] > 0.5).all()
    assert not ends.least[1][:, UNITS.index("AU09")].any()


def test_only_the_half_of_the_face_in_which_a_unit_acts_is_compared():
    gap = np.random.default_rng(1).normal(size=(96, 96))
    other = gap.copy()
    other[60:] = -other[60:]
    assert compare.alike(gap, other, "AU04") == pytest.approx(1.0)
    assert compare.alike(gap, other, "AU17") < 0.2


def test_a_sheet_shows_pairs_and_a_person_of_the_studio_does_as_the_face(head, models):
    from training.action_units.dataset import Observer
    from training.synthetic.studio import make_subject

    person, observer = make_subject(head, "train", 5, relief=True), Observer()
    ends = compare.choose_ends(part(1), part(2), "AU12", 2)
    rendered = [compare.render([person], units, angles, observer) for _, units, angles in ends]
    assert rendered[0].shape == (2, 96, 96)
    assert np.abs(compare.difference(*rendered)).max() > 0.5  # it smiles in one of them
    sheet = compare.sheet_of(ends, rendered)
    assert sheet.dtype == np.uint8
    assert sheet.shape == (2 * (4 * 96 + 6), 2 * (96 + 6 + 2 * 96))
