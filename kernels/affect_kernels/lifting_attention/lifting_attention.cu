// Lifting steps by attention, IFDD's update and predict: band +- project(attention(Q, K, V) + V).
//
// Launch: 1-D, 128 threads; blocks take tiles in turn, so any number of blocks will do. A step has
// three phases, each of which needs all of the one before: project (tiles of 32 tokens by 64 columns
// of Q, K, V; float: 32), attend (64 queries of a head; float: 32), add (32 by 64 again).
// A launch does the phases `first` to `last`: one at a time, or all with a barrier of the whole grid
// between them, for which no more blocks may be launched than the card holds at once: a block that
// waits for one that cannot begin waits forever.
// Bytes: weights once (4.7 MB in half at 768 channels), both bands, Q, K, V and what was attended to,
// written once and read again from the second cache (0.3 MB each at 196 tokens), the band that changes
// once more.
// Why it is fast: with few tokens such a step is launches and waiting, not work: 0.5 GMAC. A library
// takes about a dozen launches. Here biases, both inputs' projections, heads taken apart and put
// together, logits, softmax, the own place's value, and the sum with the band are parts of one.
// Products are tensor cores' (half, summed in float) over tiles of 96 channels, of which the next is on
// its way in registers while one is worked on; tiles are small so that 196 tokens make 252 of them.
// The float form has no tensor cores: it is for checking, not for speed.
// Limits: heads of 96 channels.
#include "device.cuh"
#include "flash.cuh"

namespace affect {

static const int kThreads = 128;
static const int kMemory = 2496;  // 16-byte units of shared memory: what the largest phase needs

template <class T>
struct Lifting {
  In<T> band, other;                // (samples, tokens, channels): what changes, what is looked at
  In<T> query, query_bias;          // (channels, channels), (channels,)
  In<T> key_value, key_value_bias;  // (2 channels, channels), (2 channels,)
  In<T> project, project_bias;      // (channels, channels), (channels,)
  Out<T> q, kv, mixed, out;         // as band, kv with 2 channels; a phase fills its own
  Out<unsigned int> arrived;        // (2,) zeros at first, where more than one phase is done
  int samples, tokens, heads;
  int first, last;  // phases
  float sign;

