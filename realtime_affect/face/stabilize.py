"""Frame + FaceMesh -> the stabilized crop of a face, in which motion is the skin's.

The crop is turned, shifted and scaled to the average face by a similarity that is low-pass
filtered, so that the jitter of landmarks is not motion. Facial movements are spotted in it.
"""

from __future__ import annotations

import cmath
import math
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import cv2
import numpy as np

from affect_kernels.affine_cut.cpu import cut_grey
from realtime_affect.face.pose import load_neutral_face
from realtime_affect.landmarks import RIGID_POINTS

if TYPE_CHECKING:
    from realtime_affect.types import Float32, Float64, Image

CROP_PX: Final = 128
"""Side of the stabilized crop."""

MM_PER_PX: Final = 1.2
"""Of that crop, on the average face."""

CENTRE_MM: Final = (0.0, 5.0)
"""Place of the average face (x, y) that its middle shows: forehead to chin fit in."""

IOD_PX: Final = 61.8 / MM_PER_PX
"""Inter-ocular distance, between the middles of the eyes, in that crop."""

_MIN_CUTOFF_HZ: Final = 1.0
_CUTOFF_PER_SPEED: Final = 10.0  # more hertz for every inter-ocular distance (or radian) a second
_SPEED_CUTOFF_HZ: Final = 1.0
_FORGET_S: Final = 0.5  # a face unseen for longer has a new place


class Placement(NamedTuple):
    """A similarity of the plane, average face in millimetres -> frame pixels, as complex numbers.

    A point x + iy of the face lies at ``turn * (x + iy) + shift`` in the frame.
    """

    turn: complex
    shift: complex

    def to_frame(self) -> Float64:
        """Return the matrix (2, 3) that maps a pixel of the crop to the frame."""
        a = self.turn * MM_PER_PX
        half = (CROP_PX - 1) / 2
        b = self.shift + self.turn * complex(*CENTRE_MM) - a * complex(half, half)
        return np.array(((a.real, -a.imag, b.real), (a.imag, a.real, b.imag)))

    def to_crop(self, points: Float32) -> Float32:
        """Map frame points (n, 2) into the crop."""
        scale, half = self.turn * MM_PER_PX, (CROP_PX - 1) / 2
        middle = self.shift + self.turn * complex(*CENTRE_MM)
        placed = (points[:, 0] + 1j * points[:, 1] - middle) / scale
        return np.stack([placed.real + half, placed.imag + half], axis=1).astype(np.float32)


def fit_placement(points: Float32) -> Placement:
    """Fit the average face to a mesh (468, 3) in the plane, by least squares, unfiltered."""
    fit, middle = _stiff_plane()
    seen = points.take(RIGID_POINTS, axis=0)[:, :2].ravel().astype(np.float64)
    a, b, x, y = (fit @ seen).tolist()
    turn = complex(a, b)
    return Placement(turn, complex(x, y) - turn * middle)


@cache
def _stiff_plane() -> tuple[Any, complex]:
    """Return what makes turn and middle of rigid points, and the middle of the average face's.

    Real numbers in one matrix (4, 2 n): turn and mean, real and imaginary part, from x and y of
    point after point.
    """
    rigid = load_neutral_face().rigid
    source = rigid[:, 0] + 1j * rigid[:, 1]
    centred = source - source.mean()
    weights = centred.conj() / np.vdot(centred, centred).real
    rows = [
        part
        for weight in (weights, np.full(len(weights), 1 / len(weights)))
        for part in (
            np.stack([weight.real, -weight.imag], axis=1),
            np.stack([weight.imag, weight.real], axis=1),
        )
    ]
    return np.array(rows, np.float64).reshape(4, -1), complex(source.mean())


