"""Similarities compiled by numba: one pass over the points instead of a dozen array calls.

Any number of threads may call at the same time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from affect_kernels.compiled import compiled, writable
from affect_kernels.similarity.reference import TO_ROTATION, Float64, Similarity

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SWEEPS = 12  # of Jacobi's rotations; a form of 4 x 4 needs five or six


@compiled("void(float64[:, ::1], float64[:, ::1])")
def _diagonalise(form: Float64, vectors: Float64) -> None:
    """Leave eigenvalues on the diagonal of a symmetric form (4, 4), vectors in columns (4, 4)."""
    for i in range(4):
        for j in range(4):
            vectors[i, j] = 1.0 if i == j else 0.0
    for _ in range(_SWEEPS):
        off, on = 0.0, 0.0
        for i in range(4):
            on += form[i, i] * form[i, i]
            for j in range(i):
                off += form[i, j] * form[i, j]
        if off <= 1e-32 * on:
            break
        for p in range(3):
            for q in range(p + 1, 4):
                if form[p, q] == 0.0:
                    continue
                theta = (form[q, q] - form[p, p]) / (2.0 * form[p, q])
                sign = 1.0 if theta >= 0.0 else -1.0
                t = sign / (abs(theta) + np.sqrt(theta * theta + 1.0))
                c = 1.0 / np.sqrt(t * t + 1.0)
                s = t * c
                for k in range(4):
                    a, b = form[k, p], form[k, q]
                    form[k, p], form[k, q] = c * a - s * b, s * a + c * b
                for k in range(4):
                    a, b = form[p, k], form[q, k]
                    form[p, k], form[q, k] = c * a - s * b, s * a + c * b
                for k in range(4):
                    a, b = vectors[k, p], vectors[k, q]
                    vectors[k, p], vectors[k, q] = c * a - s * b, s * a + c * b


_TARGETS = ("float32[:, :, ::1]", "float64[:, :, ::1]")  # what measured them, not converted


@compiled(
    *(
        f"void(float64[:, ::1], {targets}, int64[::1], float64[:, ::1], float64[::1],"
        "float64[:, :, ::1], float64[:, ::1])"
        for targets in _TARGETS
    )
)
def _fit(  # noqa: PLR0913  (compiled code takes arrays, not objects)
    source: Float64,
    targets: Any,
    rows: Any,
    products: Float64,
    scale: Float64,
    rotation: Float64,
    translation: Float64,
) -> None:
    n, k = len(targets), len(rows)
    mean_source = np.zeros(3)
    for i in range(k):
        for a in range(3):
            mean_source[a] += source[i, a] / k
    spread = 0.0
    for i in range(k):
        for a in range(3):
            spread += (source[i, a] - mean_source[a]) ** 2
    covariance, form, vectors = np.empty(9), np.empty((4, 4)), np.empty((4, 4))
    for m in range(n):
        covariance[:] = 0.0
        translation[m] = 0.0
        for i in range(k):
            for a in range(3):
                target = np.float64(targets[m, rows[i], a])
                translation[m, a] += target / k
                for b in range(3):
                    covariance[3 * a + b] += target * (source[i, b] - mean_source[b])
        for i in range(4):
            for j in range(4):
                total = 0.0
                for ab in range(9):
                    total += covariance[ab] * products[4 * i + j, ab]
                form[i, j] = total
        _diagonalise(form, vectors)
        best = 0
        for i in range(1, 4):
            if form[i, i] > form[best, best]:
                best = i
        scale[m] = form[best, best] / spread
        for a in range(3):
            for b in range(3):
                total = 0.0
                for i in range(4):
                    for j in range(4):
                        product = products[4 * i + j, 3 * a + b]
                        total += vectors[i, best] * vectors[j, best] * product
                rotation[m, a, b] = total
        for a in range(3):
            for b in range(3):
                translation[m, a] -= scale[m] * rotation[m, a, b] * mean_source[b]


def fit_similarity(
    source: NDArray[np.floating],
    targets: NDArray[np.floating],
    rows: NDArray[np.int64] | None = None,
) -> Similarity:
    """As ``reference.fit_similarity``."""
    n = len(targets)
    fit = Similarity(np.empty(n), np.empty((n, 3, 3)), np.empty((n, 3)))
    dtype = np.float32 if targets.dtype == np.float32 else np.float64
    rows = np.arange(targets.shape[1]) if rows is None else rows
    _fit(
        writable(source, np.float64), writable(targets, dtype), writable(rows, np.int64),
        TO_ROTATION, *fit,
    )  # fmt: skip
    return fit


@compiled(
    "void(float32[:, :, ::1], float64[::1], float64[:, :, ::1], float64[:, ::1],float32[:, :, ::1])"
)
def _invert(points: Any, scale: Float64, rotation: Float64, translation: Float64, out: Any) -> None:
    for m in range(len(points)):
        for i in range(points.shape[1]):
            x = points[m, i, 0] - translation[m, 0]
            y = points[m, i, 1] - translation[m, 1]
            z = points[m, i, 2] - translation[m, 2]
            for b in range(3):
                back = x * rotation[m, 0, b] + y * rotation[m, 1, b] + z * rotation[m, 2, b]
                out[m, i, b] = back / scale[m]


def invert(fit: Similarity, points: NDArray[np.float32]) -> NDArray[np.float32]:
    """As ``Similarity.invert``, of float32 (n, k, 3), rounded to float32."""
    points = writable(points, np.float32)
    out = np.empty_like(points)
    scale, rotation, translation = (writable(part, np.float64) for part in fit)
    _invert(points, scale, rotation, translation, out)
    return out
