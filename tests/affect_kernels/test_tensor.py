"""The scalar twin of a tensor core's step: it must put every number where the hardware does."""

import numpy as np
import pytest

from affect_kernels import _launch
from affect_kernels._launch import Launch, Reads, Writes

TEXT = """
#include "device.cuh"
#include "tensor.cuh"
using namespace affect;
struct Product { In<half> left, right; Out<float> sum; };
// From arrays, at the places that the instruction's documentation gives.
AFFECT_KERNEL(by_index, Product, 32) {
  const int g = thread() / 4, p = thread() % 4;
  Left left;
  Right right;
  for (int i = 0; i < 4; ++i) {
    const int at = (g + i % 2 * 8) * 16 + 2 * p + i / 2 * 8;
    left.words[i] = pack(a.left.get(at), a.left.get(at + 1));
  }
  for (int i = 0; i < 2; ++i) {
    const int row = 2 * p + 8 * i;
    right.words[i] = pack(a.right.get(row * 8 + g), a.right.get((row + 1) * 8 + g));
  }
  Sum sum = {{1.0f, 1.0f, 1.0f, 1.0f}};
  multiply(sum, left, right);
  for (int i = 0; i < 4; ++i) a.sum.store((g + i / 2 * 8) * 8 + 2 * p + i % 2, sum.items[i]);
}
// From shared memory, two products of 16 x 16 by 16 x 8 side by side.
template <bool kTurned>
AFFECT_D void from_shared(const Product& a) {
  AFFECT_SHARED(Unit, left_units, 16 * 3);
  AFFECT_SHARED(Unit, right_units, 16 * 3);
  half* const left_half = left_units[0].items;
  half* const right_half = right_units[0].items;
  for (int i = thread(); i < 256; i += 32) {
    left_half[i / 16 * 24 + i % 16] = a.left.get(i);
    right_half[i / 16 * 24 + i % 16] = a.right.get(i);
  }
  sync();
  Left left;
  Word words[4];
  load_matrices(left.words, left_half + left_row(24));
  if (kTurned) load_turned(words, right_half + turned_row(24));
  else load_matrices(words, right_half + right_row(24));
  for (int n = 0; n < 2; ++n) {
    Sum sum = {{0.0f, 0.0f, 0.0f, 0.0f}};
    multiply(sum, left, Right{{words[2 * n], words[2 * n + 1]}});
    for (int i = 0; i < 4; ++i) {
      const int row = thread() / 4 + i / 2 * 8, column = n * 8 + thread() % 4 * 2 + i % 2;
      a.sum.store(row * 16 + column, sum.items[i]);
    }
  }
}
AFFECT_KERNEL(of_rows, Product, 32) { from_shared<true>(a); }
AFFECT_KERNEL(of_columns, Product, 32) { from_shared<false>(a); }
AFFECT_KERNEL(is_not_aligned, Product, 32) {
  AFFECT_SHARED(Unit, units, 32);
  Word words[4];
  load_matrices(words, units[0].items + 1);
  for (int i = thread(); i < 256; i += 32) a.sum.store(i, 0.0f);
}
"""


@pytest.fixture(scope="module")
def tensor(host):
    headers = {name: _launch.read_source(name) for name in ("device.cuh", "tensor.cuh")}
    host.add("tensor.cu", TEXT, headers)
    return host


def product(entry, left, right, columns):
    writes = Writes((16, columns), np.dtype(np.float32))
    arguments = {"left": Reads(left), "right": Reads(right), "sum": writes}
    return Launch("tensor.cu", entry, (1, 1, 1), 32, arguments)


def matrices(columns):
    rng = np.random.default_rng(columns)
    # Whole numbers, so that halves and their sums are exact.
    return rng.integers(-9, 10, (16, 16)).astype(np.float16), rng.integers(
        -9, 10, (16, columns)
    ).astype(np.float16)


def test_a_product_takes_and_gives_each_number_at_its_documented_place(tensor):
    left, right = matrices(8)
    found = tensor.run(product("by_index", left, right, 8))["sum"]
    np.testing.assert_array_equal(found, left.astype(np.float32) @ right + 1)


def test_matrices_come_from_shared_memory_as_they_lie_and_turned_over(tensor):
    left, right = matrices(16)
    wide = left.astype(np.float32)
    found = tensor.run(product("of_rows", left, right, 16))["sum"]
    np.testing.assert_array_equal(found, wide @ right)
    found = tensor.run(product("of_columns", left, right, 16))["sum"]
    np.testing.assert_array_equal(found, wide @ right.T)


def test_a_row_that_does_not_begin_at_16_bytes_is_found(tensor):
    with pytest.raises(AssertionError, match="out of bounds"):
        tensor.run(product("is_not_aligned", *matrices(16), 16))
