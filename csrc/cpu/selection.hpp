#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "cpu/centered.hpp"
#include "cpu/word_panels.hpp"

namespace consilience {

// What a certified float32 search knows of a set. Row i orders its neighbours j by
//   key_ij = w_j - a_i.a_j,   a = scale (x - mean),   w_j = |a_j|^2 / 2 (l2) or -scale a_j.mean
//   (ip)
// (what only depends on i is left out), and its float32 value is off by at most
//   e_j + e'_i,   e_j = error (|w_j| + |a_j|^2 / 2) + what is added below,
//                 e'_i = error |a_i|^2 / 2.
struct Selection {
  Centered<float> set;
  std::vector<float> lower;  // w_j - e_j
  std::vector<float> width;  // 2 e_j
  std::vector<float> slack;  // 2 e'_i
  double error;

  const float* row(index_t i) const { return set.row(i); }
  // Room to read whole vectors of `lower` past the last row.
  static constexpr index_t kPadding = 64;
  index_t n_samples() const { return set.n_samples; }
  index_t n_features() const { return set.n_features; }
};

// `rounding`: of rows whose products are those of rows rounded once more (WordPanels).
inline Selection make_selection(Centered<float> set, bool inner_product, double rounding = 0.0) {
  const index_t n = set.n_samples, d = set.n_features;
  Selection out{std::move(set), std::vector<float>(n + Selection::kPadding, 0.0f),
                std::vector<float>(n), std::vector<float>(n),
                product_error<float>(d) + (2.0 + rounding) * rounding};
  // Products of entries below 2^-63 underflow in float32; their sum is below this.
  const double shortest = rounding > 0.0 ? 4.0 * WordPanels::kShortest : 0.0;
  const double underflow = std::ldexp(static_cast<double>(d), -120) + shortest;
  const double row_rounding = std::ldexp(1.0, -23);
  double mean_norm = 0.0;
  for (const double m : out.set.mean) mean_norm += m * m;
  mean_norm = out.set.scale * std::sqrt(mean_norm);

  const double longest =
      std::sqrt(*std::max_element(out.set.squared_norms.begin(), out.set.squared_norms.end()));

  for (index_t j = 0; j < n; ++j) {
    const double squared_norm = out.set.squared_norms[j];
    double offset = 0.5 * squared_norm;
    double offset_error = 0.0;
    if (inner_product) {
      offset = 0.0;
      for (index_t f = 0; f < d; ++f) {
        offset -= static_cast<double>(out.row(j)[f]) * out.set.scale * out.set.mean[f];
      }
      // Row j is rounded to float32 before it meets the mean; and the float64 products that
      // judge candidates are those of the uncentred rows.
      const double norm = std::sqrt(squared_norm);
      const double length = longest + mean_norm;
      offset_error = row_rounding * norm * mean_norm +
                     2.0 * product_error<double>(d) * length * (norm + mean_norm);
    }
    // 2^-22 of the offset: the micro-kernel compares products with differences of float32s.
    const double half_error = (out.error + std::ldexp(1.0, -22)) * std::abs(offset) +
                              out.error * 0.5 * squared_norm + offset_error + underflow;
    out.lower[j] = static_cast<float>(offset - half_error);
    out.width[j] = static_cast<float>(2.0 * half_error);
    out.slack[j] = static_cast<float>(out.error * squared_norm + 2.0 * underflow);
  }
  return out;
}

}  // namespace consilience
