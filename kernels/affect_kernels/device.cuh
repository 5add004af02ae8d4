// What every kernel stands on, for two compilers from one text.
//
// NVRTC or nvcc compile a kernel for the GPU. g++ compiles the same file into a shared library that
// runs the same body over the whole grid on a CPU: blocks one after the other, a block's threads as
// coroutines that change places at each barrier, so that every thread reaches a barrier before any
// passes it. There each read is checked, each write counted, and shared memory filled with NaNs
// before each block. A kernel uses nothing but what stands here, and includes nothing else:
//
//   AFFECT_KERNEL(name, Arguments, threads) { ... a.x ... }   a kernel of one struct of arguments
//   thread(), block_x(), block_y(), block_z(), grid_x()       where this thread stands; blocks are 1-D
//   AFFECT_SHARED(type, name, count)                          shared memory, flat
//   sync()                                                    the block's barrier
//   shuffle_xor(value, mask), warp_sum(value), warp_max(value)   within 32 threads
//   In<T>, Out<T>                                             arrays of the caller, by index
//   half                                                      16 bits, no CUDA header needed
//
// Arguments hold In, Out (pointer and length, 16 bytes) and plain numbers, in the order in which the
// Python side lists them.
#ifndef AFFECT_DEVICE_CUH
#define AFFECT_DEVICE_CUH

#ifdef __CUDACC__
#define AFFECT_HD __host__ __device__ __forceinline__
#define AFFECT_D __device__ __forceinline__
#define AFFECT_UNROLL _Pragma("unroll")
#define AFFECT_NO_UNROLL _Pragma("unroll 1")
#else
#include <setjmp.h>
#include <ucontext.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>
#define AFFECT_HD inline
#define AFFECT_D inline
#define AFFECT_UNROLL
#define AFFECT_NO_UNROLL
#endif

namespace affect {

typedef long long Index;

struct half {
  unsigned short bits;
};

// --------------------------------------------------------------------------- numbers

#ifdef __CUDACC__

AFFECT_D float to_float(half x) {
  float y;
  asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x.bits));
  return y;
}

AFFECT_D half to_half(float x) {
  half y;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
  return y;
}

#else

inline float as_float(std::uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, 4);
  return x;
}

inline std::uint32_t as_bits(float x) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, 4);
  return bits;
}

inline float to_float(half x) {
  const std::uint32_t sign = (x.bits & 0x8000u) << 16, exponent = (x.bits >> 10) & 31u;
  const std::uint32_t fraction = x.bits & 0x3ffu;
  if (exponent == 31) return as_float(sign | 0x7f800000u | fraction << 13);
  if (exponent == 0) {  // subnormal: fraction * 2^-24, exact in float
    const float size = static_cast<float>(fraction) * 0x1p-24f;
    return sign ? -size : size;
  }
  return as_float(sign | (exponent + 112) << 23 | fraction << 13);
}

inline half to_half(float x) {  // to the nearest, ties to even
  const std::uint32_t bits = as_bits(x), sign = bits >> 16 & 0x8000u, size = bits & 0x7fffffffu;
  std::uint32_t found;
  if (size > 0x7f800000u) {
    found = 0x7fffu;  // NaN, as the GPU writes it
    return {static_cast<unsigned short>(found)};
  }
  if (size >= 0x477ff000u) {
    found = 0x7c00u;  // 65520 and more
  } else if (size >= 0x38800000u) {
    found = (size - 0x38000000u + 0xfffu + (size >> 13 & 1u)) >> 13;
  } else {  // below 2^-14: count in units of 2^-24; adding 2^-1 rounds there
    found = as_bits(as_float(size) + 0.5f) - as_bits(0.5f);
  }
  return {static_cast<unsigned short>(sign | found)};
}

#endif

AFFECT_HD float to_float(float x) { return x; }
AFFECT_HD float to_float(unsigned char x) { return x; }

AFFECT_D void assign(float& to, float x) { to = x; }
AFFECT_D void assign(half& to, float x) { to = to_half(x); }

template <class N>
AFFECT_HD N smaller(N a, N b) { return b < a ? b : a; }
template <class N>
AFFECT_HD N larger(N a, N b) { return a < b ? b : a; }
template <class N>
AFFECT_HD N within(N x, N low, N high) { return smaller(larger(x, low), high); }

// --------------------------------------------------------------------------- where a thread stands

#ifdef __CUDACC__

AFFECT_D int thread() { return threadIdx.x; }
AFFECT_D int block_x() { return blockIdx.x; }
AFFECT_D int block_y() { return blockIdx.y; }
AFFECT_D int block_z() { return blockIdx.z; }
AFFECT_D int grid_x() { return gridDim.x; }
AFFECT_D void sync() { __syncthreads(); }

AFFECT_D float shuffle_xor(float value, int mask) {
  return __shfl_xor_sync(0xffffffffu, value, mask);
}

