// 4 to 16 bytes read and written per entry in cache; the square root or the exponential binds.

#include "cpu/pair_functions.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

#include "common/simd.hpp"

#define CONSILIENCE_INLINE inline __attribute__((always_inline))

namespace consilience {
namespace {

template <class Real>
CONSILIENCE_INLINE bool squared_distances_of(Real* row, Real row_norm, const Real* col_norms,
                                             index_t n) {
  int near = 0;
  for (index_t j = 0; j < n; ++j) {
    const Real norms = row_norm + col_norms[j];
    row[j] = norms - 2 * row[j];
    near |= row[j] < near_share<Real>() * norms;
  }
  return near != 0;
}

template <class Real>
CONSILIENCE_INLINE void distances_of(Real* row, index_t n, Real unscale, Real u, const Real* v) {
  for (index_t j = 0; j < n; ++j) row[j] = (unscale * std::sqrt(row[j]) - u) - v[j];
}

template <class Real>
CONSILIENCE_INLINE void squares_of(Real* row, index_t n, Real unscale2, Real u, const Real* v) {
  for (index_t j = 0; j < n; ++j) row[j] = (unscale2 * row[j] - u) - v[j];
}

// exp(x) for x <= 0: 2^k by the exponent bits, the rest by a Taylor polynomial on |r| <= ln2 / 2,
// whose first left-out term is below the round-off.
CONSILIENCE_INLINE float exp_of(float x) {
  x = std::max(x, -87.0f);
  const float k = std::nearbyint(x * 1.44269504f);
  const float r = (x - k * 0.693359375f) + k * 2.12194440e-4f;
  float p = 1.0f / 5040;
  p = p * r + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const auto exponent = (static_cast<std::int32_t>(k) + 127) << 23;
  return p * std::bit_cast<float>(exponent);
}

CONSILIENCE_INLINE double exp_of(double x) {
  x = std::max(x, -708.0);
  const double k = std::nearbyint(x * 1.4426950408889634);
  const double r = (x - k * 6.93145751953125e-1) - k * 1.42860682030941723212e-6;
  double p = 1.0 / 6227020800;
  p = p * r + 1.0 / 479001600;
  p = p * r + 1.0 / 39916800;
  p = p * r + 1.0 / 3628800;
  p = p * r + 1.0 / 362880;
  p = p * r + 1.0 / 40320;
  p = p * r + 1.0 / 5040;
  p = p * r + 1.0 / 720;
  p = p * r + 1.0 / 120;
  p = p * r + 1.0 / 24;
  p = p * r + 1.0 / 6;
  p = p * r + 0.5;
  p = p * r + 1.0;
  p = p * r + 1.0;
  const auto exponent = (static_cast<std::int64_t>(k) + 1023) << 52;
  return p * std::bit_cast<double>(exponent);
}

template <class Real>
CONSILIENCE_INLINE void rbf_of(Real* row, index_t n, Real minus_gamma, Real u, const Real* v) {
  for (index_t j = 0; j < n; ++j) row[j] = (exp_of(minus_gamma * row[j]) - u) - v[j];
}

template <class Real>
CONSILIENCE_INLINE double sum_of(const Real* row, index_t n) {
  double lanes[8] = {};
  const index_t whole = n - n % 8;
  for (index_t j = 0; j < whole; j += 8) {
    for (index_t l = 0; l < 8; ++l) lanes[l] += static_cast<double>(row[j + l]);
  }
  for (index_t j = whole; j < n; ++j) lanes[j - whole] += static_cast<double>(row[j]);
  return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +
         ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

template <class Real>
CONSILIENCE_INLINE void add_of(const Real* row, index_t n, double* sums) {
  for (index_t j = 0; j < n; ++j) sums[j] += static_cast<double>(row[j]);
}

}  // namespace

CONSILIENCE_SIMD bool squared_distances(float* row, float row_norm, const float* col_norms,
                                        index_t n) {
  return squared_distances_of(row, row_norm, col_norms, n);
}
CONSILIENCE_SIMD bool squared_distances(double* row, double row_norm, const double* col_norms,
                                        index_t n) {
  return squared_distances_of(row, row_norm, col_norms, n);
}

CONSILIENCE_SIMD void distances_about(float* row, index_t n, float unscale, float u,
                                      const float* v) {
  distances_of(row, n, unscale, u, v);
}
CONSILIENCE_SIMD void distances_about(double* row, index_t n, double unscale, double u,
                                      const double* v) {
  distances_of(row, n, unscale, u, v);
}

CONSILIENCE_SIMD void squares_about(float* row, index_t n, float unscale2, float u,
                                    const float* v) {
  squares_of(row, n, unscale2, u, v);
}
CONSILIENCE_SIMD void squares_about(double* row, index_t n, double unscale2, double u,
                                    const double* v) {
  squares_of(row, n, unscale2, u, v);
}

CONSILIENCE_SIMD void rbf_about(float* row, index_t n, float minus_gamma, float u, const float* v) {
  rbf_of(row, n, minus_gamma, u, v);
}
CONSILIENCE_SIMD void rbf_about(double* row, index_t n, double minus_gamma, double u,
                                const double* v) {
  rbf_of(row, n, minus_gamma, u, v);
}

CONSILIENCE_SIMD double sum(const float* row, index_t n) { return sum_of(row, n); }
CONSILIENCE_SIMD double sum(const double* row, index_t n) { return sum_of(row, n); }
CONSILIENCE_SIMD void add_to(const float* row, index_t n, double* sums) { add_of(row, n, sums); }
CONSILIENCE_SIMD void add_to(const double* row, index_t n, double* sums) { add_of(row, n, sums); }

}  // namespace consilience
