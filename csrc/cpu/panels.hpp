#pragma once

#include <algorithm>
#include <cstring>

#include "common/aligned.hpp"
#include "common/parallel.hpp"
#include "cpu/centered.hpp"
#include "cpu/micro_kernel.hpp"

namespace consilience {

// Rows as the micro-kernel reads them: `cols` rows interleaved to a panel, feature by feature,
// (n_panels, depth, cols), the last panel filled with zeros. One layout serves both sides of a
// product, as the kernel's rows divide its columns.
class Panels {
 public:
  Panels(index_t n_rows, index_t depth)
      : cols_(micro_kernel().cols),
        n_rows_(n_rows),
        depth_(depth),
        data_(n_panels() * cols_ * depth_) {}

  index_t n_rows() const { return n_rows_; }
  index_t depth() const { return depth_; }
  index_t n_panels() const { return (n_rows_ + cols_ - 1) / cols_; }

  void set(index_t row, index_t feature, float value) { at(row)[feature * cols_] = value; }
  void set_row(index_t row, const float* values, index_t count) {
    float* to = at(row);
    for (index_t f = 0; f < count; ++f) to[f * cols_] = values[f];
  }
  // Four rows, from a multiple of four on: four by four entries are turned in registers.
  void set_four(index_t row, const float* const values[4]) {
    float* to = at(row);
    index_t f = 0;
    for (; f + 4 <= depth_; f += 4, to += 4 * cols_) {
      Four a, b, c, d;
      std::memcpy(&a, values[0] + f, sizeof(Four));
      std::memcpy(&b, values[1] + f, sizeof(Four));
      std::memcpy(&c, values[2] + f, sizeof(Four));
      std::memcpy(&d, values[3] + f, sizeof(Four));
      const Four ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5);
      const Four ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
      const Four cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5);
      const Four cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
      const Four turned[4] = {__builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5),
                              __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7),
                              __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5),
                              __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7)};
      for (index_t g = 0; g < 4; ++g) std::memcpy(to + g * cols_, &turned[g], sizeof(Four));
    }
    for (; f < depth_; ++f, to += cols_) {
      for (index_t r = 0; r < 4; ++r) to[r] = values[r][f];
    }
  }
  // The first feature of a row, whose next ones are `cols` further on.
  const float* row(index_t row) const {
    return data_.data() + row / cols_ * cols_ * depth_ + row % cols_;
  }

 private:
  using Four = float __attribute__((vector_size(16)));

  float* at(index_t row) { return data_.data() + row / cols_ * cols_ * depth_ + row % cols_; }

  index_t cols_, n_rows_, depth_;
  Aligned<float> data_;
};

// Rows of `depth` features, row(i) pointing to the first of each.
template <class Row>
Panels packed(index_t n_rows, index_t depth, const Run& run, Row&& row) {
  Panels panels(n_rows, depth);
  const index_t cols = micro_kernel().cols;
  parallel_for(panels.n_panels(), run, [&](index_t panel, int) {
    const index_t stop = std::min(n_rows, (panel + 1) * cols);
    for (index_t i = panel * cols; i < stop; ++i) panels.set_row(i, row(i), depth);
  });
  return panels;
}

inline Panels packed(const Centered<float>& set, const Run& run) {
  return packed(set.n_samples, set.n_features, run, [&](index_t i) { return set.row(i); });
}

}  // namespace consilience