#define AFFECT_SHARED(type, name, count) __shared__ type name[count]

#define AFFECT_KERNEL(name, Arguments, threads) \
  extern "C" __global__ void __launch_bounds__(threads, 1) name(const Arguments a)

#else

class Grid;  // one launch on the CPU

inline Grid*& here() {
  static thread_local Grid* grid = nullptr;
  return grid;
}

class Grid {
 public:
  enum Status { kDone = 0, kArguments = 1, kBarrier = 2, kShared = 3 };
  static const int kWarp = 32, kSharedLimit = 48 * 1024, kStack = 64 * 1024;

  int size[3], at[3] = {0, 0, 0}, threads, thread = 0;
  bool backwards;  // run a block's threads from the last to the first between barriers
  Index strays = 0;  // reads and writes out of bounds

  template <class Body>
  int run(const Body& body) {
    outer_ = here();
    here() = this;
    begin(body);
    bool fits = true;
    for (at[2] = 0; at[2] < size[2] && fits; ++at[2])
      for (at[1] = 0; at[1] < size[1] && fits; ++at[1])
        for (at[0] = 0; at[0] < size[0] && fits; ++at[0]) fits = run_block();
    here() = outer_;
    return status_;
  }

  void sync() { wait(kAtBlock); }

  float shuffle_xor(float value, int mask) {
    exchanged_[thread] = value;
    wait(kAtWarp);
    const float found = exchanged_[thread ^ mask];
    wait(kAtWarp);
    return found;
  }

  void* shared(std::size_t bytes) {  // the same place for each thread that asks in the same order
    Fiber& fiber = fibers_[thread];
    const std::size_t begin = (fiber.shared + 15) / 16 * 16;
    if (begin + bytes > kSharedLimit) status_ = kShared;
    fiber.shared = begin + bytes;
    return status_ == kShared ? spare_.data() : memory_.data() + begin;
  }

 private:
  enum State { kReady, kAtWarp, kAtBlock, kEnded };
  struct Fiber {
    ucontext_t first;  // where it begins; from then on it goes on at `place`
    jmp_buf place;     // unlike ucontext, needs no call of the kernel to go there
    bool begun;
    State state;
    std::size_t shared;
  };

  int status_ = kDone;
  Grid* outer_ = nullptr;
  jmp_buf scheduler_;
  std::vector<Fiber> fibers_;
  std::unique_ptr<char[]> stacks_;
  std::vector<char> memory_ = std::vector<char>(kSharedLimit);
  std::vector<char> spare_ = std::vector<char>(1 << 20);
  std::vector<float> exchanged_;
  const void* body_ = nullptr;

  template <class Body>
  void begin(const Body& body) {
    body_ = &body;
    fibers_.resize(threads);
    exchanged_.resize(threads);
    stacks_.reset(new char[static_cast<std::size_t>(threads) * kStack]);
    for (int i = 0; i < threads; ++i) {
      Fiber& fiber = fibers_[i];
      getcontext(&fiber.first);
      fiber.first.uc_stack.ss_sp = stacks_.get() + static_cast<std::size_t>(i) * kStack;
      fiber.first.uc_stack.ss_size = kStack;
      fiber.first.uc_link = nullptr;
      makecontext(&fiber.first, &Grid::live<Body>, 0);
      fiber.begun = false;
    }
  }

  template <class Body>
  static void live() {  // a coroutine: the same thread of one block after the other
    Grid& grid = *here();
    while (true) {
      (*static_cast<const Body*>(grid.body_))();
      grid.wait(kEnded);
    }
  }

  // Both are frames of their own, in which nothing changes between leaving and coming back.
  __attribute__((noinline)) void wait(State state) {
    Fiber& fiber = fibers_[thread];
    fiber.state = state;
    if (_setjmp(fiber.place) == 0) _longjmp(scheduler_, 1);
  }

  __attribute__((noinline)) void go_on(Fiber& fiber) {
    if (_setjmp(scheduler_) != 0) return;
    if (fiber.begun) _longjmp(fiber.place, 1);
    fiber.begun = true;
    setcontext(&fiber.first);
  }

  bool run_block() {
    std::memset(memory_.data(), 0xff, memory_.size());
    for (int i = 0; i < threads; ++i) {
      fibers_[i].state = kReady;
      fibers_[i].shared = 0;
    }
    while (true) {
      for (int i = 0; i < threads; ++i) {
        thread = backwards ? threads - 1 - i : i;
        if (fibers_[thread].state == kReady) go_on(fibers_[thread]);
      }
      if (status_ != kDone) return false;
      if (all(0, threads, kEnded)) return true;
      bool moved = release(0, threads, kAtBlock);
      for (int first = 0; first < threads; first += kWarp)
        moved |= release(first, smaller(first + kWarp, threads), kAtWarp);
      if (!moved) {  // some wait for others that will never come
        status_ = kBarrier;
        return false;
      }
    }
  }

