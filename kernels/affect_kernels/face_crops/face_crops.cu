// Crops of all faces of a frame: rotated, cut out, resized, made R, G, B and normalised at once,
// from BGR (H, W, 3) or NV12 (3/2 H, W) to planes (n, 3, S, S).
//
// Launch: x over a crop's pixels, one a thread; y over faces. One launch a frame.
// Bytes: of the frame what the faces cover, once; the crops once, n * 3 * S * S * sizeof(T).
// Why it is fast: converting, warping and normalising one after the other would write and read the
// whole frame and each crop again. Here the up to twelve bytes of a pixel are read where they are
// needed, all loads independent of each other, and neighbours share their lines in the L1 cache.
// The three planes are written by whole lines. NV12 needs half the bytes of BGR, and the frame a
// camera or decoder left on the device needs no copy.
#include "device.cuh"

namespace affect {

static const int kThreads = 256;

template <class T>
struct Crops {
  In<unsigned char> frame;
  In<float> to_frame;  // (n, 2, 3): crop pixel (u, v, 1) -> frame pixel (x, y)
  Out<T> crops;
  int width, height, side, nv12;
  float gain[3], bias[3];
  float luma, red_v, green_u, green_v, blue_u;
};

struct Levels {
  float r, g, b;
};

AFFECT_HD Levels blend(const Levels& one, const Levels& other, float share) {
  return {one.r + share * (other.r - one.r), one.g + share * (other.g - one.g),
          one.b + share * (other.b - one.b)};
}

template <class T>
AFFECT_D Levels pixel(const Crops<T>& a, int y, int x) {
  const Index at = static_cast<Index>(y) * a.width + x;
  if (!a.nv12) return {a.frame.load(3 * at + 2), a.frame.load(3 * at + 1), a.frame.load(3 * at)};
  const Index pair = static_cast<Index>(a.height + y / 2) * a.width + x / 2 * 2;
  const float luma = (a.frame.load(at) - 16.0f) * a.luma;
  const float u = a.frame.load(pair) - 128.0f, v = a.frame.load(pair + 1) - 128.0f;
  return {within(luma + a.red_v * v, 0.0f, 255.0f),
          within(luma + a.green_u * u + a.green_v * v, 0.0f, 255.0f),
          within(luma + a.blue_u * u, 0.0f, 255.0f)};
}

template <class T>
AFFECT_D void crop(const Crops<T>& a) {
  const int area = a.side * a.side, i = block_x() * kThreads + thread(), face = block_y();
  if (i >= area) return;
  const float u = static_cast<float>(i % a.side), v = static_cast<float>(i / a.side);
  float m[6];
  AFFECT_UNROLL
  for (int k = 0; k < 6; ++k) m[k] = a.to_frame.load(6 * face + k);
  const float x = within(m[0] * u + m[1] * v + m[2], 0.0f, static_cast<float>(a.width - 1));
  const float y = within(m[3] * u + m[4] * v + m[5], 0.0f, static_cast<float>(a.height - 1));
  const int left = static_cast<int>(x), top = static_cast<int>(y);
  const int right = smaller(left + 1, a.width - 1), below = smaller(top + 1, a.height - 1);
  const float across = x - static_cast<float>(left), down = y - static_cast<float>(top);
  const Levels upper = blend(pixel(a, top, left), pixel(a, top, right), across);
  const Levels lower = blend(pixel(a, below, left), pixel(a, below, right), across);
  const Levels found = blend(upper, lower, down);
  const Index to = static_cast<Index>(face) * 3 * area + i;
  a.crops.store(to, found.r * a.gain[0] + a.bias[0]);
  a.crops.store(to + area, found.g * a.gain[1] + a.bias[1]);
  a.crops.store(to + 2 * static_cast<Index>(area), found.b * a.gain[2] + a.bias[2]);
}

}  // namespace affect

using namespace affect;

AFFECT_KERNEL(face_crops_f32, Crops<float>, kThreads) { crop(a); }
AFFECT_KERNEL(face_crops_f16, Crops<half>, kThreads) { crop(a); }
