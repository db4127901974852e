#pragma once

#include "common/types.hpp"
#include "ops/pair_terms.hpp"

// What pair_terms and pair_rows do to a block of a channel's matrix once its products are there. Rows of a
// block are `stride` entries apart, of which the first n_cols belong to samples. All loops
// vectorise, and a block of float32 stays in the first cache.
namespace consilience {

// Below this share of |a|^2 + |b|^2 a squared distance has lost too many digits to the expansion:
// 2^-6 leaves a float32 distance off by at most about 2e-5 of itself (bench/precision.py).
template <class Real>
constexpr Real near_share() {
  return sizeof(Real) == 4 ? Real(0x1p-6) : Real(0x1p-20);
}

// Rows of a block are a multiple of this long, so that sums of its products read whole vectors.
constexpr index_t kBlockLanes = 16;

template <class Real>
struct Block {
  Real* entries;
  index_t n_rows, n_cols, stride;

  Real* row(index_t i) const { return entries + i * stride; }
};

// Products become squared distances |a|^2 + |b|^2 - 2 a.b. True if any is near, as defined above.
bool squared_distances(const Block<float>& block, const float* row_norms, const float* col_norms);
bool squared_distances(const Block<double>& block, const double* row_norms,
                       const double* col_norms);

// g of squared distances in units of `unscale`^2, less u_i and v_j: `values` may be `squares`.
// gamma is read by rbf only. Entries past n_cols become 0.
void values_about(PairFunction function, const Block<float>& squares, double unscale, double gamma,
                  const float* u, const float* v, float* values);
void values_about(PairFunction function, const Block<double>& squares, double unscale, double gamma,
                  const double* u, const double* v, double* values);

// Adds the sums of the block's rows, and those of its columns unless col_sums is null. Float32
// entries are added up in groups of at most eight before they enter float64.
void add_sums(const Block<float>& block, double* row_sums, double* col_sums);
void add_sums(const Block<double>& block, double* row_sums, double* col_sums);

// products[c, e] += weight * sum_s c_s e_s for the upper triangle of channels, over n_entries (a
// multiple of kBlockLanes), channels being `area` apart. Float32 products are added up in
// groups of at most 48 before they enter float64.
void add_products(const float* channels, index_t n_channels, index_t area, index_t n_entries,
                  double weight, double* products);
void add_products(const double* channels, index_t n_channels, index_t area, index_t n_entries,
                  double weight, double* products);

// sums[i] += sum_j a_ij b_ij, b in the layout of `a`, whose entries past n_cols are 0 up to the next
// multiple of kBlockLanes. Float32 products of a row are added up in its lanes.
void add_row_products(const Block<float>& a, const float* b, double* sums);
void add_row_products(const Block<double>& a, const double* b, double* sums);

}  // namespace consilience
