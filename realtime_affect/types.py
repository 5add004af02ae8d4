"""Every value that travels through the pipeline.

All are frozen; arrays are C-contiguous and read-only once published (``arrays.frozen_array``). The
producer allocates, publishes once and never writes again, so a value may be read by any thread for
as long as it is held.

Coordinates: pixels of the *original* frame, origin at its top-left corner, x right, y down; boxes
are ``xyxy``. Camera space (head pose, gaze): x right, y down, z away from the camera, millimetres
and radians. "Left" and "right" of a face are the person's own.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from numpy.typing import NDArray

from realtime_affect.arrays import frozen_array
from realtime_affect.names import (
    AU_INTENSITIES,
    AU_OCCURRENCES,
    EXPRESSIONS,
    MICRO_CLASSES,
    SIDED_UNITS,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realtime_affect.markers import Marker
    from realtime_affect.meaning import Meaning

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Image = NDArray[np.uint8]

N_MESH_POINTS: Final = 468


@dataclass(frozen=True, slots=True)
class Frame:
    """One image of a source.

    Attributes
    ----------
    index : int
        Number of the frame in its source from 0; frames dropped later count too.
    t_ns : int
        Source time in nanoseconds, strictly increasing within a source: the container's timestamp
        for files, the monotonic clock right after the driver returned for cameras and streams.
    captured_ns : int
        ``time.monotonic_ns()`` when the frame became available; ages are measured from here.
    image : (H, W, 3) uint8
        BGR, upright (rotation metadata already applied), with square pixels.
    name : str
        File name for stills, empty otherwise.
    stretch : (float, float)
        Size of `image` over that of the source's own, whose pixels need not be square.
    """

    index: int
    t_ns: int
    captured_ns: int
    image: Image
    name: str = ""
    stretch: tuple[float, float] = (1.0, 1.0)

    def __post_init__(self) -> None:
        image = frozen_array(self.image, np.uint8, (None, None, 3), "Frame.image")
        object.__setattr__(self, "image", image)


@dataclass(frozen=True, slots=True)
class Detections:
    """Faces found in one frame, as parallel arrays, best score first.

    Attributes
    ----------
    xyxy : (n, 4) float32
        Boxes in frame pixels; may reach beyond the border.
    score : (n,) float32
        Detection confidence in [0, 1].
    keypoints : (n, 6, 2) float32
        BlazeFace's points in frame pixels: right eye, left eye, nose tip, mouth centre, right ear,
        left ear.
    """

    xyxy: Float32
    score: Float32
    keypoints: Float32

    def __post_init__(self) -> None:
        n = len(self.xyxy)
        for name, shape in (("xyxy", (n, 4)), ("score", (n,)), ("keypoints", (n, 6, 2))):
            value = frozen_array(getattr(self, name), np.float32, shape, f"Detections.{name}")
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.score)


@dataclass(frozen=True, slots=True)
class FaceMesh:
    """MediaPipe's 468 face points.

    Attributes
    ----------
    points : (468, 3) float32
        x, y in frame pixels; z in the same unit, smaller is nearer to the camera, 0 near the
        head's centre.
    presence : float
        Probability in [0, 1] that the region holds a face.
    """

    points: Float32
    presence: float

    def __post_init__(self) -> None:
        points = frozen_array(self.points, np.float32, (N_MESH_POINTS, 3), "FaceMesh.points")
        object.__setattr__(self, "points", points)


@dataclass(frozen=True, slots=True)
class HeadPose:
    """Head rotation and position in camera space, in OpenFace's convention.

    Attributes
    ----------
    rotation_rad : (3,) float32
        ``pose_Rx, pose_Ry, pose_Rz``: R = Rx Ry Rz, in x right, y down, z away. Positive Rx looks
        down, positive Ry looks to the image's left, positive Rz tilts clockwise in the image.
    translation_mm : (3,) float32
        ``pose_Tx, pose_Ty, pose_Tz``: where the head is, from the camera.
    """

    rotation_rad: Float32
    translation_mm: Float32

    def __post_init__(self) -> None:
        for name in ("rotation_rad", "translation_mm"):
            value = frozen_array(getattr(self, name), np.float32, (3,), f"HeadPose.{name}")
            object.__setattr__(self, name, value)


@dataclass(frozen=True, slots=True)
class FaceQuality:
    """How well a face can be read.

    Attributes
    ----------
    score : float
        In [0, 1]: product of the factors size, view and sharpness below, each clipped to [0, 1].
    size_px : float
        Distance between the outer eye corners in frame pixels, turned to the front.
    view_deg : float
        Angle between the nose's direction and the camera, degrees.
    sharpness : float
        Mean squared difference of neighbouring pixels inside the mesh region at 96 px, in grey
        levels, along the direction that has less of it (motion blurs one); low is blurred.
    """

    score: float
    size_px: float
    view_deg: float
    sharpness: float


@dataclass(frozen=True, slots=True)
class ActionUnits:
    """Facial action units (FACS) of one face in one frame.

    Attributes
    ----------
    intensity : (17,) float32
        0 to 5 in the order of :data:`AU_INTENSITIES`; NaN where there is no evidence.
    occurrence : (18,) float32
        0 or 1 in the order of :data:`AU_OCCURRENCES`; NaN where there is no evidence.
    sides : (2, 2) float32
        Intensities of :data:`SIDED_UNITS` (rows) on the person's right and left; NaN as above.
    calibration : float
        0 = measured against the population's neutral face, 1 = against this person's own.
    """

    intensity: Float32
    occurrence: Float32
    sides: Float32
    calibration: float

    def __post_init__(self) -> None:
        for name, shape in (
            ("intensity", (len(AU_INTENSITIES),)),
            ("occurrence", (len(AU_OCCURRENCES),)),
            ("sides", (len(SIDED_UNITS), 2)),
        ):
            value = frozen_array(getattr(self, name), np.float32, shape, f"ActionUnits.{name}")
            object.__setattr__(self, name, value)

    def __getitem__(self, name: str) -> float:
        """Intensity of the unit `name` (``"AU12"``)."""
        return float(self.intensity[AU_INTENSITIES.index(name)])


@dataclass(frozen=True, slots=True)
class StabilizedCrop:
    """A face turned, shifted and scaled to the average one, without the jitter of landmarks.

    Attributes
    ----------
    image : (128, 128) uint8
        Grey (``flow.stabilized_crop``).
    to_frame : (2, 3) float64
        Maps pixels of the crop to those of the frame.
    """

    image: Image
    to_frame: Float64

    def __post_init__(self) -> None:
        image = frozen_array(self.image, np.uint8, (128, 128), "StabilizedCrop.image")
        to_frame = frozen_array(self.to_frame, np.float64, (2, 3), "StabilizedCrop.to_frame")
        object.__setattr__(self, "image", image)
        object.__setattr__(self, "to_frame", to_frame)


@dataclass(frozen=True, slots=True)
class Face:
    """What was measured on a tracked face in this very frame.

    Attributes
    ----------
    mesh : FaceMesh
    pose : HeadPose
    eye_openness : (2,) float32
        Eye aspect ratio (Soukupova & Cech 2016) of the right and the left eye: lid gap over eye
        width, pose-normalised.
    quality : FaceQuality
    action_units : ActionUnits
    crop : (48, 48) uint8
        Grey, turned to the front: what the expression network looks at (``align.slot_crop``).
    stabilized : StabilizedCrop or None
        What micro-expressions are spotted in; None where that is switched off, and in stills.
    """

    mesh: FaceMesh
    pose: HeadPose
    eye_openness: Float32
    quality: FaceQuality
    action_units: ActionUnits
    crop: Image
    stabilized: StabilizedCrop | None = None

    def __post_init__(self) -> None:
        value = frozen_array(self.eye_openness, np.float32, (2,), "Face.eye_openness")
        object.__setattr__(self, "eye_openness", value)
        object.__setattr__(self, "crop", frozen_array(self.crop, np.uint8, (48, 48), "Face.crop"))


@dataclass(frozen=True, slots=True)
class Track:
    """One person's face through time: a value, not the tracker's own object.

    Attributes
    ----------
    track_id : int
        From 1, never reused within a session.
    xyxy : (4,) float32
        Box in frame pixels: around the mesh where there is one, predicted otherwise.
    confidence : float
        Probability in [0, 1] that this is a face: mesh presence, or the last detection's score.
    hits : int
        Frames in which the face was seen.
    misses : int
        Frames in a row in which it was not seen; 0 = seen in this one.
    face : Face or None
        None where the face was not measured in this frame: not seen, or another face's turn
        (``max_faces``).
    """

    track_id: int
    xyxy: Float32
    confidence: float
    hits: int
    misses: int
    face: Face | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "xyxy", frozen_array(self.xyxy, np.float32, (4,), "Track.xyxy"))


@dataclass(frozen=True, slots=True)
class Scene:
    """A frame with the faces in it, by ascending id: what the window draws.

    ``tracks`` holds the faces seen in this frame; a face out of sight is remembered by the
    tracker, not shown.
    """

    frame: Frame
    tracks: tuple[Track, ...]


@dataclass(frozen=True, slots=True)
class EyeWindow:
    """The recent eye openness of one track, for decisions over time.

    Attributes
    ----------
    track_id : int
    t_ns : (T,) int64
        Source times, ascending; gaps are where the face was not measured.
    openness : (T,) float32
        Mean eye aspect ratio of both eyes.
    """

    track_id: int
    t_ns: NDArray[np.int64]
    openness: Float32

    def __post_init__(self) -> None:
        n = len(self.t_ns)
        for name, dtype in (("t_ns", np.int64), ("openness", np.float32)):
            value = frozen_array(getattr(self, name), dtype, (n,), f"EyeWindow.{name}")
            object.__setattr__(self, name, value)


@dataclass(frozen=True, slots=True)
class ClipWindow:
    """The last moments of one track, evenly spaced in time as far as frames allow.

    Attributes
    ----------
    track_id : int
    t_ns : (T,) int64
        Source times, ascending.
    crops : (T, 48, 48) uint8
        ``Face.crop`` at these times.
    warming_up : bool
        Whether the clip is still shorter than the network wants.
    at_rest : (T,) bool
        Whether no action unit was above 1 (FACS A) at these times; default: not known to be so.
    """

    track_id: int
    t_ns: NDArray[np.int64]
    crops: Image
    warming_up: bool
    at_rest: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))

    def __post_init__(self) -> None:
        n = len(self.t_ns)
        at_rest = self.at_rest if len(self.at_rest) else np.zeros(n, np.bool_)
        for name, value, dtype, shape in (
            ("t_ns", self.t_ns, np.int64, (n,)),
            ("crops", self.crops, np.uint8, (n, 48, 48)),
            ("at_rest", at_rest, np.bool_, (n,)),
        ):
            object.__setattr__(self, name, frozen_array(value, dtype, shape, f"ClipWindow.{name}"))


@dataclass(frozen=True, slots=True)
class FaceWindow:
    """One track's faces of the last 0.6 s, as they were measured: references, nothing is copied.

    Attributes
    ----------
    track_id : int
    t_ns : tuple of int
        Source times, ascending.
    faces : tuple of Face
        At these times.
    """

    track_id: int
    t_ns: tuple[int, ...]
    faces: tuple[Face, ...]


@dataclass(frozen=True, slots=True)
class AffectJob:
    """Everything the affect worker needs for one decision about all faces.

    Complete, never a delta, so it may be dropped; a reader that missed some has ``moments``.
    """

    scene: Scene
    windows: tuple[EyeWindow, ...]
    clips: tuple[ClipWindow, ...] = ()
    moments: tuple[FaceWindow, ...] = ()


@dataclass(frozen=True, slots=True)
class Expression:
    """The expression a face displays, by the clip that ends at `t_ns`.

    Attributes
    ----------
    t_ns : int
        Source time of the newest moment used.
    probabilities : (8,) float32
        Of :data:`EXPRESSIONS`, sum 1.
    warming_up : bool
        Whether the clip was still shorter than the network wants.
    name : str
        The reported one of :data:`EXPRESSIONS` (``affect.reported``): steady, so not always the
        likeliest of this moment. Empty takes the likeliest.
    """

    t_ns: int
    probabilities: Float32
    warming_up: bool
    name: str = ""

    def __post_init__(self) -> None:
        shape = (len(EXPRESSIONS),)
        value = frozen_array(self.probabilities, np.float32, shape, "Expression.probabilities")
        object.__setattr__(self, "probabilities", value)
        if not self.name:
            object.__setattr__(self, "name", self.likeliest)

    @property
    def likeliest(self) -> str:
        """The likeliest of :data:`EXPRESSIONS` at this moment."""
        return EXPRESSIONS[int(self.probabilities.argmax())]

    @property
    def probability(self) -> float:
        """Of the reported one, at this moment."""
        return float(self.probabilities[EXPRESSIONS.index(self.name)])


@dataclass(frozen=True, slots=True)
class FacialEvent:
    """A facial movement that came and went, spotted in the optical flow.

    Attributes
    ----------
    kind : {"micro", "macro"}
        By its length: 40 to 500 ms is micro (to 0.67 s at 30 frames a second), longer is macro.
    onset_ns, apex_ns, offset_ns : int
        Source times at which it began, was strongest, was gone.
    decided_ns : int
        Source time of the frame on which it was decided.
    score : float
        How often its strongest movement held the threshold of its moment; 1 = just enough.
    regions : tuple of str
        Where the face moved, strongest first (``micro.REGIONS``).
    units : tuple of str
        Action units that may have made it, by name.
    probabilities : (4,) float32
        Of :data:`MICRO_CLASSES`, sum 1; NaN where it was not classified.
    """

    kind: Literal["micro", "macro"]
    onset_ns: int
    apex_ns: int
    offset_ns: int
    decided_ns: int
    score: float
    regions: tuple[str, ...]
    units: tuple[str, ...]
    probabilities: Float32

    def __post_init__(self) -> None:
        shape = (len(MICRO_CLASSES),)
        value = frozen_array(self.probabilities, np.float32, shape, "FacialEvent.probabilities")
        object.__setattr__(self, "probabilities", value)


@dataclass(frozen=True, slots=True)
class Spotting:
    """What the spotter says of one track.

    Attributes
    ----------
    events : tuple of FacialEvent
        Decided within the last two seconds, the newest last: a reader that missed a snapshot finds
        them in the next one; their onset tells them apart.
    unavailable_reason : str
        Why micro-expressions cannot be seen at this moment ("15 frames a second, 25 are needed");
        empty while they can.
    """

    events: tuple[FacialEvent, ...]
    unavailable_reason: str


@dataclass(frozen=True, slots=True)
class AffectResult:
    """What was decided for one track.

    Attributes
    ----------
    track_id : int
    t_ns : int
        Source time of the newest frame used.
    gaze_rad : (2,) float32
        OpenFace's ``gaze_angle_x, gaze_angle_y``, mean of both eyes, in camera space: x to the
        image's right, y downwards. NaN while the eyes are shut or turned away.
    blinks_per_min : float
        Blinks in the window over the time the eyes were seen in it; NaN before 10 s were seen.
    expression, micro, meaning : Expression, Spotting, Meaning, or None
        None where they are switched off.
    """

    track_id: int
    t_ns: int
    gaze_rad: Float32
    blinks_per_min: float
    expression: Expression | None = None
    micro: Spotting | None = None
    meaning: Meaning | None = None

    def __post_init__(self) -> None:
        value = frozen_array(self.gaze_rad, np.float32, (2,), "AffectResult.gaze_rad")
        object.__setattr__(self, "gaze_rad", value)


@dataclass(frozen=True, slots=True)
class AffectSnapshot:
    """The newest result of every live track; complete, so it may be dropped.

    ``t_ns`` and ``captured_ns`` are those of the frame it was decided on, so ``now - captured_ns``
    is its honest age.
    """

    t_ns: int
    captured_ns: int
    results: Mapping[int, AffectResult] = field(default_factory=lambda: MappingProxyType({}))


_NO_IMAGE, _NO_CROP = np.zeros((0, 0, 3), np.uint8), np.zeros((48, 48), np.uint8)


@dataclass(frozen=True, slots=True)
class Reading:
    """A scene and the newest affect known when it was published: what is painted, written, sent.

    Offline, `affect` belongs to the scene's own frame; live, it may be older.

    Attributes
    ----------
    scene : Scene
    affect : AffectSnapshot
    markers : tuple of Marker
        What came within the last two seconds, oldest first; told apart by their number.
    """

    scene: Scene
    affect: AffectSnapshot
    markers: tuple[Marker, ...] = ()

    def affect_age_ms(self) -> float:
        """Return the source time between `affect`'s frame and this scene's, in milliseconds."""
        return (self.scene.frame.t_ns - self.affect.t_ns) / 1e6

    def without_images(self) -> Reading:
        """Return a copy without pixels, for a reader that keeps many: the frame's image is empty.

        What was measured stays; the small grey crop is blank, the stabilized one None.
        """
        frame = replace(self.scene.frame, image=_NO_IMAGE)
        tracks = tuple(map(_without_crops, self.scene.tracks))
        return replace(self, scene=Scene(frame, tracks))


def _without_crops(track: Track) -> Track:
    if track.face is None:
        return track
    return replace(track, face=replace(track.face, crop=_NO_CROP, stabilized=None))
