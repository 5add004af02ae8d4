"""The harness that judges kernels must itself refuse bad ones, and count in half as a GPU does."""

from __future__ import annotations

import numpy as np
import pytest

from affect_kernels._launch import Launch, Reads, Writes
from affect_kernels.errors import UsageError

TEXT = """
#include "device.cuh"
using namespace affect;
struct Copy { In<float> x; Out<float> y; int n; };
AFFECT_D int place() { return block_x() * 64 + thread(); }

AFFECT_KERNEL(good, Copy, 64) { if (place() < a.n) a.y.store(place(), a.x.load(place())); }
AFFECT_KERNEL(reads_too_far, Copy, 64) {
  if (place() < a.n) a.y.store(place(), a.x.load(place() + 1));
}
AFFECT_KERNEL(writes_too_far, Copy, 64) {
  if (place() <= a.n) a.y.store(place(), a.x.load(place() < a.n ? place() : 0));
}
AFFECT_KERNEL(writes_twice, Copy, 64) {
  if (place() < a.n) a.y.store(place(), a.x.load(place()));
  if (place() == 3) a.y.store(3, a.x.load(3));
}
AFFECT_KERNEL(leaves_one_out, Copy, 64) {
  if (place() < a.n && place() != 5) a.y.store(place(), a.x.load(place()));
}
AFFECT_KERNEL(is_not_aligned, Copy, 64) {
  float four[4];
  if (place() == 0) { a.x.load(1, four); a.y.store(0, four); }
}
AFFECT_KERNEL(turns_round, Copy, 64) {
  AFFECT_SHARED(float, kept, 64);
  kept[thread()] = a.x.load(thread());
  sync();
  a.y.store(thread(), kept[63 - thread()]);
}
AFFECT_KERNEL(forgets_a_barrier, Copy, 64) {
  AFFECT_SHARED(float, kept, 64);
  kept[thread()] = a.x.load(thread());
  a.y.store(thread(), kept[63 - thread()]);
}
AFFECT_KERNEL(waits_for_half, Copy, 64) {
  if (thread() < 32) sync();
  a.y.store(thread(), a.x.load(thread()));
}
AFFECT_KERNEL(takes_too_much, Copy, 64) {
  AFFECT_SHARED(float, kept, 13000);
  kept[thread()] = 1.0f;
  a.y.store(thread(), kept[thread()]);
}
AFFECT_KERNEL(reads_what_none_wrote, Copy, 64) {
  AFFECT_SHARED(float, kept, 64);
  a.y.store(thread(), kept[thread()]);
}
AFFECT_KERNEL(adds_up, Copy, 64) {
  const float sum = warp_sum(a.x.load(thread())), most = warp_max(a.x.load(thread()));
  a.y.store(thread(), thread() % 2 ? sum : most);
}
AFFECT_KERNEL(counts_blocks, Copy, 64) {
  if (thread() == 0) {
    const int i = (block_z() * 2 + block_y()) * grid_x() + block_x();
    a.y.store(i, block_z() * 100 + block_y() * 10 + block_x());
  }
}
struct Rounding { In<float> x; Out<half> low; Out<float> back; };
AFFECT_KERNEL(rounds, Rounding, 64) {
  const Index i = static_cast<Index>(block_x()) * 64 + thread();
  a.low.store(i, a.x.load(i));
  a.back.store(i, to_float(to_half(a.x.load(i))));
}
struct Widening { In<half> x; Out<float> y; };
AFFECT_KERNEL(widens, Widening, 64) {
  const Index i = static_cast<Index>(block_x()) * 64 + thread();
  a.y.store(i, a.x.load(i));
}
"""


@pytest.fixture(scope="module")
def harness(host):
    host.add("harness.cu", TEXT)
    return host


def copy(entry, n=100, size=None, grid=None, threads=64):
    x = np.arange(size or n, dtype=np.float32)
    return Launch(
        "harness.cu", entry, grid or (2, 1, 1), threads,
        {"x": Reads(x), "y": Writes((n,), np.dtype(np.float32)), "n": np.int32(n)},
    )  # fmt: skip


def test_a_good_kernel_passes_and_its_result_comes_back(harness):
    np.testing.assert_array_equal(harness.run(copy("good"))["y"], np.arange(100))


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ("reads_too_far", "1 accesses out of bounds"),
        ("writes_too_far", "1 accesses out of bounds"),
        ("writes_twice", "1 of 100 items of y not written once, the first at 3"),
        ("leaves_one_out", "1 of 100 items of y not written once, the first at 5"),
        ("is_not_aligned", "accesses out of bounds"),
    ],
)
def test_a_kernel_that_misses_its_arrays_fails(harness, entry, fault):
    with pytest.raises(AssertionError, match=fault):
        harness.run(copy(entry))


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ("forgets_a_barrier", "a race"),
        ("waits_for_half", "a barrier that some never reach"),
        ("takes_too_much", "48 KiB of shared memory"),
    ],
)
def test_a_kernel_whose_threads_do_not_agree_fails(harness, entry, fault):
    with pytest.raises(AssertionError, match=fault):
        harness.run(copy(entry, 64, grid=(1, 1, 1)))


