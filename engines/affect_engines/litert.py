"""Run a ``.tflite`` file with LiteRT (ai-edge-litert) on one CPU thread.

One thread because every worker of the pipeline has a core of its own, and two threads a network
fight over shared ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from affect_engines.base import Closeable, Feed, TensorSpec, check_feeds, closed_error
from affect_engines.errors import ModelError
from affect_kernels.errors import DependencyError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


class LiteRtEngine(Closeable):
    """A LiteRT network; see :class:`affect_engines.base.Engine` for the contract.

    Parameters
    ----------
    model : bytes
        The file, checked by the caller (:func:`affect_engines.store.read_model`). Kept: LiteRT
        reads the weights where they lie, and a mapped file that is cut short ends the process.
    name : str
        Used in errors.

    Raises
    ------
    ModelError
        LiteRT cannot run it.
    DependencyError
        ai-edge-litert is not installed.
    """

    def __init__(self, model: bytes, name: str) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise DependencyError(
                thing="ai-edge-litert",
                got=str(error),
                expected="the LiteRT runtime",
                hint='Install it: pip install "ai-edge-litert>=2.1,<3".',
            ) from error
        self._name = name
        self.backend = "litert"
        try:
            self._interpreter: Any = Interpreter(model_content=model, num_threads=1)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ModelError(
                thing=f"model {name}",
                got=f"a file LiteRT cannot run: {error}",
                expected="a .tflite network",
                hint="Fetch it again: realtime-affect models fetch.",
            ) from error
        inputs = self._interpreter.get_input_details()
        outputs = self._interpreter.get_output_details()
        self.inputs = tuple(_spec(detail) for detail in inputs)
        self.outputs = tuple(_spec(detail) for detail in outputs)
        # tensor() gives a function that maps the network's own memory: no copy out of it and one
        # copy in. LiteRT refuses to run while such a view lives, so views are made a call.
        self._into = tuple((d["name"], self._interpreter.tensor(d["index"])) for d in inputs)
        self._index = tuple((d["name"], d["index"]) for d in outputs)

    def infer(self, feeds: Mapping[str, Feed]) -> Mapping[str, NDArray[Any]]:
        """Run once; the outputs belong to the caller until the next call."""
        interpreter = self._interpreter
        if interpreter is None:
            raise closed_error(self._name)
        check_feeds(self._name, self.inputs, feeds)
        for name, view in self._into:
            feed = feeds[name]
            if callable(feed):
                feed(view())
            else:
                view()[...] = feed
        try:
            interpreter.invoke()
        except RuntimeError as error:
            raise ModelError(
                self._name,
                got=f"LiteRT failed: {error}",
                expected="outputs",
                hint="Fetch it again: realtime-affect models fetch.",
            ) from error
        get = interpreter.get_tensor
        return {name: get(index) for name, index in self._index}

    def warm_up(self) -> None:
        """Run once on zeros."""
        self.infer({s.name: np.zeros([n or 1 for n in s.shape], s.dtype) for s in self.inputs})

    def close(self) -> None:
        """Free the network. Idempotent."""
        self._into = ()
        self._interpreter = None


def _spec(detail: Mapping[str, Any]) -> TensorSpec:
    """Return the description of one LiteRT tensor; -1 in its signature marks a dynamic length."""
    signature = detail["shape_signature"] if len(detail["shape_signature"]) else detail["shape"]
    shape = tuple(None if n < 0 else int(n) for n in signature)
    return TensorSpec(detail["name"], shape, np.dtype(detail["dtype"]))
