"""One table of parameters for the plain, the compiled and the CUDA form of the adaptive split."""

from __future__ import annotations

import importlib.util
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from affect_kernels.adaptive_split import SplitWeights, adaptive_split, cuda
from affect_kernels.errors import UsageError

# (n, T, N, C): the published one, odd ones, the smallest.
SHAPES = [
    (1, 2, 1, 8), (2, 3, 5, 8), (1, 4, 9, 64), (3, 5, 3, 40), (1, 8, 6, 384), (2, 8, 7, 200),
    (1, 8, 49, 768),
]  # fmt: skip

LOOKS = 7


def clip(shape, dtype=np.float64, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def weights_for(shape, seed=1, reach=1.0):
    rng = np.random.default_rng(seed)
    slots, channels = shape[1], shape[3]
    sizes = {
        "look": (LOOKS, channels), "look_bias": (LOOKS,),
        "approx_offsets": ((slots + 1) // 2, slots**2), "detail_offsets": (slots // 2, slots**2),
    }  # fmt: skip
    spread = {"look": channels**-0.5, "look_bias": 0.1}
    drawn = {k: rng.normal(size=size) * spread.get(k, reach) for k, size in sizes.items()}
    norms = {
        f"{band}_{part}": rng.normal(size=channels) + (part == "gain")
        for band in ("approx", "detail")
        for part in ("gain", "bias")
    }
    return SplitWeights(**{k: v.astype(np.float32) for k, v in (drawn | norms).items()})


def assert_as_near(found, x, weights):
    """Err at most twice as much as the plain form does at the same precision."""
    exact = adaptive_split(x.astype(np.float64), weights)
    low = adaptive_split(x, weights)
    scale = max(np.abs(exact.approx).max(), np.abs(exact.detail).max())
    # Both bands together: most of their error is the last digit of eight times, of which a plain
    # run may happen to get four right.
    for names, size in ((("approx", "detail"), scale), (("times",), x.shape[1])):
        errors = [np.abs(found[name] - getattr(exact, name)).max() for name in names]
        plain = [np.abs(getattr(low, name) - getattr(exact, name)).max() for name in names]
        assert max(errors) <= 2 * max(plain) + 2 * np.finfo(low.approx.dtype).eps * size
    for name, array in found.items():
        assert array.shape == getattr(exact, name).shape


def run_compiled(x, weights):
    from affect_kernels.adaptive_split import cpu

    return cpu.adaptive_split(x, weights)._asdict()


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_kernel_is_as_near_to_the_truth_as_the_plain_form(machine, shape, dtype):
    x, weights = clip(shape, dtype), weights_for(shape)
    assert_as_near(machine.run(cuda.adaptive_split(x, weights)), x, weights)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_compiled_form_is_as_near_to_the_truth_as_the_plain_form(shape):
    x, weights = clip(shape, np.float32), weights_for(shape)
    assert_as_near(run_compiled(x, weights), x, weights)


def test_a_huge_batch_is_split_alike_by_plain_and_compiled_form():
    x = clip((24, 8, 49, 768), np.float32)
    weights = weights_for(x.shape)
    found, wanted = run_compiled(x, weights), adaptive_split(x, weights)
    for name in ("approx", "detail", "times"):
        np.testing.assert_allclose(found[name], getattr(wanted, name), atol=1e-4)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_a_huge_batch_is_split_on_the_gpu(gpu, dtype):
    x = clip((64, 8, 49, 768), dtype)
    weights = weights_for(x.shape)
    assert_as_near(gpu.run(cuda.adaptive_split(x, weights)), x, weights)


@pytest.mark.parametrize("parts", [1, 2, 5])
def test_the_blocks_of_a_clip_share_its_tokens(machine, parts):
    x = clip((2, 4, 3, 64), np.float32)
    weights = weights_for(x.shape)
    whole = machine.run(cuda.adaptive_split(x, weights, parts=1))
    found = machine.run(cuda.adaptive_split(x, weights, parts=parts))
    for name, array in whole.items():
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("reach", [0.0, 40.0])
def test_times_stay_at_their_anchors_or_leave_them_by_two_slots_at_most(machine, reach):
    x = clip((2, 8, 2, 8), np.float32)
    weights = weights_for(x.shape, reach=reach)
    times = machine.run(cuda.adaptive_split(x, weights))["times"]
    moved = times - [0, 2, 4, 6, 1, 3, 5, 7]
    assert np.abs(moved).max() <= 2
    assert (np.abs(moved).max() > 1.9) == (reach > 0)


@pytest.fixture(scope="module")
def golden(request):
    folder = request.getfixturevalue("shared_golden") / "ifdd"
    if not (folder / "weights_q8.npz").is_file():
        pytest.skip("the golden data of IFDD is not on this machine")
    spec = importlib.util.spec_from_file_location("load_golden", folder / "load_golden.py")
    loader = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loader)
    state = loader.load(folder / "weights_q8.npz")
    at = "backbone.WaveLifts."
    weights = SplitWeights(
        state[f"{at}adapt_split.dim_project.0.weight"].reshape(LOOKS, -1),
        state[f"{at}adapt_split.dim_project.0.bias"],
        state[f"{at}adapt_split.offset_project_approx.0.weight"],
        state[f"{at}adapt_split.offset_project_detail.0.weight"],
        *[state[f"{at}{band}_norm.{part}"] for band in ("xa", "xd") for part in ("weight", "bias")],
    )
    with np.load(folder / "clip0_seed11.npz") as clip0:
        x = clip0["catconv"].reshape(8, 768, 49).transpose(0, 2, 1)[None]
        wanted = {k: clip0[k] for k in clip0.files if k.startswith(("issm_index", "x"))}
    return np.ascontiguousarray(x), weights, wanted


def assert_golden(found, wanted, tolerance):
    times = np.concatenate([wanted["issm_index_approx"], wanted["issm_index_detail"]], axis=1)
    assert np.abs(found["times"] - times).max() <= tolerance * 8
    for band, name in (("approx", "xa_norm_sub"), ("detail", "xd_norm_sub")):
        tokens = found[band].reshape(-1)[::7].astype(np.float64)
        assert np.abs(tokens - wanted[name]).max() <= tolerance * np.abs(wanted[name]).max()


def test_the_plain_and_the_compiled_form_are_ifdd_s(golden):
    x, weights, wanted = golden
    assert_golden(adaptive_split(x, weights)._asdict(), wanted, 1e-5)
    assert_golden(run_compiled(x, weights), wanted, 1e-5)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float16, 4e-3)])
