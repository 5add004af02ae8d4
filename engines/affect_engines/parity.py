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


_CLOUD_PX: Final = 8


def random_feeds(specs: Sequence[TensorSpec], n: int, seed: int = 0) -> dict[str, NDArray[Any]]:
    """Make inputs for `n` faces: noise for measures, clouds for images, zero for counts.

    White noise is no image: ranges of an int8 form, which are those of images, clip it.
    """
    rng = np.random.default_rng(seed)
    feeds = {}
    for spec in specs:
        shape = tuple(n if length is None else length for length in spec.shape)
        if spec.dtype == np.uint8:
            feeds[spec.name] = _clouds(rng, shape)
        elif spec.dtype.kind == "f":
            feeds[spec.name] = rng.normal(0, 1, shape).astype(spec.dtype)
        else:
            feeds[spec.name] = np.zeros(shape, spec.dtype)
    return feeds


def _clouds(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Make smooth images (n, H, W, ...), with a new grey every eight pixels."""
    n, height, width, *others = shape
    corners = (n, height // _CLOUD_PX + 2, width // _CLOUD_PX + 2, *others)
    coarse = rng.uniform(0, 256, corners)
    for axis, side in ((1, height), (2, width)):
        at = np.arange(side) / _CLOUD_PX
        before = at.astype(np.int64)
        share = (at - before).reshape([-1 if k == axis else 1 for k in range(len(shape))])
        coarse = (1 - share) * coarse.take(before, axis) + share * coarse.take(before + 1, axis)
    return coarse.astype(np.uint8)


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
