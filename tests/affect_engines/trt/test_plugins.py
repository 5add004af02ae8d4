"""The plugins on the stand-in: what TensorRT would ask of them. No TensorRT and no GPU has run."""

from math import prod

import numpy as np
import pytest

from affect_engines.errors import DeviceError, ModelError
from affect_engines.trt import plugins
from affect_kernels._launch import fingerprint
from affect_kernels.adaptive_split import SplitWeights, adaptive_split
from affect_kernels.adaptive_split import cuda as split_cuda
from affect_kernels.cuda import device as _device
from affect_kernels.errors import DependencyError, UsageError
from affect_kernels.pooled_attention import cuda as attention_cuda
from affect_kernels.pooled_attention import pooled_attention
from tests.affect_engines import fake_plugins, fake_tensorrt
from tests.affect_engines.fake_plugins import KEYS, Stand

GRID_Q, GRID_K = (2, 4, 3), (2, 2, 3)


@pytest.fixture(params=fake_tensorrt.VERSIONS)
def stand(request, monkeypatch):
    return Stand(monkeypatch, request.param)


def attention(dtype, seed=0):
    rng = np.random.default_rng(seed)
    q = rng.normal(size=(2, 3, 1 + prod(GRID_Q), 96)).astype(dtype)
    k, v = rng.normal(size=(2, 2, 3, 1 + prod(GRID_K), 96)).astype(dtype)
    tables = [
        rng.normal(size=(2 * max(a, b) - 1, 96)).astype(dtype) / dtype(10)
        for a, b in zip(GRID_Q, GRID_K, strict=True)
    ]
    return [q, k, v, *tables]