def test_the_kernel_is_ifdd_s(machine, golden, dtype, tolerance):
    x, weights, wanted = golden
    launch = cuda.adaptive_split(x.astype(dtype), weights, parts=1)
    assert_golden(machine.run(launch), wanted, tolerance)


def test_many_threads_split_alike(host):
    x = [clip((1, 8, 4, 40), np.float32, seed) for seed in range(6)]
    weights = weights_for(x[0].shape)
    forms = [
        lambda one: run_compiled(one, weights),
        lambda one: host.run(cuda.adaptive_split(one, weights)),
    ]
    for form in forms:
        alone = [form(one) for one in x]
        with ThreadPoolExecutor(6) as pool:
            together = list(pool.map(form, x))
        for one, other in zip(alone, together, strict=True):
            np.testing.assert_array_equal(one["approx"], other["approx"])


def test_weights_for_other_clips_are_refused():
    weights = weights_for((1, 8, 4, 40))
    for shape in [(1, 8, 4, 41), (1, 6, 4, 40), (8, 4, 40), (1, 1, 4, 40)]:
        with pytest.raises(UsageError, match="clips to split"):
            adaptive_split(np.zeros(shape), weights)


@pytest.mark.parametrize("shape", [(1, 9, 4, 40), (1, 8, 50, 40), (1, 8, 4, 776), (1, 8, 4, 36)])
def test_what_the_kernel_has_no_room_for_is_refused(shape):
    with pytest.raises(UsageError, match="on a GPU"):
        cuda.adaptive_split(np.zeros(shape, np.float16), weights_for(shape))


def test_double_precision_is_not_for_the_kernel():
    with pytest.raises(UsageError, match="float32 or float16"):
        cuda.adaptive_split(np.zeros((1, 8, 4, 40)), weights_for((1, 8, 4, 40)))
