// moments on the CPU: a float64 GEMM of (d_x + 2) x n x (d_y + 2), rows converted block by block.

#include "ops/moments.hpp"

#include <algorithm>
#include <cassert>
#include <vector>

#include "common/blas.hpp"

namespace consilience {
namespace {

constexpr index_t kBlock = 1024;  // rows per GEMM
constexpr index_t kStrip = 128;   // columns of the result per task
constexpr index_t kRowsPerTask = 128;

// One augmented row: [x - shift | its squared norm | 1].
void augment(const Embedding& X, index_t i, const double* shift, double* z) {
  double squared = 0.0;
  for (index_t f = 0; f < X.n_features; ++f) {
    const double x = X.is_double ? X.double_row(i)[f] : static_cast<double>(X.float_row(i)[f]);
    z[f] = x - shift[f];
    squared += z[f] * z[f];
  }
  z[X.n_features] = squared;
  z[X.n_features + 1] = 1.0;
}

}  // namespace

void moments(const Embedding& X, const Embedding& Y, const double* shift_x, const double* shift_y,
             const Run& run, double* out) {
  assert(X.n_samples == Y.n_samples);
  const index_t width_x = X.n_features + 2, width_y = Y.n_features + 2;
  std::vector<double> z_x(kBlock * width_x), z_y(kBlock * width_y);
  std::fill(out, out + width_x * width_y, 0.0);

  for (index_t start = 0; start < X.n_samples; start += kBlock) {
    const index_t count = std::min(kBlock, X.n_samples - start);
    parallel_for((count + kRowsPerTask - 1) / kRowsPerTask, run, [&](index_t task, int) {
      const index_t stop = std::min(count, (task + 1) * kRowsPerTask);
      for (index_t r = task * kRowsPerTask; r < stop; ++r) {
        augment(X, start + r, shift_x, z_x.data() + r * width_x);
        augment(Y, start + r, shift_y, z_y.data() + r * width_y);
      }
    });
    // One task owns a strip of rows of the result, so its sum grows in the order of the blocks.
    parallel_for((width_x + kStrip - 1) / kStrip, run, [&](index_t task, int) {
      const index_t first = task * kStrip, rows = std::min(kStrip, width_x - first);
      blas::add_gemm_tn(rows, width_y, count, z_x.data() + first, width_x, z_y.data(), width_y,
                        out + first * width_y, width_y);
    });
  }
}

}  // namespace consilience
