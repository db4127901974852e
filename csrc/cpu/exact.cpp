// 8 or 16 bytes read and 3 flops per feature; bound by memory latency, not by arithmetic.

#include "cpu/exact.hpp"

#include "common/simd.hpp"

namespace consilience {
namespace {

constexpr index_t kLanes = 32;  // four registers of eight: sums that do not wait for each other

template <class Term>
inline __attribute__((always_inline)) double sum_in_lanes(index_t d, Term term) {
  double lanes[kLanes] = {};
  const index_t whole = d - d % kLanes;
  for (index_t f = 0; f < whole; f += kLanes) {
    for (index_t l = 0; l < kLanes; ++l) lanes[l] += term(f + l);
  }
  for (index_t f = whole; f < d; ++f) lanes[f - whole] += term(f);
  for (index_t half = kLanes / 2; half > 0; half /= 2) {
    for (index_t l = 0; l < half; ++l) lanes[l] += lanes[l + half];
  }
  return lanes[0];
}

template <class Real, class Other>
inline __attribute__((always_inline)) double squared_difference(const Real* x, const Other* y,
                                                                index_t d) {
  return sum_in_lanes(d, [=](index_t f) {
    const double difference = static_cast<double>(x[f]) - static_cast<double>(y[f]);
    return difference * difference;
  });
}

template <class Real>
inline __attribute__((always_inline)) double shifted_product(const Real* x, const Real* y,
                                                             const double* mean, index_t d) {
  return sum_in_lanes(d, [=](index_t f) {
    return static_cast<double>(x[f]) * (static_cast<double>(y[f]) - mean[f]);
  });
}

template <class Real, class Other>
inline __attribute__((always_inline)) double plain_product(const Real* x, const Other* y,
                                                           index_t d) {
  return sum_in_lanes(
      d, [=](index_t f) { return static_cast<double>(x[f]) * static_cast<double>(y[f]); });
}

CONSILIENCE_SIMD double difference_float(const float* x, const float* y, index_t d) {
  return squared_difference(x, y, d);
}
CONSILIENCE_SIMD double difference_double(const double* x, const double* y, index_t d) {
  return squared_difference(x, y, d);
}
CONSILIENCE_SIMD double difference_vector(const float* x, const double* v, index_t d) {
  return squared_difference(x, v, d);
}
CONSILIENCE_SIMD double product_float(const float* x, const float* y, const double* m, index_t d) {
  return shifted_product(x, y, m, d);
}
CONSILIENCE_SIMD double product_double(const double* x, const double* y, const double* m,
                                       index_t d) {
  return shifted_product(x, y, m, d);
}

CONSILIENCE_SIMD double plain_float(const float* x, const float* y, index_t d) {
  return plain_product(x, y, d);
}
CONSILIENCE_SIMD double plain_double(const double* x, const double* y, index_t d) {
  return plain_product(x, y, d);
}
CONSILIENCE_SIMD double vector_float(const float* x, const double* v, index_t d) {
  return plain_product(x, v, d);
}

}  // namespace

double squared_distance(const Embedding& X, index_t i, index_t j) {
  return X.is_double ? difference_double(X.double_row(i), X.double_row(j), X.n_features)
                     : difference_float(X.float_row(i), X.float_row(j), X.n_features);
}

void widened_row(const Embedding& X, index_t i, double* v) {
  for (index_t f = 0; f < X.n_features; ++f) {
    v[f] = X.is_double ? X.double_row(i)[f] : static_cast<double>(X.float_row(i)[f]);
  }
}

double squared_distance_to(const Embedding& X, index_t i, const double* v) {
  return X.is_double ? difference_double(X.double_row(i), v, X.n_features)
                     : difference_vector(X.float_row(i), v, X.n_features);
}

double shifted_inner_product(const Embedding& X, index_t i, index_t j, const double* mean) {
  return X.is_double ? product_double(X.double_row(i), X.double_row(j), mean, X.n_features)
                     : product_float(X.float_row(i), X.float_row(j), mean, X.n_features);
}

double inner_product(const Embedding& X, index_t i, index_t j) {
  return X.is_double ? plain_double(X.double_row(i), X.double_row(j), X.n_features)
                     : plain_float(X.float_row(i), X.float_row(j), X.n_features);
}

double product_with(const Embedding& X, index_t i, const double* v) {
  return X.is_double ? plain_double(X.double_row(i), v, X.n_features)
                     : vector_float(X.float_row(i), v, X.n_features);
}

}  // namespace consilience
