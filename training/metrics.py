"""Figures of agreement between what is true and what was read; NaN where they mean nothing."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


def icc_3_1(truth: NDArray[Any], read: NDArray[Any]) -> float:
    """Intraclass correlation ICC(3,1) of two raters: consistency, two-way mixed, single.

    Shrout & Fleiss, "Intraclass correlations: uses in assessing rater reliability", 1979:
    (BMS - EMS) / (BMS + (k - 1) EMS) with k = 2.

    Parameters
    ----------
    truth, read : (n,) float
        Pairs with a NaN are left out.
    """
    return icc_of_raters(np.column_stack([truth, read]))


def icc_of_raters(ratings: NDArray[Any]) -> float:
    """ICC(3,1) of k raters, `ratings` (n, k); rows with a NaN are left out."""
    rows = np.asarray(ratings, np.float64)
    rows = rows[np.isfinite(rows).all(axis=1)]
    n, k = rows.shape
    if n < 2:
        return nan
    mean = rows.mean()
    between = k * ((rows.mean(axis=1) - mean) ** 2).sum() / (n - 1)
    residual = rows - rows.mean(axis=1, keepdims=True) - rows.mean(axis=0) + mean
    error = (residual**2).sum() / ((n - 1) * (k - 1))
    total = between + (k - 1) * error
    return float((between - error) / total) if total > 0 else nan


def mae(truth: NDArray[Any], read: NDArray[Any]) -> float:
    """Mean absolute error; pairs with a NaN are left out."""
    truth, read = _known(truth, read)
    return float(np.abs(truth - read).mean()) if len(truth) else nan


def pearson(truth: NDArray[Any], read: NDArray[Any]) -> float:
    """Pearson correlation; NaN where either side does not vary."""
    truth, read = _known(truth, read)
    if len(truth) < 2 or truth.std() == 0 or read.std() == 0:
        return nan
    return float(np.corrcoef(truth, read)[0, 1])


def spearman(truth: NDArray[Any], read: NDArray[Any]) -> float:
    """Spearman's rank correlation; NaN where either side does not vary."""
    from scipy.stats import rankdata

    truth, read = _known(truth, read)
    return pearson(rankdata(truth), rankdata(read)) if len(truth) > 1 else nan


def f1(truth: NDArray[Any], read: NDArray[Any]) -> float:
    """F1 of a detector, 2 TP / (2 TP + FP + FN); NaN where nothing is there and nothing was read.

    Parameters
    ----------
    truth, read : (n,) bool, or float 0, 1 and NaN for unknown
    """
    return f1_micro(np.asarray(truth)[:, None], np.asarray(read)[:, None])


def f1_micro(truth: NDArray[Any], read: NDArray[Any]) -> float:
    """F1 with the counts of all units, (n, u), put together (Hinduja et al., 2024)."""
    known, seen = _known(np.ravel(truth), np.ravel(read))
    hits = float(((known > 0) & (seen > 0)).sum())
    errors = float(((known > 0) != (seen > 0)).sum())
    return 2 * hits / (2 * hits + errors) if hits + errors else nan


def auc(truth: NDArray[Any], score: NDArray[Any]) -> float:
    """Probability that a score where `truth` holds is higher than one where it does not.

    By ranks, a tie counts a half; NaN where one of the kinds is missing.
    """
    from scipy.stats import rankdata

    known, scores = _known(truth, score)
    positive = known > 0
    n, m = int(positive.sum()), int((~positive).sum())
    if not n or not m:
        return nan
    return float((rankdata(scores)[positive].sum() - n * (n + 1) / 2) / (n * m))


def confusion(truth: NDArray[Any], read: NDArray[Any], classes: int) -> NDArray[np.int64]:
    """Count how often class i (row) was read as class j (column), (classes, classes)."""
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (np.asarray(truth, np.int64), np.asarray(read, np.int64)), 1)
    return counts