  bool all(int first, int last, State state) const {
    for (int i = first; i < last; ++i)
      if (fibers_[i].state != state) return false;
    return true;
  }

  bool release(int first, int last, State state) {
    if (!all(first, last, state)) return false;
    for (int i = first; i < last; ++i) fibers_[i].state = kReady;
    return true;
  }
};

inline int thread() { return here()->thread; }
inline int block_x() { return here()->at[0]; }
inline int block_y() { return here()->at[1]; }
inline int block_z() { return here()->at[2]; }
inline int grid_x() { return here()->size[0]; }
inline void sync() { here()->sync(); }
inline float shuffle_xor(float value, int mask) { return here()->shuffle_xor(value, mask); }

#define AFFECT_SHARED(type, name, count) \
  type* const name = static_cast<type*>(affect::here()->shared(sizeof(type) * (count)))

// The library's entry `name`: grid[3], whether to go backwards, the arguments; returns a Status and
// hands back how many accesses were out of bounds.
#define AFFECT_KERNEL(name, Arguments, limit)                                                    \
  static void name##_body(const Arguments& a);                                                   \
  extern "C" int name(const int* grid, int threads, int backwards, const void* arguments,        \
                      long long bytes, long long* strays) {                                      \
    affect::Grid launch;                                                                         \
    for (int i = 0; i < 3; ++i) launch.size[i] = grid[i];                                        \
    launch.threads = threads;                                                                    \
    launch.backwards = backwards != 0;                                                           \
    if (bytes != static_cast<long long>(sizeof(Arguments)) || threads > (limit))                 \
      return affect::Grid::kArguments;                                                           \
    Arguments a;                                                                                 \
    std::memcpy(&a, arguments, sizeof a);                                                        \
    const int status = launch.run([&a] { name##_body(a); });                                     \
    *strays = launch.strays;                                                                     \
    return status;                                                                               \
  }                                                                                              \
  static void name##_body([[maybe_unused]] const Arguments& a)

#endif

AFFECT_D float warp_sum(float value) {
  AFFECT_UNROLL
  for (int mask = 16; mask > 0; mask /= 2) value += shuffle_xor(value, mask);
  return value;
}

AFFECT_D float warp_max(float value) {
  AFFECT_UNROLL
  for (int mask = 16; mask > 0; mask /= 2) value = larger(value, shuffle_xor(value, mask));
  return value;
}

// --------------------------------------------------------------------------- arrays of the caller

// N numbers side by side that travel in one access of N * sizeof(T) bytes (16 at most), to which
// the address is aligned.
template <class T, int N>
struct alignas(sizeof(T) * N) Pack {
  T items[N];
};

template <class T>
struct In {
  const T* data;
  Index size;

  AFFECT_D T get(Index i) const {
#ifndef __CUDACC__
    if (i < 0 || i >= size) return ++here()->strays, T();
#endif
    return data[i];
  }
  AFFECT_D float load(Index i) const { return to_float(get(i)); }

  template <int N>
  AFFECT_D void load(Index i, float (&to)[N]) const {
    Pack<T, N> pack;
    load(i, pack);
    AFFECT_UNROLL
    for (int k = 0; k < N; ++k) to[k] = to_float(pack.items[k]);
  }
  template <int N>
  AFFECT_D void load(Index i, Pack<T, N>& pack) const {
#ifdef __CUDACC__
    pack = *reinterpret_cast<const Pack<T, N>*>(data + i);
#else
    if (i % N != 0) ++here()->strays;  // not aligned
    for (int k = 0; k < N; ++k) pack.items[k] = get(i + k);
#endif
  }
};

template <class T>
struct Out {
  T* data;
  Index size;

  AFFECT_D void put(Index i, T x) const {
#ifndef __CUDACC__
    if (i < 0 || i >= size) {
      ++here()->strays;
      return;
    }
    ++reinterpret_cast<unsigned char*>(data + size)[i];  // one counter an item lies behind the items
#endif
    data[i] = x;
  }
  AFFECT_D void store(Index i, float x) const {
    T item;
    assign(item, x);
    put(i, item);
  }

  template <int N>
  AFFECT_D void store(Index i, const float (&from)[N]) const {
    Pack<T, N> pack;
    AFFECT_UNROLL
    for (int k = 0; k < N; ++k) assign(pack.items[k], from[k]);
#ifdef __CUDACC__
    *reinterpret_cast<Pack<T, N>*>(data + i) = pack;
#else
    if (i % N != 0) ++here()->strays;
    for (int k = 0; k < N; ++k) put(i + k, pack.items[k]);
#endif
  }

  AFFECT_D In<T> again() const { return {data, size}; }  // to read what is there: work in place
};

}  // namespace affect

#endif
