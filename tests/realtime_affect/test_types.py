from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from realtime_affect.errors import UsageError
from realtime_affect.names import AU_INTENSITIES, AU_OCCURRENCES
from realtime_affect.types import (
    N_MESH_POINTS,
    ActionUnits,
    AffectResult,
    AffectSnapshot,
    ClipWindow,
    Detections,
    Expression,
    EyeWindow,
    Face,
    FaceMesh,
    FaceQuality,
    Frame,
    HeadPose,
    Reading,
    Scene,
    Track,
    frozen_array,
)

NAN = float("nan")
QUALITY = FaceQuality(score=1.0, size_px=80.0, view_deg=3.0, sharpness=90.0)


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


def make_frame(t_ns=0, image=None):
    return Frame(
        index=0, t_ns=t_ns, captured_ns=0, image=zeros(4, 6, 3) if image is None else image
    )


def make_units(intensity=None, occurrence=None, sides=None):
    return ActionUnits(
        intensity=zeros(17) if intensity is None else intensity,
        occurrence=zeros(18) if occurrence is None else occurrence,
        sides=zeros(2, 2) if sides is None else sides,
        calibration=0.0,
    )


def make_face(eye_openness=None, crop=None):
    eye_openness = zeros(2) if eye_openness is None else eye_openness
    crop = zeros(48, 48, dtype=np.uint8) if crop is None else crop
    mesh = FaceMesh(zeros(N_MESH_POINTS, 3), presence=0.9)
    return Face(mesh, HeadPose(zeros(3), zeros(3)), eye_openness, QUALITY, make_units(), crop)


# Each entry: a maker that takes the array under test, the name it has in errors, a right shape.
FIELDS = {
    "Frame.image": (lambda a: make_frame(image=a).image, (4, 6, 3), np.uint8),
    "Detections.xyxy": (
        lambda a: Detections(a, zeros(len(a)), zeros(len(a), 6, 2)).xyxy,
        (2, 4),
        np.float32,
    ),
    "Detections.score": (
        lambda a: Detections(zeros(2, 4), a, zeros(2, 6, 2)).score,
        (2,),
        np.float32,
    ),
    "Detections.keypoints": (
        lambda a: Detections(zeros(2, 4), zeros(2), a).keypoints,
        (2, 6, 2),
        np.float32,
    ),
    "FaceMesh.points": (lambda a: FaceMesh(a, 1.0).points, (N_MESH_POINTS, 3), np.float32),
    "HeadPose.rotation_rad": (lambda a: HeadPose(a, zeros(3)).rotation_rad, (3,), np.float32),
    "HeadPose.translation_mm": (lambda a: HeadPose(zeros(3), a).translation_mm, (3,), np.float32),
    "ActionUnits.intensity": (lambda a: make_units(intensity=a).intensity, (17,), np.float32),
    "ActionUnits.occurrence": (lambda a: make_units(occurrence=a).occurrence, (18,), np.float32),
    "ActionUnits.sides": (lambda a: make_units(sides=a).sides, (2, 2), np.float32),
    "Face.eye_openness": (lambda a: make_face(a).eye_openness, (2,), np.float32),
    "Face.crop": (lambda a: make_face(crop=a).crop, (48, 48), np.uint8),
    "ClipWindow.t_ns": (
        lambda a: ClipWindow(1, a, zeros(a.shape[0], 48, 48, dtype=np.uint8), False).t_ns,
        (3,),
        np.int64,
    ),
    "ClipWindow.crops": (
        lambda a: ClipWindow(1, zeros(3, dtype=np.int64), a, False).crops,
        (3, 48, 48),
        np.uint8,
    ),
    "Expression.probabilities": (
        lambda a: Expression(0, a, False).probabilities,
        (8,),
        np.float32,
    ),
    "Track.xyxy": (lambda a: Track(1, a, 0.9, 1, 0, None).xyxy, (4,), np.float32),
    "EyeWindow.t_ns": (lambda a: EyeWindow(1, a, zeros(a.shape[0])).t_ns, (5,), np.int64),
    "EyeWindow.openness": (
        lambda a: EyeWindow(1, zeros(5, dtype=np.int64), a).openness,
        (5,),
        np.float32,
    ),
    "AffectResult.gaze_rad": (lambda a: AffectResult(1, 0, a, NAN).gaze_rad, (2,), np.float32),
}
each_field = pytest.mark.parametrize("name", FIELDS)


