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

  // out (n_left, n_columns) += left^T right over `depth` rows, of the first columns of one group
  // and of up to kMostRight groups; `ld` is the distance between rows of `out`.
  void (*product)(const double* left, int n_left, const double* right, index_t n_columns,
                  index_t depth, index_t stride, double* out, index_t ld);
  const char* name;
};

constexpr int kMostRight = 3;

// The widest one this processor runs.
const MomentKernel& moment_kernel();

}  // namespace consilience
