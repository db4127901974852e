#pragma once

#include <cstdint>

namespace consilience {

using index_t = std::int64_t;  // n_samples of 1e6 makes n * n overflow 32 bits

// Rows of an embedding as the caller holds them: float32 or float64, C order, owned elsewhere.
struct Embedding {
  const void* data;
  bool is_double;
  index_t n_samples, n_features;

  const float* float_row(index_t i) const {
    return static_cast<const float*>(data) + i * n_features;
  }
  const double* double_row(index_t i) const {
    return static_cast<const double*>(data) + i * n_features;
  }
};

// Neighbour lists: indices (n_rows, k), row-major, nearest first; self is never listed.
struct NeighborLists {
  const index_t* indices;
  index_t n_rows, k;
  const index_t* rows = nullptr;  // which samples the lists are of; null: all, in their order
  index_t n_samples = n_rows;

  const index_t* row(index_t i) const { return indices + i * k; }
  index_t sample(index_t i) const { return rows ? rows[i] : i; }
};

}  // namespace consilience