  AFFECT_D int rows() const { return samples * tokens; }
  AFFECT_D int channels() const { return heads * kChannels; }
};

AFFECT_D int tiles_of(int items, int each) { return (items + each - 1) / each; }

static const unsigned int kFlip = 0x80000000u;

// Wait until all blocks have come, and see all that they wrote. What blocks add together turns the
// counter's highest bit over and leaves the others zero, so the next launch needs no zeros.
AFFECT_D void grid_sync(const Out<unsigned int>& arrived, int which) {
  sync();
#ifdef __CUDACC__
  if (thread() == 0) {
    unsigned int* const count = arrived.data + which;
    __threadfence();
    const unsigned int own = block_x() == 0 ? kFlip - (gridDim.x - 1) : 1u;
    const unsigned int before = atomicAdd(count, own);
    unsigned int now;
    do {
      asm volatile("ld.acquire.gpu.u32 %0, [%1];" : "=r"(now) : "l"(count) : "memory");
    } while (((before ^ now) & kFlip) == 0);
    __threadfence();
  }
#else
  if (grid_x() != 1) ++here()->strays;  // blocks run one after the other here: none can wait
  if (thread() == 0) arrived.put(which, arrived.again().get(which) + kFlip);
#endif
  sync();
}

// ------------------------------------------------------------------------------------------- half

static const int kTileRows = 32;
static const int kTileColumns = 64;
static const int kStride = kChannels + 8;  // of a tile's rows in shared memory
static const int kRowUnits = kChannels / 8;

// A tile of rows * weights^T. `left` is (rows, depth), `weights` (columns, depth), depth a multiple of
// 96. `take(row, column, two)` gets pairs of neighbouring columns. Four warps: two by two.
template <class Take>
AFFECT_D void product(Unit* memory, const In<half>& left, const In<half>& weights, int first_row,
                      int rows, int first_column, int columns, int depth, const Take& take) {
  Unit* const left_units = memory;
  Unit* const weight_units = memory + 2 * kTileRows * kStride / 8;
  constexpr int kLeftRounds = kTileRows * kRowUnits / kThreads;
  constexpr int kWeightRounds = kTileColumns * kRowUnits / kThreads;
  Unit fetched[kLeftRounds + kWeightRounds];
  const auto fetch = [&](int step) {
    AFFECT_UNROLL
    for (int i = 0; i < kLeftRounds + kWeightRounds; ++i) {
      const bool of_left = i < kLeftRounds;
      const int unit = (of_left ? i : i - kLeftRounds) * kThreads + thread();
      const int row = (of_left ? first_row : first_column) + unit / kRowUnits;
      const Index at = static_cast<Index>(row) * depth + step * kChannels + unit % kRowUnits * 8;
      fetched[i] = Unit();
      if (of_left && row < rows) left.load(at, fetched[i]);
      if (!of_left && row < columns) weights.load(at, fetched[i]);
    }
  };
  const auto put = [&](int step) {
    AFFECT_UNROLL
    for (int i = 0; i < kLeftRounds + kWeightRounds; ++i) {
      const bool of_left = i < kLeftRounds;
      const int unit = (of_left ? i : i - kLeftRounds) * kThreads + thread();
      const int row = step % 2 * (of_left ? kTileRows : kTileColumns) + unit / kRowUnits;
      (of_left ? left_units : weight_units)[row * (kStride / 8) + unit % kRowUnits] = fetched[i];
    }
  };
  const int warp = thread() / 32, warp_row = warp % 2 * 16, warp_column = warp / 2 * 32;
  const half* const own_left = left_units[0].items + warp_row * kStride + left_row(kStride);
  const half* const own_weights =
      weight_units[0].items + warp_column * kStride + right_row(kStride);
  Sum sums[4] = {};
  const int steps = depth / kChannels;
  fetch(0);
  put(0);
  sync();
  AFFECT_NO_UNROLL
  for (int step = 0; step < steps; ++step) {
    if (step + 1 < steps) fetch(step + 1);
    AFFECT_UNROLL
    for (int s = 0; s < kSteps; ++s) {
      Left rows_of_left;
      load_matrices(rows_of_left.words, own_left + step % 2 * kTileRows * kStride + s * 16);
      AFFECT_UNROLL
      for (int n = 0; n < 2; ++n) {
        Word words[4];
        load_matrices(words, own_weights + (step % 2 * kTileColumns + n * 16) * kStride + s * 16);
        multiply(sums[2 * n], rows_of_left, Right{{words[0], words[1]}});
        multiply(sums[2 * n + 1], rows_of_left, Right{{words[2], words[3]}});
      }
    }
    if (step + 1 < steps) put(step + 1);
    sync();
  }
  AFFECT_UNROLL
  for (int n = 0; n < 4; ++n) {
    AFFECT_UNROLL
    for (int r = 0; r < 2; ++r) {
      const int row = token_of(first_row + warp_row, r);
      const int column = first_column + warp_column + n * 8 + thread() % 4 * 2;
      const float two[2] = {sums[n].items[2 * r], sums[n].items[2 * r + 1]};
      if (row < rows && column < columns) take(row, column, two);
    }
  }
}

static const int kHalfQueries = kWarpQueries * kThreads / 32;

// A tile of the queries of a head, heads counted over all samples.
AFFECT_D void attend(Unit* memory, const Lifting<half>& a, int heads_before, int tile_of_queries) {
  Unit* const key_units = memory;
  Unit* const value_units = memory + 2 * kKeys * kValueStride / 8;
  constexpr int kRounds = kKeys * kRowUnits / kThreads;
  const In<half> q = a.q.again(), kv = a.kv.again();
  const int channels = a.channels(), head = heads_before % a.heads, p = thread() % 4;
  const Index sample = heads_before / a.heads * static_cast<Index>(a.tokens);  // its first token
  const int first = tile_of_queries * kHalfQueries + thread() / 32 * kWarpQueries;
  Left left[kSteps];
  AFFECT_UNROLL
  for (int s = 0; s < kSteps; ++s) {
    AFFECT_UNROLL
    for (int i = 0; i < 4; ++i) {
      const int token = token_of(first, i % 2);
      const Index at = (sample + token) * channels + head * kChannels + 16 * s + 8 * (i / 2) + 2 * p;
      left[s].words[i] = token < a.tokens ? load_two(q, at) : 0;
    }
  }
  Unit fetched[2][kRounds];
  const auto fetch = [&](int tile) {
    AFFECT_UNROLL
    for (int i = 0; i < kRounds; ++i) {
      const int unit = i * kThreads + thread();
      const int key = tile * kKeys + unit / kRowUnits;
      fetched[0][i] = fetched[1][i] = Unit();
      if (key < a.tokens) {
        const Index at = (sample + key) * 2 * channels + head * kChannels + unit % kRowUnits * 8;
        kv.load(at, fetched[0][i]);
        kv.load(at + channels, fetched[1][i]);
      }
    }
  };
  const auto put = [&](int tile) {
    AFFECT_UNROLL
    for (int i = 0; i < kRounds; ++i) {
      const int unit = i * kThreads + thread();
      const int at = (tile % 2 * kKeys + unit / kRowUnits) * (kValueStride / 8) + unit % kRowUnits;
      key_units[at] = fetched[0][i];
      value_units[at] = fetched[1][i];
    }
  };
  Running running = begin();
  const int tiles = (a.tokens + kKeys - 1) / kKeys;
  fetch(0);
  put(0);
  sync();
  AFFECT_NO_UNROLL
  for (int tile = 0; tile < tiles; ++tile) {
    if (tile + 1 < tiles) fetch(tile + 1);
    const int begins = tile % 2 * kKeys * kValueStride;
    running.attend(left, key_units[0].items + begins, kValueStride, value_units[0].items + begins,
                   a.tokens - tile * kKeys);
    if (tile + 1 < tiles) put(tile + 1);
    sync();
  }
  AFFECT_UNROLL
  for (int r = 0; r < 2; ++r) {
    const float share = running.share(r);
    const int token = token_of(first, r);
    if (token >= a.tokens) continue;
    const int column = head * kChannels + 2 * p;
    AFFECT_UNROLL
    for (int n = 0; n < kChannels / 8; ++n) {
      float own[2];  // the value of the same place
      kv.load((sample + token) * 2 * channels + channels + column + n * 8, own);
      const float two[2] = {running.out[n].items[2 * r] * share + own[0],
                            running.out[n].items[2 * r + 1] * share + own[1]};
      a.mixed.store((sample + token) * channels + column + n * 8, two);
    }
  }
}

// ------------------------------------------------------------------------------------------ float

static const int kFloatColumns = 32;
static const int kDepth = 32;

template <class Take>
AFFECT_D void product(Unit* memory, const In<float>& left, const In<float>& weights, int first_row,
                      int rows, int first_column, int columns, int depth, const Take& take) {
  float* const left_tile = reinterpret_cast<float*>(memory);
  float* const weight_tile = left_tile + kTileRows * (kDepth + 1);
  constexpr int kEach = kTileRows * kFloatColumns / kThreads;  // rows of a thread, in one column
  const int column = thread() % kFloatColumns, first = thread() / kFloatColumns * kEach;
  float sums[kEach] = {};
  for (int begins = 0; begins < depth; begins += kDepth) {
    sync();
    AFFECT_NO_UNROLL
    for (int i = thread(); i < kTileRows * kDepth; i += kThreads) {
      const int row = i / kDepth, k = i % kDepth;  // as many columns as rows
      const Index at = begins + k;
      left_tile[row * (kDepth + 1) + k] =
          first_row + row < rows ? left.load(static_cast<Index>(first_row + row) * depth + at) : 0.0f;
      weight_tile[row * (kDepth + 1) + k] =
          first_column + row < columns
              ? weights.load(static_cast<Index>(first_column + row) * depth + at) : 0.0f;
    }
    sync();
    AFFECT_NO_UNROLL
    for (int eight = 0; eight < kDepth; eight += 8) {  // short sums lose less
      float parts[kEach] = {};
      AFFECT_UNROLL
      for (int k = eight; k < eight + 8; ++k) {
        const float weight = weight_tile[column * (kDepth + 1) + k];
        AFFECT_UNROLL
        for (int i = 0; i < kEach; ++i)
          parts[i] += left_tile[(first + i) * (kDepth + 1) + k] * weight;
      }
      AFFECT_UNROLL
      for (int i = 0; i < kEach; ++i) sums[i] += parts[i];
    }
  }
  AFFECT_UNROLL
  for (int i = 0; i < kEach; ++i) {
    const float one[1] = {sums[i]};
    if (first_row + first + i < rows && first_column + column < columns)
      take(first_row + first + i, first_column + column, one);
  }
}

static const int kFloatQueries = kThreads / 4;

AFFECT_D void attend(Unit* memory, const Lifting<float>& a, int heads_before, int tile_of_queries) {
  Quad* const keys = reinterpret_cast<Quad*>(memory);
  Quad* const values = keys + kKeys * kQuads * 4;
  const In<float> from = a.q.again(), kv = a.kv.again();
  const int channels = a.channels(), head = heads_before % a.heads;
  const Index sample = heads_before / a.heads * static_cast<Index>(a.tokens);
  const int token = tile_of_queries * kFloatQueries + thread() / 4;
  const int held = smaller(token, a.tokens - 1);  // threads beyond the end follow the last query
  Quad q[kQuads];
  load_row(from, (sample + held) * channels + head * kChannels, q);
  FloatRunning running = {{}, kLeast, 0.0f};
  for (int first = 0; first < a.tokens; first += kKeys) {
    const int count = smaller(kKeys, a.tokens - first);
    sync();
    AFFECT_NO_UNROLL
    for (int i = thread(); i < count * kQuads * 4; i += kThreads) {
      const Index at = (sample + first + i / (kQuads * 4)) * 2 * channels + head * kChannels;
      kv.load(at + i % (kQuads * 4) * 4, keys[i]);
      kv.load(at + channels + i % (kQuads * 4) * 4, values[i]);
    }
    sync();
    AFFECT_NO_UNROLL
    for (int j = 0; j < count; ++j)
      running.take(dot(q, keys + j * kQuads * 4) * kScale, values + j * kQuads * 4);
  }
  if (token >= a.tokens) return;  // the next tile begins with a barrier
  Quad own[kQuads];
  load_row(kv, (sample + token) * 2 * channels + channels + head * kChannels, own);
  const Index to = (sample + token) * channels + head * kChannels + thread() % 4 * 4;
  AFFECT_UNROLL
  for (int i = 0; i < kQuads; ++i) {
    AFFECT_UNROLL
    for (int c = 0; c < 4; ++c) own[i].items[c] += running.out[i].items[c] / running.total;
    a.mixed.store(to + 16 * i, own[i].items);
  }
}

// ------------------------------------------------------------------------------------------- both

AFFECT_D int columns_of(const In<half>&) { return kTileColumns; }
AFFECT_D int columns_of(const In<float>&) { return kFloatColumns; }
AFFECT_D int queries_of(const In<half>&) { return kHalfQueries; }
AFFECT_D int queries_of(const In<float>&) { return kFloatQueries; }

template <class T, int N>
AFFECT_D void add_bias(const In<T>& bias, int column, const float (&x)[N], float (&sum)[N]) {
  bias.load(column, sum);
  AFFECT_UNROLL
  for (int i = 0; i < N; ++i) sum[i] += x[i];
}

// Neighbouring columns, with their bias, into a matrix (rows, columns).
template <class T>
struct Put {
  In<T> bias;
  Out<T> to;
  int columns;

