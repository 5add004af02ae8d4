// IFDD's adaptive split of clips (n, T, N, C): compare the slots, tell where to sample each band,
// sample it there and norm its tokens. One launch instead of some thirty.
//
// Launch: (parts, clips) blocks of 16 warps. Each block of a clip computes the clip's times for
// itself, then samples its share of the tokens; blocks wait for nobody.
// Bytes: the clip once from memory, then once a block from the L2 cache; both bands once. At batch 1
// that is 0.6 MB in and 0.6 MB out (fp16, 8 x 49 x 768): the aim is few launches, not bandwidth.
// Why it is fast: the times depend on the whole clip, so either the blocks meet in the middle, which
// costs a second launch, or each does that part anew: 2.1 M multiply-adds, some 10 us on one
// multiprocessor [estimate], while the others do the same. A warp takes four rows at a time, so that
// each weight read from shared memory serves four multiply-adds, and adds 32 sums up in 31 shuffles.
// Sampling reads two slots a token, and a token stays in one warp's registers through its norm.
#include "device.cuh"

namespace affect {

static const int kThreads = 512;
static const int kWarps = kThreads / 32;
static const int kSlots = 8;
static const int kRows = 392;      // slots x tokens
static const int kChannels = 768;
static const int kLooks = 7;       // channels in which slots are compared
static const int kPadded = 8;
static const int kAtOnce = 4;      // rows of a warp
static const float kReach = 2.0f;  // slots by which a sample may leave its anchor
static const float kEpsilon = 1e-5f;

template <class T>
struct Split {
  In<T> x;
  In<float> look, look_bias, approx_offsets, detail_offsets;
  In<float> approx_gain, approx_bias, detail_gain, detail_bias;
  Out<T> approx, detail;
  Out<float> times;
  int slots, tokens, channels, parts;
};

AFFECT_HD float gelu(float x) { return x * 0.5f * (1.0f + erff(x * 0.70710678118654752f)); }

// Where the published code samples for a time in slots: it norms as if the outermost times lay on
// the first and last slot, and samples as if they lay on these slots' borders.
AFFECT_HD float place_of(float time, int slots) {
  const float last = static_cast<float>(slots - 1);
  return within(time * (static_cast<float>(slots) / last) - 0.5f, 0.0f, last);
}

// Add up 32 values over a warp: lane i gets the sum of value i. Half of the values leave at each
// step, to the lane that needs them.
template <int kHalf>
AFFECT_D float sum_of_each(float (&values)[2 * kHalf], int lane) {
  const bool upper = (lane & kHalf) != 0;
  float left[kHalf];
  AFFECT_UNROLL
  for (int i = 0; i < kHalf; ++i) {
    const float kept = upper ? values[i + kHalf] : values[i];
    const float sent = upper ? values[i] : values[i + kHalf];
    left[i] = kept + shuffle_xor(sent, kHalf);
  }
  if constexpr (kHalf == 1) {
    return left[0];
  } else {
    return sum_of_each<kHalf / 2>(left, lane);
  }
}

// What is compared, of all rows of a clip: seen[row * kPadded + look].
// `look` holds the weights so that a warp reads neighbours: [look][c % V][c / V].
template <int V, class T>
AFFECT_D void see(const Split<T>& a, Index clip, const float* look, float* seen) {
  const int lane = thread() % 32, rows = a.slots * a.tokens, columns = a.channels / V;
  const int tasks = (rows + kAtOnce - 1) / kAtOnce;
  for (int task = thread() / 32; task < tasks; task += kWarps) {
    float sums[kAtOnce * kPadded] = {};
    AFFECT_NO_UNROLL
    for (int q = lane; q < columns; q += 32) {
      float values[kAtOnce][V];
      AFFECT_UNROLL
      for (int r = 0; r < kAtOnce; ++r) {
        const int row = smaller(task * kAtOnce + r, rows - 1);
        a.x.load((clip * rows + row) * a.channels + q * V, values[r]);
      }
      AFFECT_UNROLL
      for (int k = 0; k < V; ++k) {
        AFFECT_UNROLL
        for (int l = 0; l < kLooks; ++l) {
          const float weight = look[(l * V + k) * columns + q];
          AFFECT_UNROLL
          for (int r = 0; r < kAtOnce; ++r) sums[r * kPadded + l] += weight * values[r][k];
        }
      }
    }
    const float sum = sum_of_each<16>(sums, lane);
    const int row = task * kAtOnce + lane / kPadded, l = lane % kPadded;
    if (row < rows) {
      seen[row * kPadded + l] = l < kLooks ? gelu(sum + a.look_bias.load(l)) : 0.0f;
    }
  }
}

// Similarity of each slot to each: similar[i * slots + j].
template <class T>
AFFECT_D void compare(const Split<T>& a, const float* seen, float* similar) {
  const int lane = thread() % 32, length = a.tokens * kPadded;
  for (int pair = thread() / 32; pair < a.slots * a.slots; pair += kWarps) {
    const float* one = seen + pair / a.slots * length;
    const float* other = seen + pair % a.slots * length;
    float sum = 0.0f;
    AFFECT_NO_UNROLL
    for (int k = lane; k < length; k += 32) sum += one[k] * other[k];
    sum = warp_sum(sum);
    if (lane == 0) similar[pair] = sum / static_cast<float>(a.channels);
  }
}

// Softmax of each row, of the similarities and of their opposites: shares[band][row][slot].
AFFECT_D void share(int slots, const float* similar, float* shares) {
  if (thread() >= 2 * slots) return;
  const float sign = thread() < slots ? 1.0f : -1.0f;
  const float* row = similar + thread() % slots * slots;
  float* out = shares + thread() * slots;
  float most = sign * row[0], sum = 0.0f;
  AFFECT_NO_UNROLL
  for (int j = 1; j < slots; ++j) most = larger(most, sign * row[j]);
  AFFECT_NO_UNROLL
  for (int j = 0; j < slots; ++j) sum += out[j] = expf(sign * row[j] - most);
  AFFECT_NO_UNROLL
  for (int j = 0; j < slots; ++j) out[j] /= sum;
}

// Where to sample: a warp a sample, first those of the approx.
template <class T>
AFFECT_D void tell_times(const Split<T>& a, const float* shares, float* times) {
  const int sample = thread() / 32, lane = thread() % 32, size = a.slots * a.slots;
  if (sample >= a.slots) return;
  const int n_approx = (a.slots + 1) / 2, band = sample >= n_approx;
  const int k = band ? sample - n_approx : sample;
  const In<float>& offsets = band ? a.detail_offsets : a.approx_offsets;
  float sum = 0.0f;
  AFFECT_NO_UNROLL
  for (int i = lane; i < size; i += 32) sum += offsets.load(k * size + i) * shares[band * size + i];
  sum = warp_sum(sum);
  if (lane == 0) times[sample] = static_cast<float>(2 * k + band) + kReach * tanhf(sum);
}

// Sample and norm one token of one band.
template <int V, class T>
AFFECT_D void sample(const Split<T>& a, Index clip, int item, float time) {
  const int lane = thread() % 32, columns = a.channels / V;
  const int kept = kChannels / 32 / V;  // pieces of a lane
  const int n_approx = (a.slots + 1) / 2, n_detail = a.slots / 2;
  const int which = item / a.tokens, token = item % a.tokens;
  const float place = place_of(time, a.slots);
  const int first = smaller(static_cast<int>(place), a.slots - 2);
  const float late = place - static_cast<float>(first), early = 1.0f - late;
  const Index from = ((clip * a.slots + first) * a.tokens + token) * a.channels;
  const Index next = from + static_cast<Index>(a.tokens) * a.channels;
  float values[kept][V], mean = 0.0f, variance = 0.0f;
  AFFECT_UNROLL
  for (int p = 0; p < kept; ++p) {
    const int q = lane + 32 * p;
    if (q >= columns) continue;
    float one[V], other[V];
    a.x.load(from + q * V, one);
    a.x.load(next + q * V, other);
    AFFECT_UNROLL
    for (int k = 0; k < V; ++k) mean += values[p][k] = early * one[k] + late * other[k];
  }
  mean = warp_sum(mean) / static_cast<float>(a.channels);
  AFFECT_UNROLL
  for (int p = 0; p < kept; ++p) {
    if (lane + 32 * p >= columns) continue;
    AFFECT_UNROLL
    for (int k = 0; k < V; ++k) {
      values[p][k] -= mean;
      variance += values[p][k] * values[p][k];
    }
  }
  variance = warp_sum(variance) / static_cast<float>(a.channels);
  const float scale = 1.0f / sqrtf(variance + kEpsilon);
  const bool detail = which >= n_approx;
  const Out<T>& to = detail ? a.detail : a.approx;
  const In<float>& gain = detail ? a.detail_gain : a.approx_gain;
  const In<float>& bias = detail ? a.detail_bias : a.approx_bias;
  const Index slot = detail ? clip * n_detail + which - n_approx : clip * n_approx + which;
  AFFECT_UNROLL
  for (int p = 0; p < kept; ++p) {
    const int q = lane + 32 * p;
    if (q >= columns) continue;
    AFFECT_UNROLL
    for (int k = 0; k < V; ++k) {
      values[p][k] = values[p][k] * scale * gain.load(q * V + k) + bias.load(q * V + k);
    }
    to.store((slot * a.tokens + token) * a.channels + q * V, values[p]);
  }
}

template <int V, class T>
AFFECT_D void split(const Split<T>& a) {
  AFFECT_SHARED(float, look, kLooks * kChannels);
  AFFECT_SHARED(float, seen, kRows * kPadded);
  AFFECT_SHARED(float, similar, kSlots * kSlots);
  AFFECT_SHARED(float, shares, 2 * kSlots * kSlots);
  AFFECT_SHARED(float, times, kSlots);
  const Index clip = block_y();
  AFFECT_NO_UNROLL
  for (int i = thread(); i < kLooks * a.channels; i += kThreads) {
    const int l = i / a.channels, c = i % a.channels;
    look[(l * V + c % V) * (a.channels / V) + c / V] = a.look.load(i);
  }
  sync();
  see<V>(a, clip, look, seen);
  sync();
  compare(a, seen, similar);
  sync();
  share(a.slots, similar, shares);
  sync();
  tell_times(a, shares, times);
  sync();
  if (block_x() == 0 && thread() < a.slots) {
    a.times.store(clip * a.slots + thread(), times[thread()]);
  }
  const int items = a.slots * a.tokens;
  const int begin = items * block_x() / a.parts, end = items * (block_x() + 1) / a.parts;
  AFFECT_NO_UNROLL
  for (int item = begin + thread() / 32; item < end; item += kWarps) {
    sample<V>(a, clip, item, times[item / a.tokens]);
  }
}

}  // namespace affect

using namespace affect;

AFFECT_KERNEL(adaptive_split_f32, Split<float>, kThreads) { split<4>(a); }
AFFECT_KERNEL(adaptive_split_f16, Split<half>, kThreads) { split<8>(a); }
