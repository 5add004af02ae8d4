// Attention over pooled tokens with decomposed relative positions and the query shortcut (MViTv2).
//
// Launch: x: tiles of queries, y: samples x heads; 128 threads. half: 64 queries a block, 16 a warp;
// float: 32 queries a block, four threads each.
// Bytes: queries, keys, values, tables once and the output once: for the published IFDD 46 MB in half
// instead of 0.7 to 1.0 GB with logits. Keys and values are read again by each block of a head, from
// the second cache.
// Why it is fast: no logit leaves the registers. Keys come in tiles of 32; a running maximum and sum
// (online softmax) take the place of a second pass. The next tile is on its way in registers while
// tensor cores work on this one, with one barrier a tile.
// Relative positions cost no load and no addition a logit: a query is lengthened by its products with
// the places of the keys' grid (8 + 14 + 14 at most; also computed by tensor cores, against the table
// rows in reach), a key by a one at each of its own three, and the same product adds them.
// Rows of shared memory are an odd number of 16-byte units apart, so that loads of matrices meet no
// bank twice. The output has a token's heads side by side, as the next layer reads it.
// Limits: 96 channels; places in t, h and w 48 at most together; products with places, times the root
// of 96, within half's range. The float form has no tensor cores: it is for checking, not for speed.
#include "device.cuh"
#include "flash.cuh"

