"""Stabilized crops of one face -> where the skin of its regions is, over time.

Flow is measured to every image from the newest key image, which is never older than twice the
flow's span of 0.2 s; where a region is at a key image is added, so that displacements run on. A
key image's error is thus shared by all that follow it and looks like drift, whereas chains of
frame-to-frame flow would jitter with every frame.

Two levels of Lucas and Kanade at the few points that count, begun where the last image left them,
tell small movements in full. Dense flow at its fastest looks at a quarter of the resolution, tells
about half of them, and cost as much again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from affect_kernels.patch_tracking import Settings, Templates
from affect_kernels.patch_tracking.cpu import make_templates, track
from affect_kernels.rigid_motion.cpu import rigid_basis, take_off_rigid
from realtime_affect.face.stabilize import CROP_PX, IOD_PX
from realtime_affect.landmarks import SKIN_REGIONS, STIFF_POINTS

if TYPE_CHECKING:
    from realtime_affect.types import Face, Float32, Float64, Image, StabilizedCrop

REGIONS: Final = tuple(f"{side} {part}" for part in SKIN_REGIONS for side in ("right", "left"))
"""Where skin is followed: the person's right and left of each part, in this order."""

MOUTH_REGIONS: Final = np.array([any(w in r for w in ("mouth", "lip", "chin")) for r in REGIONS])
"""(R,) bool: those that speech moves."""

# How flow is measured, tied to the crop's 128 pixels and to the spotter's thresholds, which were
# chosen with it:
_SPAN_S: Final = 0.2  # longer, skin changes too much for its patch; shorter, errors add up
_LEVELS: Final = 2  # the image and its half: it begins where the last image left it
_SEARCH: Final = Settings(rounds=8, settled_px=0.02, farthest_px=6.0)
_ENDS: Final = np.array(list(SKIN_REGIONS.values())).reshape(-1, 2)  # (R, 2) points
_PICKED: Final = np.concatenate([STIFF_POINTS, *_ENDS.T])


class Skin(NamedTuple):
    """Where skin is at one moment.

    Attributes
    ----------
    places : (R, 2) float64
        Displacement of each of REGIONS since the track began, without the head's motion, in
        inter-ocular distances: to the image's right, down.
    turn_rad : (2,) float64
        How far the head has turned since then about its vertical and its level axis, roughly.
    misfit : float
        How far the stiff parts of the face are from moving as one, in inter-ocular distances.
    """

    places: Float64
    turn_rad: Float64
    misfit: float


class _Key(NamedTuple):
    """The image that flow is measured from.

    Attributes
    ----------
    templates : Templates
        Of m stiff places, then R regions, by this image's mesh.
    basis : (m + R, 2, 6) float64
        What rigid motion does there (``rigid_motion.rigid_basis``), by this mesh's depths.
    """

    t_ns: int
    skin: Skin
    templates: Templates
    basis: Float64


class SkinMotion:
    """Follow the skin of one track; belongs to one thread.

    Parameters
    ----------
    forget_s : float
        A face that was away for longer begins anew.
    """

    def __init__(self, forget_s: float) -> None:
        self._forget_ns = forget_s * 1e9
        self._key: _Key | None = None
        self._moves = np.zeros((len(STIFF_POINTS) + len(REGIONS), 2), np.float32)
        self._seen_ns = 0

    def follow(self, t_ns: int, face: Face, crop: StabilizedCrop) -> Skin | None:
        """Follow the skin to the next image.

        Returns
        -------
        Skin or None
            None where the face is new or was away for too long: displacements begin anew.
        """
        key, gap_ns = self._key, t_ns - self._seen_ns
        self._seen_ns = t_ns
        if key is None or gap_ns > self._forget_ns:
            still = Skin(np.zeros((len(REGIONS), 2)), np.zeros(2), 0.0)
            self._key = _make_key(t_ns, face, crop, still)
            self._moves = np.zeros_like(self._moves)
            return None
        m = len(STIFF_POINTS)
        left, rigid, misfit = take_off_rigid(self._measure(key, crop.image), key.basis, m)
        skin = Skin(
            key.skin.places + left[m:] / IOD_PX, key.skin.turn_rad + rigid[4:], misfit / IOD_PX
        )
        if t_ns - key.t_ns >= _SPAN_S * 1e9:
            self._key = _make_key(t_ns, face, crop, skin)
            self._moves = np.zeros_like(self._moves)
        return skin

    def _measure(self, key: _Key, image: Image) -> Float32:
        """Return how far the key's points have moved, (m + R, 2) crop pixels."""
        points = key.templates.points
        begun = points + self._moves
        found, _ = track(key.templates, image, begun, _SEARCH)  # the lost stay where they were
        self._moves = found - points
        return self._moves


def _make_key(t_ns: int, face: Face, crop: StabilizedCrop, skin: Skin) -> _Key:
    m = len(STIFF_POINTS)
    points = face.mesh.points.take(_PICKED, axis=0).astype(np.float64)
    points, others = points[: m + len(_ENDS)], points[m + len(_ENDS) :]
    points[m:] = (points[m:] + others) / 2.0
    turn, shift = crop.to_frame[:, :2], crop.to_frame[:, 2]
    scale = max(1e-3, float(np.hypot(*turn[:, 0])))  # 0 for a mesh that went wrong
    placed = (points[:, :2] - shift) @ (turn / scale**2)
    depths = (points[:, 2] - points[:m, 2].mean()) / scale
    if not np.isfinite(placed).all():
        placed, depths = np.nan_to_num(placed), np.nan_to_num(depths)
    inside = np.minimum(np.maximum(placed, 0.0), CROP_PX - 1.0)  # np.clip takes three times as long
    basis = rigid_basis(inside - (CROP_PX - 1) / 2, depths)
    templates = make_templates(crop.image, inside.astype(np.float32), _LEVELS)
    return _Key(t_ns, skin, templates, basis)
