#pragma once

#include "common/simd.hpp"
#include "common/types.hpp"

namespace consilience {

// Sums in lanes that do not wait for each other, in one order.
template <class Term>
CONSILIENCE_INLINE double sum_in_lanes(index_t n, Term term) {
  constexpr index_t kLanes = 8;
  double sums[kLanes] = {};
  index_t f = 0;
  for (; f + kLanes <= n; f += kLanes) {
    for (index_t lane = 0; lane < kLanes; ++lane) sums[lane] += term(f + lane);
  }
  for (index_t lane = 0; f < n; ++f, ++lane) sums[lane] += term(f);
  return ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

// to = scale (x_i - origin); returns its squared length.
double move_row(const Embedding& X, index_t i, const double* origin, double scale, float* to);
double move_row(const Embedding& X, index_t i, const double* origin, double scale, double* to);

}  // namespace consilience