  template <int N>
  AFFECT_D void operator()(int row, int column, const float (&x)[N]) const {
    float sum[N];
    add_bias(bias, column, x, sum);
    to.store(static_cast<Index>(row) * columns + column, sum);
  }
};

// The same times a sign, added to a band.
template <class T>
struct PutSum {
  In<T> bias, band;
  Out<T> to;
  int columns;
  float sign;

  template <int N>
  AFFECT_D void operator()(int row, int column, const float (&x)[N]) const {
    const Index at = static_cast<Index>(row) * columns + column;
    float sum[N], before[N];
    add_bias(bias, column, x, sum);
    band.load(at, before);
    AFFECT_UNROLL
    for (int i = 0; i < N; ++i) sum[i] = before[i] + sign * sum[i];
    to.store(at, sum);
  }
};

// Tiles that are neighbours share weights.
template <class T>
AFFECT_D void project(Unit* memory, const Lifting<T>& a) {
  const int width = columns_of(a.band), high = tiles_of(a.rows(), kTileRows);
  const int wide = tiles_of(a.channels(), width);  // of queries
  const int all = (wide + tiles_of(2 * a.channels(), width)) * high;
  AFFECT_NO_UNROLL
  for (int tile = block_x(); tile < all; tile += grid_x()) {
    const int row = tile % high * kTileRows, column = tile / high;
    const bool queries = column < wide;
    const int columns = queries ? a.channels() : 2 * a.channels();
    const Put<T> put = {queries ? a.query_bias : a.key_value_bias, queries ? a.q : a.kv, columns};
    product(memory, queries ? a.band : a.other, queries ? a.query : a.key_value, row, a.rows(),
            (queries ? column : column - wide) * width, columns, a.channels(), put);
  }
}

template <class T>
AFFECT_D void mix(Unit* memory, const Lifting<T>& a) {
  const int each = tiles_of(a.tokens, queries_of(a.band));
  AFFECT_NO_UNROLL
  for (int tile = block_x(); tile < a.samples * a.heads * each; tile += grid_x())
    attend(memory, a, tile / each, tile % each);
}

template <class T>
AFFECT_D void add(Unit* memory, const Lifting<T>& a) {
  const int width = columns_of(a.band), high = tiles_of(a.rows(), kTileRows);
  const PutSum<T> put = {a.project_bias, a.band, a.out, a.channels(), a.sign};
  AFFECT_NO_UNROLL
  for (int tile = block_x(); tile < tiles_of(a.channels(), width) * high; tile += grid_x())
    product(memory, a.mixed.again(), a.project, tile % high * kTileRows, a.rows(),
            tile / high * width, a.channels(), a.channels(), put);
}

template <class T>
AFFECT_D void lift(const Lifting<T>& a) {
  AFFECT_SHARED(Unit, memory, kMemory);
  if (a.first == 0) project(memory, a);
  if (a.first == 0 && a.last > 0) grid_sync(a.arrived, 0);
  if (a.first <= 1 && a.last >= 1) mix(memory, a);
  if (a.first <= 1 && a.last == 2) grid_sync(a.arrived, a.first == 0 ? 1 : 0);
  if (a.last == 2) add(memory, a);
}

}  // namespace affect

using namespace affect;

AFFECT_KERNEL(lifting_attention_f16, Lifting<half>, kThreads) { lift(a); }
AFFECT_KERNEL(lifting_attention_f32, Lifting<float>, kThreads) { lift(a); }
