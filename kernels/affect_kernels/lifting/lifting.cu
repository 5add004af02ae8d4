// Classic wavelet lifting along time: (T, N, C) <-> approx and detail; Haar, CDF 5/3, CDF 9/7.
//
// Launch: 1-D; a thread owns `V` neighbouring columns (tokens x channels) through all slots, V such
// that an access has 16 bytes, or 1 where the columns do not divide by it.
// Bytes: each item is read once and written once: 2 * T * N * C * sizeof(T). That is the least.
// Why it is fast: step after step as the reference has it would pass four times over both bands.
// Here the steps are a chain of stages that hold two samples and the last detail in registers; a pair
// enters at the front while a finished one leaves at the end, two pairs behind at most.
// Neighbouring threads touch neighbouring addresses, so every access is a full line. No barrier, no
// shared memory, a few thousand columns fill a card.
// In place: a thread writes only slots that it has read, and no other thread's columns, so the bands
// may take the signal's place, approx in its even slots and detail in the odd ones.
// Not for: few columns and very many slots; there is one thread a column, however long it is.
#include "device.cuh"

namespace affect {

static const int kThreads = 128;

struct Steps {
  float weights[4];  // predict, update, predict, update
  float approx_scale, detail_scale;
  int stages;  // of a predict and an update
  int paired;  // 1: a step reads the two samples around, 0: the one beside (Haar)
};

template <class T>
struct Analysis {
  In<T> x;        // (T, columns); empty: in place
  Out<T> bands;   // (T, columns): approx then detail; in place: the signal, interleaved
  Index columns;
  int slots, in_place;
  Steps steps;
};

template <class T>
struct Synthesis {
  In<T> approx, detail;  // empty: in place
  Out<T> x;              // (T, columns); in place: the interleaved bands
  Index columns;
  int slots, in_place;
  Steps steps;
};

// What one or two samples of the other band add to a sample.
AFFECT_D float step(float weight, float beside, int paired, float other) {
  const float one = weight * beside;
  return paired ? one + weight * other : one;
}

// A predict and an update in a stream of pairs. `turn` takes pair j + 1 and hands out pair j, which
// only then has all its neighbours. Beyond an end lies a mirror image, so the last sample stands in
// for the one that is missing; a pair without an odd sample has the detail before it.
template <int V>
struct Forwards {
  float even[V], odd[V], detail[V];
  float predict, update;
  int paired, evens, odds;

  AFFECT_D void turn(int j, float (&a)[V], float (&b)[V]) {
    AFFECT_UNROLL
    for (int k = 0; k < V; ++k) {
      const float next = j + 1 < evens ? a[k] : even[k];
      const float d = j < odds ? odd[k] + step(predict, even[k], paired, next) : detail[k];
      const float s = even[k] + step(update, d, paired, j > 0 ? detail[k] : d);
      even[k] = a[k], odd[k] = b[k], detail[k] = d;
      a[k] = s, b[k] = d;
    }
  }
};

// The same undone: the update first.
template <int V>
struct Backwards {
  float even[V], odd[V], detail[V];  // odd: unused
  float predict, update;
  int paired, evens, odds;

  AFFECT_D void turn(int j, float (&a)[V], float (&b)[V]) {
    AFFECT_UNROLL
    for (int k = 0; k < V; ++k) {
      const float d = j + 1 < odds ? b[k] : detail[k];
      const float now = a[k] - step(update, d, paired, j >= 0 ? detail[k] : d);
      const float next = j + 1 < evens ? now : even[k];
      a[k] = even[k], b[k] = detail[k] - step(predict, even[k], paired, next);
      even[k] = now, detail[k] = d;
    }
  }
};

// Where pairs lie: slot n of each band begins at its band's place + n * stride.
struct Places {
  Index approx, detail, stride;
};

AFFECT_HD Places interleaved(Index columns) { return {0, columns, 2 * columns}; }

AFFECT_HD Places shift(Places at, Index column) {
  return {at.approx + column, at.detail + column, at.stride};
}

// An array seen as pairs of one thread's columns, scaled on the way.
template <class T, int V>
struct Reader {
  In<T> approx, detail;
  Places places;
  float approx_scale, detail_scale;

  AFFECT_D void even(int n, float (&a)[V]) const {
    approx.load(places.approx + n * places.stride, a);
    AFFECT_UNROLL
    for (int k = 0; k < V; ++k) a[k] *= approx_scale;
  }
  AFFECT_D void odd(int n, float (&b)[V]) const {
    detail.load(places.detail + n * places.stride, b);
    AFFECT_UNROLL
    for (int k = 0; k < V; ++k) b[k] *= detail_scale;
  }
};

template <class T, int V>
struct Writer {
  Out<T> to;
  Places places;
  float approx_scale, detail_scale;

