"""TensorRT plans of 10.3 to 11.x: one code path, a recorded graph for each number of faces.

What of this has really run, with which TensorRT and where, is in the cards (``ran_by_tensorrt``);
nothing yet. Its calls are compared with the recorded bindings of 10.16 and 11.4, and its logic runs
against a stand-in made of them.
"""

from __future__ import annotations

import contextlib
import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from affect_engines.base import Closeable, Feed, TensorSpec, check_feeds, closed_error
from affect_engines.errors import DeviceError, ModelError
from affect_engines.trt.plugins import register
from affect_kernels.cuda.driver import Stream
from affect_kernels.errors import DependencyError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

_OLDEST, _TOO_NEW = (10, 3), (12, 0)  # 10.0 lacks a call that is used; 12 is not known
_LOG = logging.getLogger(__name__)
_KEPT_LINES: Final = 5


def import_tensorrt() -> Any:
    """Return the TensorRT module.

    Raises
    ------
    DependencyError
        It is not installed, is broken, or is of another major version.
    """
    install = (
        "pip install 'realtime-affect[tensorrt]' (it fetches from NVIDIA's own index); on a Jetson "
        "JetPack brings it. The onnxruntime backend needs none of it."
    )
    try:
        import tensorrt

        version = str(tensorrt.__version__)
    except Exception as error:  # a broken install raises anything
        raise DependencyError(
            thing="TensorRT", got=str(error), expected="TensorRT 10.3 to 11.x", hint=install
        ) from error
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    if not _OLDEST <= numbers < _TOO_NEW:
        raise DependencyError(
            thing="TensorRT", got=version, expected="10.3 to 10.x, or 11.x", hint=install
        )
    return tensorrt


def is_real(version: str) -> bool:
    """Return whether this is a version of TensorRT, not of a stand-in for tests."""
    return re.fullmatch(r"\d+(\.\d+)+(\.?(post|dev|rc)\d+)?", version) is not None


def make_log(trt: Any, name: str) -> Any:
    """Return a logger for TensorRT's objects; it keeps the last errors in ``errors``.

    It must outlive what is created with it.
    """
    levels = {
        trt.ILogger.INTERNAL_ERROR: logging.ERROR,
        trt.ILogger.ERROR: logging.ERROR,
        trt.ILogger.WARNING: logging.INFO,  # news for whoever builds, not for users
    }

    class Log(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, msg: str) -> None:
            level = levels.get(severity, logging.DEBUG)
            _LOG.log(min(level, logging.INFO), "%s: %s", name, msg)
            if level == logging.ERROR:
                self.errors = [*self.errors, msg][-_KEPT_LINES:]

    return Log()


def complaint(log: Any, otherwise: str) -> str:
    """Return what TensorRT said last."""
    return "; ".join(log.errors) or otherwise


def device_error(name: str, log: Any, what: str) -> DeviceError:
    """Return the error of a call that failed on the GPU, out of memory told apart."""
    said = complaint(log, what)
    full = re.search(r"out ?of ?memory", said, re.IGNORECASE) is not None
    return DeviceError(
        thing=f"{name} on the GPU",
        got=said,
        expected="enough GPU memory" if full else "success",
        hint="Close what else uses the GPU, or use the onnxruntime backend."
        if full
        else "Restart the program; if it stays, use the onnxruntime backend and report this.",
    )


@dataclass(frozen=True, slots=True)
class _Buffer:
    """A tensor's two sides: page-locked memory here, memory on the GPU, both for most faces."""

    spec: TensorSpec
    host: NDArray[Any]
    address: int
    dynamic: bool

    def rows(self, n: int) -> NDArray[Any]:
        return self.host[:n] if self.dynamic else self.host


@dataclass(frozen=True, slots=True)
class _Ready:
    """What runs one number of faces: a context of its own, which its graph may not survive."""

    context: Any
    graph: int | None


