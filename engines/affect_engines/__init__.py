"""Networks behind one small interface: arrays in, arrays out.

    with open_engine("face_mesh") as engine:
        outputs = engine.infer({"input_1": image})

What a network wants and how it is read is in its card (:mod:`affect_engines.cards`).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from affect_engines.base import Engine, Feed, TensorSpec
from affect_engines.cards import ModelCard, load_card
from affect_kernels.errors import UsageError

if TYPE_CHECKING:
    from typing import Final

__all__ = ["BACKENDS", "Engine", "Feed", "ModelCard", "TensorSpec", "load_card", "open_engine"]

BACKENDS: Final = ("litert", "onnxruntime")
"""Backends that can be asked for by name."""


def open_engine(card: str | ModelCard, backend: str = "auto") -> Engine:
    """Open the network of a card, its file checked by hash.

    Parameters
    ----------
    card : str or ModelCard
        A card, or its name.
    backend : str
        One of :data:`BACKENDS`: exactly that one or an error. ``"auto"`` chooses by the kind of
        file and logs it.

    Returns
    -------
    Engine
        For one thread; close it, or use it as a context manager.

    Raises
    ------
    UsageError
        Unknown card or backend, or a backend that does not read the card's kind of file.
    ModelError
        The file is missing, differs from the card, or cannot be run.
    DependencyError
        The backend's library is missing.
    """
    if backend not in ("auto", *BACKENDS):
        raise UsageError(
            thing="engine backend",
            got=repr(backend),
            expected="one of auto, " + ", ".join(BACKENDS),
            hint="auto chooses the fastest one of this machine.",
        )
    from affect_engines.litert import LiteRtEngine
    from affect_engines.ort import OrtEngine
    from affect_engines.store import model_path

    card = load_card(card) if isinstance(card, str) else card
    kind = card.file.rpartition(".")[2]
    able = "onnxruntime" if kind == "onnx" else "litert"
    if backend == "auto":
        logging.getLogger(__name__).debug("%s: %s, which reads .%s", card.name, able, kind)
    elif backend != able:
        raise UsageError(
            thing=f"engine backend for {card.name}",
            got=repr(backend),
            expected=able,
            hint=f"{card.file} is read by {able} only; auto chooses it.",
        )
    engine = OrtEngine if able == "onnxruntime" else LiteRtEngine
    return engine(model_path(card), card.name)
