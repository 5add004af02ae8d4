"""A network without a network file, and the backends that are on this machine."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from affect_engines.base import TensorSpec, check_feeds
from affect_engines.errors import ModelError
from affect_kernels.errors import UsageError
from tests.affect_engines import fake_tensorrt


class FakeEngine:
    """Keep the contract of Engine; double what comes in."""

    backend = "fake"
    inputs = (TensorSpec("x", (1, 4), np.dtype(np.float32)),)
    outputs = (TensorSpec("y", (1, 4), np.dtype(np.float32)),)

    def __init__(self):
        self._open = True
        self._x = np.zeros((1, 4), np.float32)
        self._y = np.zeros((1, 4), np.float32)

    def infer(self, feeds):
        if not self._open:
            raise ModelError("fake", got="closed", expected="open", hint="Open it.")
        check_feeds("fake", self.inputs, feeds)
        if callable(feeds["x"]):
            feeds["x"](self._x)
        else:
            self._x[:] = feeds["x"]
        np.multiply(self._x, 2.0, out=self._y)
        return {"y": self._y}

    def warm_up(self):
        self.infer({"x": np.zeros((1, 4), np.float32)})

    def close(self):
        self._open = False

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


def _litert(request):
    request.getfixturevalue("models")
    from affect_engines import open_engine

    return open_engine("iris", backend="litert")


def _blocks(request):
    request.getfixturevalue("models")
    from affect_engines import open_engine

    try:
        return open_engine("face_mesh", backend="blocks")
    except UsageError as error:
        pytest.skip(f"blocks cannot run here: {error.got}")


def _onnxruntime(_):
    from affect_engines import open_engine

    return open_engine("action_units", backend="onnxruntime")


def _tensorrt(version, request):
    """Build and open a plan on the stand-in: our side of the calls, not TensorRT."""
    from affect_engines import open_engine

    monkeypatch = request.getfixturevalue("monkeypatch")
    folder = request.getfixturevalue("tmp_path_factory").getbasetemp() / f"plans-{version}"
    monkeypatch.setenv("REALTIME_AFFECT_ENGINES", str(folder))  # built once, opened in each test
    fake_tensorrt.install(monkeypatch, version)
    return open_engine("action_units", backend="tensorrt", precision="fp32", build=True)


# A new backend adds itself here and has to pass test_contract.py.
BACKENDS = {
    "fake": lambda _: FakeEngine(), "blocks": _blocks, "litert": _litert,
    "onnxruntime": _onnxruntime,
}  # fmt: skip
for version in fake_tensorrt.VERSIONS:
    BACKENDS[f"stand-in for TensorRT {version}"] = partial(_tensorrt, version)


def _on_gpu(backend, request):
    """Open a network on a real GPU, or skip with what is missing."""
    from affect_engines import open_engine
    from affect_kernels.errors import DependencyError, DeviceError

    folder = request.getfixturevalue("tmp_path_factory").getbasetemp() / "plans"
    request.getfixturevalue("monkeypatch").setenv("REALTIME_AFFECT_ENGINES", str(folder))
    try:
        return open_engine("action_units", backend=backend, precision="fp32", build=True)
    except (DependencyError, DeviceError) as error:
        pytest.skip(f"{backend} cannot run here: {error.thing}: {error.got}")


def _has_gpu():
    from affect_kernels.cuda.driver import find_gpu
    from affect_kernels.errors import DeviceError

    try:
        find_gpu()
    except DeviceError:
        return False  # test_gpu.py says so, once and not for every test of the contract
    return True


ON_GPU = ("cuda", "tensorrt") if _has_gpu() else ()
for backend in ON_GPU:
    BACKENDS[backend] = partial(_on_gpu, backend)


@pytest.fixture(
    params=[
        pytest.param(name, marks=[pytest.mark.gpu] if name in ON_GPU else []) for name in BACKENDS
    ]
)
def engine(request):
    engine = BACKENDS[request.param](request)
    yield engine
    engine.close()
