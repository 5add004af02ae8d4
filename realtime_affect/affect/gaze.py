"""Where the eyes look, from where their irises are and a ball for an eye.

The eyeball's centre is placed behind the middle of the eye's corners, in the head's own frame, and
turned with the head; the line from there to the iris is the gaze (``eyes`` finds irises). Eyes are
looked at some times a second of source time, one face after the other, so that no frame pays for
all; in between, the last look stands.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from affect_engines.base import Closeable
from realtime_affect.affect.eyes import EyeNetFinder
from realtime_affect.face.pose import load_neutral_face, rotation_matrix
from realtime_affect.landmarks import LEFT_EYE_CORNERS, OUTER_EYE_CORNERS, RIGHT_EYE_CORNERS

if TYPE_CHECKING:
    from realtime_affect.affect.eyes import EyeFinder, Eyes
    from realtime_affect.types import Face, Float32, Scene

EYE_RADIUS_MM: Final = 12.0
"""Radius of the eyeball, as in OpenFace's eye model (Wood et al. 2015)."""

EYE_CENTER_MM: Final = (1.3, -1.1, 4.3)
"""From the middle of an eye's corners to the eyeball's centre, in the head's frame, as x towards
the temple, y down, z into the head: fitted to 20 faces that look into the camera (median
residual 0.7 mm or 3.3 degrees an eye, on those same faces)."""

IRIS_MM: Final = 11.7
"""Diameter of the iris, nearly the same in all adults."""

_MIN_IRIS_PX = 6.0
_MIN_OPENNESS = 0.1  # eye aspect ratio under which the lids cover the iris's centre
_MIN_WIDTH_RATIO = 0.7  # an eye seen narrower than this beside the other is turned away
_MAX_OFFSET = 0.87  # of the radius: 60 degrees, more than eyes turn
_FORGET_NS = 1_000_000_000  # without a face, its last look means nothing
_CORNERS = np.array([*RIGHT_EYE_CORNERS, *LEFT_EYE_CORNERS])
# Both eyeballs' centres from the middles of the corners, (3, 2): as EYE_CENTER_MM, x to the image's
# right.
_BALLS_MM = np.array([(side * EYE_CENTER_MM[0], *EYE_CENTER_MM[1:]) for side in (-1.0, 1.0)]).T
_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0  # its multiples fill a period evenly, however many faces

_Way = tuple[float, float]


@dataclass(slots=True)
class _Looks:
    """The last look at one track's eyes.

    Attributes
    ----------
    ways : list of (x, y) or None
        Of each eye from the eyeball's centre to the iris's, over the radius; None = not seen.
    due_ns : float
        When they are looked at next; None = at once.
    seen_ns : int
        When the track was last in view.
    """

    ways: list[_Way | None] = field(default_factory=lambda: [None, None])
    due_ns: float | None = None
    seen_ns: int = 0


