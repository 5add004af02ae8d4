"""Samples at any times -> fixed windows with their coverage (CALMED's windows of 200 ms)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


class Windows(NamedTuple):
    """Fixed windows, one after another.

    Attributes
    ----------
    start_ns : (n,) int64
        Multiples of the window's length after the origin.
    coverage : (n,) float64
        Share of each window in which there were samples, 0 to 1.
    means : (n, k) float64
        Of the samples in it; NaN where there is none.
    """

    start_ns: NDArray[np.int64]
    coverage: NDArray[np.float64]
    means: NDArray[np.float64]


def fixed_windows(
    t_ns: Sequence[int], values: NDArray[np.floating], window_ms: float, origin_ns: int = 0
) -> Windows:
    """Return the means of samples in windows of one length.

    A sample stands for the time until the next one, at most for three times the usual.

    Parameters
    ----------
    t_ns : (m,) sequence of int
        Source times, ascending.
    values : (m, k) float
    window_ms : float
        Above 0.
    origin_ns : int
        Where a window begins; all others follow from it.
    """
    times = np.asarray(t_ns, np.int64) - origin_ns
    values = np.asarray(values, np.float64)
    width = round(window_ms * 1e6)
    if not len(times):
        return Windows(np.empty(0, np.int64), np.empty(0), np.empty((0, values.shape[1])))
    gaps = np.diff(times)
    usual = int(np.median(gaps)) if len(gaps) else width
    lengths = np.minimum(np.append(gaps, usual), 3 * usual)
    places = times // width
    first, n = int(places[0]), int(places[-1] - places[0]) + 1
    which = places - first
    covered = np.zeros(n)
    # What a sample stands for may reach into the next window.
    inside = np.minimum(lengths, (places + 1) * width - times)
    np.add.at(covered, which, inside)
    reach = np.minimum(which + 1, n - 1)
    np.add.at(covered, reach, np.where(which + 1 < n, lengths - inside, 0))
    known = np.isfinite(values)
    sums, counts = np.zeros((n, values.shape[1])), np.zeros((n, values.shape[1]))
    np.add.at(sums, which, np.where(known, values, 0.0))
    np.add.at(counts, which, known)
    means = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
    starts = origin_ns + (first + np.arange(n, dtype=np.int64)) * width
    return Windows(starts, np.minimum(1.0, covered / width), means)
