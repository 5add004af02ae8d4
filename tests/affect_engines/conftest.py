"""A network without a network file, and the backends that are on this machine."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from affect_engines.base import TensorSpec, check_feeds
from affect_engines.errors import ModelError
from tests.affect_engines import fake_tensorrt


class FakeEngine:
    """Keep the contract of Engine; double what comes in."""

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
BACKENDS = {"fake": lambda _: FakeEngine(), "litert": _litert, "onnxruntime": _onnxruntime}
for version in fake_tensorrt.VERSIONS:
    BACKENDS[f"stand-in for TensorRT {version}"] = partial(_tensorrt, version)


@pytest.fixture(params=list(BACKENDS))
def engine(request):
    engine = BACKENDS[request.param](request)
    yield engine
    engine.close()
