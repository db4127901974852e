// pair_rows on a GPU; CPU twin: cpu/pair_rows.cpp. Of each stripe of rows, all columns: a channel's
// values are made in one pass over its products, 8 bytes read and 8 written per entry, and read
// once more, by the caches at best, for each pair of channels.
#pragma once

#include "pair_terms.cuh"

// means[j] = the mean over some rows r of g(|x_r - x_j|); products[j, s] = -2 x_j.x_r, r the s-th.
// A warp per j.
extern "C" __global__ void __launch_bounds__(256)
    reference_means(const double* products, const void* X, index_t n, index_t d, index_t is_double,
                    const double* norms, const index_t* references, index_t n_references,
                    index_t function, double gamma, double* means) {
  const index_t j = static_cast<index_t>(blockIdx.x) * (blockDim.x / kWarp) + warp_index();
  if (j >= n) return;  // with its whole warp
  const SquaresRow row = {X, d, is_double, norms, j};
  double sum = 0.0;
  for (index_t first = 0; first < n_references; first += kWarp) {
    const index_t s = first + lane_index();
    const bool active = s < n_references;
    const index_t r = active ? references[s] : j;
    const double product = active ? products[j * n_references + s] : 0.0;
    const double square = completed_square(row, r, product, active);
    if (active) sum += pair_function(function, gamma, square);
  }
  sum = warp_sum(sum);
  if (lane_index() == 0) means[j] = sum / static_cast<double>(n_references);
}

// values[r, j] = g(|x_i - x_j|) - u_i - u_j, i = queries[r], and 0 for j = i.
// squares[r, j] holds products, or is `complete` already; it is completed if others are to use it.
// Sums of values of each row by blocks, row_parts[block x, r]. A thread per column.
extern "C" __global__ void __launch_bounds__(256)
    row_values(double* squares, index_t complete, index_t keep, const void* X, index_t n, index_t d,
               index_t is_double, const double* norms, const index_t* queries, index_t n_rows,
               index_t function, double gamma, const double* offsets, double* values,
               double* row_parts) {
  __shared__ double sums[256 / kWarp];
  const index_t j = static_cast<index_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const index_t r = blockIdx.y, i = queries[r], at = r * n + j;
  const bool there = j < n, active = there && j != i;
  double square = active ? squares[at] : 0.0;
  if (!complete) {
    const SquaresRow row = {X, d, is_double, norms, i};
    square = completed_square(row, there ? j : i, square, active);
    if (keep && active) squares[at] = square;
  }
  const double value =
      active ? pair_function(function, gamma, square) - offsets[i] - offsets[j] : 0.0;
  if (there) values[at] = value;
  const double sum = warp_sum(value);
  if (lane_index() == 0) sums[warp_index()] = sum;
  __syncthreads();
  if (threadIdx.x != 0) return;
  double total = 0.0;
  for (int w = 0; w < 256 / kWarp; ++w) total += sums[w];
  row_parts[blockIdx.x * n_rows + r] = total;
}

// products[p, r] = sum over j of values[a, r, j] values[b, r, j], (a, b) = pairs[p].
// A block per pair and row.
extern "C" __global__ void __launch_bounds__(256)
    row_products(const double* values, const index_t* pairs, index_t n_rows, index_t n,
                 double* products) {
  __shared__ double sums[256 / kWarp];
  const index_t p = blockIdx.x, r = blockIdx.y;
  const double* a = values + (pairs[2 * p] * n_rows + r) * n;
  const double* b = values + (pairs[2 * p + 1] * n_rows + r) * n;
  double sum = 0.0;
  for (index_t j = threadIdx.x; j < n; j += blockDim.x) sum += a[j] * b[j];
  sum = warp_sum(sum);
  if (lane_index() == 0) sums[warp_index()] = sum;
  __syncthreads();
  if (threadIdx.x != 0) return;
  double total = 0.0;
  for (int w = 0; w < 256 / kWarp; ++w) total += sums[w];
  products[p * n_rows + r] = total;
}
