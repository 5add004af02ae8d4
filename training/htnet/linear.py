"""The plainest reader of a flow image: principal components, then logistic regression.

What any network on so few images has to be compared with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

COMPONENTS: Final = 60
STRENGTH: Final = 0.05
"""C: how much the samples weigh against the penalty on the weights."""


@dataclass(frozen=True, slots=True)
class LinearReader:
    """A fitted reader.

    Attributes
    ----------
    mean : (d,) float64
    weights : (d, classes) float64
    bias : (classes,) float64
    """

    mean: NDArray[np.float64]
    weights: NDArray[np.float64]
    bias: NDArray[np.float64]

    @classmethod
    def fit(
        cls, pixels: NDArray[np.float64], label: NDArray[np.int64], classes: int
    ) -> LinearReader:
        """Fit to samples (n, d); every class weighs the same in all."""
        mean = pixels.mean(axis=0)
        _, _, rows = np.linalg.svd(pixels - mean, full_matrices=False)
        basis = rows[:COMPONENTS].T
        weights, bias = _regress((pixels - mean) @ basis, label, classes)
        return cls(mean, basis @ weights, bias)

    def read(self, pixels: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the class of each sample (n, d)."""
        return self.shares(pixels).argmax(axis=1)

    def shares(self, pixels: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probabilities of the classes for each sample (n, d)."""
        logits = (pixels - self.mean) @ self.weights + self.bias
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        return shares / shares.sum(axis=1, keepdims=True)  # type: ignore[no-any-return]


def _regress(
    x: NDArray[np.float64], label: NDArray[np.int64], classes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Multinomial logistic regression with a ridge: weights (d, classes) and bias (classes,)."""
    from scipy.optimize import minimize

    n, d = x.shape
    share = np.bincount(label, minlength=classes)
    weight = STRENGTH * (n / (classes * np.maximum(share, 1)))[label]
    truth = np.eye(classes)[label]

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights, bias = flat[: d * classes].reshape(d, classes), flat[d * classes :]
        logits = x @ weights + bias
        logits -= logits.max(axis=1, keepdims=True)
        logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        slope = weight[:, None] * (np.exp(logs) - truth)
        value = 0.5 * (weights**2).sum() - weight @ (logs * truth).sum(axis=1)
        return float(value), np.concatenate([(x.T @ slope + weights).ravel(), slope.sum(axis=0)])

    found: Any = minimize(
        loss, np.zeros((d + 1) * classes), jac=True, method="L-BFGS-B", options={"maxiter": 500}
    )
    return found.x[: d * classes].reshape(d, classes), found.x[d * classes :]
