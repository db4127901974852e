#pragma once

#include "common/types.hpp"

namespace consilience {

// Rows of a set as the products want them: columns in groups of a vector's width, each group a
// panel of its own, row after row. A group starts `stride` numbers after the one before it.
struct MomentKernel {
  int group;

  // Writes the augmented rows [x - shift | |x - shift|^2 | 1 | 0 ...] of `count` rows.
  void (*pack_floats)(const float* rows, index_t n_features, index_t count, const double* shift,
                      index_t stride, double* packed);
  void (*pack_doubles)(const double* rows, index_t n_features, index_t count, const double* shift,
                       index_t stride, double* packed);

  // sums (group, n_right * group) = left^T right over `depth` rows, of a group of columns (its
  // first `n_left` columns at least) and of `n_right` groups, 1 to kMostRight.
  void (*product)(const double* left, int n_left, const double* right, int n_right, index_t depth,
                  index_t stride, double* sums);
  const char* name;
};

constexpr int kMostGroup = 8, kMostRight = 3;

// The widest one this processor runs.
const MomentKernel& moment_kernel();

}  // namespace consilience
