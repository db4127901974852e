#pragma once

#include "common/types.hpp"

// The float64 definitions that float32 tiles are checked against: sums over differences, never
// the expansion ||x||^2 + ||y||^2 - 2 x.y. Order of summation is fixed: thirty-two strided partial
// sums.
namespace consilience {

inline void prefetch(const void* at) {
#if defined(__GNUC__)
  __builtin_prefetch(at);
#else
  (void)at;
#endif
}

// Asks for row i of X ahead of its use: candidates lie anywhere, and memory is slower than sums.
inline void prefetch_row(const Embedding& X, index_t i) {
  const index_t bytes = X.n_features * (X.is_double ? 8 : 4);
  const char* row = static_cast<const char*>(X.data) + i * bytes;
  for (index_t at = 0; at < bytes; at += 64) prefetch(row + at);
}

// sum_f (x_if - x_jf)^2
double squared_distance(const Embedding& X, index_t i, index_t j);

// sum_f x_if (x_jf - mean_f), the inner product without what is common to all j
double shifted_inner_product(const Embedding& X, index_t i, index_t j, const double* mean);

// sum_f x_if x_jf
double inner_product(const Embedding& X, index_t i, index_t j);

// The same with a row in float64, so that it is converted once for all that it is held against:
// sum_f (x_if - v_f)^2 and sum_f x_if v_f, to the same bits.
void widened_row(const Embedding& X, index_t i, double* v);
double squared_distance_to(const Embedding& X, index_t i, const double* v);
double product_with(const Embedding& X, index_t i, const double* v);

}  // namespace consilience