class GazeEstimator(Closeable):
    """The eyes of every track, on one thread.

    Parameters
    ----------
    finder : EyeFinder, optional
        What finds irises; None opens the eye network. Closed with the estimator.
    rate_hz : float
        Looks at a face's eyes a second of source time; 0 = one a frame.

    Raises
    ------
    ModelError
        The network's file is missing or damaged.
    """

    def __init__(self, finder: EyeFinder | None = None, rate_hz: float = 0.0) -> None:
        self._finder: EyeFinder = EyeNetFinder() if finder is None else finder
        self.cards = self._finder.cards
        self._period_ns = 1e9 / rate_hz if rate_hz > 0 else 0.0
        corners = load_neutral_face().points[list(OUTER_EYE_CORNERS)]
        self._outer_mm = float(np.linalg.norm(corners[1] - corners[0]))
        self._looks: dict[int, _Looks] = {}
        self._t_ns = 0

    def estimate(self, scene: Scene) -> dict[int, Float32]:
        """Tell the gaze of each face measured in a scene; its source time must not run backwards.

        Returns
        -------
        dict of (2,) float32
            By track: ``gaze_angle_x, gaze_angle_y`` in radians in camera space, mean of the eyes
            that can be seen: x grows towards the image's right, y downwards; both 0 = along the
            camera's axis, towards it. NaN where both eyes are shut, or irises are under 6 pixels.
        """
        t_ns = scene.frame.t_ns
        # The frame that is nearest to a moment is taken, not the first one after it.
        reach_ns, self._t_ns = t_ns + max(0, t_ns - self._t_ns) / 2, t_ns
        faces = {track.track_id: track.face for track in scene.tracks if track.face is not None}
        due: dict[int, Eyes] = {}
        for track_id, face in faces.items():
            looks = self._looks.setdefault(track_id, _Looks())
            looks.seen_ns = t_ns
            eyes = self._open_eyes(face)
            for eye, corners in enumerate(eyes):
                if corners is None:
                    looks.ways[eye] = None
                elif looks.ways[eye] is None:
                    looks.due_ns = None
            some = eyes[0] is not None or eyes[1] is not None
            if some and (looks.due_ns is None or reach_ns >= looks.due_ns):
                due[track_id] = eyes
                self._plan(looks, track_id, t_ns)
        if due:
            found = self._finder.find(scene.frame.image, list(due.values()))
            for track_id, offsets in zip(due, found, strict=True):
                self._looks[track_id].ways = self._ways(faces[track_id], offsets)
        self._looks = {
            k: looks for k, looks in self._looks.items() if t_ns - looks.seen_ns <= _FORGET_NS
        }
        return {k: _angles(self._looks[k].ways, face) for k, face in faces.items()}

    def reset(self) -> None:
        """Forget every track: the next scene is of another source."""
        self._looks = {}
        self._t_ns = 0

    def close(self) -> None:
        """Free the network. Idempotent."""
        self._finder.close()

    def _plan(self, looks: _Looks, track_id: int, t_ns: int) -> None:
        """Set when a track that is looked at now is due again."""
        if looks.due_ns is None:  # faces that came together part here
            looks.due_ns = t_ns + self._period_ns * (1.0 - track_id * _GOLDEN % 1.0)
        else:
            late = t_ns - looks.due_ns > self._period_ns
            looks.due_ns = (t_ns if late else looks.due_ns) + self._period_ns

    def _open_eyes(self, face: Face) -> Eyes:
        """Return the corners (2, 2) of the eyes in which there is an iris to see."""
        if not self._px_per_mm(face) * IRIS_MM >= _MIN_IRIS_PX:
            return None, None
        corners = face.mesh.points[_CORNERS, :2]
        (a, b), (c, d), (e, f), (g, h) = corners.tolist()
        widths = math.hypot(c - a, d - b), math.hypot(g - e, h - f)
        right, left = (
            openness >= _MIN_OPENNESS and width >= _MIN_WIDTH_RATIO * max(widths)
            for openness, width in zip(face.eye_openness.tolist(), widths, strict=True)
        )
        return corners[:2] if right else None, corners[2:] if left else None

    def _ways(self, face: Face, offsets: Float32) -> list[_Way | None]:
        """Turn offsets (2, 2) of irises in frame pixels into ways from the eyeballs' centres."""
        centers = (rotation_matrix(face.pose.rotation_rad)[:2] @ _BALLS_MM).T
        ways = ((offsets / self._px_per_mm(face) - centers) / EYE_RADIUS_MM).tolist()
        return [(x, y) if math.isfinite(x + y) else None for x, y in ways]

    def _px_per_mm(self, face: Face) -> float:
        return face.quality.size_px / self._outer_mm


def _angles(ways: list[_Way | None], face: Face) -> Float32:
    """Return the mean gaze of eyes, (2,) radians; NaN where none was seen."""
    seen = [way for way in ways if way is not None]
    if not seen:
        return np.full(2, np.nan, np.float32)
    x, y = (sum(values) / len(seen) for values in zip(*seen, strict=True))
    stretch = max(1.0, math.hypot(x, y) / _MAX_OFFSET)
    x, y = x / stretch, y / stretch
    depth = math.sqrt(1.0 - x * x - y * y)
    # The image of a face shows angles against the line of sight to it, not against the
    # camera's axis: someone at the left border who looks into the camera looks right.
    to_x, to_y, to_z = face.pose.translation_mm.tolist()
    angle_x = math.atan2(x, depth) - math.atan2(to_x, to_z)
    angle_y = math.atan2(y, depth) - math.atan2(to_y, to_z)
    return np.array((angle_x, angle_y), np.float32)
