"""Launches of ``lifting_attention.cu``: values, for a device or for the CPU harness of the tests.

A step is three launches, each on what the one before wrote; :func:`update` and :func:`predict` run
them in order.
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
_ATTEND_THREADS: Final = 64
_ROWS: Final = 32  # tokens of a tile
_COLUMNS: Final = {"f16": 64, "f32": 32}
_QUERIES: Final = {"f16": 32, "f32": 16}


def project(band: Array, other: Array, weights: StepWeights) -> Launch:
    """Return the launch that projects bands (n, N, C) to queries, keys and values.

    Returns
    -------
    Launch
        Writes ``q`` (n, N, C) of `band` and ``kv`` (n, N, 2C) of `other`.

    Raises
    ------
    UsageError
        Another shape or dtype.
    """
    kind = _kind(band, other, *(getattr(weights, name) for name in StepWeights.__slots__))
    check(band, other, weights, band.shape[2] // HEAD)
    n, tokens, channels = band.shape
    across = blocks(channels, _COLUMNS[kind]) + blocks(2 * channels, _COLUMNS[kind])
    return Launch(
        SOURCE, f"lifting_attention_project_{kind}", (across, blocks(n * tokens, _ROWS), 1),
        _THREADS,
        {
            "band": Reads(band), "other": Reads(other), "query": Reads(weights.query),
            "query_bias": Reads(weights.query_bias), "key_value": Reads(weights.key_value),
            "key_value_bias": Reads(weights.key_value_bias), "q": Writes(band.shape, band.dtype),
            "kv": Writes((n, tokens, 2 * channels), band.dtype), "rows": np.int32(n * tokens),
            "channels": np.int32(channels),
        },
    )  # fmt: skip


def attend(q: Array, kv: Array) -> Launch:
    """Return the launch that attends, and adds the value of a token's own place.

    It writes ``mixed`` (n, N, C).
    """
    kind = _kind(q, kv)
    n, tokens, channels = q.shape
    heads = channels // HEAD
    return Launch(
        SOURCE, f"lifting_attention_attend_{kind}", (blocks(tokens, _QUERIES[kind]), n * heads, 1),
        _ATTEND_THREADS,
        {
            "q": Reads(q), "kv": Reads(kv), "mixed": Writes(q.shape, q.dtype),
            "tokens": np.int32(tokens), "heads": np.int32(heads),
        },
    )  # fmt: skip


def add(band: Array, mixed: Array, weights: StepWeights, sign: float) -> Launch:
    """Return the launch that adds what was attended to, projected, times a sign: ``out``."""
    kind = _kind(band, mixed, weights.project, weights.project_bias)
    n, tokens, channels = band.shape
    return Launch(
        SOURCE, f"lifting_attention_add_{kind}",
        (blocks(channels, _COLUMNS[kind]), blocks(n * tokens, _ROWS), 1), _THREADS,
        {
            "band": Reads(band), "mixed": Reads(mixed), "project": Reads(weights.project),
            "project_bias": Reads(weights.project_bias), "out": Writes(band.shape, band.dtype),
            "rows": np.int32(n * tokens), "channels": np.int32(channels), "sign": np.float32(sign),
        },
    )  # fmt: skip


def update(run: Run, approx: Array, detail: Array, weights: StepWeights) -> Array:
    """Do ``reference.update`` by what runs a launch and returns what it writes."""
    return _step(run, approx, detail, weights, 1.0)


def predict(run: Run, approx: Array, detail: Array, weights: StepWeights) -> Array:
    """Do ``reference.predict`` by what runs a launch and returns what it writes."""
    return _step(run, detail, approx, weights, -1.0)


def _step(run: Run, band: Array, other: Array, weights: StepWeights, sign: float) -> Array:
    projected = run(project(band, other, weights))
    mixed = run(attend(projected["q"], projected["kv"]))["mixed"]
    out: Array = run(add(band, mixed, weights, sign))["out"]
    return out


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
