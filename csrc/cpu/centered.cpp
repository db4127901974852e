// One read of X for the means, one for the norms, one for the copy; bound by memory bandwidth.

#include "cpu/centered.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "common/simd.hpp"

namespace consilience {
namespace {

constexpr index_t kRowsPerTask = 1024;

index_t n_tasks(const Embedding& X) { return (X.n_samples + kRowsPerTask - 1) / kRowsPerTask; }

// Calls body(i, row) for the rows of one task, with the row in its own type.
template <class Body>
void for_rows(const Embedding& X, index_t task, Body&& body) {
  const index_t last = std::min(X.n_samples, (task + 1) * kRowsPerTask);
  for (index_t i = task * kRowsPerTask; i < last; ++i) {
    if (X.is_double) {
      body(i, X.double_row(i));
    } else {
      body(i, X.float_row(i));
    }
  }
}

// sums += rows - origin, four rows at a time so that the sums are read and written less often.
template <class Real>
inline __attribute__((always_inline)) void add_rows(const Real* rows, index_t count, index_t d,
                                                    const double* origin, double* sums) {
  index_t i = 0;
  for (; i + 4 <= count; i += 4, rows += 4 * d) {
    for (index_t f = 0; f < d; ++f) {
      const double a = static_cast<double>(rows[f]) - origin[f];
      const double b = static_cast<double>(rows[d + f]) - origin[f];
      const double c = static_cast<double>(rows[2 * d + f]) - origin[f];
      const double e = static_cast<double>(rows[3 * d + f]) - origin[f];
      sums[f] += (a + b) + (c + e);
    }
  }
  for (; i < count; ++i, rows += d) {
    for (index_t f = 0; f < d; ++f) sums[f] += static_cast<double>(rows[f]) - origin[f];
  }
}

CONSILIENCE_SIMD void add_floats(const float* rows, index_t count, index_t d, const double* origin,
                                 double* sums) {
  add_rows(rows, count, d, origin, sums);
}

CONSILIENCE_SIMD void add_doubles(const double* rows, index_t count, index_t d,
                                  const double* origin, double* sums) {
  add_rows(rows, count, d, origin, sums);
}

double scale_of(const Embedding& X, const std::vector<double>& mean, const Run& run) {
  std::vector<double> longest(n_tasks(X), 0.0);
  parallel_for(n_tasks(X), run, [&](index_t task, int) {
    for_rows(X, task, [&](index_t, const auto* row) {
      double squared = 0.0;
      for (index_t f = 0; f < X.n_features; ++f) {
        const double value = static_cast<double>(row[f]) - mean[f];
        squared += value * value;
      }
      longest[task] = std::max(longest[task], squared);
    });
  });
  const double norm = std::sqrt(*std::max_element(longest.begin(), longest.end()));
  if (!(norm > 0.0)) throw std::invalid_argument("all rows of the embedding are equal");
  return std::ldexp(1.0, -std::ilogb(norm));
}

}  // namespace

std::vector<double> column_means(const Embedding& X, const Run& run) {
  const index_t d = X.n_features;
  std::vector<double> sums(n_tasks(X) * d, 0.0);
  // Sums about the first row: a column of equal values gets exactly that value as its mean.
  std::vector<double> origin(d);
  for (index_t f = 0; f < d; ++f) {
    origin[f] = X.is_double ? X.double_row(0)[f] : static_cast<double>(X.float_row(0)[f]);
  }
  parallel_for(n_tasks(X), run, [&](index_t task, int) {
    const index_t first = task * kRowsPerTask;
    const index_t count = std::min(kRowsPerTask, X.n_samples - first);
    double* const sum = sums.data() + task * d;
    if (X.is_double) {
      add_doubles(X.double_row(first), count, d, origin.data(), sum);
    } else {
      add_floats(X.float_row(first), count, d, origin.data(), sum);
    }
  });
  std::vector<double> mean(d, 0.0);
  for (index_t task = 0; task < n_tasks(X); ++task) {
    for (index_t f = 0; f < d; ++f) mean[f] += sums[task * d + f];
  }
  for (index_t f = 0; f < d; ++f) {
    mean[f] = origin[f] + mean[f] / static_cast<double>(X.n_samples);
  }
  return mean;
}

double natural_scale(const Embedding& X, const Run& run) {
  return scale_of(X, column_means(X, run), run);
}

template <class Real>
Centered<Real> centered(const Embedding& X, const Run& run, double scale) {
  Centered<Real> out{X.n_samples, X.n_features, scale, column_means(X, run), {}, {}};
  if (out.scale == 0.0) out.scale = scale_of(X, out.mean, run);
  out.rows.resize(X.n_samples * X.n_features);
  out.squared_norms.resize(X.n_samples);
  parallel_for(n_tasks(X), run, [&](index_t task, int) {
    for_rows(X, task, [&](index_t i, const auto* row) {
      Real* to = out.rows.data() + i * X.n_features;
      double squared = 0.0;
      for (index_t f = 0; f < X.n_features; ++f) {
        to[f] = static_cast<Real>(out.scale * (static_cast<double>(row[f]) - out.mean[f]));
        squared += static_cast<double>(to[f]) * static_cast<double>(to[f]);
      }
      out.squared_norms[i] = squared;
    });
  });
  return out;
}

template <class Real>
double product_error(index_t n_features) {
  const double round_off = std::numeric_limits<Real>::epsilon() / 2.0;
  return 1.01 * static_cast<double>(n_features + 16) * round_off;
}

template Centered<float> centered<float>(const Embedding&, const Run&, double);
template Centered<double> centered<double>(const Embedding&, const Run&, double);
template double product_error<float>(index_t);
template double product_error<double>(index_t);

}  // namespace consilience
