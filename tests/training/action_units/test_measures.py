import numpy as np

from realtime_affect.face.pose import load_neutral_face
from training.action_units.measures import MEASURES, measure_matrix

FACE = load_neutral_face().points


def measured(points):
    return dict(zip(MEASURES, measure_matrix() @ points.reshape(-1), strict=True))


def test_measures_are_lengths_in_millimetres():
    rest = measured(FACE)
    assert 20 < rest["right_eye_width"] < 40
    assert 4 < rest["right_eye_gap"] < 14
    assert abs(rest["lip_gap"]) < 3


def test_moving_the_whole_face_changes_no_measure():
    moved = measured(np.add(FACE, [3.0, -2.0, 5.0]))
    for name, value in measured(FACE).items():
        assert abs(moved[name] - value) < 1e-6


def test_raising_a_brow_raises_its_measure_alone():
    points = FACE.copy()
    points[[107, 55, 66, 65, 336, 285, 296, 295], 1] -= 4.0  # y grows downwards
    change = {name: value - measured(FACE)[name] for name, value in measured(points).items()}
    assert abs(change.pop("inner_brow") - 4.0) < 1e-6
    assert np.abs(list(change.values())).max() < 1e-6
