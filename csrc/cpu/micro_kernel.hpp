#pragma once

#include <cstdint>

#include "common/types.hpp"

namespace consilience {

// What a product s_ij of a row i and a column j is held against, in the layout of one micro-tile:
// it is of interest to row i if column_lower_j - s_ij <= row_threshold_i, and to column j if
// row_lower_i - s_ij <= column_threshold_j. No lower bound is infinite; thresholds may be.
struct MicroBounds {
  const float* row_lower;
  const float* row_thresholds;
  const float* column_lower;
  const float* column_thresholds;
};

// What a product s_ij is counted by. Of row i, column j is certainly nearer than the row's query if
// s_ij > column_upper_j - row_near_i, and certainly farther unless s_ij >= column_lower_j -
// row_far_i; of column j, row i likewise. Thresholds of -inf: no query.
struct CountBounds {
  const float *row_upper, *row_lower, *row_near, *row_far;
  const float *column_upper, *column_lower, *column_near, *column_far;
};

// Of one micro-tile: how many are certainly nearer, added to what is there, and bit j of masks[i]
// for the pairs that are neither nearer nor farther.
struct TileCounts {
  std::int32_t *of_rows, *of_columns;
  std::uint64_t *row_undecided, *column_undecided;
};

// A matrix product that is looked at before it leaves the registers. `left` holds `rows` of the
// `cols` interleaved rows of a panel, `right` a whole panel (see Panels). Returns whether any
// product is of interest to either side; then masks[i] has bit j set for those that are, and
// products (rows, cols) all of them.
struct MicroKernel {
  int rows, cols;
  bool (*reached)(const float* left, const float* right, index_t depth, const MicroBounds& bounds,
                  float* products, std::uint64_t* masks);
  // The same of signed bytes, four features in the place of a float (see CoarseRows): depth is a
  // quarter, left_sums are those of the rows' bytes.
  bool (*bytes_reached)(const float* left, const float* right, index_t depth,
                        const std::int32_t* left_sums, const MicroBounds& bounds, float* products,
                        std::uint64_t* masks);
  bool fast_bytes;  // faster than floats
  // products (rows, cols), `ld` apart, = or += the product over some of the features.
  void (*multiply)(const float* left, const float* right, index_t depth, bool add, float* products,
                   index_t ld);
  // Of `n_rows` rows of such products; the columns only if `both`. Whether any is undecided.
  bool (*count)(const float* products, index_t ld, int n_rows, bool both, const CountBounds& bounds,
                const TileCounts& counts);
  // The masks of a + b, sums of two models' products.
  bool (*joint_reached)(const float* a, const float* b, const MicroBounds& bounds,
                        std::uint64_t* masks);
  // out[c] = sum of x_f rows[c]_f, the same whatever rows come with it.
  void (*row_products)(const float* x, const float* const* rows, index_t count, index_t d,
                       float* out);
  const char* name;
};

constexpr int kMostRows = 16, kMostCols = 64;

// The widest one this processor runs.
const MicroKernel& micro_kernel();

// Sum of x_f y_f in float32.
inline float product(const float* x, const float* y, index_t d) {
  float out;
  micro_kernel().row_products(x, &y, 1, d, &out);
  return out;
}

}  // namespace consilience
