"""What only a GPU can prove: driver, CUDA provider and TensorRT for real. Skipped without them.

    pytest -m gpu tests/affect_engines

also runs the contract on both backends. Who has seen it pass with a TensorRT adds that version and
the GPU to ``ran_by_tensorrt`` in the cards of the networks that ran, and README says so.
"""

import numpy as np
import pytest

from affect_engines import load_card, open_engine
from affect_engines.parity import TOLERANCES, difference
from affect_engines.trt.build import build_plan, source_form
from affect_engines.trt.engine import TrtEngine, import_tensorrt, is_real
from affect_engines.trt.plans import read_plan
from affect_engines.trt.precision import PRECISIONS
from affect_kernels.cuda import driver as cuda_driver
from affect_kernels.errors import AffectError, UsageError
from realtime_affect.cli.engines import buildable

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(1800)]


@pytest.fixture
def gpu():
    try:
        return cuda_driver.find_gpu()
    except AffectError as error:
        pytest.skip(f"no GPU to run on: {error.got}")


@pytest.fixture
def tensorrt(gpu, monkeypatch, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp() / "plans"
    monkeypatch.setenv("REALTIME_AFFECT_ENGINES", str(folder))
    try:
        module = import_tensorrt()
    except AffectError as error:
        pytest.skip(f"no TensorRT to run: {error.got}")
    assert is_real(module.__version__)
    return module


def test_memory_goes_to_the_gpu_and_back_also_by_a_graph(gpu):
    with cuda_driver.Stream() as stream:
        up, down = (stream.pinned((1000, 7), np.float32) for _ in range(2))
        address = stream.allocate(up.nbytes)

        def enqueue():
            stream.upload(address, up)
            stream.download(down, address)

        up[:] = np.random.default_rng(0).random(up.shape)
        enqueue()
        stream.synchronize()
        np.testing.assert_array_equal(down, up)
        graph = stream.capture(enqueue)
        for seed in (1, 2):
            up[:] = np.random.default_rng(seed).random(up.shape)
            stream.launch(graph)
            stream.synchronize()
            np.testing.assert_array_equal(down, up)


def test_more_memory_than_there_is_is_told_and_the_gpu_goes_on(gpu):
    with cuda_driver.Stream() as stream:
        with pytest.raises(AffectError, match="OUT_OF_MEMORY"):
            stream.allocate(1 << 50)
        assert stream.allocate(1024)


@pytest.mark.parametrize("name", buildable())
def test_onnxruntime_says_on_a_gpu_what_it_says_on_the_cpu(gpu, name):
    try:
        engine = open_engine(name, "cuda")
    except AffectError as error:
        pytest.skip(f"onnxruntime cannot use the GPU: {error.thing}: {error.got}")
    with engine, open_engine(name, "onnxruntime", "fp32") as cpu:
        assert max(difference(engine, cpu, n) for n in (1, 3, 9)) <= TOLERANCES["fp16"]  # TF32


@pytest.mark.parametrize("graphs", [True, False], ids=["graphs", "no graphs"])
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", buildable())
def test_a_plan_says_what_the_cpu_says(tensorrt, name, precision, graphs):
    card = load_card(name)
    try:
        source_form(card, precision)
    except UsageError as error:
        pytest.skip(f"no plan of this kind: {error.thing}: {error.got}")
    plan = build_plan(card, precision)
    same = "int8" if precision == "int8" else "fp32"
    with (
        TrtEngine(read_plan(plan.key, name), name, graphs=graphs) as engine,
        open_engine(name, "onnxruntime", same) as cpu,
    ):
        for n in (1, 3, 8, 9, 1):
            assert difference(engine, cpu, n, seed=n) <= TOLERANCES[precision]


def test_a_second_build_is_helped_by_what_the_first_one_timed(tensorrt):
    card = load_card("action_units")
    first, second = (build_plan(card, "fp32", rebuild=True) for _ in range(2))
    assert second.path == first.path
    assert read_plan(second.key, card.name)
