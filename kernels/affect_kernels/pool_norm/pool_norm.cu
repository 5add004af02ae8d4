// Depthwise 3x3x3 pooling of every head's patches, the class token passing by, and LayerNorm(96).
//
// Launch: x: items of 16 a block and as many rounds, y: samples x heads; 128 threads. An item is the
// class token or four neighbours of one row of the pooled grid (two where patches lie apart), and belongs to eight threads with
// twelve channels each.
// Bytes: each token read once and each pooled one written once; the other 26 readings of a patch are
// the first cache's. Published IFDD, queries of block 0: 4.8 MB in and 4.8 MB out in half.
// Why it is fast: it reads the projection as it lies (tokens, 3, heads, 96) and writes heads as
// attention reads them, so no tensor is transposed, cut or put together, as a library's convolution
// (channels first) would need before and after. A patch that is loaded serves up to three outputs of
// a run, a weight all of them; with stride 1 that is 13.5 loads an output instead of 27. Eight threads
// read 32 channels side by side: full lines. The norm takes three exchanges within eight threads and
// nothing leaves the registers before it is final.
#include "device.cuh"

namespace affect {

static const int kThreads = 128;
static const int kChannels = 96;
static const int kLanes = 8;                       // threads an item
static const int kItems = kThreads / kLanes;       // at once, in a block
static const int kPacks = kChannels / kLanes / 4;  // of four channels, a thread
static const int kTaps = 27;

typedef Pack<float, 4> Quad;

template <class T>
struct Pooling {
  In<T> x;             // (samples, tokens, parts, heads, 96)
  In<T> kernel;        // (3, 3, 3, 96)
  In<T> scale, shift;  // (96,)
  Out<T> out;          // (samples, heads, 1 + slots * rows * columns, 96)
  int parts, part, heads;
  int slots, height, width;  // the grid that comes in
  int rows, columns, stride;
  float eps;
};

// A thread's channels: 32 i + 4 lane to 32 i + 4 lane + 3.
AFFECT_D int channel(int pack) { return 32 * pack + 4 * (thread() % kLanes); }

// Mean 0 and variance 1 over an item's eight threads, then scale and shift.
template <class T>
AFFECT_D void norm_and_store(const Pooling<T>& a, float (&x)[kPacks][4], Index token, bool there) {
  float mean = 0.0f, spread = 0.0f;
  AFFECT_UNROLL
  for (int i = 0; i < kPacks; ++i) {
    AFFECT_UNROLL
    for (int c = 0; c < 4; ++c) mean += x[i][c];
  }
  AFFECT_UNROLL
  for (int mask = kLanes / 2; mask > 0; mask /= 2) mean += shuffle_xor(mean, mask);
  mean *= 1.0f / kChannels;
  AFFECT_UNROLL
  for (int i = 0; i < kPacks; ++i) {
    AFFECT_UNROLL
    for (int c = 0; c < 4; ++c) {
      x[i][c] -= mean;
      spread += x[i][c] * x[i][c];
    }
  }
  AFFECT_UNROLL
  for (int mask = kLanes / 2; mask > 0; mask /= 2) spread += shuffle_xor(spread, mask);
  const float factor = 1.0f / sqrtf(spread * (1.0f / kChannels) + a.eps);
  if (!there) return;
  AFFECT_UNROLL
  for (int i = 0; i < kPacks; ++i) {
    float scale[4], shift[4];
    a.scale.load(channel(i), scale);
    a.shift.load(channel(i), shift);
    AFFECT_UNROLL
    for (int c = 0; c < 4; ++c) x[i][c] = x[i][c] * factor * scale[c] + shift[c];
    a.out.store(token * kChannels + channel(i), x[i]);
  }
}

// kRun outputs side by side. kStrideOne: they share patches; else each has its own three columns.
template <bool kStrideOne, int kRun, class T>
AFFECT_D void pool(const Pooling<T>& a) {
  AFFECT_SHARED(Quad, weights, kTaps * kChannels / 4);
  AFFECT_NO_UNROLL
  for (int i = thread(); i < kTaps * kChannels / 4; i += kThreads)
    a.kernel.load(4 * i, weights[i].items);
  sync();
  const int runs = (a.columns + kRun - 1) / kRun;
  const int items = 1 + a.slots * a.rows * runs;
  const Index sample = block_y() / a.heads, head = block_y() % a.heads;
  const Index tokens_in = 1 + static_cast<Index>(a.slots) * a.height * a.width;
  const Index tokens_out = 1 + static_cast<Index>(a.slots) * a.rows * a.columns;
  const Index step = static_cast<Index>(a.parts) * a.heads * kChannels;  // from token to token
  const Index from = sample * tokens_in * step + (a.part * a.heads + head) * kChannels;
  for (int first = block_x() * kItems; first < items; first += grid_x() * kItems) {
    const int item = first + thread() / kLanes;
    const int line = (item - 1) / runs, column = (item - 1) % runs * kRun;
    const int t = line / a.rows, row = line % a.rows;
    float sums[kRun][kPacks][4] = {};
    if (item == 0) {
      AFFECT_UNROLL
      for (int i = 0; i < kPacks; ++i) a.x.load(from + channel(i), sums[0][i]);
    } else if (item < items) {
      AFFECT_NO_UNROLL
      for (int plane = 0; plane < 9; ++plane) {
        const int slot = t + plane / 3 - 1, y = row * a.stride + plane % 3 - 1;
        if (slot < 0 || slot >= a.slots || y < 0 || y >= a.height) continue;
        const Index line_at = from + (1 + (static_cast<Index>(slot) * a.height + y) * a.width) * step;
        constexpr int kSeen = kStrideOne ? kRun + 2 : 3 * kRun;
        AFFECT_UNROLL
        for (int k = 0; k < kSeen; ++k) {
          const int x = kStrideOne ? column + k - 1 : (column + k / 3) * a.stride + k % 3 - 1;
          if (x < 0 || x >= a.width) continue;
          AFFECT_UNROLL
          for (int i = 0; i < kPacks; ++i) {
            float patch[4];
            a.x.load(line_at + x * step + channel(i), patch);
            AFFECT_UNROLL
            for (int r = 0; r < kRun; ++r) {
              const int tap = kStrideOne ? k - r : k - 3 * r;
              if (tap < 0 || tap > 2) continue;
              const float* weight = weights[((plane * 3 + tap) * kChannels + channel(i)) / 4].items;
              AFFECT_UNROLL
              for (int c = 0; c < 4; ++c) sums[r][i][c] += weight[c] * patch[c];
            }
          }
        }
      }
    }
    const Index to = (sample * a.heads + head) * tokens_out;
    AFFECT_UNROLL
    for (int r = 0; r < kRun; ++r) {
      const bool class_token = item == 0 && r == 0;
      const bool patch = item > 0 && item < items && column + r < a.columns;
      const Index token = class_token ? 0 : 1 + static_cast<Index>(line) * a.columns + column + r;
      norm_and_store(a, sums[r], to + token, class_token || patch);
    }
  }
}

}  // namespace affect

using namespace affect;

AFFECT_KERNEL(pool_norm_f32_s1, Pooling<float>, kThreads) { pool<true, 4>(a); }
AFFECT_KERNEL(pool_norm_f32, Pooling<float>, kThreads) { pool<false, 2>(a); }
AFFECT_KERNEL(pool_norm_f16_s1, Pooling<half>, kThreads) { pool<true, 4>(a); }
AFFECT_KERNEL(pool_norm_f16, Pooling<half>, kThreads) { pool<false, 2>(a); }