  AFFECT_D void even(int n, float (&a)[V]) const {
    AFFECT_UNROLL
    for (int k = 0; k < V; ++k) a[k] *= approx_scale;
    to.store(places.approx + n * places.stride, a);
  }
  AFFECT_D void odd(int n, float (&b)[V]) const {
    AFFECT_UNROLL
    for (int k = 0; k < V; ++k) b[k] *= detail_scale;
    to.store(places.detail + n * places.stride, b);
  }
};

// Forwards the steps run in order, backwards from the last to the first.
template <template <int> class Stage, bool kForwards, int V, class T>
AFFECT_D void lift(const Reader<T, V>& from, const Writer<T, V>& to, int slots, const Steps& steps) {
  const float* w = steps.weights;
  const int evens = (slots + 1) / 2, odds = slots / 2, stages = steps.stages;
  const bool swap = !kForwards && stages == 2;
  Stage<V> first = {{}, {}, {}, swap ? w[2] : w[0], swap ? w[3] : w[1], steps.paired, evens, odds};
  Stage<V> second = {{}, {}, {}, swap ? w[0] : w[2], swap ? w[1] : w[3], steps.paired, evens, odds};
  AFFECT_NO_UNROLL  // other warps hide the latency
  for (int n = 0; n < evens + stages; ++n) {
    float a[V] = {}, b[V] = {};
    if (n < evens) from.even(n, a);
    if (n < odds) from.odd(n, b);
    first.turn(n - 1, a, b);
    if (stages == 2) second.turn(n - 2, a, b);
    const int done = n - stages;
    if (done < 0) continue;
    if (done < odds) to.odd(done, b);
    to.even(done, a);
  }
}

// The first of this thread's columns.
template <int V>
AFFECT_D Index first_column() {
  return (static_cast<Index>(block_x()) * kThreads + thread()) * V;
}

template <int V, class T>
AFFECT_D void analyse(const Analysis<T>& a) {
  const Index column = first_column<V>();
  if (column >= a.columns) return;
  const Places mixed = shift(interleaved(a.columns), column);
  const Places apart = shift({0, (a.slots + 1) / 2 * a.columns, a.columns}, column);
  const In<T> x = a.in_place ? a.bands.again() : a.x;
  lift<Forwards, true>(
      Reader<T, V>{x, x, mixed, 1.0f, 1.0f},
      Writer<T, V>{a.bands, a.in_place ? mixed : apart, a.steps.approx_scale,
                   a.steps.detail_scale},
      a.slots, a.steps);
}

template <int V, class T>
AFFECT_D void synthesise(const Synthesis<T>& a) {
  const Index column = first_column<V>();
  if (column >= a.columns) return;
  const Places mixed = shift(interleaved(a.columns), column);
  const Places apart = shift({0, 0, a.columns}, column);  // two arrays
  lift<Backwards, false>(
      Reader<T, V>{a.in_place ? a.x.again() : a.approx, a.in_place ? a.x.again() : a.detail,
                   a.in_place ? mixed : apart, a.steps.approx_scale, a.steps.detail_scale},
      Writer<T, V>{a.x, mixed, 1.0f, 1.0f}, a.slots, a.steps);
}

}  // namespace affect

using namespace affect;

AFFECT_KERNEL(lifting_analyse_f32_v4, Analysis<float>, kThreads) { analyse<4>(a); }
AFFECT_KERNEL(lifting_analyse_f32_v1, Analysis<float>, kThreads) { analyse<1>(a); }
AFFECT_KERNEL(lifting_analyse_f16_v4, Analysis<half>, kThreads) { analyse<4>(a); }
AFFECT_KERNEL(lifting_analyse_f16_v1, Analysis<half>, kThreads) { analyse<1>(a); }
AFFECT_KERNEL(lifting_synthesise_f32_v4, Synthesis<float>, kThreads) { synthesise<4>(a); }
AFFECT_KERNEL(lifting_synthesise_f32_v1, Synthesis<float>, kThreads) { synthesise<1>(a); }
AFFECT_KERNEL(lifting_synthesise_f16_v4, Synthesis<half>, kThreads) { synthesise<4>(a); }
AFFECT_KERNEL(lifting_synthesise_f16_v1, Synthesis<half>, kThreads) { synthesise<1>(a); }
