// Squared distances in tiles: products of rows about a typical point, in float64, and differences
// where products cancel. 2 d flops per entry by cuBLAS, then 16 bytes read or written.
#pragma once

#include "common.cuh"
#include "exact.cuh"

// Rows that say what is typical.
constexpr index_t kTypicalRows = 33;

// center[f] = the median of column f over a few rows: a row far out does not move it, as it would
// a mean, and leave the others with norms much larger than their distances.
extern "C" __global__ void __launch_bounds__(256)
    typical_point(const void* X, index_t n, index_t d, index_t is_double, double* center) {
  const index_t f = static_cast<index_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const index_t count = min(n, kTypicalRows);
  if (f >= d) return;
  for (index_t r = 0; r < count; ++r) {
    const double value = entry(X, r * n / count * d + f, is_double);
    index_t before = 0;
    for (index_t s = 0; s < count; ++s) {
      const double other = entry(X, s * n / count * d + f, is_double);
      before += other < value || (other == value && s < r);
    }
    if (before == count / 2) center[f] = value;
  }
}

// rows[r] = row queries[r] of X, or row r where there are no queries, about the center, and
// norms[r] = |rows[r]|^2. A warp per row.
extern "C" __global__ void __launch_bounds__(256)
    centered_rows(const void* X, index_t d, index_t is_double, const index_t* queries,
                  index_t n_rows, const double* center, double* rows, double* norms) {
  const index_t r = static_cast<index_t>(blockIdx.x) * (blockDim.x / kWarp) + warp_index();
  if (r >= n_rows) return;  // with its whole warp
  const index_t from = (queries ? queries[r] : r) * d;
  double norm = 0.0;
  for (index_t f = lane_index(); f < d; f += kWarp) {
    const double value = entry(X, from + f, is_double) - center[f];
    rows[r * d + f] = value;
    norm += value * value;
  }
  norm = warp_sum(norm);
  if (lane_index() == 0) norms[r] = norm;
}

// Below this share of the two norms, three of sixteen digits are lost, and differences take over.
constexpr double kNearShare = 1e-3;

// A row of a tile, and whose rows it holds against each other.
struct SquaresRow {
  const void* X;
  index_t d, is_double;
  const double* norms;
  index_t i;
};

// |x_i - x_j|^2 from differences for lanes that ask, each its own j; others keep what they have.
// Called by whole warps, which do some at a time: memory is far. Sums are in exact_key's order.
template <int kTogether = 4>
__device__ __forceinline__ double judged_square(const SquaresRow& row, index_t j, double otherwise,
                                                bool asks) {
  double square = otherwise;
  unsigned left = __ballot_sync(kAllLanes, asks);
  while (left != 0) {
    int lanes[kTogether];
    index_t columns[kTogether];
    double sums[kTogether];
    for (int u = 0; u < kTogether; ++u) {
      lanes[u] = left != 0 ? __ffs(static_cast<int>(left)) - 1 : lanes[u == 0 ? 0 : u - 1];
      left &= left - 1;
      columns[u] = __shfl_sync(kAllLanes, j, lanes[u]);
      sums[u] = 0.0;
    }
    for (index_t f = lane_index(); f < row.d; f += kWarp) {
      const double x = entry(row.X, row.i * row.d + f, row.is_double);
      for (int u = 0; u < kTogether; ++u) {
        const double difference = x - entry(row.X, columns[u] * row.d + f, row.is_double);
        sums[u] += difference * difference;
      }
    }
    for (int u = 0; u < kTogether; ++u) {
      const double sum = __shfl_sync(kAllLanes, warp_sum(sums[u]), 0);
      if (lane_index() == lanes[u]) square = sum;
    }
  }
  return square;
}

// |x_i - x_j|^2 from product = -2 x_i.x_j, each lane its own j. Called by whole warps; lanes that
// are not `active` get anything.
__device__ __forceinline__ double completed_square(const SquaresRow& row, index_t j, double product,
                                                   bool active) {
  const double norms = active ? row.norms[row.i] + row.norms[j] : 0.0;
  const double square = norms + product;
  return judged_square(row, j, square, active && square < kNearShare * norms);
}

// tile[r, j] = |x_i - x_j|^2 in place of -2 x_i.x_j, i = queries[r], or first + r where there are
// no queries; infinite for j = i.
extern "C" __global__ void __launch_bounds__(256)
    complete_squares(double* tile, const void* X, index_t n, index_t d, index_t is_double,
                     const double* norms, const index_t* queries, index_t first) {
  const SquaresRow row = {X, d, is_double, norms,
                          queries ? queries[blockIdx.y] : first + blockIdx.y};
  const index_t j = static_cast<index_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const bool active = j < n && j != row.i;
  double* at = tile + blockIdx.y * n + j;
  const double square = completed_square(row, j, active ? *at : 0.0, active);
  if (j < n) *at = active ? square : infinity();
}

// out[t + y * stride] += sum of parts[y, 0..n_parts, t] in their order, for each y of the grid.
extern "C" __global__ void __launch_bounds__(256)
    add_parts(const double* parts, index_t n_parts, index_t length, double* out, index_t stride) {
  const index_t t = static_cast<index_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (t >= length) return;
  const double* from = parts + blockIdx.y * n_parts * length + t;
  double sum = 0.0;
  for (index_t p = 0; p < n_parts; ++p) sum += from[p * length];
  out[blockIdx.y * stride + t] += sum;
}
