// word_panels: three reads of each row.

#include "cpu/word_panels.hpp"

#include <algorithm>
#include <cmath>

#include "common/simd.hpp"
#include "cpu/micro_kernel.hpp"

namespace consilience {
namespace {

// A row of words is no longer than this, so that no sum of products of two such rows leaves 32 bits
// (Cauchy and Schwarz), however it was rounded.
constexpr double kLongest = 46'000.0;
constexpr double kLargest = 32'767.0;

struct Size {
  double squared_norm;
  float largest;
};

CONSILIENCE_SIMD
Size size_of(const float* values, index_t width) {
  double squares = 0.0;
  float largest = 0.0f;
  for (index_t f = 0; f < width; ++f) {
    const auto wide = static_cast<double>(values[f]);
    squares += wide * wide;
    largest = std::max(largest, std::abs(values[f]));
  }
  return {squares, largest};
}

// Writes the words, and returns the squared length of what is left.
CONSILIENCE_SIMD
double round_to(std::int16_t* words, const float* values, index_t width, float step) {
  const float inverse = 1.0f / step;
  double left = 0.0;
  for (index_t f = 0; f < width; ++f) {
    const float word = std::nearbyint(values[f] * inverse);
    words[f] = static_cast<std::int16_t>(word);
    const double rest = static_cast<double>(values[f]) - static_cast<double>(word) * step;
    left += rest * rest;
  }
  return left;
}

}  // namespace

WordPanels::WordPanels(index_t n_rows, index_t pairs)
    : cols_(micro_kernel().cols),
      n_padded_((n_rows + cols_ - 1) / cols_ * cols_),
      pairs_(pairs),
      words_(n_padded_ * pairs * 2),
      steps_(n_padded_, 1.0f),
      inverses_(n_padded_, 1.0f) {}

WordPanels::WordPanels(const float* rows, index_t n_rows, index_t width, const Run& run)
    : WordPanels(n_rows, (width + 1) / 2) {
  std::vector<double> roundings(n_padded_ / cols_, 0.0);
  parallel_for(n_padded_ / cols_, run, [&](index_t panel, int) {
    for (index_t i = panel * cols_; i < std::min(n_rows, (panel + 1) * cols_); ++i) {
      roundings[panel] = std::max(roundings[panel], set_row(i, rows + i * width, width));
    }
  });
  rounding_ = *std::max_element(roundings.begin(), roundings.end());
}

// Returns what rounding it leaves, of its length.
double WordPanels::set_row(index_t row, const float* values, index_t width) {
  const auto [squared_norm, largest] = size_of(values, width);
  const double norm = std::sqrt(squared_norm);
  if (norm < kShortest) return 0.0;
  const auto step = static_cast<float>(std::max(norm / kLongest, largest / kLargest));
  thread_local std::vector<std::int16_t> words;
  words.resize(2 * pairs_);
  words.back() = 0;
  const double left = round_to(words.data(), values, width, step);
  std::int16_t* to = words_.data() + place(row);
  for (index_t f = 0; f < 2 * pairs_; ++f) to[f / 2 * 2 * cols_ + f % 2] = words[f];
  steps_[row] = step;
  inverses_[row] = 1.0f / step;
  return std::sqrt(left) / norm;
}

WordPanels::WordPanels(const WordPanels& from, const std::vector<index_t>& rows)
    : WordPanels(static_cast<index_t>(rows.size()), from.pairs_) {
  for (index_t to = 0; to < static_cast<index_t>(rows.size()); ++to) {
    for (index_t p = 0; p < pairs_; ++p) {
      std::copy_n(from.row(rows[to]) + p * 2 * cols_, 2, words_.data() + place(to) + p * 2 * cols_);
    }
    steps_[to] = from.steps_[rows[to]];
    inverses_[to] = from.inverses_[rows[to]];
  }
  rounding_ = from.rounding_;
}

}  // namespace consilience
