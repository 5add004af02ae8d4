"""Two faces together: who follows whom in valence and smiles, and when both smile.

Pearson's correlation of two series of windows at each lag; the strongest counts. Its significance
is the share of shuffles that reach it: the second series is cut into blocks of two seconds, which
keep what neighbouring windows have in common, and the blocks are put in another order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

WINDOW_MS: Final = 200.0
LAG_S: Final = 2.0
LEAST_S: Final = 8.0
"""Of both faces in view, without which nothing is told."""
SHUFFLES: Final = 199
_BLOCK_S: Final = 2.0
_MUTUAL_MS: Final = 400.0


@dataclass(frozen=True, slots=True)
class Synchrony:
    """How two series go together.

    Attributes
    ----------
    correlation : float
        The strongest over all lags, -1 to 1; NaN where a series does not move.
    lag_s : float
        Of it; positive: the second follows the first.
    p_value : float
        Share of shuffles whose strongest correlation is at least as strong.
    """

    correlation: float
    lag_s: float
    p_value: float


@dataclass(frozen=True, slots=True)
class Dyad:
    """Two faces of one recording.

    Attributes
    ----------
    faces : (int, int)
    seconds : float
        In which both were seen.
    valence, smile : Synchrony
        Of valence, and of AU12.
    mutual_smiles : tuple of (int, int)
        Source times from and to which both smiled.
    """

    faces: tuple[int, int]
    seconds: float
    valence: Synchrony
    smile: Synchrony
    mutual_smiles: tuple[tuple[int, int], ...]

    def as_json(self, origin_ns: int = 0) -> dict[str, Any]:
        """Return it as JSON's own types."""

        def told(synchrony: Synchrony) -> dict[str, float | None]:
            values = (synchrony.correlation, synchrony.lag_s, synchrony.p_value)
            names = ("correlation", "lag_s", "p_value")
            return {
                name: round(value, 3) if value == value else None
                for name, value in zip(names, values, strict=True)
            }

        return {
            "faces": list(self.faces),
            "seconds": round(self.seconds, 1),
            "valence": told(self.valence),
            "AU12": told(self.smile),
            "mutual_smiles": [
                [round((t_ns - origin_ns) / 1e9, 2) for t_ns in interval]
                for interval in self.mutual_smiles
            ],
        }


def dyad_of(
    faces: tuple[int, int], first: NDArray[np.float64], second: NDArray[np.float64],
    start_ns: Sequence[int] | NDArray[np.int64], smile_at: float = 1.0,
) -> Dyad | None:  # fmt: skip
    """Compare two faces; None where they were seen together for less than :data:`LEAST_S`.

    Parameters
    ----------
    faces : (int, int)
    first, second : (n, 2) float64
        Valence and AU12 of each in the same windows of :data:`WINDOW_MS`; NaN where not seen.
    start_ns : (n,) sequence of int
        Of the windows.
    smile_at : float
        Intensity of AU12 that is a smile.
    """
    both = np.isfinite(first).all(axis=1) & np.isfinite(second).all(axis=1)
    seconds = float(both.sum()) * WINDOW_MS / 1e3
    if seconds < LEAST_S:
        return None
    valence, smile = (synchrony(first[:, k], second[:, k]) for k in (0, 1))
    smiling = both & (first[:, 1] >= smile_at) & (second[:, 1] >= smile_at)
    return Dyad(faces, seconds, valence, smile, _intervals(smiling, start_ns))


def synchrony(
    first: NDArray[np.float64], second: NDArray[np.float64], *, shuffles: int = SHUFFLES
) -> Synchrony:
    """Correlate two series (n,) of windows at lags up to :data:`LAG_S`; NaN = not seen.

    Windows in which either is not seen do not count. The same series give the same result.
    """
    n_lags = round(LAG_S * 1e3 / WINDOW_MS)
    correlation, lag = _strongest(first, second, n_lags)
    if not np.isfinite(correlation):
        return Synchrony(float("nan"), float("nan"), float("nan"))
    rng = np.random.default_rng(len(first))
    size = round(_BLOCK_S * 1e3 / WINDOW_MS)
    blocks = [second[i : i + size] for i in range(0, len(second), size)]
    reached = 0
    for _ in range(shuffles):
        order = rng.permutation(len(blocks))
        other, _ = _strongest(first, np.concatenate([blocks[k] for k in order]), n_lags)
        reached += bool(abs(other) >= abs(correlation))
    return Synchrony(correlation, lag * WINDOW_MS / 1e3, (reached + 1) / (shuffles + 1))


def _strongest(
    first: NDArray[np.float64], second: NDArray[np.float64], n_lags: int
) -> tuple[float, int]:
    """Return the correlation of largest size and its lag in windows; NaN where there is none."""
    best, at = float("nan"), 0
    for lag in sorted(range(-n_lags, n_lags + 1), key=abs):
        a = first[max(0, -lag) : len(first) - max(0, lag)]
        b = second[max(0, lag) : len(second) - max(0, -lag)]
        known = np.isfinite(a) & np.isfinite(b)
        if known.sum() < 10:
            continue
        a, b = a[known] - a[known].mean(), b[known] - b[known].mean()
        size = float(np.sqrt((a @ a) * (b @ b)))
        if size < 1e-9:
            continue
        now = float(a @ b) / size
        if not np.isfinite(best) or abs(now) > abs(best) + 1e-12:
            best, at = now, lag
    return best, at


def _intervals(
    holds: NDArray[np.bool_], start_ns: Sequence[int] | NDArray[np.int64]
) -> tuple[tuple[int, int], ...]:
    """Return from when to when something holds for at least :data:`_MUTUAL_MS`."""
    edges = np.diff(np.concatenate([[False], holds, [False]]).astype(np.int8))
    width = round(WINDOW_MS * 1e6)
    found = []
    begins, ends = (np.flatnonzero(edges == edge).tolist() for edge in (1, -1))
    for begin, end in zip(begins, ends, strict=True):
        if (end - begin) * WINDOW_MS >= _MUTUAL_MS:
            found.append((int(start_ns[begin]), int(start_ns[end - 1]) + width))
    return tuple(found)
