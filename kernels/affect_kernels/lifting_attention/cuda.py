"""Launches of ``lifting_attention.cu``: values, for a device or for the CPU harness of the tests.

A step is one launch, :func:`step`, of as many blocks as a card holds at once; or three of any size,
one for each phase, as :func:`update` and :func:`predict` run them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from affect_kernels._launch import Launch, Reads, Writes, blocks
from affect_kernels.errors import UsageError
from affect_kernels.lifting_attention.reference import StepWeights, check

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Run = Callable[[Launch], Mapping[str, Any]]

Array = NDArray[np.floating[Any]]

SOURCE: Final = "lifting_attention/lifting_attention.cu"
HEAD: Final = 96
"""Channels of a head."""

_THREADS: Final = 128
_ROWS: Final = 32  # tokens of a tile
_COLUMNS: Final = {"f16": 64, "f32": 32}
_QUERIES: Final = {"f16": 64, "f32": 32}


def step(band: Array, other: Array, weights: StepWeights, sign: float, across: int) -> Launch:
    """Return the launch that does a whole step: it writes ``out``, and ``q``, ``kv``, ``mixed``.

    Parameters
    ----------
    band, other : (n, N, C) float32 or float16
        What changes, and what is looked at; C a multiple of 96.
    weights : StepWeights
    sign : float
        1 to update, -1 to predict.
    across : int
        Blocks. They wait for each other: no more than the card holds at once, which is one for
        each multiprocessor at least.

    Raises
    ------
    UsageError
        Another shape or dtype.
    """
    kind = _kind(band, other, *(getattr(weights, name) for name in StepWeights.__slots__))
    check(band, other, weights, band.shape[2] // HEAD)
    n, tokens, channels = band.shape
    written = {
        "q": Writes(band.shape, band.dtype),
        "kv": Writes((n, tokens, 2 * channels), band.dtype),
        "mixed": Writes(band.shape, band.dtype),
        "out": Writes(band.shape, band.dtype),
        "arrived": Writes.over(np.zeros(2, np.uint32)),
    }
    own = {name: Reads(getattr(weights, name)) for name in StepWeights.__slots__}
    arrays = {"band": Reads(band), "other": Reads(other), **own, **written}
    return _launch(kind, band.shape, arrays, (0, 2), sign, across)


def project(band: Array, other: Array, weights: StepWeights) -> Launch:
    """Return the launch of a step's first phase alone; shapes and errors are those of :func:`step`.

    It writes ``q`` (n, N, C) of `band` and ``kv`` (n, N, 2C) of `other`.
    """
    whole = step(band, other, weights, 1.0, 1)
    names = ("band", "other", "query", "query_bias", "key_value", "key_value_bias", "q", "kv")
    kind = _kind(band)
    n, tokens, channels = band.shape
    columns = blocks(channels, _COLUMNS[kind]) + blocks(2 * channels, _COLUMNS[kind])
    arrays = {name: whole.arguments[name] for name in names}
    across = columns * blocks(n * tokens, _ROWS)
    return _launch(kind, band.shape, arrays, (0, 0), 1.0, across)


def attend(q: Array, kv: Array) -> Launch:
    """Return the launch of the second phase alone: attend, and add the own place's value.

    It writes ``mixed`` (n, N, C).
    """
    kind = _kind(q, kv)
    n, tokens, channels = q.shape
    arrays = {"q": Reads(q), "kv": Reads(kv), "mixed": Writes(q.shape, q.dtype)}
    across = n * (channels // HEAD) * blocks(tokens, _QUERIES[kind])
    return _launch(kind, q.shape, arrays, (1, 1), 1.0, across)


def add(band: Array, mixed: Array, weights: StepWeights, sign: float) -> Launch:
    """Return the launch of the third phase alone; it writes ``out`` (n, N, C)."""
    kind = _kind(band, mixed, weights.project, weights.project_bias)
    n, tokens, channels = band.shape
    arrays = {
        "band": Reads(band), "mixed": Reads(mixed), "project": Reads(weights.project),
        "project_bias": Reads(weights.project_bias), "out": Writes(band.shape, band.dtype),
    }  # fmt: skip
    across = blocks(channels, _COLUMNS[kind]) * blocks(n * tokens, _ROWS)
    return _launch(kind, band.shape, arrays, (2, 2), sign, across)


def update(run: Run, approx: Array, detail: Array, weights: StepWeights) -> Array:
    """Do ``reference.update``, phase by phase, by what runs a launch and returns what it writes."""
    return _in_phases(run, approx, detail, weights, 1.0)


def predict(run: Run, approx: Array, detail: Array, weights: StepWeights) -> Array:
    """Do ``reference.predict``, phase by phase, by what runs a launch and returns its writes."""
    return _in_phases(run, detail, approx, weights, -1.0)


def _in_phases(run: Run, band: Array, other: Array, weights: StepWeights, sign: float) -> Array:
    projected = run(project(band, other, weights))
    mixed = run(attend(projected["q"], projected["kv"]))["mixed"]
    out: Array = run(add(band, mixed, weights, sign))["out"]
    return out


_ARRAYS: Final = (
    "band", "other", *StepWeights.__slots__, "q", "kv", "mixed", "out", "arrived",
)  # fmt: skip


def _launch(  # noqa: PLR0913  (one kernel for all phases)
    kind: str, shape: tuple[int, ...], arrays: Mapping[str, Any], phases: tuple[int, int],
    sign: float, across: int,
) -> Launch:  # fmt: skip
    n, tokens, channels = shape
    none = Reads(np.empty(0, np.float32))  # an array that these phases do not touch
    return Launch(
        SOURCE, f"lifting_attention_{kind}", (across, 1, 1), _THREADS,
        {
            **{name: arrays.get(name, none) for name in _ARRAYS},
            "samples": np.int32(n), "tokens": np.int32(tokens),
            "heads": np.int32(channels // HEAD), "first": np.int32(phases[0]),
            "last": np.int32(phases[1]), "sign": np.float32(sign),
        },
    )  # fmt: skip


def _kind(band: Array, *more: Array) -> str:
    kind = {np.dtype(np.float32): "f32", np.dtype(np.float16): "f16"}.get(band.dtype)
    alike = {part.dtype for part in more} <= {band.dtype}
    if kind is None or not alike or band.ndim != 3 or not band.size or band.shape[2] % HEAD:
        raise UsageError(
            thing="bands to lift on a GPU",
            got=f"{band.shape} {band.dtype}, {'one dtype' if alike else 'mixed dtypes'}",
            expected=f"(n, N, C), C a multiple of {HEAD}, all float32 or all float16",
            hint="Use the reference or the compiled form.",
        )
    return kind
