#pragma once

#include <cstdint>
#include <vector>

#include "cpu/centered.hpp"

namespace consilience {

// Rows turned by an orthogonal map that evens out their entries, then rounded to signed bytes of
// one step: products of bytes are whole numbers, the same in any order of summation. Four bytes
// stand in the place of a float, for Panels to carry.
struct CoarseRows {
  index_t n_samples, depth;        // depth = a quarter of the features, rounded up
  std::vector<float> rows;         // (n_samples, depth)
  std::vector<std::int32_t> sums;  // of a row's bytes
  std::vector<float> halves;       // half the squared length of a row of bytes

  const float* row(index_t i) const { return rows.data() + i * depth; }
  static index_t bytes_per_row(index_t n_features) { return n_features + 3 + 8; }
};

// Entries beyond 127 steps are cut off.
CoarseRows coarse_rows(const Centered<float>& set, double step, const Run& run);

CoarseRows reordered(const CoarseRows& rows, const std::vector<std::int32_t>& order);

}  // namespace consilience
