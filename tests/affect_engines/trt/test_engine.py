"""TensorRT engines on the stand-in: our side of the calls. Nothing here runs TensorRT."""

import logging
import sys

import numpy as np
import pytest

from affect_engines import load_card, open_engine
from affect_engines.cards import ran_by_tensorrt
from affect_engines.errors import DeviceError, ModelError
from affect_engines.trt.build import build_plan
from affect_engines.trt.engine import TrtEngine, import_tensorrt, is_real
from affect_engines.trt.plans import read_plan
from affect_kernels.errors import DependencyError
from tests.affect_engines import fake_cuda, fake_tensorrt, surfaces


@pytest.fixture
def card():
    return load_card("action_units")


@pytest.fixture(params=fake_tensorrt.VERSIONS)
def stand_in(request, monkeypatch, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp() / f"plans-{request.param}"
    monkeypatch.setenv("REALTIME_AFFECT_ENGINES", str(folder))
    return fake_tensorrt.install(monkeypatch, request.param)


@pytest.fixture
def plan(stand_in, card):
    return read_plan(build_plan(card, "fp32").key, card.name)


def feeds(engine, n, seed=0):
    rng = np.random.default_rng(seed)
    return {
        spec.name: rng.integers(0, 9, [n, *spec.shape[1:]]).astype(spec.dtype)
        for spec in engine.inputs
    }


@pytest.mark.parametrize("graphs", [True, False])
@pytest.mark.parametrize("n", [1, 3, 17])
def test_it_says_what_the_cpu_says_for_any_number_of_faces(plan, card, n, graphs):
    with TrtEngine(plan, card.name, graphs=graphs) as engine, open_engine(card) as cpu:
        for seed in range(2):  # the first run of a size, and the replay
            given = feeds(engine, n, seed)
            got, want = engine.infer(given), cpu.infer(given)
            np.testing.assert_allclose(got["units"], want["units"], atol=1e-6)


def test_no_face_is_no_run(plan, card, stand_in):
    with TrtEngine(plan, card.name) as engine:
        assert engine.infer(feeds(engine, 0))["units"].shape == (0, 2, 21)
        assert "cuStreamSynchronize" not in stand_in[1].calls


def test_each_number_of_faces_is_recorded_once_and_then_replayed(plan, card, stand_in):
    driver = stand_in[1]
    with TrtEngine(plan, card.name) as engine:
        for n in (2, 1, 2, 2, 1):
            engine.infer(feeds(engine, n))
        assert driver.calls.count("cuStreamBeginCapture_v2") == 2
        assert driver.calls.count("cuGraphLaunch") == 3


def test_after_warming_up_no_number_of_faces_is_prepared_any_more(plan, card, stand_in):
    with TrtEngine(plan, card.name) as engine:
        engine.warm_up()
        before = stand_in[1].calls.count("cuStreamBeginCapture_v2")
        for n in range(1, engine.max_batch + 1):
            engine.infer(feeds(engine, n))
        assert stand_in[1].calls.count("cuStreamBeginCapture_v2") == before == engine.max_batch


def test_without_graphs_nothing_is_recorded(plan, card, stand_in):
    with TrtEngine(plan, card.name, graphs=False) as engine:
        engine.infer(feeds(engine, 2))
    assert "cuStreamBeginCapture_v2" not in stand_in[1].calls


def test_what_cannot_be_recorded_runs_without_a_graph(plan, card, stand_in, caplog):
    driver = stand_in[1]
    driver.fails["cuGraphInstantiateWithFlags"] = 801
    with caplog.at_level(logging.INFO), TrtEngine(plan, card.name) as engine:
        first = engine.infer(feeds(engine, 2))["units"].copy()
        again = engine.infer(feeds(engine, 2))["units"]
    np.testing.assert_array_equal(first, again)
    assert "no CUDA graph for 2 rows" in caplog.text
    assert "cuGraphLaunch" not in driver.calls


def test_outputs_outlive_the_engine(plan, card):
    with TrtEngine(plan, card.name) as engine:
        units = engine.infer(feeds(engine, 1))["units"]
        before = units.copy()
    np.testing.assert_array_equal(units, before)


def test_closing_gives_everything_back(plan, card, stand_in):
    driver = stand_in[1]
    engine = TrtEngine(plan, card.name)
    engine.infer(feeds(engine, 2))
    assert driver.left()
    engine.close()
    assert driver.left() == []


def test_inputs_of_different_lengths_are_refused(plan, card):
    with TrtEngine(plan, card.name) as engine:
        wrong = {**feeds(engine, 2), "points": feeds(engine, 3)["points"]}
        with pytest.raises(ModelError, match="one row a face"):
            engine.infer(wrong)


@pytest.mark.parametrize("content", [b"", b"no plan"])
def test_a_foreign_plan_is_refused_and_the_gpu_left_clean(stand_in, content):
    with pytest.raises(ModelError, match="engines build units --rebuild"):
        TrtEngine(content, "units")
    assert stand_in[1].left() == []


@pytest.mark.survival(18, stand_in="a stand-in for TensorRT")
def test_a_plan_of_another_gpu_is_refused(plan, card, stand_in):
    stand_in[1].name = "Another GPU"
    with pytest.raises(ModelError, match="expected a plan of TensorRT"):
        TrtEngine(plan, card.name)


def test_a_runtime_that_cannot_be_made_is_a_gpu_s_error(plan, card, stand_in):
    def null(logger):
        message = "pybind11::init(): factory function returned nullptr"
        raise TypeError(message)

    stand_in[0].Runtime = null
    with pytest.raises(DeviceError, match=r"no runtime: pybind11"):
        TrtEngine(plan, card.name)
    assert stand_in[1].left() == []


@pytest.mark.survival(18, stand_in="a stand-in for CUDA")
def test_too_little_memory_says_so_and_leaves_none_behind(plan, card, stand_in):
    stand_in[1].free = 1000
    with pytest.raises(DeviceError, match=r"CUDA_ERROR_OUT_OF_MEMORY.*Close what else"):
        TrtEngine(plan, card.name)
    assert stand_in[1].left() == []


def test_tensorrt_out_of_memory_says_so(plan, card, stand_in):
    stand_in[0].refuses = "Error Code 2: OutOfMemory (no further information)"
    with pytest.raises(DeviceError, match="enough GPU memory"):
        TrtEngine(plan, card.name)


@pytest.mark.survival(18, stand_in="a stand-in for CUDA")
def test_a_lost_gpu_is_an_error_and_closing_still_works(plan, card, stand_in):
    with TrtEngine(plan, card.name) as engine:
        engine.infer(feeds(engine, 1))
        stand_in[1].fails["cuStreamSynchronize"] = fake_cuda.LAUNCH_FAILED
        with pytest.raises(DeviceError, match="CUDA_ERROR_LAUNCH_FAILED"):
            engine.infer(feeds(engine, 1))


def test_a_run_that_tensorrt_refuses_is_an_error(plan, card, stand_in):
    with TrtEngine(plan, card.name) as engine:
        stand_in[0].refuses = "something broke"
        with pytest.raises(DeviceError, match="something broke"):
            engine.infer(feeds(engine, 1))


def test_every_member_that_was_touched_is_in_the_list_that_is_compared(card, stand_in):
    plan = build_plan(card, "fp32", rebuild=True)
    with TrtEngine(read_plan(plan.key, card.name), card.name) as engine:
        engine.infer(feeds(engine, 2))
    listed = {(use.kind, use.member) for use in surfaces.uses()}
    assert stand_in[0].used - listed == set()
    assert len(stand_in[0].used) > 40


def test_the_stand_in_knows_only_what_is_recorded(stand_in):
    trt = stand_in[0]
    with pytest.raises(AttributeError):
        _ = trt.BuilderFlag.FP16
    builder = trt.Builder(None)
    with pytest.raises(AttributeError, match="no platform_has_fast_fp16"):
        _ = builder.platform_has_fast_fp16
    with pytest.raises(TypeError, match="takes"):
        builder.create_network(1, 2)
    with pytest.raises(TypeError, match="takes"):
        builder.create_builder_config(precision="fp16")


def test_the_stand_in_never_counts_as_tensorrt(stand_in):
    assert not is_real(stand_in[0].__version__)
    assert all(is_real(version) for version in (*fake_tensorrt.VERSIONS, "10.3.0", "11.0.0.post1"))
    assert not any("fake" in version for version in ran_by_tensorrt())


def test_without_tensorrt_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(DependencyError, match=r"realtime-affect\[tensorrt\]") as caught:
        import_tensorrt()
    assert caught.value.exit_code == 6


@pytest.mark.parametrize("version", ["8.6.1", "10.0.1", "12.0.1", "unknown"])
def test_a_version_that_is_too_old_or_not_known_is_refused(monkeypatch, version):
    module = type(sys)("tensorrt")
    module.__version__ = version
    monkeypatch.setitem(sys.modules, "tensorrt", module)
    with pytest.raises(DependencyError, match=r"expected 10\.3 to 10\.x, or 11\.x"):
        import_tensorrt()
