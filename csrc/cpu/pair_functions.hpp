#pragma once

#include "common/types.hpp"

// Epilogues of a tile of products, one row at a time and in place. All loops vectorise.
namespace consilience {

// Below this share of |a|^2 + |b|^2 a squared distance has lost too many digits to the expansion:
// 2^-6 leaves a float32 distance off by at most about 2e-5 of itself (bench/precision.py).
template <class Real>
constexpr Real near_share() {
  return sizeof(Real) == 4 ? Real(0x1p-6) : Real(0x1p-20);
}

// row_j <- row_norm + col_norms_j - 2 row_j. True if any entry is near, as defined above.
bool squared_distances(float* row, float row_norm, const float* col_norms, index_t n);
bool squared_distances(double* row, double row_norm, const double* col_norms, index_t n);

// row_j <- unscale * sqrt(row_j) - u - v_j
void distances_about(float* row, index_t n, float unscale, float u, const float* v);
void distances_about(double* row, index_t n, double unscale, double u, const double* v);

// row_j <- unscale2 * row_j - u - v_j
void squares_about(float* row, index_t n, float unscale2, float u, const float* v);
void squares_about(double* row, index_t n, double unscale2, double u, const double* v);

// row_j <- exp(minus_gamma * row_j) - u - v_j
void rbf_about(float* row, index_t n, float minus_gamma, float u, const float* v);
void rbf_about(double* row, index_t n, double minus_gamma, double u, const double* v);

// Sums in float64.
double sum(const float* row, index_t n);
double sum(const double* row, index_t n);
void add_to(const float* row, index_t n, double* sums);
void add_to(const double* row, index_t n, double* sums);

}  // namespace consilience
