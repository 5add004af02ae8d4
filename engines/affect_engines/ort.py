"""ONNX networks by onnxruntime, on the CPU or through its CUDA provider.

One thread a network, as in ``litert.py``: the pipeline has a core for each worker, and threads that
wait for work by spinning take the others'.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import sys
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from affect_engines.base import Closeable, Feed, TensorSpec, check_feeds, closed_error
from affect_engines.errors import DeviceError, ModelError
from affect_kernels.errors import DependencyError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

_DTYPES: Final = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
}
_ERRORS_ONLY: Final = 3
_SWITCH: Final = "ORT_DISABLE_TELEMETRY"
_LOG = logging.getLogger(__name__)
_CUDA: Final = "CUDAExecutionProvider"
_CPU: Final = "CPUExecutionProvider"
_GPU_FAILED: Final = re.compile(r"CUDA|CUBLAS|CUDNN|out of memory|allocate memory", re.IGNORECASE)


class OrtEngine(Closeable):
    """An ONNX network; see :class:`affect_engines.base.Engine` for the contract.

    An input of any length may be fed by a function only for a length of 1.

    Parameters
    ----------
    model : bytes
        The file, checked by the caller (:func:`affect_engines.store.read_model`).
    name : str
        Used in errors.
    device : {"cpu", "cuda"}
        ``"cuda"`` is GPU 0, or an error: never the CPU instead.

    Raises
    ------
    ModelError
        onnxruntime cannot read the file.
    DependencyError
        onnxruntime, or its CUDA provider, is not installed; or its telemetry is not off.
    DeviceError
        The CUDA provider does not start.
    """

    def __init__(self, model: bytes, name: str, device: Literal["cpu", "cuda"] = "cpu") -> None:
        onnxruntime = import_onnxruntime()
        if not telemetry_is_off():
            raise DependencyError(
                thing="telemetry of onnxruntime",
                got="on",
                expected="off before any network is opened",
                hint=f"Something took {_SWITCH}=1 out of the environment; nothing may.",
            )
        if device == "cuda":
            require_cuda(onnxruntime)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._name = name
        self.backend = "cuda" if device == "cuda" else "onnxruntime"
        # What is not for the GPU (shapes, mostly) runs on the CPU also with CUDA.
        providers = [_CUDA, _CPU] if device == "cuda" else [_CPU]
        try:
            # No fallback: onnxruntime would print a line and go on with the CPU.
            self._session: Any = onnxruntime.InferenceSession(
                model, options, providers=providers, enable_fallback=0
            )
        except Exception as error:  # onnxruntime's errors share no base
            if device == "cuda" and _GPU_FAILED.search(str(error)):
                raise _device_error(name, str(error)) from error
            raise ModelError(
                thing=f"model {name}",
                got=f"a file onnxruntime cannot run: {error}",
                expected="an ONNX network",
                hint="Install again: pip install --force-reinstall realtime-affect.",
            ) from error
        if device == "cuda" and _CUDA not in self._session.get_providers():
            # With missing CUDA libraries it starts without the provider, and says so in a log only.
            raise DeviceError(
                thing=f"{name} by onnxruntime's CUDA provider",
                got="onnxruntime started without it",
                expected="the libraries of CUDA and cuDNN that it names above",
                hint="pip install 'realtime-affect[onnx-gpu]' brings them.",
            )
        self.inputs = tuple(_spec(node) for node in self._session.get_inputs())
        self.outputs = tuple(_spec(node) for node in self._session.get_outputs())
        self._names = [spec.name for spec in self.outputs]
        self._own = {
            spec.name: np.zeros([n or 1 for n in spec.shape], spec.dtype) for spec in self.inputs
        }

    def infer(self, feeds: Mapping[str, Feed]) -> Mapping[str, NDArray[Any]]:
        """Run once; the outputs belong to the caller."""
        if self._session is None:
            raise closed_error(self._name)
        check_feeds(self._name, self.inputs, feeds)
        arrays = {}
        for name, feed in feeds.items():
            if callable(feed):
                feed(self._own[name])
                arrays[name] = self._own[name]
            else:
                arrays[name] = np.ascontiguousarray(feed)
        try:
            outputs = self._session.run(self._names, arrays)
        except Exception as error:
            if self.backend == "cuda" and _GPU_FAILED.search(str(error)):
                raise _device_error(self._name, str(error)) from error
            raise ModelError(
                self._name,
                got=f"onnxruntime failed: {error}",
                expected="outputs",
                hint="Lengths that may differ must agree: one row a face in every input.",
            ) from error
        return dict(zip(self._names, outputs, strict=True))

    def warm_up(self) -> None:
        """Run once on zeros."""
        self.infer({s.name: np.zeros([n or 1 for n in s.shape], s.dtype) for s in self.inputs})

    def close(self) -> None:
        """Free the network. Idempotent."""
        self._session = None


def import_onnxruntime() -> Any:
    """Return the onnxruntime module, its telemetry off; nothing else in the project imports it.

    Since 1.29 its Linux builds report home some ten seconds after the import, unless told not to
    before it. Where a program imported it earlier with that on, it stays on, and a warning says so.

    Raises
    ------
    DependencyError
        It is not installed.
    """
    late = "onnxruntime" in sys.modules and not telemetry_is_off()
    os.environ[_SWITCH] = "1"
    try:
        import onnxruntime  # noqa: TID251  (the one door)
    except ImportError as error:
        raise DependencyError(
            thing="onnxruntime",
            got=str(error),
            expected="the ONNX runtime",
            hint='Install it: pip install "onnxruntime>=1.23,<2".',
        ) from error
    if late:
        _LOG.warning(
            "onnxruntime was imported before with its telemetry on: set %s=1 before that", _SWITCH
        )
    onnxruntime.disable_telemetry_events()
    return onnxruntime


def telemetry_is_off() -> bool:
    """Return whether onnxruntime, in this process, is told to report nothing."""
    return os.environ.get(_SWITCH) == "1"


def require_cuda(onnxruntime: Any) -> None:
    """Make sure that this onnxruntime has its CUDA provider, and load what that needs.

    Raises
    ------
    DependencyError
        It is the CPU's build.
    """
    if _CUDA not in onnxruntime.get_available_providers():
        raise DependencyError(
            thing="onnxruntime's CUDA provider",
            got=f"onnxruntime {onnxruntime.__version__} for the CPU",
            expected="onnxruntime-gpu",
            hint="pip install 'realtime-affect[onnx-gpu]', then once more: pip install "
            "--force-reinstall --no-deps onnxruntime-gpu (both packages write the same folder).",
        )
    # The CUDA libraries lie in packages of their own, where the loader does not look. What cannot
    # be loaded is printed there; starting the provider tells it as an error.
    with contextlib.redirect_stdout(io.StringIO()):
        onnxruntime.preload_dlls()


def _device_error(name: str, said: str) -> DeviceError:
    return DeviceError(
        thing=f"{name} by onnxruntime's CUDA provider",
        got=said,
        expected="success",
        hint="realtime-affect doctor says what is missing; the onnxruntime backend needs no GPU.",
    )


def _spec(node: Any) -> TensorSpec:
    """Return the description of one tensor; a name or nothing for a length marks it dynamic."""
    shape = tuple(n if isinstance(n, int) else None for n in node.shape)
    return TensorSpec(node.name, shape, np.dtype(_DTYPES[node.type]))
