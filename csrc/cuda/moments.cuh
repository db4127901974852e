// Rows about a shift with what moments add to them, in float64; cuBLAS multiplies them. CPU twin:
// cpu/moments.cpp. 4 or 8 bytes read and 8 written per entry.
#pragma once

#include "common.cuh"

// Z[i, first ...] = u = x - shift and Z[i, last] = |u|^2, Z[i, last + 1] = 1, in rows of `width`. A
// warp a row.
extern "C" __global__ void __launch_bounds__(256)
    augment_rows(const void* X, index_t n, index_t d, index_t is_double, const double* shift,
                 index_t width, index_t first, index_t last, double* Z) {
  const index_t i = static_cast<index_t>(blockIdx.x) * 8 + warp_index();
  if (i >= n) return;  // the whole warp
  double* row = Z + i * width;
  double squares = 0.0;
  for (index_t f = lane_index(); f < d; f += kWarp) {
    const double u = entry(X, i * d + f, is_double) - shift[f];
    row[first + f] = u;
    squares += u * u;
  }
  squares = warp_sum(squares);
  if (lane_index() == 0) {
    row[last] = squares;
    row[last + 1] = 1.0;
  }
}