class TrtEngine(Closeable):
    """A plan on GPU 0; see :class:`affect_engines.base.Engine` for the contract.

    More rows than the plan was built for run in turn. Outputs are copied out of page-locked memory
    and belong to the caller. An input may be fed by a function only for one row.

    Parameters
    ----------
    plan : bytes
        Checked by the caller (:func:`affect_engines.trt.plans.read_plan`): TensorRT runs what it
        reads.
    name : str
        Used in errors.
    graphs : bool
        Record a CUDA graph for each number of rows and replay it.
    plugins : bool
        The plan calls plugins of ours, which are registered before it is read.

    Raises
    ------
    DependencyError
        TensorRT is not installed, or takes no plugins of ours.
    ModelError
        The plan is of another TensorRT or GPU, or is none.
    DeviceError
        No driver, no GPU, or not enough of its memory.
    """

    def __init__(
        self, plan: bytes, name: str, *, graphs: bool = True, plugins: bool = False
    ) -> None:
        self._trt = import_tensorrt()
        self._name = name
        self.backend = "tensorrt"
        self._graphs = graphs
        self._ready: dict[int, _Ready] = {}
        self._stream = Stream()
        self._log = make_log(self._trt, name)
        self._runtime: Any = None
        self._engine: Any = None
        try:
            if plugins:
                register(self._trt)
            self._load(plan)
        except BaseException:
            self.close()
            raise

    def infer(self, feeds: Mapping[str, Feed]) -> Mapping[str, NDArray[Any]]:
        """Run once, or round-robin where there are more rows than the plan takes."""
        if self._engine is None:
            raise closed_error(self._name)
        check_feeds(self._name, self.inputs, feeds)
        n = self._count(feeds)
        outputs = {
            buffer.spec.name: np.empty(_shape(buffer.spec, n), buffer.spec.dtype)
            for buffer in self._into
        }
        self._stream.enter()
        for start in range(0, n, self.max_batch):
            rows = slice(start, min(start + self.max_batch, n))
            self._fill(feeds, rows)
            self._run(rows.stop - rows.start)
            for buffer in self._into:
                got = buffer.rows(rows.stop - rows.start)
                outputs[buffer.spec.name][rows if buffer.dynamic else ...] = got
        return outputs

    def warm_up(self) -> None:
        """Run every number of rows once on zeros: each has a context and a graph of its own."""
        for n in range(1, self.max_batch + 1):
            self.infer({spec.name: np.zeros(_shape(spec, n), spec.dtype) for spec in self.inputs})

    def close(self) -> None:
        """Free network and memory. Idempotent."""
        with contextlib.suppress(DeviceError):
            self._stream.enter()
        # What TensorRT made goes before the memory it uses, and the engine before its runtime.
        self._ready.clear()
        self._engine = None
        self._runtime = None
        self._stream.close()

    def _load(self, plan: bytes) -> None:
        trt, log = self._trt, self._log
        try:
            self._runtime = runtime = trt.Runtime(log)
        except TypeError as error:  # what the bindings make of a runtime that is null
            raise device_error(self._name, log, f"no runtime: {error}") from error
        self._engine = engine = runtime.deserialize_cuda_engine(plan)
        if engine is None:
            said = complaint(log, "TensorRT does not read it")
            if re.search(r"out ?of ?memory", said, re.IGNORECASE):
                raise device_error(self._name, log, said)
            raise ModelError(
                thing=f"TensorRT plan of {self._name}",
                got=said,
                expected=f"a plan of TensorRT {trt.__version__} for this GPU",
                hint=f"Build it here: realtime-affect engines build {self._name} --rebuild.",
            )
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        reads = [n for n in names if engine.get_tensor_mode(n) == trt.TensorIOMode.INPUT]
        self.inputs = tuple(self._spec(name) for name in reads)
        self.outputs = tuple(self._spec(name) for name in names if name not in reads)
        most = [
            int(next(iter(engine.get_tensor_profile_shape(spec.name, 0)[2])))
            for spec in self.inputs
            if None in spec.shape
        ]
        self.max_batch = min(most, default=1)
        self._from = tuple(self._buffer(spec) for spec in self.inputs)
        self._into = tuple(self._buffer(spec) for spec in self.outputs)
        self._scratch_bytes = int(engine.device_memory_size_v2)
        # One block for all contexts: they run one after the other, in one stream.
        self._scratch = self._stream.allocate(self._scratch_bytes)

    def _spec(self, name: str) -> TensorSpec:
        trt, engine = self._trt, self._engine
        dtypes = {
            trt.DataType.FLOAT: np.float32, trt.DataType.HALF: np.float16,
            trt.DataType.INT8: np.int8, trt.DataType.INT32: np.int32,
            trt.DataType.INT64: np.int64, trt.DataType.UINT8: np.uint8,
            trt.DataType.BOOL: np.bool_,
        }  # fmt: skip
        shape = tuple(None if n < 0 else int(n) for n in tuple(engine.get_tensor_shape(name)))
        kind = engine.get_tensor_dtype(name)
        if None in shape[1:] or kind not in dtypes:
            raise ModelError(
                thing=f'{self._name} tensor "{name}"',
                got=f"{shape} {kind.name}",
                expected="a number type of NumPy, and lengths that are fixed but for the first",
                hint="Export the network so.",
            )
        return TensorSpec(name, shape, np.dtype(dtypes[kind]))

    def _buffer(self, spec: TensorSpec) -> _Buffer:
        host = self._stream.pinned(_shape(spec, self.max_batch), spec.dtype)
        return _Buffer(spec, host, self._stream.allocate(host.nbytes), None in spec.shape)

    def _count(self, feeds: Mapping[str, Feed]) -> int:
        """Return the number of rows in every input that may have several."""
        lengths = {
            1 if callable(feed) else len(feed)
            for feed in (feeds[buffer.spec.name] for buffer in self._from if buffer.dynamic)
        }
        if len(lengths) > 1:
            raise ModelError(
                self._name,
                got=f"inputs of {' and '.join(map(str, sorted(lengths)))} rows",
                expected="the same number in each",
                hint="Lengths that may differ must agree: one row a face in every input.",
            )
        return lengths.pop() if lengths else 1

    def _fill(self, feeds: Mapping[str, Feed], rows: slice) -> None:
        for buffer in self._from:
            feed = feeds[buffer.spec.name]
            own = buffer.rows(rows.stop - rows.start)
            if callable(feed):
                feed(own)
            else:
                np.copyto(own, feed[rows] if buffer.dynamic else feed)

    def _run(self, n: int) -> None:
        """Run `n` rows that lie in page-locked memory; the outputs lie there afterwards."""
        ready = self._ready.get(n)
        if ready is None:
            ready = self._ready[n] = self._prepare(n)
        elif ready.graph is not None:
            self._stream.launch(ready.graph)
        else:
            self._enqueue(ready.context, n)
        self._stream.synchronize()

    def _prepare(self, n: int) -> _Ready:
        """Make the context of `n` rows, run it once, and record its graph."""
        trt = self._trt
        context = self._engine.create_execution_context(
            trt.ExecutionContextAllocationStrategy.USER_MANAGED
        )
        if context is None:
            raise device_error(self._name, self._log, "no execution context")
        context.set_device_memory(self._scratch, self._scratch_bytes)
        done = True
        for buffer in self._from:
            if buffer.dynamic:
                done &= bool(context.set_input_shape(buffer.spec.name, _shape(buffer.spec, n)))
        for buffer in (*self._from, *self._into):
            done &= bool(context.set_tensor_address(buffer.spec.name, buffer.address))
        if not done:
            raise device_error(self._name, self._log, f"{n} rows are refused")
        # The first run settles what TensorRT puts off until then; a graph may be recorded after it.
        self._enqueue(context, n)
        self._stream.synchronize()
        graph = None
        if self._graphs:
            try:
                graph = self._stream.capture(lambda: self._enqueue(context, n))
            except DeviceError as error:
                _LOG.info("%s: no CUDA graph for %d rows: %s", self._name, n, error)
        return _Ready(context, graph)

    def _enqueue(self, context: Any, n: int) -> None:
        for buffer in self._from:
            self._stream.upload(buffer.address, buffer.rows(n))
        if not context.execute_async_v3(self._stream.handle):
            raise device_error(self._name, self._log, "execution failed")
        for buffer in self._into:
            self._stream.download(buffer.rows(n), buffer.address)


def _shape(spec: TensorSpec, n: int) -> tuple[int, ...]:
    """Return the shape for `n` rows."""
    return tuple(n if length is None else length for length in spec.shape)
