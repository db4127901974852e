// 2 d flops per entry, then one read and write of it.

#include "cpu/row_keys.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "common/blas.hpp"
#include "common/simd.hpp"
#include "cpu/centered.hpp"

namespace consilience {
namespace {

// Of products held at a time by one worker: BLAS packs all rows anew for each, the micro-kernel
// does not and writes them to the second cache.
constexpr index_t kBlasBytes = 16 << 20, kKernelBytes = 700 << 10;

// row_l <- half_norms_l - row_l, and the range.
template <class Real>
inline __attribute__((always_inline)) void subtract(Real* row, const Real* half_norms, index_t n,
                                                    Real* low, Real* high) {
  // Lanes, as the compiler may not reorder comparisons itself.
  constexpr index_t kLanes = 64 / sizeof(Real);
  Real smallest[kLanes], largest[kLanes];
  std::fill(smallest, smallest + kLanes, std::numeric_limits<Real>::infinity());
  std::fill(largest, largest + kLanes, -std::numeric_limits<Real>::infinity());
  const auto enter = [&](index_t l, index_t lane) {
    row[l] = half_norms[l] - row[l];
    smallest[lane] = row[l] < smallest[lane] ? row[l] : smallest[lane];
    largest[lane] = row[l] > largest[lane] ? row[l] : largest[lane];
  };
  const index_t whole = n - n % kLanes;
  for (index_t l = 0; l < whole; l += kLanes) {
    for (index_t lane = 0; lane < kLanes; ++lane) enter(l + lane, lane);
  }
  for (index_t l = whole; l < n; ++l) enter(l, l - whole);
  *low = *std::min_element(smallest, smallest + kLanes);
  *high = *std::max_element(largest, largest + kLanes);
}

CONSILIENCE_SIMD void to_keys(float* row, const float* half_norms, index_t n, float* low,
                              float* high) {
  subtract(row, half_norms, n, low, high);
}
CONSILIENCE_SIMD void to_keys(double* row, const double* half_norms, index_t n, double* low,
                              double* high) {
  subtract(row, half_norms, n, low, high);
}

// Self's product, such that its key is another's: it does not widen the range then.
template <class Real>
void hide_self(index_t i, Real* row, const Real* half_norms) {
  const index_t other = i == 0 ? 1 : 0;
  row[i] = half_norms[i] - (half_norms[other] - row[other]);
}

}  // namespace

RowKeys<double>::RowKeys(const Embedding& X, const Run& run) : n_(X.n_samples), d_(X.n_features) {
  Centered<double> set = centered<double>(X, run);
  rows_ = std::move(set.rows);
  half_norms_ = std::move(set.squared_norms);
  largest_norm2_ = *std::max_element(half_norms_.begin(), half_norms_.end());
  for (double& norm : half_norms_) norm *= 0.5;
}

index_t RowKeys<double>::rows_at_a_time() const {
  return std::clamp<index_t>(kBlasBytes / (8 * n_), 1, 128);
}

void RowKeys<double>::multiply(const index_t* rows, index_t n_rows, double* room,
                               double* products) const {
  for (index_t r = 0; r < n_rows; ++r) std::copy_n(rows_.data() + rows[r] * d_, d_, room + r * d_);
  blas::gemm_nt(n_rows, n_, d_, room, d_, rows_.data(), d_, products, n_);
}

void RowKeys<double>::finish(index_t i, double* row, double* low, double* high) const {
  hide_self(i, row, half_norms_.data());
  to_keys(row, half_norms_.data(), n_, low, high);
}

// Covers the rounding of float64 differences too: they are summed in many lanes (exact.cpp), not
// in one chain of d.
double RowKeys<double>::gap(index_t i) const {
  return 2.0 * product_error<double>(d_) * (largest_norm2_ + 2.0 * half_norms_[i]);
}

RowKeys<float>::RowKeys(const Embedding& X, const Run& run) : n_(X.n_samples), d_(X.n_features) {
  const Centered<float> set = centered<float>(X, run);
  panels_ = std::make_unique<Panels>(packed(set, run));
  half_norms_.resize(n_), norms_.resize(n_);
  for (index_t l = 0; l < n_; ++l) {
    half_norms_[l] = static_cast<float>(0.5 * set.squared_norms[l]);
    norms_[l] = static_cast<float>(std::sqrt(set.squared_norms[l]) * (1.0 + 0x1p-23));
  }
  largest_norm_ = *std::max_element(norms_.begin(), norms_.end());
}

index_t RowKeys<float>::rows_at_a_time() const {
  const index_t rows = micro_kernel().rows, cols = micro_kernel().cols;
  return std::clamp(kKernelBytes / (4 * n_) / rows * rows, rows, cols);
}

void RowKeys<float>::multiply(const index_t* rows, index_t n_rows, float* room,
                              float* products) const {
  const MicroKernel& kernel = micro_kernel();
  const index_t cols = kernel.cols;
  for (index_t r = 0; r < n_rows; ++r) {
    const float* from = panels_->row(rows[r]);
    for (index_t f = 0; f < d_; ++f) room[f * cols + r] = from[f * cols];
  }
  for (index_t j = 0; j < n_; j += cols) {
    const float* right = panels_->row(j);
    for (index_t f = 0; f < d_; f += kFeatureChunk) {
      const index_t depth = std::min(kFeatureChunk, d_ - f);
      for (index_t r = 0; r < n_rows; r += kernel.rows) {
        kernel.multiply(room + f * cols + r, right + f * cols, depth, f > 0,
                        products + r * stride() + j, stride());
      }
    }
  }
}

void RowKeys<float>::finish(index_t i, float* row, float* low, float* high) const {
  hide_self(i, row, half_norms_.data());
  to_keys(row, half_norms_.data(), n_, low, high);
}

// (c + 3) u |a_i| |a_l| for the product and the subtraction, 2 u (|a_i|^2 + |a_l|^2) for the
// rounding of the rows, and u |a_l|^2 for that of the norm.
double float_key_error(index_t n_features, double own, double other) {
  const double c = static_cast<double>(chunked_roundings(n_features));
  const double roundings = (c + 3.0) * own * other + 2.0 * own * own + 3.0 * other * other;
  return 1.01 * 0x1p-24 * roundings + std::ldexp(static_cast<double>(n_features), -120);
}

double RowKeys<float>::gap(index_t i) const {
  return 2.0 * float_key_error(d_, norms_[i], largest_norm_);
}

}  // namespace consilience
