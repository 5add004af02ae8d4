import builtins

import numpy as np
import pytest

from affect_engines import load_card, open_engine
from affect_engines.errors import ModelError
from affect_engines.ort import OrtEngine
from affect_engines.store import model_path
from affect_kernels.errors import DependencyError, UsageError


@pytest.fixture(scope="module")
def engine():
    with open_engine("action_units") as engine:
        yield engine


def feeds(engine, n):
    rng = np.random.default_rng(n)
    return {
        spec.name: rng.random([n, *spec.shape[1:]]).astype(spec.dtype) for spec in engine.inputs
    }


@pytest.mark.parametrize("content", [b"", b"no network", b"\x08\x07" * 100])
def test_a_file_that_is_no_network_is_refused_by_name(tmp_path, content):
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"broken\.onnx"):
        OrtEngine(path, "broken")


def test_a_file_cut_short_is_refused(tmp_path):
    path = tmp_path / "short.onnx"
    path.write_bytes(model_path(load_card("action_units")).read_bytes()[:1000])
    with pytest.raises(ModelError, match=r"short\.onnx"):
        OrtEngine(path, "short")


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
    with pytest.raises(UsageError, match=r"expected onnxruntime.*action_units\.onnx"):
        open_engine("action_units", backend="litert")


def test_without_the_runtime_the_error_says_what_to_install(monkeypatch, tmp_path):
    original = builtins.__import__

    def without(name, *rest, **more):
        if name == "onnxruntime":
            raise ImportError(name)
        return original(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DependencyError, match="pip install"):
        OrtEngine(tmp_path / "any.onnx", "any")
