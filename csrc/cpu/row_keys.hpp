#pragma once

#include <memory>
#include <vector>

#include "common/parallel.hpp"
#include "common/types.hpp"
#include "cpu/panels.hpp"

namespace consilience {

// What a float32 key of rows of these lengths is off by, its product being summed in chunks.
double float_key_error(index_t n_features, double own, double other);

// Keys |a_l|^2 / 2 - a_i.a_l of rows i, which order l as the distances from i do where they are
// further apart than the row's `gap`.
template <class Real>
class RowKeys;

// From BLAS in float64: two float32 products' time, and hardly a pair is left undecided.
template <>
class RowKeys<double> {
 public:
  RowKeys(const Embedding& X, const Run& run);

  index_t rows_at_a_time() const;
  // Distance between rows in `products`.
  index_t stride() const { return n_; }
  // Numbers of room that a worker needs besides the products.
  index_t room() const { return rows_at_a_time() * d_; }
  void multiply(const index_t* rows, index_t n_rows, double* room, double* products) const;
  // From products to keys in place, self's being that of another; and their range.
  void finish(index_t i, double* row, double* low, double* high) const;
  double gap(index_t i) const;
  // What the key of l in row i is off by; for two keys, no more than the gap.
  double error(index_t i, index_t) const { return 0.5 * gap(i); }

 private:
  index_t n_, d_;
  std::vector<double> rows_, half_norms_;
  double largest_norm2_;
};

// From the micro-kernel in float32, features in chunks: their sums then round little more than the
// rows did. About one pair in ten is left undecided among 10,000 samples.
template <>
class RowKeys<float> {
 public:
  RowKeys(const Embedding& X, const Run& run);

  index_t rows_at_a_time() const;
  index_t stride() const { return panels_->n_panels() * micro_kernel().cols; }
  index_t room() const { return micro_kernel().cols * d_; }
  void multiply(const index_t* rows, index_t n_rows, float* room, float* products) const;
  void finish(index_t i, float* row, float* low, float* high) const;
  double gap(index_t i) const;
  double error(index_t i, index_t l) const { return float_key_error(d_, norms_[i], norms_[l]); }

 private:
  index_t n_, d_;
  std::unique_ptr<Panels> panels_;
  std::vector<float> half_norms_, norms_;  // the latter rounded up
  double largest_norm_;
};

// Features that are summed before they are added to the others, and the roundings it takes.
constexpr index_t kFeatureChunk = 32;
inline index_t chunked_roundings(index_t d) {
  return d <= kFeatureChunk ? d : kFeatureChunk + (d + kFeatureChunk - 1) / kFeatureChunk;
}

}  // namespace consilience
