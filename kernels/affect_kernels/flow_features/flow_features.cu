// Optical strain of flows, and HTNet's input: four crops of (u, v, strain) put together anew.
//
// Launch: 1-D; a thread makes one pixel of the result; 128 threads.
// Bytes: composed, the flow's pixels that crops show once, with a border of one, and the result once:
// at most (2 + 3) * pixels * sizeof(T); four corners a flow.
// Why it is fast: features and composition are one pass. As four operations (two gradients, a root,
// four copies) each would read and write all pixels. Strain is computed only where it is looked at;
// the four neighbours it needs are in the first cache, since a warp's pixels are side by side in a
// crop. No barrier, no shared memory.
// Strain at the border of a crop is that of the whole flow, as in the reference.
#include "device.cuh"

namespace affect {

static const int kThreads = 128;

template <class T>
struct Features {
  In<T> flow;       // (n, height, width, 2)
  In<int> corners;  // (n, 4, 2): rows and columns of the crops' centres; empty: no composition
  Out<T> out;       // (n, height, width, 3)
  Index pixels;     // of all flows
  int height, width, composed;
};

template <class T>
AFFECT_D void flow_at(const In<T>& flow, Index pixel, float (&uv)[2]) {
  flow.load(2 * pixel, uv);
}

template <class T>
AFFECT_D void features(const Features<T>& a) {
  const Index i = static_cast<Index>(block_x()) * kThreads + thread();
  if (i >= a.pixels) return;
  const int column = static_cast<int>(i % a.width);
  const int row = static_cast<int>(i / a.width % a.height);
  const Index which = i / a.width / a.height;
  int x = column, y = row;
  if (a.composed) {
    const int side = a.width / 2;  // of a crop
    const Index corner = (which * 4 + row / side * 2 + column / side) * 2;
    y = a.corners.get(corner) - side / 2 + row % side;
    x = a.corners.get(corner + 1) - side / 2 + column % side;
  }
  const int above = larger(y - 1, 0), below = smaller(y + 1, a.height - 1);
  const int before = larger(x - 1, 0), after = smaller(x + 1, a.width - 1);
  const Index first = which * a.height * a.width;
  float here_uv[2], up[2], down[2], left[2], right[2];
  flow_at(a.flow, first + static_cast<Index>(y) * a.width + x, here_uv);
  flow_at(a.flow, first + static_cast<Index>(above) * a.width + x, up);
  flow_at(a.flow, first + static_cast<Index>(below) * a.width + x, down);
  flow_at(a.flow, first + static_cast<Index>(y) * a.width + before, left);
  flow_at(a.flow, first + static_cast<Index>(y) * a.width + after, right);
  const float per_row = below - above == 2 ? 0.5f : 1.0f;  // one-sided along the border
  const float per_column = after - before == 2 ? 0.5f : 1.0f;
  const float u_x = (right[0] - left[0]) * per_column, v_x = (right[1] - left[1]) * per_column;
  const float u_y = (down[0] - up[0]) * per_row, v_y = (down[1] - up[1]) * per_row;
  const float shear = u_y + v_x;
  a.out.store(3 * i, here_uv[0]);
  a.out.store(3 * i + 1, here_uv[1]);
  a.out.store(3 * i + 2, sqrtf(u_x * u_x + v_y * v_y + 0.5f * shear * shear));
}

}  // namespace affect

using namespace affect;

AFFECT_KERNEL(flow_features_f32, Features<float>, kThreads) { features(a); }
AFFECT_KERNEL(flow_features_f16, Features<half>, kThreads) { features(a); }
