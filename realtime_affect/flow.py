"""Frame + FaceMesh -> a steady small picture of a face -> how its skin moved.

What brief facial movements are spotted in, and what HTNet looks at. The picture is turned, shifted
and scaled to the average face by a similarity that is low-pass filtered, so that the jitter of
landmarks is not motion. Flow between two such pictures still holds what the filter left over, and
what a turning head does to a face with depth; :func:`remove_rigid` takes both away.
"""

from __future__ import annotations

import cmath
import math
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import cv2
import numpy as np

from affect_kernels.flow_features import flow_features
from realtime_affect.pose import RIGID_POINTS, load_neutral_face

if TYPE_CHECKING:
    from realtime_affect.types import Float32, Float64, Image

CROP_PX: Final = 128
"""Side of the picture that flow is measured in."""

MM_PER_PX: Final = 1.2
"""Of that picture, on the average face."""

CENTRE_MM: Final = (0.0, 5.0)
"""Place of the average face (x, y) that its middle shows: forehead to chin fit in."""

IOD_PX: Final = 61.8 / MM_PER_PX
"""Inter-ocular distance, between the middles of the eyes, in that picture."""

FLOW_MAP_PX: Final = 56
"""Side of what HTNet-Live looks at."""

_MIN_CUTOFF_HZ: Final = 1.0
_CUTOFF_PER_SPEED: Final = 10.0  # more hertz for every inter-ocular distance (or radian) a second
_SPEED_CUTOFF_HZ: Final = 1.0
_FORGET_S: Final = 0.5  # a face unseen for longer has a new place

# Where a face moves with its head and little else: the points heads are fitted to, the ridge of the
# nose, forehead, cheekbones. What moves by itself there, a robust fit leaves out.
STIFF_POINTS: Final = np.array(
    [
        *RIGID_POINTS.tolist(),
        *(5, 4, 1, 45, 275, 51, 281, 3, 248),
        *(10, 109, 338, 67, 297, 151, 108, 337, 9),
        *(50, 280, 117, 346, 116, 345, 123, 352, 101, 330, 118, 347),
    ]
)
_FIT_ROUNDS: Final = 3
_FIT_FLOOR_PX: Final = 0.05  # flow noise: points off by less than this all count alike


class Steady(NamedTuple):
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


def fit_steady(points: Float32) -> Steady:
    """Fit the average face to a mesh (468, 3) in the plane, by least squares, unfiltered."""
    weights, middle = _stiff_plane()
    seen = points[RIGID_POINTS]
    target = seen[:, 0].astype(np.float64) + 1j * seen[:, 1]
    turn = complex(weights @ target)
    return Steady(turn, complex(target.mean()) - turn * middle)


@cache
def _stiff_plane() -> tuple[Any, complex]:
    """Return the weights that fit a turn to the average face's rigid points, and their mean."""
    rigid = load_neutral_face().rigid
    source = rigid[:, 0] + 1j * rigid[:, 1]
    centred = source - source.mean()
    return centred.conj() / np.vdot(centred, centred).real, complex(source.mean())


class SteadyFrame:
    """The filtered place of one face; a One-Euro filter of all four numbers at one cut-off.

    Casiez et al., "1 Euro Filter", CHI 2012: the faster something moves, the less it is smoothed.
    """

    def __init__(self) -> None:
        self._t_ns = 0
        self._place: Steady | None = None
        self._raw: Steady | None = None
        self._speed = (0j, 0j)

    def update(self, t_ns: int, points: Float32) -> Steady:
        """Take in the mesh (468, 3) at a source time; return where the face steadily is."""
        raw = fit_steady(points)
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
            self._place = Steady(
                old.turn * cmath.exp(share * cmath.log(raw.turn / old.turn)),
                old.shift + share * (raw.shift - old.shift),
            )
        self._t_ns, self._raw = t_ns, raw
        return self._place


def _share(cutoff_hz: float, dt: float) -> float:
    """Return how much of a new value a first-order low pass takes after `dt` seconds."""
    return 1.0 / (1.0 + 1.0 / (2.0 * math.pi * cutoff_hz * dt))