namespace affect {

static const int kThreads = 128;
static const int kMostPlaces = 48;

template <class T>
struct Attention {
  In<T> q, k, v;                       // (samples, heads, tokens, 96)
  In<T> table_t, table_h, table_w;     // (2 * max(queries, keys) - 1, 96)
  Out<T> out;                          // (samples, queries, heads, 96)
  int heads, queries, keys;            // tokens, with the class token
  int q_t, q_h, q_w, k_t, k_h, k_w;    // the grids
};

// One axis of both grids. A query at i and a key at j meet in row i * step_q + (keys - 1 - j) * step_k.
struct Axis {
  int keys, step_q, step_k, rows;
};

AFFECT_D Axis axis_of(int queries, int keys) {
  return {keys, larger(keys / queries, 1), larger(queries / keys, 1),
          2 * larger(queries, keys) - 1};
}

// The place of a patch token on the three axes.
struct Place {
  int t, h, w;
};

AFFECT_D Place place_of(int token, int h, int w) {
  const int patch = token - 1, line = patch / w;
  return {line / h, line % h, patch % w};
}

// ------------------------------------------------------------------------------------------- half

static const int kBlockQueries = kWarpQueries * kThreads / 32;
static const int kRounds = kKeys * kChannels / 8 / kThreads;  // accesses of a thread a tile

// Products of a warp's queries with the table rows `low` to `high` of an axis, put at the keys' places.
template <int N>
AFFECT_D void meet(const Left (&q)[N], const In<half>& table, const Axis& axis, int low,
                   int high, const int (&places)[2], half* near, int stride) {
  const int g = thread() % 32 / 4, p = thread() % 4;
  AFFECT_NO_UNROLL
  for (int first = low; first <= high; first += 8) {
    const int row = first + g;
    Sum sum = {{0.0f, 0.0f, 0.0f, 0.0f}};
    AFFECT_UNROLL
    for (int s = 0; s < kSteps; ++s) {
      Right right = {{0, 0}};
      if (row < axis.rows) {
        const Index at = static_cast<Index>(row) * kChannels + 16 * s + 2 * p;
        right.words[0] = load_two(table, at);
        right.words[1] = load_two(table, at + 8);
      }
      multiply(sum, q[s], right);
    }
    AFFECT_UNROLL
    for (int i = 0; i < 4; ++i) {
      const int query = places[i / 2];
      const int away = first + 2 * p + i % 2 - query * axis.step_q;
      if (query >= 0 && away >= 0 && away % axis.step_k == 0 && away / axis.step_k < axis.keys)
        assign(near[(g + i / 2 * 8) * stride + axis.keys - 1 - away / axis.step_k],
               sum.items[i] * kRoot);
    }
  }
}

// kPlaces: 32 or 48, room for the places of the keys' grid.
template <int kPlaces>
AFFECT_D void attend_half(const Attention<half>& a) {
  constexpr int kKeyStride = kChannels + kPlaces + 8, kNearStride = kPlaces + 8;
  constexpr int kAll = kSteps + kPlaces / 16;
  AFFECT_SHARED(Unit, key_units, 2 * kKeys * kKeyStride / 8);
  AFFECT_SHARED(Unit, value_units, 2 * kKeys * kValueStride / 8);
  AFFECT_SHARED(Unit, near_units, kBlockQueries * kNearStride / 8);
  half* const keys = key_units[0].items;
  half* const values = value_units[0].items;
  const int warp = thread() / 32, p = thread() % 4;
  const int first = block_x() * kBlockQueries + warp * kWarpQueries;
  const Index head = block_y();
  half* const near = near_units[0].items + warp * kWarpQueries * kNearStride;

  // A warp's queries: 16 rows, zero beyond the end.
  Left left[kAll];
  AFFECT_UNROLL
  for (int s = 0; s < kSteps; ++s) {
    AFFECT_UNROLL
    for (int i = 0; i < 4; ++i) {
      const int token = token_of(first, i % 2);
      const Index at = (head * a.queries + token) * kChannels + 16 * s + 8 * (i / 2) + 2 * p;
      left[s].words[i] = token < a.queries ? load_two(a.q, at) : 0;
    }
  }

  // Nothing is near, at first; no key has a place.
  const Unit zero = {};
  for (int i = thread(); i < kBlockQueries * kNearStride / 8; i += kThreads) near_units[i] = zero;
  for (int i = thread(); i < 2 * kKeys * kKeyStride / 8; i += kThreads) key_units[i] = zero;
  sync();

  // What relative positions add, for the keys' places.
  const int last = smaller(first + kWarpQueries, a.queries) - 1;
  if (last >= 1 && first <= last) {
    const Place begin = place_of(larger(first, 1), a.q_h, a.q_w), end = place_of(last, a.q_h, a.q_w);
    int t[2], h[2], w[2];
    AFFECT_UNROLL
    for (int i = 0; i < 2; ++i) {
      const int token = token_of(first, i);
      const Place place = place_of(larger(token, 1), a.q_h, a.q_w);
      const bool has = token >= 1 && token < a.queries;
      t[i] = has ? place.t : -1, h[i] = has ? place.h : -1, w[i] = has ? place.w : -1;
    }
    const bool slot = begin.t == end.t, line = slot && begin.h == end.h;
    const Axis by_t = axis_of(a.q_t, a.k_t), by_h = axis_of(a.q_h, a.k_h);
    const Axis by_w = axis_of(a.q_w, a.k_w);
    meet(left, a.table_t, by_t, begin.t * by_t.step_q,
         end.t * by_t.step_q + (by_t.keys - 1) * by_t.step_k, t, near, kNearStride);
    meet(left, a.table_h, by_h, slot ? begin.h * by_h.step_q : 0,
         slot ? end.h * by_h.step_q + (by_h.keys - 1) * by_h.step_k : by_h.rows - 1, h,
         near + a.k_t, kNearStride);
    meet(left, a.table_w, by_w, line ? begin.w * by_w.step_q : 0,
         line ? end.w * by_w.step_q + (by_w.keys - 1) * by_w.step_k : by_w.rows - 1, w,
         near + a.k_t + a.k_h, kNearStride);
  }
  sync();
  AFFECT_UNROLL
  for (int s = kSteps; s < kAll; ++s)
    load_matrices(left[s].words, near + left_row(kNearStride) + (s - kSteps) * 16);

  // Tiles of keys and values: fetched into registers, then put into one of two places.
  const Index base = head * a.keys * kChannels;
  Unit fetched[2][kRounds];
  int ones[2] = {-1, -1};  // where in each place this thread's key has its one
  const auto fetch = [&](int tile) {
    AFFECT_UNROLL
    for (int i = 0; i < kRounds; ++i) {
      const int unit = i * kThreads + thread();
      const int key = tile * kKeys + unit / (kChannels / 8);
      fetched[0][i] = fetched[1][i] = Unit();
      if (key < a.keys) {
        const Index at = base + static_cast<Index>(tile) * kKeys * kChannels + unit * 8;
        a.k.load(at, fetched[0][i]);
        a.v.load(at, fetched[1][i]);
      }
    }
  };
  const auto put = [&](int tile) {
    const int which = tile % 2;
    AFFECT_UNROLL
    for (int i = 0; i < kRounds; ++i) {
      const int unit = i * kThreads + thread();
      const int row = which * kKeys + unit / (kChannels / 8), column = unit % (kChannels / 8);
      key_units[row * (kKeyStride / 8) + column] = fetched[0][i];
      value_units[row * (kValueStride / 8) + column] = fetched[1][i];
    }
    // Four threads a key, three of them with an axis each.
    const int key = tile * kKeys + thread() / 4;
    const Place place = place_of(larger(key, 1), a.k_h, a.k_w);
    const int at = p == 0 ? place.t : p == 1 ? a.k_t + place.h : a.k_t + a.k_h + place.w;
    half* const row = keys + (which * kKeys + thread() / 4) * kKeyStride + kChannels;
    const int before = which ? ones[1] : ones[0];
    const int now = p < 3 && key >= 1 && key < a.keys ? at : -1;
    if (before >= 0) row[before] = half{0};
    if (now >= 0) row[now] = half{0x3c00};
    if (which) ones[1] = now; else ones[0] = now;
  };

  Running running = begin();
  const int tiles = (a.keys + kKeys - 1) / kKeys;
  fetch(0);
  put(0);
  sync();
  AFFECT_NO_UNROLL
  for (int tile = 0; tile < tiles; ++tile) {
    if (tile + 1 < tiles) fetch(tile + 1);
    const int which = tile % 2;
    running.attend(left, keys + which * kKeys * kKeyStride, kKeyStride,
                   values + which * kKeys * kValueStride, a.keys - tile * kKeys);
    if (tile + 1 < tiles) put(tile + 1);
    sync();
  }

  // The query, added to what its patch attended to, lies where the result does.
  const Index sample = head / a.heads;
  AFFECT_UNROLL
  for (int r = 0; r < 2; ++r) {
    const float share = running.share(r);
    const int token = token_of(first, r);
    if (token >= a.queries) continue;
    const float own = token >= 1 ? 1.0f : 0.0f;
    const Index to = ((sample * a.queries + token) * a.heads + head % a.heads) * kChannels + 2 * p;
    AFFECT_UNROLL
    for (int n = 0; n < kChannels / 8; ++n) {
      const Word query = left[n / 2].words[n % 2 * 2 + r];
      const float* mixed = running.out[n].items + 2 * r;
      const float two[2] = {mixed[0] * share + own * to_float(unpack(query, 0)),
                            mixed[1] * share + own * to_float(unpack(query, 1))};
      a.out.store(to + n * 8, two);
    }
  }
}

// ------------------------------------------------------------------------------------------ float

static const int kFloatQueries = kThreads / 4;

// Products with the table rows that the places of the keys' grid have for a query at `query`.
AFFECT_D void meet_float(const Quad (&q)[kQuads], const In<float>& table, const Axis& axis,
                         int query, float* near) {
  AFFECT_NO_UNROLL
  for (int j = 0; j < axis.keys; ++j) {
    Quad row[kQuads];
    load_row(table, kChannels * (query * axis.step_q + (axis.keys - 1 - j) * axis.step_k), row);
    const float product = dot_own(q, row);
    if (thread() % 4 == 0) near[j] = product;
  }
}

AFFECT_D void attend_float(const Attention<float>& a) {
  AFFECT_SHARED(Quad, keys, kKeys * kChannels / 4);
  AFFECT_SHARED(Quad, values, kKeys * kChannels / 4);
  AFFECT_SHARED(float, near_all, kFloatQueries * (kMostPlaces + 1));
  const Index head = block_y();
  const int row = thread() / 4, lane = thread() % 4;
  const int token = block_x() * kFloatQueries + row;
  const int held = smaller(token, a.queries - 1);  // threads beyond the end follow the last query
  float* const near = near_all + row * (kMostPlaces + 1);
  Quad q[kQuads];
  load_row(a.q, (head * a.queries + held) * kChannels, q);
  const Place place = place_of(larger(held, 1), a.q_h, a.q_w);
  meet_float(q, a.table_t, axis_of(a.q_t, a.k_t), place.t, near);
  meet_float(q, a.table_h, axis_of(a.q_h, a.k_h), place.h, near + a.k_t);
  meet_float(q, a.table_w, axis_of(a.q_w, a.k_w), place.w, near + a.k_t + a.k_h);
  FloatRunning running = {{}, kLeast, 0.0f};
  for (int first = 0; first < a.keys; first += kKeys) {
    const int count = smaller(kKeys, a.keys - first);
    sync();
    AFFECT_NO_UNROLL
    for (int i = thread(); i < count * kChannels / 4; i += kThreads) {
      const Index at = (head * a.keys + first) * kChannels + 4 * i;
      a.k.load(at, keys[i]);
      a.v.load(at, values[i]);
    }
    sync();
    AFFECT_NO_UNROLL
    for (int j = 0; j < count; ++j) {
      float logit = dot(q, keys + j * kQuads * 4) * kScale;
      if (held >= 1 && first + j >= 1) {
        const Place at = place_of(first + j, a.k_h, a.k_w);
        logit += near[at.t] + near[a.k_t + at.h] + near[a.k_t + a.k_h + at.w];
      }
      running.take(logit, values + j * kQuads * 4);
    }
  }
  if (token >= a.queries) return;
  const Index to = ((head / a.heads * a.queries + token) * a.heads + head % a.heads) * kChannels;
  AFFECT_UNROLL
  for (int i = 0; i < kQuads; ++i) {
    AFFECT_UNROLL
    for (int c = 0; c < 4; ++c)
      q[i].items[c] = running.out[i].items[c] / running.total + (token >= 1 ? q[i].items[c] : 0.0f);
    a.out.store(to + 16 * i + 4 * lane, q[i].items);
  }
}

}  // namespace affect

using namespace affect;

AFFECT_KERNEL(pooled_attention_f16_p32, Attention<half>, kThreads) { attend_half<32>(a); }
AFFECT_KERNEL(pooled_attention_f16_p48, Attention<half>, kThreads) { attend_half<48>(a); }
AFFECT_KERNEL(pooled_attention_f32, Attention<float>, kThreads) { attend_float(a); }
