#pragma once

#include <cstdint>
#include <vector>

#include "common/aligned.hpp"
#include "common/parallel.hpp"

namespace consilience {

// Rows rounded to words of 16 bits, each in steps of its own:
//   a = step w + r,    |w_i . w_j| < 2^31 over any of the features,    |r_i| <= rounding |a_i|,
// unless |a_i| < kShortest, of which nothing stays.
// Panels of `cols` interleaved rows as in Panels, but two features together: (n_panels, pairs,
// cols, 2).
class WordPanels {
 public:
  static constexpr double kShortest = 0x1p-80;

  // Rows `width` apart.
  WordPanels(const float* rows, index_t n_rows, index_t width, const Run& run);
  // Some rows of another.
  WordPanels(const WordPanels& from, const std::vector<index_t>& rows);

  static index_t bytes_per_row(index_t width) { return 2 * (width + 1) + 8; }

  index_t pairs() const { return pairs_; }
  // Of any row.
  double rounding() const { return rounding_; }
  // The first two features of a row, whose next ones are 2 cols further on.
  const std::int16_t* row(index_t row) const { return words_.data() + place(row); }
  // Of this row and those after it, up to whole panels.
  const float* steps(index_t row) const { return steps_.data() + row; }
  const float* inverses(index_t row) const { return inverses_.data() + row; }

 private:
  WordPanels(index_t n_rows, index_t pairs);
  index_t place(index_t row) const { return (row / cols_ * pairs_ * cols_ + row % cols_) * 2; }
  double set_row(index_t row, const float* values, index_t width);

  index_t cols_, n_padded_, pairs_;
  Aligned<std::int16_t> words_;
  std::vector<float> steps_, inverses_;
  double rounding_ = 0.0;
};

}  // namespace consilience
