"""The lifting kernel over the parameter table, on the CPU harness and on a GPU."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from affect_kernels.errors import UsageError
from affect_kernels.lifting import cuda, reference
from affect_kernels.lifting.reference import WAVELETS, Step, Wavelet

SHAPES = [
    (2, 1, 1), (2, 49, 96), (3, 65, 2), (4, 1, 513), (5, 4, 8), (8, 49, 96), (9, 7, 3), (64, 33, 5)
]  # fmt: skip


def signal(shape, dtype, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def assert_as_near(found, exact, low):
    """Err at most twice as much as the plain form does at the same precision."""
    for one, wanted, plain in zip(found, exact, low, strict=True):
        allowed = 2 * np.abs(plain - wanted).max() + 2 * np.finfo(one.dtype).eps
        assert np.abs(one - wanted).max() <= allowed


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", WAVELETS)
def test_the_bands_are_as_near_to_the_truth_as_the_plain_form_s(
    machine, name, shape, dtype, in_place
):
    x, wavelet = signal(shape, dtype), WAVELETS[name]
    exact = reference.analyse(x.astype(np.float64), wavelet)
    found = machine.run(cuda.analyse(x, wavelet, in_place=in_place))["bands"]
    assert found.dtype == dtype
    assert_as_near(cuda.part(found, in_place=in_place), exact, reference.analyse(x, wavelet))


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", WAVELETS)
def test_the_signal_is_as_near_to_the_truth_as_the_plain_form_s(machine, name, shape, dtype):
    wavelet = WAVELETS[name]
    bands = signal(shape, dtype, 1)
    approx, detail = cuda.part(bands)
    exact = reference.synthesise(approx.astype(np.float64), detail.astype(np.float64), wavelet)
    low = reference.synthesise(approx, detail, wavelet)
    found = machine.run(cuda.synthesise(approx, detail, wavelet))["x"]
    assert_as_near([found], [exact], [low])
    mixed = reference.merge(approx, detail)
    again = machine.run(cuda.synthesise_in_place(mixed, wavelet))["x"]
    np.testing.assert_array_equal(again, found)


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", WAVELETS)
def test_what_is_analysed_is_synthesised_again(machine, name, shape, in_place):
    x, wavelet = signal(shape, np.float32, 2), WAVELETS[name]
    bands = machine.run(cuda.analyse(x, wavelet, in_place=in_place))["bands"]
    if in_place:
        back = cuda.synthesise_in_place(bands, wavelet)
    else:
        back = cuda.synthesise(*cuda.part(bands), wavelet)
    np.testing.assert_allclose(machine.run(back)["x"], x, atol=5e-6)


@pytest.mark.gpu
def test_a_huge_signal_is_lifted_on_the_gpu(gpu):
    x, wavelet = signal((16, 4096, 769), np.float32), WAVELETS["cdf97"]
    found = cuda.part(gpu.run(cuda.analyse(x, wavelet))["bands"])
    assert_as_near(
        found, reference.analyse(x.astype(np.float64), wavelet), reference.analyse(x, wavelet)
    )


def test_many_threads_get_the_same_bands(host):
    launches = [
        cuda.analyse(signal((9, 33, 4), np.float32, k), WAVELETS["cdf97"]) for k in range(8)
    ]
    alone = [host.run(launch)["bands"] for launch in launches]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda launch: host.run(launch)["bands"], launches))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_signal_is_read_once_and_its_bands_are_written_once():
    x = signal((8, 49, 96), np.float16)
    for in_place in (False, True):
        launch = cuda.analyse(x, WAVELETS["haar"], in_place=in_place)
        assert launch.unique_bytes == 2 * x.nbytes
    assert cuda.synthesise(*cuda.part(x), WAVELETS["haar"]).unique_bytes == 2 * x.nbytes


@pytest.mark.parametrize(
    "x", [np.zeros((1, 2, 2), np.float32), np.zeros((4, 2), np.float32), np.zeros((4, 2, 2))]
)
def test_what_the_kernel_cannot_take_is_refused(x):
    with pytest.raises(UsageError, match="signal to lift on a GPU"):
        cuda.analyse(x, WAVELETS["haar"])


def test_bands_and_steps_that_do_not_fit_are_refused():
    x = np.zeros((4, 2, 2), np.float32)
    with pytest.raises(UsageError, match="bands to merge"):
        cuda.synthesise(x, x[:2], WAVELETS["haar"])
    for step in (Step("update", (0.5,), (0,)), Step("predict", (0.5, 0.25), (0, 1))):
        strange = Wavelet("strange", (step, Step("update", (0.5,), (0,))), 1.0, 1.0)
        with pytest.raises(UsageError, match="wavelet 'strange'"):
            cuda.analyse(x, strange)
