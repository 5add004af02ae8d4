"""Run a ``.tflite`` network of separable blocks by our compiled pass on one CPU thread.

Face Mesh is one, and what the product spends most of its time on. Against LiteRT, which runs it
operator by operator, maps are read and written once a block; results differ by rounding alone.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from affect_engines.base import Closeable, Feed, check_feeds, closed_error
from affect_engines.tflite_blocks import read_blocks
from affect_kernels.errors import UsageError
from affect_kernels.separable_blocks.cpu import Program, UnfitError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


class BlocksEngine(Closeable):
    """A network of separable blocks; see :class:`affect_engines.base.Engine` for the contract.

    Parameters
    ----------
    model : bytes
        The file, checked by the caller (:func:`affect_engines.store.read_model`).
    name : str
        Used in errors.

    Raises
    ------
    UsageError
        The network has other operators or shapes, or the processor lacks what is needed.
    """

    def __init__(self, model: bytes, name: str) -> None:
        self._name = name
        self.backend = "blocks"
        try:
            blocks = read_blocks(model)
            (height, width, channels) = blocks.input.shape[1:]
            assert height is not None
            assert width is not None
            assert channels is not None
            self._program: Program | None = Program(
                blocks.layers, blocks.source, (height, width, channels), list(blocks.outputs)
            )
        except UnfitError as error:
            raise UsageError(
                thing=f"backend blocks for {name}",
                got=str(error),
                expected="a network of separable blocks, and AVX2, FMA and F16C or 64 bit ARM",
                hint="LiteRT runs it: backend litert, or auto.",
            ) from error
        self.inputs = (blocks.input,)
        self.outputs = tuple(blocks.outputs.values())
        self._numbers = tuple(blocks.outputs)
        self._look_at(self._program)

    def _look_at(self, program: Program) -> None:
        """Take the memory that `program` reads its input from and leaves its outputs in."""
        self._program = program
        self._given = program.input[None]
        self._made = {
            spec.name: program.outputs[number][None, ..., : spec.shape[-1]]
            for number, spec in zip(self._numbers, self.outputs, strict=True)
        }

    def share(self) -> Self:
        """Return an engine for another thread, of the same weights; it has maps of its own."""
        if self._program is None:
            raise closed_error(self._name, "share")
        other = copy.copy(self)
        other._look_at(self._program.share())
        return other

    def infer(self, feeds: Mapping[str, Feed]) -> Mapping[str, NDArray[Any]]:
        """Run once; the outputs belong to the caller until the next call."""
        if self._program is None:
            raise closed_error(self._name)
        check_feeds(self._name, self.inputs, feeds)
        (feed,) = feeds.values()
        if callable(feed):
            feed(self._given)
        else:
            self._given[...] = feed
        self._program.run()
        return self._made

    def warm_up(self) -> None:
        """Run once on zeros."""
        self.infer({self.inputs[0].name: lambda given: given.fill(0.0)})

    def close(self) -> None:
        """Free the network. Idempotent."""
        self._program = None
        self._given, self._made = np.empty(0, np.float32), {}  # they were views of its memory
