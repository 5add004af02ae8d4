"""One table of parameters for the plain and the compiled form."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from affect_kernels.errors import UsageError
from affect_kernels.lifting import reference
from affect_kernels.lifting.reference import (
    WAVELETS,
    hat_weights,
    merge,
    split,
    synthesise,
)


def compiled():
    from affect_kernels.lifting import cpu

    return cpu


FORMS = {"reference": lambda: reference, "cpu": compiled}
SHAPES = [(2, 1, 1), (8, 49, 96), (9, 7, 3), (16, 1, 5), (3, 65, 2), (64, 33, 31)]


@pytest.fixture(params=FORMS)
def form(request):
    return FORMS[request.param]()


def signal(shape, dtype=np.float64, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", WAVELETS)
def test_what_is_analysed_is_synthesised_again(form, name, shape):
    x = signal(shape)
    approx, detail = form.analyse(x, WAVELETS[name])
    assert approx.shape[0] == -(-shape[0] // 2)
    assert detail.shape[0] == shape[0] // 2
    np.testing.assert_allclose(synthesise(approx, detail, WAVELETS[name]), x, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", WAVELETS)
def test_every_form_is_as_near_to_the_truth_as_the_plain_one(form, name, shape, dtype):
    x = signal(shape, dtype)
    exact = reference.analyse(x.astype(np.longdouble), WAVELETS[name])
    plain = reference.analyse(x, WAVELETS[name])
    for found, wanted, low in zip(form.analyse(x, WAVELETS[name]), exact, plain, strict=True):
        assert found.dtype == dtype
        allowed = 2 * np.abs(low - wanted).max() + 2 * np.finfo(dtype).eps
        assert np.abs(found - wanted).max() <= allowed


@pytest.mark.parametrize(
    ("name", "theirs"), [("haar", "haar"), ("cdf53", "bior2.2"), ("cdf97", "bior4.4")]
)
@pytest.mark.parametrize("slots", [16, 22])
def test_the_bands_are_those_of_pywavelets(form, name, theirs, slots):
    pywt = pytest.importorskip("pywt", reason="PyWavelets (group dev) is not installed")
    x = signal((slots, 3, 2), seed=slots)
    bands = pywt.dwt(x, theirs, mode="reflect", axis=0)
    for found, wanted in zip(form.analyse(x, WAVELETS[name]), bands, strict=True):
        # Theirs are longer by the extension at both ends, and the detail's sign is a convention.
        places = range(len(wanted) - len(found) + 1)
        worst = min(
            np.abs(sign * found - wanted[at : at + len(found)]).max()
            for at in places
            for sign in (1, -1)
        )
        assert worst < 1e-9


def test_a_constant_has_no_detail(form):
    x = np.full((8, 4, 2), 3.0)
    for wavelet in WAVELETS.values():
        approx, detail = form.analyse(x, wavelet)
        assert np.abs(detail).max() < 1e-12
        np.testing.assert_allclose(approx, 3.0 * np.sqrt(2), rtol=1e-9)


def test_a_line_has_no_detail_inside_for_two_vanishing_moments(form):
    x = np.arange(16.0)[:, None, None] * np.ones((16, 2, 2))
    for name in ("cdf53", "cdf97"):
        _, detail = form.analyse(x, WAVELETS[name])
        assert np.abs(detail[2:-2]).max() < 1e-9


def test_splitting_copies_and_merging_interleaves():
    x = signal((7, 2, 2))
    approx, detail = split(x)
    approx += 1
    assert not np.array_equal(merge(approx, detail), x)
    np.testing.assert_array_equal(merge(*split(x)), x)


@pytest.mark.parametrize("shape", [(1, 2, 2), (8, 2), ()])
def test_a_signal_that_cannot_be_split_is_refused(form, shape):
    with pytest.raises(UsageError, match=r"\(T, N, C\)"):
        form.analyse(np.zeros(shape), WAVELETS["haar"])


def test_bands_that_do_not_belong_together_are_refused():
    with pytest.raises(UsageError, match="bands"):
        merge(np.zeros((4, 2, 2)), np.zeros((2, 2, 2)))


def test_hats_cover_at_most_two_slots_and_sum_to_one():
    times = np.linspace(-3, 11, 200)
    hats = hat_weights(times, 8)
    np.testing.assert_allclose(hats.sum(axis=1), 1)
    assert ((hats > 0).sum(axis=1) <= 2).all()
    assert hats[0, 0] == 1
    assert hats[-1, 7] == 1
    np.testing.assert_allclose(hat_weights(np.array([3.5]), 8)[0, [3, 4]], [0.5, 0.5])


@pytest.mark.parametrize("shape", [(8, 49, 768), (8, 1, 1), (5, 3, 2)])
def test_an_adaptive_split_is_a_weighted_sum_of_slots(form, shape):
    x, rng = signal(shape, np.float32), np.random.default_rng(1)
    static, dynamic = rng.uniform(-2, shape[0] + 1, (2, 4)).astype(np.float32)
    found = form.adaptive_split(x, static, dynamic)
    for part, times in zip(found, (static, dynamic), strict=True):
        wanted = np.einsum("kt,tnc->knc", hat_weights(times.astype(np.float64), shape[0]), x)
        np.testing.assert_allclose(part, wanted, atol=2e-6)


def test_the_adaptive_split_is_ifdd_s(form, shared_golden):
    path = shared_golden / "ifdd" / "clip0_seed11.npz"
    if not path.is_file():
        pytest.skip("the golden data of IFDD is not on this machine")
    with np.load(path) as golden:
        x = np.ascontiguousarray(golden["catconv"].reshape(8, 768, 49).transpose(0, 2, 1))
        times = golden["issm_index_approx"][0], golden["issm_index_detail"][0]
        for part, name in zip(form.adaptive_split(x, *times), ("xa", "xd"), strict=True):
            wanted = golden[f"issm_{name}_sub"]
            found = part.transpose(2, 0, 1).ravel()[::7]
            assert np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max()


def test_many_threads_get_the_same_bands(form):
    signals = [signal((16, 33, 9), seed=k) for k in range(16)]
    alone = [form.analyse(x, WAVELETS["cdf97"]) for x in signals]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda x: form.analyse(x, WAVELETS["cdf97"]), signals))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])
