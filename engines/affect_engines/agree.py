"""Whether one engine says what another says: what a new plan is judged by, before it is timed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from affect_engines.base import Engine, TensorSpec

TOLERANCES: Final = {"fp32": 1e-3, "fp16": 2e-2, "int8": 0.25}
"""How much of an output's largest magnitude may differ, by precision, on random inputs."""


def random_feeds(specs: Sequence[TensorSpec], n: int, seed: int = 0) -> dict[str, NDArray[Any]]:
    """Make inputs for `n` faces: noise for measures, noise for pictures, zero for counts."""
    rng = np.random.default_rng(seed)
    feeds = {}
    for spec in specs:
        shape = tuple(n if length is None else length for length in spec.shape)
        if spec.dtype == np.uint8:
            feeds[spec.name] = rng.integers(0, 256, shape).astype(np.uint8)
        elif spec.dtype.kind == "f":
            feeds[spec.name] = rng.normal(0, 1, shape).astype(spec.dtype)
        else:
            feeds[spec.name] = np.zeros(shape, spec.dtype)
    return feeds


def difference(engine: Engine, other: Engine, n: int, seed: int = 0) -> float:
    """Return the largest difference of an output, as a share of its largest magnitude.

    Parameters
    ----------
    engine, other : Engine
        `other` is what is right.
    n : int
        Number of faces.
    seed : int
        Of the inputs.
    """
    feeds = random_feeds(engine.inputs, n, seed)
    got = {name: values.copy() for name, values in engine.infer(feeds).items()}
    worst = 0.0
    for name, want in other.infer(feeds).items():
        scale = max(float(np.abs(want).max(initial=0.0)), 1e-6)
        found = float(np.abs(got[name].astype(np.float64) - want).max(initial=0.0))
        worst = max(worst, found / scale) if np.isfinite(found) else float("inf")
    return worst