def spot_crop(image: Image, place: Steady) -> Image:
    """Cut the steady picture of a face out of a frame.

    Parameters
    ----------
    image : (H, W, 3) uint8
        BGR.
    place : Steady

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
    # Only the part of the frame that is shown turns grey; a large one is averaged down first, or
    # the texture of skin would flicker as pixels are skipped.
    corners = warp[:, :2] @ ((0, 0, CROP_PX, CROP_PX), (0, CROP_PX, 0, CROP_PX)) + warp[:, 2:]
    left, top = (int(v) for v in np.clip(corners.min(axis=1) - 2, 0, (width - 1, height - 1)))
    right, bottom = (
        int(v) for v in np.clip(corners.max(axis=1) + 3, (left + 1, top + 1), (width, height))
    )
    grey = cv2.cvtColor(image[top:bottom, left:right], cv2.COLOR_BGR2GRAY)
    warp[:, 2] -= left, top
    step = int(ratio)
    if step > 1 and min(grey.shape) >= step:
        grey = grey[: grey.shape[0] // step * step, : grey.shape[1] // step * step]
        size = grey.shape[1] // step, grey.shape[0] // step
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
        warp[:, 2] -= (step - 1) / 2
        warp /= step
    return cv2.warpAffine(  # type: ignore[return-value]
        grey, warp, (CROP_PX, CROP_PX),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip


class _StiffPlaces(NamedTuple):
    """Where stiff points lie in the crop, and what rigid motion does there and everywhere.

    Attributes
    ----------
    rows, columns : (m,) int64
    basis : (m, 2, 6) float64
        Flow of unit shifts in x and y, growth, turn, and turns out of the plane (yaw, pitch).
    everywhere : (6, 128 * 128 * 2) float32
    """

    rows: Any
    columns: Any
    basis: Float64
    everywhere: Float32


@cache
def _stiff_places() -> _StiffPlaces:
    """Return where the average face is stiff."""
    points = load_neutral_face().points
    half = (CROP_PX - 1) / 2
    places = (points[:, :2] - CENTRE_MM) / MM_PER_PX
    depths = (points[:, 2] - points[STIFF_POINTS, 2].mean()) / MM_PER_PX
    columns, rows = np.rint(places[STIFF_POINTS] + half).astype(np.int64).T
    grid = np.mgrid[:CROP_PX, :CROP_PX].reshape(2, -1).T[:, ::-1] - half
    return _StiffPlaces(
        rows, columns, rigid_basis(places[STIFF_POINTS], depths[STIFF_POINTS]),
        np.ascontiguousarray(
            rigid_basis(grid, _depth_at(grid, places, depths)).reshape(-1, 6).T, np.float32
        ),
    )  # fmt: skip


def rigid_basis(places: Float64, depths: Float64) -> Float64:
    """Return what unit rigid motions do at points.

    Parameters
    ----------
    places : (m, 2) float64
        x and y from the middle of the crop, pixels.
    depths : (m,) float64
        Pixels, away from the camera.

    Returns
    -------
    (m, 2, 6) float64
        Flow of a shift in x, in y, growth, turn, and turns about the vertical and the level axis,
        each as far as it changes with depth.
    """
    x, y = places.T
    basis = np.zeros((len(places), 2, 6))
    basis[:, 0, 0] = basis[:, 1, 1] = 1.0
    basis[:, :, 2] = places
    basis[:, 0, 3], basis[:, 1, 3] = -y, x
    basis[:, 0, 4] = basis[:, 1, 5] = depths
    return basis


def _depth_at(grid: Float64, places: Float64, depths: Float64) -> Float64:
    """Spread the depths of the mesh's points over pixels: a smooth mean of the near ones."""
    depth = np.empty(len(grid))
    for first in range(0, len(grid), 2048):
        part = grid[first : first + 2048]
        squared = ((part[:, None] - places) ** 2).sum(axis=2)
        nearness = 1.0 / (squared + 9.0) ** 2
        depth[first : first + 2048] = (nearness @ depths) / nearness.sum(axis=1)
    return depth


def fit_rigid(moves: Float64, basis: Float64) -> Float64:
    """Fit the rigid motion that most of a face follows.

    Parameters
    ----------
    moves : (m, 2) floating
        Flow at stiff points.
    basis : (m, 2, 6) float64
        From :func:`rigid_basis`.

    Returns
    -------
    (6,) float64
        Least squares with Geman and McClure's weights: points that move by themselves count little.
    """
    flat, wanted = basis.reshape(-1, 6), moves.reshape(-1).astype(np.float64)
    columns = np.ascontiguousarray(flat.T)
    fitted = np.linalg.solve(columns @ flat, columns @ wanted)
    middle = len(moves) // 2
    for _ in range(_FIT_ROUNDS - 1):
        off = np.square(wanted - flat @ fitted)
        off = off[::2] + off[1::2]
        scale = max(_FIT_FLOOR_PX**2, 2.0 * float(np.partition(off, middle)[middle]))
        weighted = columns / np.repeat(np.square(1.0 + off / scale), 2)
        fitted = np.linalg.solve(weighted @ flat, weighted @ wanted)
    return np.asarray(fitted, np.float64)


def remove_rigid(flow: Float32) -> Float32:
    """Take the motion of the whole head out of a flow (128, 128, 2) between two steady pictures.

    Similarity and the two turns out of the plane, at the average face's depth, are fitted where
    faces are stiff.
    """
    stiff = _stiff_places()
    smooth = cv2.blur(flow, (5, 5))
    fitted = fit_rigid(smooth[stiff.rows, stiff.columns], stiff.basis)
    rigid = fitted.astype(np.float32) @ stiff.everywhere
    return flow - rigid.reshape(flow.shape)


def flow_map(onset_crop: Image, apex_crop: Image) -> Float32:
    """Return how a face moved between two moments, without its head's motion.

    Parameters
    ----------
    onset_crop, apex_crop : (128, 128) uint8
        Grey, from :func:`spot_crop` with places from one :class:`SteadyFrame`.

    Returns
    -------
    (56, 56, 3) float32
        u to the image's right, v down, in inter-ocular distances, and their optical strain, in
        inter-ocular distances a pixel of the map; not stretched. It shows what the crops show.
    """
    # Once an event, not once a frame, so it may cost the better preset's two milliseconds.
    dense = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    fresh = np.zeros((CROP_PX, CROP_PX, 2), np.float32)
    flow = remove_rigid(dense.calc(onset_crop, apex_crop, fresh))  # type: ignore[arg-type]
    side = FLOW_MAP_PX
    small = cv2.resize(flow, (side, side), interpolation=cv2.INTER_AREA) / np.float32(IOD_PX)
    features: Float32 = flow_features(small[None])[0].astype(np.float32)
    return features