def split(dtype, slots=5, seed=0):
    rng = np.random.default_rng(seed)
    sizes = [(7, 16), (7,), ((slots + 1) // 2, slots**2), (slots // 2, slots**2), *[(16,)] * 4]
    x = rng.normal(size=(3, slots, 6, 16)).astype(dtype)
    return [x, *(rng.normal(size=size).astype(np.float32) for size in sizes)]


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_attention_is_launched_on_tensorrt_s_stream_as_the_kernel_wants_it(stand, dtype):
    arrays = attention(dtype)
    q, k, v, *tables = arrays
    attributes = {"grid_q": GRID_Q, "grid_k": GRID_K}
    (found,) = stand.run("AffectPooledAttention", attributes, arrays)
    np.testing.assert_array_equal(found, pooled_attention(q, k, v, tuple(tables), GRID_Q, GRID_K))
    wanted = attention_cuda.attend(q, k, v, tuple(tables), GRID_Q, GRID_K)
    ((entry, grid, threads, stream, _),) = stand.driver.launches
    assert (entry, grid, threads) == (wanted.entry, wanted.grid, wanted.threads)
    assert stream == stand.stream


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_a_split_writes_both_bands_and_takes_its_weights_in_fp32(stand, dtype):
    arrays = split(dtype)
    found = stand.run("AffectAdaptiveSplit", {}, arrays)
    weights = SplitWeights(*arrays[1:])
    for array, wanted in zip(found, adaptive_split(arrays[0], weights), strict=True):
        # Times are float32 beside half bands: there the plain form's are rounded.
        np.testing.assert_array_equal(array, wanted.astype(array.dtype))
    assert [array.dtype for array in found] == [dtype, dtype, np.float32]
    wanted = split_cuda.adaptive_split(arrays[0], weights)
    ((entry, grid, threads, stream, _),) = stand.driver.launches
    assert (entry, grid, threads) == (wanted.entry, wanted.grid, wanted.threads)
    assert stream == stand.stream


def test_the_argument_is_the_struct_that_the_kernel_s_launch_packs(stand):
    arrays = split(np.float32)
    stand.run("AffectAdaptiveSplit", {}, arrays)
    launch = split_cuda.adaptive_split(arrays[0], SplitWeights(*arrays[1:]))
    names = (*plugins.ADAPTIVE_SPLIT.reads, *plugins.ADAPTIVE_SPLIT.writes)
    ((*_, packed),) = stand.driver.launches
    told = np.frombuffer(packed, fake_plugins.struct(plugins.ADAPTIVE_SPLIT))[0]
    addresses = {name: int(told[f"{name}_data"]) for name in names}
    assert len(set(addresses.values())) == len(names)
    assert launch.pack(addresses) == packed


def test_plugins_are_registered_once_with_both_kernels_loaded(stand):
    plugins.register(stand.trt)
    plugins.register(stand.trt)
    assert set(stand.registry.creators) == set(KEYS.values())
    assert stand.compiled == [(o.source, 87) for o in plugins.OPERATIONS]
    assert set(stand.driver.modules.values()) == {
        fingerprint(o.source).encode() for o in plugins.OPERATIONS
    }
    assert stand.driver.retained == 1, "the context must outlive every plan"


def test_our_list_of_calls_has_all_that_plugins_touch(stand):
    from tests.affect_engines import surfaces

    stand.run("AffectPooledAttention", {"grid_q": GRID_Q, "grid_k": GRID_K}, attention(np.float16))
    part = surfaces.used_part(stand.trt.surface, surfaces.uses())
    listed = {(kind, member) for kind in part for member in (*part[kind], "__init__", "")}
    assert stand.trt.used - listed == set()


def test_other_types_beside_the_first_are_refused(stand):
    arrays = attention(np.float16)
    arrays[3] = arrays[3].astype(np.float32)
    with pytest.raises(AssertionError):
        stand.run("AffectPooledAttention", {"grid_q": GRID_Q, "grid_k": GRID_K}, arrays)


def test_shapes_that_the_kernel_does_not_take_are_told_before_anything_is_queued(stand):
    with pytest.raises(UsageError, match="tokens to attend"):
        stand.run(
            "AffectPooledAttention", {"grid_q": GRID_K, "grid_k": GRID_K}, attention(np.float32)
        )
    assert stand.driver.launches == []


def test_a_node_without_its_grids_is_refused():
    from types import SimpleNamespace

    fields = [SimpleNamespace(name="grid_q", data=[1, 2, 3]), SimpleNamespace(name="x", data=None)]
    with pytest.raises(ModelError, match="grid_k"):
        plugins.read_fields(plugins.POOLED_ATTENTION, fields)


def test_fields_are_read_where_the_bindings_tell_no_stride():
    from types import SimpleNamespace

    wanted = {"grid_q": (1, 2, 3), "grid_k": (4, 5, 6)}
    arrays = {name: np.array(value, np.int32) for name, value in wanted.items()}
    fields = [
        SimpleNamespace(name=name, data=np.lib.stride_tricks.as_strided(array, strides=(0,)))
        for name, array in arrays.items()
    ]
    assert plugins.read_fields(plugins.POOLED_ATTENTION, fields) == wanted


def test_a_launch_that_the_driver_refuses_is_an_error(stand):
    stand.driver.fails["cuLaunchKernel"] = 719
    with pytest.raises(DeviceError, match="CUDA_ERROR_LAUNCH_FAILED"):
        stand.run("AffectAdaptiveSplit", {}, split(np.float32))


def test_names_that_are_taken_are_told(stand):
    plugins.register(stand.trt)
    plugins._registered.clear()
    with pytest.raises(DependencyError, match="another one of this name"):
        plugins.register(stand.trt)


def test_a_tensorrt_older_than_what_was_tried_is_refused(stand):
    stand.trt.__version__ = "10.7.0+fake"
    with pytest.raises(DependencyError, match=r"got 10\.7\.0\+fake, expected 10\.16 or later"):
        plugins.register(stand.trt)
    assert stand.registry.creators == {}


def test_bindings_without_plugins_are_told(stand):
    del stand.trt.IPluginV3
    with pytest.raises(DependencyError, match=r"got no IPluginV3.*--no-plugins"):
        plugins.register(stand.trt)


def test_without_a_compiler_the_extra_is_named(stand, monkeypatch):
    def missing(source, architecture):
        raise DependencyError(
            "CUDA's runtime compiler (libnvrtc)", got="none", expected="one", hint="Get [cuda]."
        )

    monkeypatch.setattr(_device, "cubin", missing)
    with pytest.raises(DependencyError, match=r"\[cuda\]"):
        plugins.register(stand.trt)
    assert stand.registry.creators == {}


def test_a_gpu_that_does_not_load_the_kernels_is_told_and_let_go(stand):
    stand.driver.fails["cuModuleLoadData"] = 200
    with pytest.raises(DeviceError, match="cuModuleLoadData"):
        plugins.register(stand.trt)
    assert stand.driver.retained == 0
