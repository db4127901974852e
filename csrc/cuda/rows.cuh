// What a user's rows are turned into before they are multiplied: sums of columns, rows about a
// mean in float64, halves of 16 bits.
#pragma once

#include "common.cuh"

// sums[c, f] = sum of column f over rows [c * height, (c + 1) * height); 32 columns a block of 256.
extern "C" __global__ void __launch_bounds__(256)
    column_sums(const void* X, index_t n, index_t d, index_t is_double, index_t height,
                double* sums) {
  __shared__ double parts[8][kWarp];
  const index_t f = static_cast<index_t>(blockIdx.x) * kWarp + lane_index();
  const index_t first = static_cast<index_t>(blockIdx.y) * height;
  const index_t stop = min(n, first + height);
  double sum = 0.0;
  if (f < d) {
    for (index_t i = first + warp_index(); i < stop; i += 8) sum += entry(X, i * d + f, is_double);
  }
  parts[warp_index()][lane_index()] = sum;
  __syncthreads();
  if (warp_index() == 0 && f < d) {
    double total = 0.0;
    for (int w = 0; w < 8; ++w) total += parts[w][lane_index()];
    sums[blockIdx.y * d + f] = total;
  }
}
