#pragma once

#include <algorithm>
#include <memory>
#include <new>

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
        data_(static_cast<float*>(::operator new(bytes(), std::align_val_t{kAlignment}))) {
    std::fill_n(data_.get(), bytes() / sizeof(float), 0.0f);
  }

  index_t n_rows() const { return n_rows_; }
  index_t depth() const { return depth_; }
  index_t n_panels() const { return (n_rows_ + cols_ - 1) / cols_; }

  void set(index_t row, index_t feature, float value) { at(row)[feature * cols_] = value; }
  void set_row(index_t row, const float* values, index_t count) {
    float* to = at(row);
    for (index_t f = 0; f < count; ++f) to[f * cols_] = values[f];
  }
  // The first feature of a row, whose next ones are `cols` further on.
  const float* row(index_t row) const {
    return data_.get() + row / cols_ * cols_ * depth_ + row % cols_;
  }

 private:
  static constexpr std::size_t kAlignment = 64;
  struct Delete {
    void operator()(float* data) const { ::operator delete(data, std::align_val_t{kAlignment}); }
  };

  float* at(index_t row) { return data_.get() + row / cols_ * cols_ * depth_ + row % cols_; }
  std::size_t bytes() const { return sizeof(float) * n_panels() * cols_ * depth_; }

  index_t cols_, n_rows_, depth_;
  std::unique_ptr<float[], Delete> data_;
};

inline Panels packed(const Centered<float>& set, const Run& run) {
  Panels panels(set.n_samples, set.n_features);
  const index_t cols = micro_kernel().cols;
  parallel_for(panels.n_panels(), run, [&](index_t panel, int) {
    const index_t stop = std::min(set.n_samples, (panel + 1) * cols);
    for (index_t i = panel * cols; i < stop; ++i) panels.set_row(i, set.row(i), set.n_features);
  });
  return panels;
}

}  // namespace consilience
