// Attention over tiles of keys, 96 channels a head, without logits in memory.
//
// A running maximum and sum stand in for a second pass over the keys (online softmax: Milakov and
// Gimelshein, 2018; Dao et al., FlashAttention, 2022). In half by tensor cores, 16 queries a warp; in
// float by scalars, four threads a query.
#ifndef AFFECT_FLASH_CUH
#define AFFECT_FLASH_CUH

#include "device.cuh"
#include "tensor.cuh"

namespace affect {

static const int kChannels = 96;
static const int kKeys = 32;  // a tile
static const int kSteps = kChannels / 16;
static const int kWarpQueries = 16;
static const int kValueStride = kChannels + 8;  // of a tile's rows, in halves

static const float kScale = 0.10206207261596577f;  // 96^-1/2
static const float kRoot = 9.797958971132712f;
static const float kLog2E = 1.4426950408889634f;
static const float kLeast = -3e38f;

// ------------------------------------------------------------------------------------------- half

// The two rows of a warp's 16 that a thread has shares of, as tokens.
AFFECT_D int token_of(int first, int which) { return first + thread() % 32 / 4 + 8 * which; }

AFFECT_D Word load_two(const In<half>& from, Index at) {
  Pack<half, 2> two;
  from.load(at, two);
  return pack(two.items[0], two.items[1]);
}

// What a warp's 16 queries have come to: shares times values, greatest logit (before its scale) and
// sum of shares, of two rows a thread: items 0 and 1, items 2 and 3.
struct Running {
  Sum out[kChannels / 8];
  float most[2], total[2];

  // Attend to a tile. `left`: the queries, N * 16 channels of keys `key_stride` halves apart in shared
  // memory; `count`: keys that there still are, from this tile on.
  template <int N>
  AFFECT_D void attend(const Left (&left)[N], const half* keys, int key_stride, const half* values,
                       int count) {
    keys += right_row(key_stride);
    Sum logits[kKeys / 8] = {};
    AFFECT_UNROLL
    for (int n = 0; n < kKeys / 16; ++n) {
      AFFECT_UNROLL
      for (int s = 0; s < N; ++s) {
        Word words[4];
        load_matrices(words, keys + n * 16 * key_stride + s * 16);
        multiply(logits[2 * n], left[s], Right{{words[0], words[1]}});
        multiply(logits[2 * n + 1], left[s], Right{{words[2], words[3]}});
      }
    }
    if (count < kKeys) {  // none beyond the last key
      AFFECT_UNROLL
      for (int n = 0; n < kKeys / 8; ++n) {
        AFFECT_UNROLL
        for (int i = 0; i < 4; ++i)
          if (n * 8 + thread() % 4 * 2 + i % 2 >= count) logits[n].items[i] = kLeast;
      }
    }
    float shrink[2];
    AFFECT_UNROLL
    for (int r = 0; r < 2; ++r) {
      float peak = most[r];
      AFFECT_UNROLL
      for (int n = 0; n < kKeys / 8; ++n)
        peak = larger(peak, larger(logits[n].items[2 * r], logits[n].items[2 * r + 1]));
      peak = larger(peak, shuffle_xor(peak, 1));
      peak = larger(peak, shuffle_xor(peak, 2));
      shrink[r] = power_of_two((most[r] - peak) * (kScale * kLog2E));
      most[r] = peak;
      const float offset = peak * (kScale * kLog2E);
      float sum = 0.0f;
      AFFECT_UNROLL
      for (int n = 0; n < kKeys / 8; ++n) {
        AFFECT_UNROLL
        for (int i = 2 * r; i < 2 * r + 2; ++i) {
          logits[n].items[i] = power_of_two(logits[n].items[i] * (kScale * kLog2E) - offset);
          sum += logits[n].items[i];
        }
      }
      total[r] = total[r] * shrink[r] + sum;
    }
    if (shrink[0] != 1.0f || shrink[1] != 1.0f) {  // seldom, after the first tiles
      AFFECT_UNROLL
      for (int n = 0; n < kChannels / 8; ++n) {
        AFFECT_UNROLL
        for (int i = 0; i < 4; ++i) out[n].items[i] *= shrink[i / 2];
      }
    }
    values += turned_row(kValueStride);
    AFFECT_UNROLL
    for (int k = 0; k < kKeys / 16; ++k) {
      const float* one = logits[2 * k].items;
      const float* other = logits[2 * k + 1].items;
      const Left shares = {{pack(one[0], one[1]), pack(one[2], one[3]), pack(other[0], other[1]),
                            pack(other[2], other[3])}};
      AFFECT_UNROLL
      for (int n = 0; n < kChannels / 16; ++n) {
        Word words[4];
        load_turned(words, values + k * 16 * kValueStride + n * 16);
        multiply(out[2 * n], shares, Right{{words[0], words[1]}});
        multiply(out[2 * n + 1], shares, Right{{words[2], words[3]}});
      }
    }
  }

  // What row r's `out` is multiplied with at the end.
  AFFECT_D float share(int r) const {
    float sum = total[r];
    sum += shuffle_xor(sum, 1);
    sum += shuffle_xor(sum, 2);
    return 1.0f / sum;
  }
};

AFFECT_D Running begin() { return {{}, {kLeast, kLeast}, {0.0f, 0.0f}}; }

// ------------------------------------------------------------------------------------------ float

static const int kQuads = kChannels / 16;  // thread l of four has channels 16 i + 4 l to + 3
typedef Pack<float, 4> Quad;

// Load a row of channels that begins at an index.
AFFECT_D void load_row(const In<float>& from, Index at, Quad (&to)[kQuads]) {
  AFFECT_UNROLL
  for (int i = 0; i < kQuads; ++i) from.load(at + 16 * i + thread() % 4 * 4, to[i]);
}

AFFECT_D float dot(const Quad (&x)[kQuads], const Quad* row, int apart, int first) {
  float sum = 0.0f;
  AFFECT_UNROLL
  for (int i = 0; i < kQuads; ++i) {
    AFFECT_UNROLL
    for (int c = 0; c < 4; ++c) sum += x[i].items[c] * row[i * apart + first].items[c];
  }
  sum += shuffle_xor(sum, 1);
  return sum + shuffle_xor(sum, 2);
}

// With a row of shared memory, and with one in registers.
AFFECT_D float dot(const Quad (&x)[kQuads], const Quad* row) {
  return dot(x, row, 4, thread() % 4);
}
AFFECT_D float dot_own(const Quad (&x)[kQuads], const Quad (&row)[kQuads]) {
  return dot(x, row, 1, 0);
}

struct FloatRunning {
  Quad out[kQuads];
  float most, total;

  // Take one key's logit and its value, a row of shared memory.
  AFFECT_D void take(float logit, const Quad* value) {
    const float peak = larger(most, logit);
    const float shrink = power_of_two((most - peak) * kLog2E);
    const float share = power_of_two((logit - peak) * kLog2E);
    most = peak;
    total = total * shrink + share;
    AFFECT_UNROLL
    for (int i = 0; i < kQuads; ++i) {
      const Quad own = value[4 * i + thread() % 4];
      AFFECT_UNROLL
      for (int c = 0; c < 4; ++c)
        out[i].items[c] = out[i].items[c] * shrink + share * own.items[c];
    }
  }
};

}  // namespace affect

#endif
