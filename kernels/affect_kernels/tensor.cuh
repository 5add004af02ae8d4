// Steps of tensor cores, for a warp: products of 16 x 16 by 16 x 8 halves, summed in float.
//
// Each of a warp's 32 threads holds a share of every matrix. Thread l, with g = l / 4 and p = l % 4:
//   Left  (16 x 16)  words 0..3: rows g, g + 8, g, g + 8; columns 2p, 2p + 1, for words 2 and 3 + 8
//   Right (16 x 8)   words 0, 1: rows 2p, 2p + 1, for word 1 + 8; column g
//   Sum   (16 x 8)   items 0..3: row g, for items 2 and 3 + 8; columns 2p, 2p + 1, 2p, 2p + 1
// On the CPU threads show each other their shares and compute the same in scalars, so that a fragment
// in the wrong place is found there. All 32 threads must come to each of these functions.
#ifndef AFFECT_TENSOR_CUH
#define AFFECT_TENSOR_CUH

#include "device.cuh"

namespace affect {

typedef unsigned int Word;  // two halves, the first one in the lower bits
typedef Pack<half, 8> Unit;  // 16 bytes: what moves in one access, and a row of 8 x 8 halves

struct Left {
  Word words[4];
};
struct Right {
  Word words[2];
};
struct Sum {
  float items[4];
};

AFFECT_D Word pack(half first, half second) {
  return first.bits | static_cast<Word>(second.bits) << 16;
}
AFFECT_D half unpack(Word word, int which) {
  return half{static_cast<unsigned short>(which ? word >> 16 : word & 0xffffu)};
}

#ifdef __CUDACC__

AFFECT_D Word pack(float first, float second) {
  Word word;
  asm("{.reg .b16 a, b; cvt.rn.f16.f32 a, %1; cvt.rn.f16.f32 b, %2; mov.b32 %0, {a, b};}"
      : "=r"(word)
      : "f"(first), "f"(second));
  return word;
}

// Two to the power of x, to some 2^-22.
AFFECT_D float power_of_two(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// sum += left * right
AFFECT_D void multiply(Sum& sum, const Left& left, const Right& right) {
  float* s = sum.items;
  const Word* a = left.words;
  const Word* b = right.words;
#if __CUDA_ARCH__ >= 800
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(s[0]), "+f"(s[1]), "+f"(s[2]), "+f"(s[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else  // Turing takes eight columns of `left` at a time
  AFFECT_UNROLL
  for (int k = 0; k < 2; ++k) {
    asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, "
        "{%0,%1,%2,%3};"
        : "+f"(s[0]), "+f"(s[1]), "+f"(s[2]), "+f"(s[3])
        : "r"(a[2 * k]), "r"(a[2 * k + 1]), "r"(b[k]));
  }
#endif
}

// Load four 8 x 8 matrices of shared halves: thread 8 m + r gives where row r of matrix m begins (at
// a multiple of 16 bytes), and gets in word m of row g the columns 2p, 2p + 1.
AFFECT_D void load_matrices(Word (&words)[4], const half* row) {
  const unsigned int at = static_cast<unsigned int>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
               : "r"(at)
               : "memory");
}

// The same of matrices turned over: in word m of column g the rows 2p, 2p + 1.
AFFECT_D void load_turned(Word (&words)[4], const half* row) {
  const unsigned int at = static_cast<unsigned int>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
               : "r"(at)
               : "memory");
}

#else

inline Word pack(float first, float second) { return pack(to_half(first), to_half(second)); }
inline float power_of_two(float x) { return std::exp2(x); }

// Show `mine` to the warp and return what its 32 threads show. Two places take turns: who shows for
// the second time has seen all that was shown before.
template <class Shown>
inline const Shown* show(const Shown& mine) {
  static thread_local Shown places[2][1024];
  static thread_local unsigned char turns[1024];
  const int self = thread();
  const int turn = turns[self] ^= 1;
  places[turn][self] = mine;
  shuffle_xor(0.0f, 0);  // all have come
  return places[turn] + self / 32 * 32;
}

inline void multiply(Sum& sum, const Left& left, const Right& right) {
  struct Both {
    Left left;
    Right right;
  };
  const Both* all = show(Both{left, right});
  const int g = thread() % 32 / 4, p = thread() % 4;
  for (int i = 0; i < 4; ++i) {
    const int row = g + i / 2 * 8, column = 2 * p + i % 2;
    float total = 0.0f;
    for (int k = 0; k < 16; ++k) {
      const Word a = all[row % 8 * 4 + k % 8 / 2].left.words[row / 8 + k / 8 * 2];
      const Word b = all[column * 4 + k % 8 / 2].right.words[k / 8];
      total += to_float(unpack(a, k % 2)) * to_float(unpack(b, k % 2));
    }
    sum.items[i] += total;
  }
}

inline const half* const* show_rows(const half* row) {
  if (reinterpret_cast<std::uintptr_t>(row) % 16 != 0) ++here()->strays;
  return show(row);
}

inline void load_matrices(Word (&words)[4], const half* row) {
  const half* const* rows = show_rows(row);
  const int g = thread() % 32 / 4, p = thread() % 4;
  for (int m = 0; m < 4; ++m) words[m] = pack(rows[8 * m + g][2 * p], rows[8 * m + g][2 * p + 1]);
}

inline void load_turned(Word (&words)[4], const half* row) {
  const half* const* rows = show_rows(row);
  const int g = thread() % 32 / 4, p = thread() % 4;
  for (int m = 0; m < 4; ++m)
    words[m] = pack(rows[8 * m + 2 * p][g], rows[8 * m + 2 * p + 1][g]);
}

#endif

// Where a thread's row begins for a whole Left of shared halves, `stride` apart: load_matrices.
AFFECT_D int left_row(int stride) {
  const int lane = thread() % 32;
  return lane % 16 * stride + lane / 16 * 8;
}
// For two Rights side by side whose columns lie as rows in memory (keys of 16 channels):
// load_matrices gives words 0 and 1 to the first, 2 and 3 to the second.
AFFECT_D int right_row(int stride) {
  const int lane = thread() % 32;
  return (lane / 16 * 8 + lane % 8) * stride + lane / 8 % 2 * 8;
}
// For two Rights side by side whose rows lie as rows in memory (values of 16 channels): load_turned.
AFFECT_D int turned_row(int stride) {
  const int lane = thread() % 32;
  return lane % 16 * stride + lane / 16 * 8;
}

}  // namespace affect

#endif
