import builtins
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from affect_engines import load_card, open_engine
from affect_engines.errors import DeviceError, ModelError
from affect_engines.ort import OrtEngine, import_onnxruntime
from affect_engines.store import read_model
from affect_kernels.errors import DependencyError, UsageError


@pytest.fixture(scope="module")
def engine():
    with open_engine("action_units") as engine:
        yield engine


def test_telemetry_is_off_before_onnxruntime_is_imported():
    """Whatever the environment says; in a fresh interpreter, where it is not imported yet."""
    watch = (
        "import os, sys\n"
        "class Watch:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'onnxruntime':\n"
        "            print(os.environ.get('ORT_DISABLE_TELEMETRY'))\n"
        "sys.meta_path.insert(0, Watch())\n"
        "from affect_engines import open_engine\n"
        "open_engine('action_units').close()\n"
    )
    environment = {**os.environ, "ORT_DISABLE_TELEMETRY": "0"}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-c", watch], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["1"]


def feeds(engine, n):
    rng = np.random.default_rng(n)
    return {
        spec.name: rng.random([n, *spec.shape[1:]]).astype(spec.dtype) for spec in engine.inputs
    }


@pytest.mark.parametrize("content", [b"", b"no network", b"\x08\x07" * 100])
def test_what_is_no_network_is_refused_by_name(content):
    with pytest.raises(ModelError, match="model broken"):
        OrtEngine(content, "broken")


def test_a_network_cut_short_is_refused():
    with pytest.raises(ModelError, match="model short"):
        OrtEngine(read_model(load_card("action_units"))[:1000], "short")


def test_any_number_of_faces_goes_in_at_once(engine):
    one, three = feeds(engine, 1), feeds(engine, 3)
    assert engine.infer(three)["units"].shape[0] == 3
    together = {k: np.concatenate([three[k], v]) for k, v in one.items()}
    alone = engine.infer(one)["units"]
    np.testing.assert_allclose(engine.infer(together)["units"][3:], alone, atol=1e-5)


def test_inputs_of_different_lengths_are_refused(engine):
    wrong = {**feeds(engine, 2), engine.inputs[0].name: feeds(engine, 3)[engine.inputs[0].name]}
    with pytest.raises(ModelError, match="one row a face"):
        engine.infer(wrong)


def test_a_backend_that_cannot_read_the_file_is_refused():
    with pytest.raises(UsageError, match=r"cuda or onnxruntime.*action_units\."):
        open_engine("action_units", backend="litert")


class Session:
    """onnxruntime with a CUDA provider that starts, or does as a broken one does."""

    def __init__(self, content, options, *, providers, enable_fallback):
        assert enable_fallback == 0
        self.providers = providers

    def get_providers(self):
        return self.providers

    def get_inputs(self):
        return [SimpleNamespace(name="x", shape=["n", 2], type="tensor(float)")]

    def get_outputs(self):
        return [SimpleNamespace(name="y", shape=["n", 2], type="tensor(float)")]

    def run(self, names, feeds):
        return [2 * feeds["x"]]


@pytest.fixture
def gpu_build(monkeypatch):
    """Let onnxruntime be the build with the CUDA provider; sessions are the class above."""
    onnxruntime = import_onnxruntime()

    loaded = []
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(
        onnxruntime, "preload_dlls", lambda: loaded.append(sys.stdout.write("chatter"))
    )
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    return monkeypatch, loaded


def test_with_cuda_the_provider_is_asked_for_first_and_its_libraries_loaded(gpu_build, capsys):
    _, loaded = gpu_build
    with OrtEngine(b"any", "x", "cuda") as engine:
        assert engine._session.providers == ["CUDAExecutionProvider", "CPUExecutionProvider"]
        assert (engine.infer({"x": np.ones((3, 2), np.float32)})["y"] == 2).all()
    assert len(loaded) == 1
    assert capsys.readouterr().out == ""


def test_the_cpu_s_build_is_never_taken_for_cuda():
    with pytest.raises(DependencyError, match=r"realtime-affect\[onnx-gpu\]") as caught:
        OrtEngine(b"any", "any", "cuda")
    assert caught.value.exit_code == 6


def test_a_session_that_went_to_the_cpu_by_itself_is_refused(gpu_build):
    monkeypatch, _ = gpu_build
    monkeypatch.setattr(Session, "get_providers", lambda self: ["CPUExecutionProvider"])
    with pytest.raises(DeviceError, match=r"started without it.*cuDNN.*\[onnx-gpu\]"):
        OrtEngine(b"any", "x", "cuda")


@pytest.mark.parametrize(
    "text", ["CUDA failure 2: out of memory", "CUDNN_STATUS_NOT_INITIALIZED", "CUDA failure 719"]
)
def test_a_gpu_that_fails_while_running_is_told_apart_from_the_network(gpu_build, text):
    monkeypatch, _ = gpu_build

    def fail(self, names, feeds):
        raise RuntimeError(text)

    with OrtEngine(b"any", "x", "cuda") as engine:
        monkeypatch.setattr(Session, "run", fail)
        with pytest.raises(DeviceError, match=text):
            engine.infer({"x": np.ones((1, 2), np.float32)})


def test_a_gpu_that_fails_at_the_start_is_a_device_s_error(gpu_build):
    monkeypatch, _ = gpu_build

    def fail(self, *arguments, **keywords):
        message = "CUDA failure 2: out of memory"
        raise RuntimeError(message)

    monkeypatch.setattr(Session, "__init__", fail)
    with pytest.raises(DeviceError, match="out of memory"):
        OrtEngine(b"any", "x", "cuda")


def test_without_the_runtime_the_error_says_what_to_install(monkeypatch):
    original = builtins.__import__

    def without(name, *rest, **more):
        if name == "onnxruntime":
            raise ImportError(name)
        return original(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DependencyError, match="pip install"):
        OrtEngine(b"any", "any")


def test_no_network_is_opened_where_something_switched_telemetry_on_again(monkeypatch):
    monkeypatch.setattr("affect_engines.ort.import_onnxruntime", lambda: None)
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    with pytest.raises(DependencyError, match="telemetry of onnxruntime: got on"):
        OrtEngine(b"any", "any")


def test_a_program_that_imported_onnxruntime_before_is_told(monkeypatch, caplog):
    import_onnxruntime()
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    import_onnxruntime()
    assert "imported before with its telemetry on" in caplog.text
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
