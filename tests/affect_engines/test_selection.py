"""What is asked for is opened or is an error; "auto" takes what works and says why."""

import logging
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from affect_engines import load_card, open_engine, selection
from affect_engines.errors import DeviceError, ModelError
from affect_engines.ort import OrtEngine
from affect_engines.selection import FallbackEngine, find_plan, probe
from affect_engines.trt.build import build_plan
from affect_engines.trt.engine import TrtEngine
from affect_kernels.errors import DependencyError, UsageError
from tests.affect_engines import fake_cuda, fake_tensorrt
from tests.affect_engines.conftest import FakeEngine


@pytest.fixture
def card():
    return load_card("htnet_live")


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch, tmp_path):
    """Whatever the tester's machine has, it has no part in this."""
    from affect_kernels.cuda import driver as cuda_driver

    def missing():
        message = "libcuda.so.1: cannot open"
        raise OSError(message)

    monkeypatch.setattr(cuda_driver, "load_driver", missing)
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    monkeypatch.setenv("REALTIME_AFFECT_ENGINES", str(tmp_path / "engines"))


@pytest.fixture
def gpu(monkeypatch):
    return fake_tensorrt.install(monkeypatch)


def feeds(engine):
    return {s.name: np.ones([n or 1 for n in s.shape], s.dtype) for s in engine.inputs}


def failing(text="CUDA failure 719"):
    engine = FakeEngine()

    def infer(feeds):
        raise DeviceError("GPU", got=text, expected="success", hint="None.")

    engine.infer = infer
    return engine


def test_auto_takes_the_cpu_where_there_is_no_gpu_and_says_why(card, caplog):
    with caplog.at_level(logging.INFO), open_engine(card) as engine:
        assert isinstance(engine, OrtEngine)
    assert "htnet_live: onnxruntime" in caplog.text
    assert "not tensorrt: NVIDIA driver" in caplog.text
    assert "not cuda: NVIDIA driver" in caplog.text


@pytest.mark.parametrize("backend", ["tensorrt", "cuda"])
def test_what_is_asked_for_is_never_replaced(card, backend):
    with pytest.raises(DeviceError, match="NVIDIA driver"):
        open_engine(card, backend=backend)


def test_asked_for_without_tensorrt_the_error_names_the_extra(card, monkeypatch):
    fake_cuda.install(monkeypatch)
    with pytest.raises(DependencyError, match=r"realtime-affect\[tensorrt\]"):
        open_engine(card, backend="tensorrt")


def test_asked_for_without_a_plan_the_error_says_how_to_build_one(card, gpu):
    with pytest.raises(ModelError, match=r"engines build htnet_live\."):
        open_engine(card, backend="tensorrt")


def test_auto_builds_only_where_it_may(card, gpu):
    with open_engine(card) as engine:
        assert isinstance(engine, OrtEngine)
    assert gpu[0].n_built == 0


def test_auto_takes_a_plan_there_is_and_goes_on_when_its_gpu_fails(card, gpu, caplog):
    build_plan(card, "fp32")
    with open_engine(card) as engine, open_engine(card, backend="onnxruntime") as cpu:
        assert engine.backend == "tensorrt"
        assert isinstance(engine._engine, TrtEngine)
        want = cpu.infer(feeds(cpu))["logits"]
        np.testing.assert_allclose(engine.infer(feeds(engine))["logits"], want, atol=1e-6)
        gpu[1].fails["cuStreamSynchronize"] = fake_cuda.LAUNCH_FAILED
        with caplog.at_level(logging.WARNING):
            np.testing.assert_array_equal(engine.infer(feeds(engine))["logits"], want)
        assert engine.backend == "onnxruntime"
    assert "tensorrt failed" in caplog.text
    assert "CUDA_ERROR_LAUNCH_FAILED" in caplog.text


def test_asked_for_a_gpu_that_fails_is_an_error(card, gpu):
    build_plan(card, "fp32")
    with open_engine(card, backend="tensorrt") as engine:
        gpu[1].fails["cuStreamSynchronize"] = fake_cuda.LAUNCH_FAILED
        with pytest.raises(DeviceError):
            engine.infer(feeds(engine))


@pytest.mark.fault(9)
@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda trt, driver, plan: plan.path.write_bytes(b"x"), "SHA-256"),
        (lambda trt, driver, plan: setattr(trt, "__version__", "10.3.0"), "only foreign ones"),
        (lambda trt, driver, plan: setattr(driver, "name", "Other"), "gpu Fake GPU, not Other"),
        (lambda trt, driver, plan: setattr(driver, "free", 10), "OUT_OF_MEMORY"),
        (lambda trt, driver, plan: driver.fails.update(cuInit=999), "cuInit"),
    ],
)
@pytest.mark.survival(18, stand_in="a stand-in for TensorRT")
def test_auto_goes_on_past_every_plan_it_cannot_use(card, gpu, caplog, spoil, why):
    plan = build_plan(card, "fp32")
    spoil(*gpu, plan)
    with caplog.at_level(logging.INFO), open_engine(card) as engine:
        assert isinstance(engine, OrtEngine)
    assert why in caplog.text