@each_field
def test_a_published_array_is_read_only_and_c_contiguous(name):
    make, shape, dtype = FIELDS[name]
    value = make(zeros(*shape, dtype=dtype))
    assert value.dtype == dtype
    assert value.flags.c_contiguous
    with pytest.raises(ValueError, match="read-only"):
        value[...] = 1


@each_field
def test_an_array_of_the_right_kind_is_handed_over_without_a_copy(name):
    make, shape, dtype = FIELDS[name]
    array = zeros(*shape, dtype=dtype)
    assert make(array) is array


@each_field
def test_another_type_is_converted(name):
    make, shape, dtype = FIELDS[name]
    other = np.ones(shape, np.float64 if dtype != np.float64 else np.float32)
    value = make(other)
    assert value.dtype == dtype
    assert np.array_equal(value, other)
    assert other.flags.writeable, "the caller's own array stays as it was"


@each_field
def test_a_strided_array_is_made_contiguous(name):
    make, shape, dtype = FIELDS[name]
    strided = np.arange(2 * np.prod(shape)).astype(dtype).reshape(*shape[:-1], -1)[..., ::2]
    assert not strided.flags.c_contiguous
    value = make(strided)
    assert value.flags.c_contiguous
    assert np.array_equal(value, strided)


@each_field
def test_a_wrong_shape_is_refused_by_name(name):
    make, shape, dtype = FIELDS[name]
    for wrong in ((*shape, 2), (*shape[:-1], shape[-1] + 1)):
        if name in ("EyeWindow.t_ns", "ClipWindow.t_ns") and len(wrong) == 1:
            continue  # any length is right: it is what the others are held against
        with pytest.raises(UsageError, match=name) as caught:
            make(zeros(*wrong, dtype=dtype))
        assert str(wrong) in caught.value.got


def test_the_error_shows_free_lengths_as_n():
    with pytest.raises(UsageError) as caught:
        frozen_array(zeros(4, 6), np.uint8, (None, None, 3), "picture")
    assert caught.value.thing == "picture"
    assert caught.value.got == "shape (4, 6)"
    assert caught.value.expected == "(n, n, 3)"


def test_lists_are_taken_as_arrays():
    assert np.array_equal(frozen_array([1, 2], np.float32, (2,), "pair"), [1.0, 2.0])


def test_nothing_detected_is_a_value_too():
    assert len(Detections(zeros(0, 4), zeros(0), zeros(0, 6, 2))) == 0


def test_detections_have_the_length_of_their_scores():
    assert len(Detections(zeros(3, 4), zeros(3), zeros(3, 6, 2))) == 3


def test_values_cannot_be_changed():
    frame = make_frame()
    with pytest.raises(FrozenInstanceError):
        frame.index = 5


def test_action_units_stand_in_the_order_of_openface():
    intensities = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)
    occurrences = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 28, 45)
    assert tuple(f"AU{n:02}" for n in intensities) == AU_INTENSITIES
    assert tuple(f"AU{n:02}" for n in occurrences) == AU_OCCURRENCES


def test_an_intensity_is_found_by_the_name_of_its_unit():
    units = make_units(intensity=np.arange(17) / 4)
    assert [units[name] for name in AU_INTENSITIES] == [n / 4 for n in range(17)]
    assert units["AU12"] == 2.0
    assert isinstance(units["AU12"], float)


def test_a_unit_without_an_intensity_is_no_key():
    with pytest.raises(ValueError, match="not in tuple"):
        make_units()["AU28"]


def test_the_age_of_affect_is_measured_in_source_time():
    scene = Scene(make_frame(t_ns=5_250_000_000), ())
    behind = AffectSnapshot(t_ns=5_000_000_000, captured_ns=99)
    assert Reading(scene, behind).affect_age_ms() == 250.0
    assert Reading(scene, AffectSnapshot(5_250_000_000, 1)).affect_age_ms() == 0.0


def test_a_snapshot_without_results_cannot_be_filled_later():
    with pytest.raises(TypeError):
        AffectSnapshot(0, 0).results[1] = None