def test_a_struct_or_block_that_differs_is_refused(harness):
    with pytest.raises(AssertionError, match="the struct of arguments or the block"):
        harness.run(copy("good", threads=128))
    launch = copy("good")
    short = {name: launch.arguments[name] for name in ("x", "y")}
    with pytest.raises(AssertionError, match="the struct of arguments or the block"):
        harness.run(Launch(launch.source, "good", launch.grid, 64, short))


def test_shared_memory_is_shared_across_a_barrier_and_starts_as_nan(harness):
    found = harness.run(copy("turns_round", 64, grid=(1, 1, 1)))["y"]
    np.testing.assert_array_equal(found, np.arange(64)[::-1])
    assert np.isnan(harness.run(copy("reads_what_none_wrote", 64, grid=(1, 1, 1)))["y"]).all()


def test_a_warp_adds_up_its_own_32_values(harness):
    found = harness.run(copy("adds_up", 64, grid=(1, 1, 1)))["y"].reshape(2, 16, 2)
    np.testing.assert_array_equal(found[:, :, 0], np.repeat([[31], [63]], 16, 1))
    sums = [sum(range(32)), sum(range(32, 64))]
    np.testing.assert_array_equal(found[:, :, 1], np.repeat([[sums[0]], [sums[1]]], 16, 1))


def test_every_block_of_a_grid_runs(harness):
    found = harness.run(copy("counts_blocks", 3 * 2 * 4, grid=(3, 2, 4)))["y"].reshape(4, 2, 3)
    expected = [[[z * 100 + y * 10 + x for x in range(3)] for y in range(2)] for z in range(4)]
    np.testing.assert_array_equal(found, expected)


def test_every_half_widens_as_numpy_widens_it(harness):
    x = np.arange(65536, dtype=np.uint16).view(np.float16)
    writes = Writes(x.shape, np.dtype(np.float32))
    launch = Launch("harness.cu", "widens", (1024, 1, 1), 64, {"x": Reads(x), "y": writes})
    found = harness._run(launch, backwards=False)["y"]
    np.testing.assert_array_equal(found, x.astype(np.float32))


def test_rounding_to_half_is_numpy_s_at_every_boundary(harness):
    halves = np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float32)
    middles = (halves[1:] + halves[:-1]) / 2  # ties, and what lies beside them
    x = np.concatenate([halves, middles, np.nextafter(middles, 0), np.nextafter(middles, 9e4)])
    odd = np.array([65519.9, 65520, 7e4, 3e38, np.inf, np.nan, 1e-40], np.float32)
    x = np.concatenate([x, -x, odd, -odd]).astype(np.float32)
    x = np.concatenate([x, np.zeros(-len(x) % 64, np.float32)])
    arguments = {
        "x": Reads(x), "low": Writes(x.shape, np.dtype(np.float16)),
        "back": Writes(x.shape, np.dtype(np.float32)),
    }  # fmt: skip
    launch = Launch("harness.cu", "rounds", (len(x) // 64, 1, 1), 64, arguments)
    found = harness._run(launch, backwards=False)
    with np.errstate(over="ignore"):
        wanted = x.astype(np.float16)
    np.testing.assert_array_equal(found["low"], wanted)
    np.testing.assert_array_equal(found["back"], wanted.astype(np.float32))


def test_a_launch_knows_the_bytes_it_has_to_move():
    x = np.zeros((4, 3), np.float16)
    launch = Launch(
        "harness.cu", "good", (1, 1, 1), 32,
        {"x": Reads(x), "y": Writes((5,), np.dtype(np.float32)), "z": Writes.over(x)},
    )  # fmt: skip
    assert launch.unique_bytes == 24 + 20 + 2 * 24


@pytest.mark.parametrize(
    ("grid", "threads"), [((0, 1, 1), 32), ((1, 70000, 1), 32), ((1, 1, 1), 33), ((1, 1, 1), 2048)]
)
def test_a_launch_that_cuda_would_refuse_is_refused(grid, threads):
    with pytest.raises(UsageError, match="launch of k"):
        Launch("k.cu", "k", grid, threads, {})


def test_an_array_that_is_not_contiguous_is_refused():
    x = np.zeros((4, 4), np.float32)[:, ::2]
    for argument in (Reads(x), Writes.over(x)):
        with pytest.raises(UsageError, match="C-contiguous"):
            Launch("k.cu", "k", (1, 1, 1), 32, {"x": argument})
