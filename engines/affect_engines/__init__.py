"""Networks behind one small interface: arrays in, arrays out.

    with open_engine("face_mesh") as engine:
        outputs = engine.infer({"input_1": image})

What a network wants and how it is read is in its card (:mod:`affect_engines.cards`); which backend
runs it, :mod:`affect_engines.selection` decides.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from affect_engines.base import Engine, Feed, TensorSpec
from affect_engines.cards import ModelCard, card_of_file, load_card
from affect_engines.selection import ONNX_BACKENDS, TFLITE_BACKENDS, open_onnx, open_tflite
from affect_kernels.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Final

__all__ = ["BACKENDS", "Engine", "Feed", "ModelCard", "TensorSpec", "load_card", "open_engine"]

BACKENDS: Final = (*TFLITE_BACKENDS, *ONNX_BACKENDS)
"""Backends that can be asked for by name."""

_LOG = logging.getLogger(__name__)
_LOG.addHandler(logging.NullHandler())  # whoever embeds us chooses where the log goes


def open_engine(
    card: str | ModelCard | Path,
    backend: str = "auto",
    precision: str = "auto",
    *,
    build: bool = False,
) -> Engine:
    """Open the network of a card, its file checked by hash.

    Parameters
    ----------
    card : str, ModelCard or Path
        A card, its name, or a network file of your own.
    backend : str
        One of :data:`BACKENDS`: exactly that one or an error. ``"auto"`` tries blocks and litert
        for a ``.tflite`` file, and tensorrt, cuda and onnxruntime (the CPU) for ONNX, in this
        order, logs which it took and why, and goes on with the next if a GPU fails later.
    precision : str
        ``"fp32"``, ``"fp16"`` or ``"int8"``: exactly that or an error. ``"auto"`` is what the
        backend does best: the card's form on a CPU, a plan that there is with TensorRT.
    build : bool
        Whether a TensorRT plan may be built now, which takes minutes.

    Returns
    -------
    Engine
        For one thread; close it, or use it as a context manager.

    Raises
    ------
    UsageError
        Unknown card, backend or precision, or a backend that cannot run the card's network.
    ModelError
        The file is missing, differs from the card, or cannot be run; or no TensorRT plan fits.
    DependencyError
        The backend's library is missing.
    DeviceError
        A backend was asked for that needs a GPU, and there is none or it fails.
    """
    if backend not in ("auto", *BACKENDS):
        raise UsageError(
            thing="engine backend",
            got=repr(backend),
            expected="one of auto, " + ", ".join(BACKENDS),
            hint="auto chooses the fastest one of this machine.",
        )
    if not isinstance(card, ModelCard):
        card = load_card(card) if isinstance(card, str) else card_of_file(card)
    kind = card.file.rpartition(".")[2]
    able = ONNX_BACKENDS if kind == "onnx" else TFLITE_BACKENDS
    if backend not in ("auto", *able):
        raise UsageError(
            thing=f"engine backend for {card.name}",
            got=repr(backend),
            expected=" or ".join(able),
            hint=f"{card.file} is read by nothing else; auto chooses.",
        )
    if kind == "onnx":
        return open_onnx(card, backend, precision, build=build)
    if precision != "auto":
        card = card.form(precision)
    return open_tflite(card, backend)
