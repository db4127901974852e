// Keys and values of pairs of rows as float64 differences and products give them: what all that is
// screened is judged by. CPU twin: cpu/exact.cpp, with the same order of sums.
#pragma once

#include "common.cuh"

// A warp's key of rows i of X and j of Y: |x - y|^2, or -x.y; for lane 0.
__device__ __forceinline__ double exact_key(const void* X, index_t i, const void* Y, index_t j,
                                            index_t d, index_t is_double, index_t products) {
  double sum = 0.0;
  for (index_t f = lane_index(); f < d; f += kWarp) {
    const double x = entry(X, i * d + f, is_double), y = entry(Y, j * d + f, is_double);
    sum += products ? x * y : (x - y) * (x - y);
  }
  sum = warp_sum(sum);
  return products ? -sum : sum;
}

// keys[q, j] = the key of rows queries[q] and j of X, infinite for the row itself. (n_queries, n)
// A block takes 8 queries and a stretch of rows, each of which is read once for all of them.
constexpr int kQueriesPerBlock = 8;

extern "C" __global__ void __launch_bounds__(256)
    exact_keys(const void* X, index_t n, index_t d, index_t is_double, index_t products,
               const index_t* queries, index_t n_queries, double* keys) {
  const index_t first = static_cast<index_t>(blockIdx.y) * kQueriesPerBlock;
  const int count =
      static_cast<int>(min(static_cast<index_t>(kQueriesPerBlock), n_queries - first));
  const void* rows[kQueriesPerBlock];  // those behind the last stand in for it
#pragma unroll
  for (int q = 0; q < kQueriesPerBlock; ++q) {
    rows[q] = row_of(X, queries[first + min(q, count - 1)], d, is_double);
  }
  const index_t warps = static_cast<index_t>(gridDim.x) * (blockDim.x / kWarp);
  for (index_t j = blockIdx.x * (blockDim.x / kWarp) + warp_index(); j < n; j += warps) {
    double sums[kQueriesPerBlock] = {};
    for (index_t f = lane_index(); f < d; f += kWarp) {
      const double y = entry(X, j * d + f, is_double);
#pragma unroll
      for (int q = 0; q < kQueriesPerBlock; ++q) {
        const double x = entry(rows[q], f, is_double);
        sums[q] += products ? x * y : (x - y) * (x - y);
      }
    }
#pragma unroll
    for (int q = 0; q < kQueriesPerBlock; ++q) {
      const double sum = warp_sum(sums[q]);
      if (lane_index() == 0 && q < count) {
        const double key = products ? -sum : sum;
        keys[(first + q) * n + j] = queries[first + q] == j ? infinity() : key;
      }
    }
  }
}
