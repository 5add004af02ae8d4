"""The rigid motion of a face compiled by numba, without a single array call between.

Any number of threads may call at the same time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from affect_kernels.compiled import compiled, writable
from affect_kernels.rigid_motion.reference import FIT_FLOOR_PX, FIT_ROUNDS, Float64, rigid_basis

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["fit_rigid", "rigid_basis", "take_off_rigid"]

_ROUNDS, _FLOOR = FIT_ROUNDS, FIT_FLOOR_PX**2


@compiled("float64(float64[::1], int64)")
def _ranked(values: Float64, rank: int) -> float:
    """Return the value of a rank, from 0, and leave `values` in another order."""
    low, high = 0, len(values) - 1
    while low < high:
        pivot, i, j = values[(low + high) // 2], low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i, j = i + 1, j - 1
        if rank <= j:
            high = j
        elif rank >= i:
            low = i
        else:
            break
    return values[rank]  # type: ignore[no-any-return]


@compiled("void(float64[:, ::1], float64[::1])")
def _solve(form: Float64, sides: Float64) -> None:
    """Solve form (6, 6) @ x = sides (6,) by elimination, the largest pivot first; x in `sides`."""
    n = len(sides)
    for k in range(n):
        best = k
        for i in range(k + 1, n):
            if abs(form[i, k]) > abs(form[best, k]):
                best = i
        if best != k:
            for j in range(n):
                form[k, j], form[best, j] = form[best, j], form[k, j]
            sides[k], sides[best] = sides[best], sides[k]
        for i in range(k + 1, n):
            factor = form[i, k] / form[k, k]
            for j in range(k, n):
                form[i, j] -= factor * form[k, j]
            sides[i] -= factor * sides[k]
    for k in range(n - 1, -1, -1):
        for j in range(k + 1, n):
            sides[k] -= form[k, j] * sides[j]
        sides[k] /= form[k, k]


_MOVES = ("float32[:, ::1]", "float64[:, ::1]")  # what measured them, so that none is converted


@compiled(*(f"void({moves}, float64[:, :, ::1], float64[::1])" for moves in _MOVES))
def _fit(moves: Any, basis: Float64, rigid: Float64) -> None:
    m = len(moves)
    form, off, sorted_off, weights = np.empty((6, 6)), np.empty(m), np.empty(m), np.ones(m)
    for turn in range(_ROUNDS):
        if turn > 0:
            for i in range(m):
                x, y = moves[i, 0], moves[i, 1]
                for c in range(6):
                    x -= basis[i, 0, c] * rigid[c]
                    y -= basis[i, 1, c] * rigid[c]
                off[i] = sorted_off[i] = x * x + y * y
            scale = max(_FLOOR, 2.0 * _ranked(sorted_off, m // 2))
            for i in range(m):
                weights[i] = 1.0 / (1.0 + off[i] / scale) ** 2
        form[:] = 0.0
        rigid[:] = 0.0
        for i in range(m):
            for a in range(2):
                for c in range(6):
                    weighted = weights[i] * basis[i, a, c]
                    if weighted == 0.0:
                        continue
                    rigid[c] += weighted * moves[i, a]
                    for d in range(6):
                        form[c, d] += weighted * basis[i, a, d]
        _solve(form, rigid)


@compiled(
    *(
        f"float64({moves}, float64[:, :, ::1], int64, float64[:, ::1], float64[::1])"
        for moves in _MOVES
    )
)
def _take_off(moves: Any, basis: Float64, stiff: int, left: Float64, rigid: Float64) -> float:
    _fit(moves[:stiff], basis[:stiff], rigid)
    sizes = np.empty(2 * stiff)
    for i in range(len(moves)):
        for a in range(2):
            left[i, a] = moves[i, a]
            for c in range(6):
                left[i, a] -= basis[i, a, c] * rigid[c]
            if i < stiff:
                sizes[2 * i + a] = abs(left[i, a])
    return _ranked(sizes, stiff)


def fit_rigid(moves: NDArray[np.floating], basis: Float64) -> Float64:
    """As ``reference.fit_rigid``."""
    rigid = np.empty(6)
    _fit(_whole(moves), writable(basis, np.float64), rigid)
    return rigid


def take_off_rigid(
    moves: NDArray[np.floating], basis: Float64, stiff: int
) -> tuple[Float64, Float64, float]:
    """As ``reference.take_off_rigid``."""
    left, rigid = np.empty(moves.shape), np.empty(6)
    misfit = _take_off(_whole(moves), writable(basis, np.float64), stiff, left, rigid)
    return left, rigid, misfit


def _whole(moves: NDArray[np.floating]) -> NDArray[np.floating]:
    return writable(moves, np.float32 if moves.dtype == np.float32 else np.float64)