def recalls(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the share of each class read right, from its confusion matrix; NaN without any."""
    totals = counts.sum(axis=1)
    return np.where(totals > 0, np.diagonal(counts) / np.maximum(totals, 1), nan)


def war(counts: NDArray[np.int64]) -> float:
    """Weighted average recall: the share of all that was read right."""
    return float(np.trace(counts) / counts.sum()) if counts.sum() else nan


def uar(counts: NDArray[np.int64]) -> float:
    """Unweighted average recall: the mean over the classes that occur."""
    known = recalls(counts)
    known = known[np.isfinite(known)]
    return float(known.mean()) if len(known) else nan


def uf1(counts: NDArray[np.int64]) -> float:
    """Unweighted F1: the mean over the classes that occur or were read."""
    hits = np.diagonal(counts)
    totals = counts.sum(axis=0) + counts.sum(axis=1)
    scores = 2 * hits[totals > 0] / totals[totals > 0]
    return float(scores.mean()) if len(scores) else nan


def bootstrap(
    truth: NDArray[Any], read: NDArray[Any], measure: Callable[[NDArray[np.int64]], float],
    classes: int, repeats: int = 2000,
) -> tuple[float, float]:  # fmt: skip
    """95 % interval of a measure of a confusion matrix, by drawing the samples anew.

    Efron & Tibshirani, "An introduction to the bootstrap", 1993: percentiles.
    """
    rng = np.random.default_rng(95)
    pairs = np.asarray(truth, np.int64) * classes + np.asarray(read, np.int64)
    shares = np.bincount(pairs, minlength=classes * classes) / max(1, len(pairs))
    # Samples drawn with replacement fill the matrix's cells as a multinomial draw does.
    drawn = rng.multinomial(len(pairs), shares, size=repeats)
    values = [measure(counts.reshape(classes, classes)) for counts in drawn]
    low, high = np.nanpercentile(values, [2.5, 97.5]).tolist()
    return low, high


def bootstrap_persons(
    persons: NDArray[Any], measure: Callable[[NDArray[np.int64]], float], repeats: int = 1000
) -> tuple[float, float]:
    """95 % interval of a measure by drawing persons anew, each with all that is theirs.

    Samples of one person are alike; drawing samples would make the interval too narrow.

    Parameters
    ----------
    persons : (n,)
        Whose each sample is.
    measure : callable
        Rows (m,) of the samples drawn -> figure.
    """
    rng = np.random.default_rng(95)
    _, whose = np.unique(persons, return_inverse=True)
    order = np.argsort(whose, kind="stable")
    rows = np.split(order, np.flatnonzero(np.diff(whose[order])) + 1)
    values = [
        measure(np.concatenate([rows[k] for k in rng.integers(0, len(rows), len(rows))]))
        for _ in range(repeats)
    ]
    known = np.array(values)[~np.isnan(values)]
    if not len(known):
        return nan, nan
    # Of the values themselves: a delay that never ended is infinite, and has no neighbour.
    low, high = np.percentile(known, [2.5, 97.5], method="inverted_cdf").tolist()
    return low, high


def calibration_error(shares: NDArray[Any], truth: NDArray[Any], bins: int = 15) -> float:
    """Return the expected calibration error of the likeliest class's probability.

    How far it is from how often that class is right; Guo et al., "On calibration of modern neural
    networks", 2017.

    Parameters
    ----------
    shares : (n, classes) float
    truth : (n,) int
    bins : int
        Of equal width.
    """
    sure, right = shares.max(axis=1), shares.argmax(axis=1) == truth
    place = np.minimum((sure * bins).astype(int), bins - 1)
    error = 0.0
    for k in range(bins):
        here = place == k
        if here.any():
            error += here.mean() * abs(sure[here].mean() - right[here].mean())
    return float(error)


def _known(truth: NDArray[Any], read: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return both as float64 without the pairs of which one is NaN."""
    a, b = np.asarray(truth, np.float64), np.asarray(read, np.float64)
    known = np.isfinite(a) & np.isfinite(b)
    return a[known], b[known]


def softmax(logits: NDArray[Any], temperature: float = 1.0) -> NDArray[np.float64]:
    """Return probabilities along the last axis, at a temperature."""
    return special.softmax(logits.astype(np.float64) / temperature, axis=-1)  # type: ignore[no-any-return]
