// pair_terms on a GPU; CPU twin: cpu/pair_terms.cpp. Of each stripe of rows, columns from its first
// row on: a channel's values are made in one pass over its products, 8 bytes read and 8 written per
// entry, and read once more by cuBLAS for the products of all pairs of channels.
#pragma once

#include "squares.cuh"

// Columns chosen to say what is usual in a row.
constexpr index_t kUsualColumns = 64;

// medians[r] = the median of |x_r - y_s|^2 over the 64 rows y_s, products[r, s] = -2 x_r.y_s.
// A warp per row.
extern "C" __global__ void __launch_bounds__(256)
    usual_squares(const double* products, const double* norms, const double* chosen_norms,
                  index_t n, double* medians) {
  const index_t r = static_cast<index_t>(blockIdx.x) * (blockDim.x / kWarp) + warp_index();
  if (r >= n) return;  // with its whole warp
  double own[2];
  for (int half = 0; half < 2; ++half) {
    const int s = lane_index() + half * kWarp;
    own[half] = fmax(products[r * kUsualColumns + s] + norms[r] + chosen_norms[s], 0.0);
  }
  int before[2] = {};
  for (int s = 0; s < static_cast<int>(kUsualColumns); ++s) {
    const double other = __shfl_sync(kAllLanes, s < kWarp ? own[0] : own[1], s % kWarp);
    for (int half = 0; half < 2; ++half) {
      const bool first = s < lane_index() + half * kWarp;
      before[half] += other < own[half] || (other == own[half] && first);
    }
  }
  double middle = 0.0;
  for (int half = 0; half < 2; ++half) {
    const bool inner = before[half] == kUsualColumns / 2 - 1 || before[half] == kUsualColumns / 2;
    middle += inner ? own[half] : 0.0;
  }
  middle = warp_sum(middle);
  if (lane_index() == 0) medians[r] = 0.5 * middle;
}

enum PairFunction : int { kDistance = 0, kSquared = 1, kRbf = 2 };

__device__ __forceinline__ double pair_function(index_t function, double gamma, double square) {
  if (function == kDistance) return sqrt(square);
  if (function == kSquared) return square;
  return exp(-gamma * square);
}

constexpr int kPairRows = 32;  // of a block, which has a thread per column

// values[r, c] = g(|x_i - x_j|) - u_i - u_j for j > i, else 0; i = first + r, j = first + c.
// squares[r, c] holds products, or is `complete` already; it is completed if others are to use it.
// Sums of values: of each row by blocks, row_parts[block x, r], of each column, column_parts[block
// y, c].
extern "C" __global__ void __launch_bounds__(256)
    pair_values(double* squares, index_t complete, index_t keep, const void* X, index_t d,
                index_t is_double, const double* norms, index_t first, index_t n_rows,
                index_t width, index_t function, double gamma, const double* offsets,
                double* values, double* row_parts, double* column_parts) {
  __shared__ double sums[kPairRows][256 / kWarp];
  const index_t c = static_cast<index_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const index_t start = static_cast<index_t>(blockIdx.y) * kPairRows;
  const int count = static_cast<int>(min(static_cast<index_t>(kPairRows), n_rows - start));
  const double own_offset = c < width ? offsets[first + c] : 0.0;
  double column_sum = 0.0;
  for (int q = 0; q < count; ++q) {
    const index_t r = start + q, at = r * width + c;
    const bool active = c < width && c > r;
    double square = active ? squares[at] : 0.0;
    if (!complete) {
      const SquaresRow row = {X, d, is_double, norms, first + r};
      square = completed_square(row, first + c, square, active);
      if (keep && active) squares[at] = square;
    }
    const double value =
        active ? pair_function(function, gamma, square) - offsets[first + r] - own_offset : 0.0;
    if (c < width) values[at] = value;
    column_sum += value;
    const double row_sum = warp_sum(value);
    if (lane_index() == 0) sums[q][warp_index()] = row_sum;
  }
  if (c < width) column_parts[blockIdx.y * width + c] = column_sum;
  __syncthreads();
  if (static_cast<int>(threadIdx.x) < count) {
    double total = 0.0;
    for (int w = 0; w < 256 / kWarp; ++w) total += sums[threadIdx.x][w];
    row_parts[blockIdx.x * n_rows + start + threadIdx.x] = total;
  }
}