class Stabilizer:
    """The filtered place of one face; a One-Euro filter of all four numbers at one cut-off.

    Casiez et al., "1 Euro Filter", CHI 2012: the faster something moves, the less it is smoothed.
    """

    def __init__(self) -> None:
        self._t_ns = 0
        self._place: Placement | None = None
        self._raw: Placement | None = None
        self._speed = (0j, 0j)

    def update(self, t_ns: int, points: Float32) -> Placement:
        """Take in the mesh (468, 3) at a source time; return where the face steadily is."""
        raw = fit_placement(points)
        dt = (t_ns - self._t_ns) / 1e9
        if self._place is None or self._raw is None or not 0.0 < dt < _FORGET_S:
            self._place, self._speed = raw, (0j, 0j)
        elif abs(raw.turn) > 0.0 and abs(self._raw.turn) > 0.0 and abs(self._place.turn) > 0.0:
            iod_px = abs(raw.turn) * IOD_PX * MM_PER_PX
            moved = (raw.shift - self._raw.shift) / (iod_px * dt)
            turned = cmath.log(raw.turn / self._raw.turn) / dt
            # Jitter goes to and fro: it cancels in the smoothed speed, travel does not.
            share = _share(_SPEED_CUTOFF_HZ, dt)
            old_moved, old_turned = self._speed
            self._speed = (
                old_moved + share * (moved - old_moved),
                old_turned + share * (turned - old_turned),
            )
            speed = abs(self._speed[0]) + abs(self._speed[1])
            share = _share(_MIN_CUTOFF_HZ + _CUTOFF_PER_SPEED * speed, dt)
            old = self._place
            self._place = Placement(
                old.turn * cmath.exp(share * cmath.log(raw.turn / old.turn)),
                old.shift + share * (raw.shift - old.shift),
            )
        self._t_ns, self._raw = t_ns, raw
        return self._place


def _share(cutoff_hz: float, dt: float) -> float:
    """Return how much of a new value a first-order low pass takes after `dt` seconds."""
    return 1.0 / (1.0 + 1.0 / (2.0 * math.pi * cutoff_hz * dt))


def _span(across: float, down: float, first: float, size: int) -> tuple[int, int]:
    """Return from where to where, within `size` pixels of the frame, the crop's corners reach."""
    corners = [first + CROP_PX * a for a in (0.0, across, down, across + down)]
    low = int(min(max(min(corners) - 2.0, 0.0), size - 1))
    return low, int(min(max(max(corners) + 3.0, low + 1), size))


def stabilized_crop(image: Image, place: Placement) -> Image:
    """Cut the stabilized crop of a face out of a frame.

    Parameters
    ----------
    image : (H, W, 3) uint8
        BGR.
    place : Placement

    Returns
    -------
    (128, 128) uint8
        Grey, new. Border pixels repeat beyond the frame; black where the place is not one.
    """
    warp = place.to_frame()
    height, width = image.shape[:2]
    ratio = abs(place.turn) * MM_PER_PX
    if not (np.isfinite(warp).all() and 1e-3 < ratio < 1e3):
        return np.zeros((CROP_PX, CROP_PX), np.uint8)
    step = int(ratio)
    if step < 2:
        return cut_grey(image, warp, (CROP_PX, CROP_PX))
    # A large face is averaged down first, or the texture of skin would flicker as pixels are
    # skipped.
    (left, right), (top, bottom) = (
        _span(across, down, first, size)
        for (across, down, first), size in zip(warp.tolist(), (width, height), strict=True)
    )
    grey = cv2.cvtColor(image[top:bottom, left:right], cv2.COLOR_BGR2GRAY)
    warp[:, 2] -= left, top
    if min(grey.shape) >= step:
        grey = grey[: grey.shape[0] // step * step, : grey.shape[1] // step * step]
        size = grey.shape[1] // step, grey.shape[0] // step
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
        warp[:, 2] -= (step - 1) / 2
        warp /= step
    return cv2.warpAffine(  # type: ignore[return-value]
        grey, warp, (CROP_PX, CROP_PX),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
