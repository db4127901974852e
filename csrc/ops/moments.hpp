#pragma once

#include "common/parallel.hpp"
#include "common/types.hpp"

namespace consilience {

// The augmented cross-moment of two sets about given shifts, in float64:
//   Z_x = [u | |u|^2 | 1], u = x - shift_x; Z_y alike;  out = Z_x^T Z_y, (d_x + 2, d_y + 2).
// Additive over blocks of rows that share their shifts. Sums run over rows in a fixed order.
// Memory beyond the arguments: 16 KiB per feature.
void moments(const Embedding& X, const Embedding& Y, const double* shift_x, const double* shift_y,
             const Run& run, double* out);

}  // namespace consilience
