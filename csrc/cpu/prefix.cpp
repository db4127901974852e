// project: 2 d flops per row and axis in float64. tree_order: O(n log n) reads of the prefix.

#include "cpu/prefix.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <stdexcept>

#include "common/blas.hpp"

namespace consilience {
namespace {

constexpr index_t kRowsPerTask = 256;
constexpr index_t kTreeAxes = 16;  // what later axes could part, the product does
constexpr double kLargestDefect = 1e-9;
// Rounding of prefixes and rows, and of rho, on the scale of rows no longer than 2.
constexpr double kDistanceError = 1e-5;

// Sum of |Q^T Q - 1|, which bounds its spectral norm; NaN if any entry is.
double defect(const double* axes, index_t d, index_t p) {
  std::vector<double> gram(p * p, 0.0);
  blas::add_gemm_tn(p, p, d, axes, p, axes, p, gram.data(), p);
  double sum = 0.0;
  for (index_t a = 0; a < p; ++a) {
    for (index_t b = 0; b < p; ++b) sum += std::abs(gram[a * p + b] - (a == b ? 1.0 : 0.0));
  }
  return sum;
}

// Calls body(i, Q^T a_i) for all rows, (n_axes) in float64.
template <class Body>
void for_projected(const Centered<float>& set, const double* axes, index_t n_axes, const Run& run,
                   Body&& body) {
  const index_t d = set.n_features, n = set.n_samples;
  std::vector<double> transposed(n_axes * d);
  for (index_t f = 0; f < d; ++f) {
    for (index_t a = 0; a < n_axes; ++a) transposed[a * d + f] = axes[f * n_axes + a];
  }
  parallel_for((n + kRowsPerTask - 1) / kRowsPerTask, run, [&](index_t task, int) {
    const index_t start = task * kRowsPerTask, stop = std::min(n, start + kRowsPerTask);
    std::vector<double> rows(set.row(start), set.row(start) + (stop - start) * d);
    std::vector<double> projected((stop - start) * n_axes);
    blas::gemm_nt(stop - start, n_axes, d, rows.data(), d, transposed.data(), d, projected.data(),
                  n_axes);
    for (index_t i = start; i < stop; ++i) body(i, projected.data() + (i - start) * n_axes);
  });
}

// The axis along which the samples [first, last) of the order vary most.
index_t widest_axis(const Prefix& prefix, const index_t* first, const index_t* last) {
  const index_t n_axes = std::min(prefix.width, kTreeAxes);
  std::vector<double> sums(n_axes, 0.0), squares(n_axes, 0.0);
  const index_t step = std::max<index_t>(1, (last - first) / 512);  // a sample will do
  double count = 0.0;
  for (; first < last; first += step, count += 1.0) {
    const float* row = prefix.row(*first);
    for (index_t a = 0; a < n_axes; ++a) {
      const auto value = static_cast<double>(row[a]);
      sums[a] += value;
      squares[a] += value * value;
    }
  }
  index_t widest = 0;
  double most = -1.0;
  for (index_t a = 0; a < n_axes; ++a) {
    const double variance = squares[a] - sums[a] * sums[a] / count;
    if (variance > most) {
      most = variance;
      widest = a;
    }
  }
  return widest;
}

void split(const Prefix& prefix, index_t leaf, index_t block, index_t* first, index_t* last) {
  const index_t count = last - first;
  if (count <= leaf) return;
  const index_t unit = count > block ? block : leaf;
  const auto n_units = static_cast<std::uint64_t>((count + unit - 1) / unit);
  // The left half is a full binary tree of units.
  index_t* middle = first + static_cast<index_t>(std::bit_ceil(n_units) / 2) * unit;
  const index_t axis = widest_axis(prefix, first, last);
  std::nth_element(first, middle, last, [&](index_t i, index_t j) {
    const float a = prefix.row(i)[axis], b = prefix.row(j)[axis];
    return a < b || (a == b && i < j);
  });
  split(prefix, leaf, block, first, middle);
  split(prefix, leaf, block, middle, last);
}

}  // namespace

Prefix project(const Centered<float>& set, const double* axes, index_t n_axes, const Run& run) {
  const index_t n = set.n_samples;
  const double off = defect(axes, set.n_features, n_axes);
  if (!(off <= kLargestDefect)) throw std::invalid_argument("`axes` are not orthonormal");
  Prefix out{n, n_axes + 1, std::vector<float>(n * (n_axes + 1))};
  // Rounding of a projection in float64, relative to the squared length of its row.
  const double rounding = 4.0 * (off + 1e-13 * std::sqrt(static_cast<double>(set.n_features)));
  for_projected(set, axes, n_axes, run, [&](index_t i, const double* p) {
    float* to = out.rows.data() + i * out.width;
    double rest = (1.0 + rounding) * set.squared_norms[i];
    for (index_t a = 0; a < n_axes; ++a) {
      to[a] = static_cast<float>(p[a]);
      rest -= p[a] * p[a];
    }
    to[n_axes] = std::nextafter(static_cast<float>(std::sqrt(std::max(rest, 0.0))),
                                std::numeric_limits<float>::infinity());
  });
  return out;
}

std::vector<float> project_rest(const Centered<float>& set, const double* axes, index_t n_axes,
                                const double* rest_axes, const Run& run) {
  const index_t d = set.n_features, width = d - n_axes;
  std::vector<double> all(d * d);
  for (index_t f = 0; f < d; ++f) {
    std::copy_n(axes + f * n_axes, n_axes, all.data() + f * d);
    std::copy_n(rest_axes + f * width, width, all.data() + f * d + n_axes);
  }
  if (!(defect(all.data(), d, d) <= kLargestDefect)) {
    throw std::invalid_argument("`axes` and `rest_axes` are not orthonormal");
  }
  std::vector<float> rows(set.n_samples * width);
  for_projected(set, rest_axes, width, run, [&](index_t i, const double* p) {
    std::transform(p, p + width, rows.data() + i * width,
                   [](double value) { return static_cast<float>(value); });
  });
  return rows;
}

std::vector<index_t> tree_order(const Prefix& prefix, index_t leaf, index_t block) {
  std::vector<index_t> order(prefix.n_samples);
  std::iota(order.begin(), order.end(), index_t{0});
  split(prefix, leaf, block, order.data(), order.data() + prefix.n_samples);
  // Rows of a leaf stay in their own order: nothing is gained by another.
  for (index_t first = 0; first < prefix.n_samples; first += leaf) {
    std::sort(order.begin() + first, order.begin() + std::min(prefix.n_samples, first + leaf));
  }
  return order;
}

Centered<float> reordered(const Centered<float>& set, const std::vector<index_t>& order,
                          const Run& run) {
  const index_t n = set.n_samples, d = set.n_features;
  Centered<float> out{n, d, set.scale, set.mean, std::vector<float>(n * d), std::vector<double>(n)};
  parallel_for((n + kRowsPerTask - 1) / kRowsPerTask, run, [&](index_t task, int) {
    const index_t stop = std::min(n, (task + 1) * kRowsPerTask);
    for (index_t i = task * kRowsPerTask; i < stop; ++i) {
      std::copy_n(set.row(order[i]), d, out.rows.data() + i * d);
      out.squared_norms[i] = set.squared_norms[order[i]];
    }
  });
  return out;
}

Prefix reordered(const Prefix& prefix, const std::vector<index_t>& order) {
  const index_t n = static_cast<index_t>(order.size());
  Prefix out{n, prefix.width, std::vector<float>(n * prefix.width)};
  for (index_t i = 0; i < n; ++i) {
    std::copy_n(prefix.row(order[i]), prefix.width, out.rows.data() + i * prefix.width);
  }
  return out;
}

Boxes::Boxes(const Prefix& prefix, index_t size) : n_axes_(std::min(prefix.width, kTreeAxes)) {
  const index_t n_boxes = (prefix.n_samples + size - 1) / size;
  low_.assign(n_boxes * n_axes_, std::numeric_limits<float>::infinity());
  high_.assign(n_boxes * n_axes_, -std::numeric_limits<float>::infinity());
  for (index_t i = 0; i < prefix.n_samples; ++i) {
    const index_t box = i / size * n_axes_;
    for (index_t a = 0; a < n_axes_; ++a) {
      // The last place is rho's, whatever axes are left out before it.
      const float value = prefix.row(i)[a + 1 < n_axes_ ? a : prefix.width - 1];
      low_[box + a] = std::min(low_[box + a], value);
      high_[box + a] = std::max(high_[box + a], value);
    }
  }
}

double Boxes::squared_gap(index_t a, const Boxes& other, index_t b) const {
  const float *low_a = low_.data() + a * n_axes_, *high_a = high_.data() + a * n_axes_;
  const float *low_b = other.low_.data() + b * n_axes_, *high_b = other.high_.data() + b * n_axes_;
  float sum = 0.0f;
  for (index_t f = 0; f < n_axes_; ++f) {
    const float gap = std::max(0.0f, std::max(low_a[f] - high_b[f], low_b[f] - high_a[f]));
    sum += gap * gap;
  }
  const double gap = std::max(0.0, std::sqrt(static_cast<double>(sum)) - kDistanceError);
  return gap * gap;
}

}  // namespace consilience