def test_the_plan_of_a_precision_asked_for_is_the_only_one_taken(card, gpu):
    build_plan(card, "fp32", max_batch=3)
    assert find_plan(card, "auto").key.precision == "fp32"
    assert find_plan(card, "fp32").key.max_batch == 3
    with pytest.raises(ModelError, match="--precision fp16"):
        find_plan(card, "fp16")
    with pytest.raises(UsageError, match="no quantised form"):
        find_plan(card, "int8")


@pytest.mark.parametrize(("precision", "words"), [("fp16", "fp32 or int8"), ("int8", "int8")])
def test_a_precision_the_cpu_does_not_run_is_refused_also_by_auto(card, precision, words):
    with pytest.raises(UsageError, match=words):
        open_engine(card, precision=precision)


def test_fp32_of_a_network_with_one_form_is_that_form(card):
    with open_engine(card, precision="fp32") as engine:
        assert isinstance(engine, OrtEngine)


@pytest.mark.survival(18, stand_in="a stand-in for TensorRT")
def test_the_next_backend_takes_over_in_the_middle_of_a_run():
    opened = []

    def opener(name, engine):
        def open_it():
            opened.append(name)
            return engine

        return name, open_it

    broken = failing()
    with FallbackEngine("x", [opener("a", broken), opener("b", FakeEngine())]) as engine:
        assert engine.only() is None
        assert engine.infer(feeds(engine))["y"].tolist() == [[2, 2, 2, 2]]
        assert engine.only() is not None
    assert opened == ["a", "b"]
    assert not broken._open


def test_the_last_backend_s_failure_is_the_caller_s():
    with FallbackEngine("x", [("a", failing), ("b", failing)]) as engine:
        with pytest.raises(DeviceError, match="CUDA failure 719"):
            engine.infer(feeds(engine))
        assert engine.backend == "b"


def test_where_none_opens_the_last_error_is_told_and_using_it_later_is_one():
    def missing():
        raise DeviceError("GPU", got="none", expected="one", hint="None.")

    with pytest.raises(DeviceError, match="got none"):
        FallbackEngine("x", [("a", missing), ("b", missing)])
    engine = FallbackEngine("x", [("a", failing), ("b", missing)])
    with pytest.raises(DeviceError, match="got none"):
        engine.infer(feeds(FakeEngine()))
    with pytest.raises(ModelError, match="Open it anew"):
        engine.infer({})
    engine.close()


def test_a_defect_of_ours_is_not_taken_for_a_gpu_s():
    def broken():
        message = "ours"
        raise KeyError(message)

    with pytest.raises(KeyError):
        FallbackEngine("x", [("a", broken), ("b", FakeEngine)])


def test_the_survey_says_what_works_and_what_is_missing():
    states = {state.name: state for state in probe()}
    assert list(states) == ["tensorrt", "cuda", "onnxruntime"]
    assert [state.usable for state in states.values()] == [False, False, True]
    assert "NVIDIA driver" in states["cuda"].why


def test_the_survey_does_not_take_the_stand_in_for_tensorrt(gpu, card):
    build_plan(card, "fp32")
    (tensorrt, cuda, _) = probe()
    assert not tensorrt.usable
    assert "a stand-in for tests" in tensorrt.why
    assert "for the CPU" in cuda.why


def test_the_survey_tells_a_real_one_without_plans_and_with(gpu, card, monkeypatch):
    gpu[0].__version__ = "10.16.1.11"
    assert "no plan is built yet" in probe()[0].why
    plan = build_plan(card, "fp32")
    assert probe()[0].why == "TensorRT 10.16.1.11 on Fake GPU: htnet_live fp32"
    assert plan.key.tensorrt == "10.16.1.11"


def test_cuda_is_opened_with_the_form_that_is_not_made_for_cpus(card, monkeypatch):
    fake_cuda.install(monkeypatch)
    seen = []

    def engine(model, name, device):
        seen.append((model, device))
        return FakeEngine()

    monkeypatch.setattr("affect_engines.ort.OrtEngine", engine)
    monkeypatch.setattr("affect_engines.store.read_model", lambda card: card.file)
    both = SimpleNamespace(
        name="x", precision="int8", form=lambda p: SimpleNamespace(
            name="x", file=f"{p}.onnx", precision=p, form=both.form
        ),
    )  # fmt: skip
    selection._open_cuda(both, "auto")
    selection._open_cuda(both, "int8")
    assert seen == [("fp32.onnx", "cuda"), ("int8.onnx", "cuda")]


def test_the_survey_opens_a_network_to_see_whether_cuda_starts(monkeypatch):
    fake_cuda.install(monkeypatch)
    opened = []

    def engine(model, name, device):
        opened.append((name, device))
        return FakeEngine()

    monkeypatch.setattr("affect_engines.ort.OrtEngine", engine)
    assert probe()[1].usable
    assert opened == [("action_units", "cuda")]

    def refused(model, name, device):
        raise DeviceError("CUDA", got="no libcublas", expected="it", hint="Install it.")

    monkeypatch.setattr("affect_engines.ort.OrtEngine", refused)
    assert probe()[1] == selection.BackendState("cuda", False, "CUDA: no libcublas", "Install it.")
