#pragma once

#include <vector>

#include "common/parallel.hpp"
#include "common/types.hpp"

namespace consilience {

// Column means in float64, summed in a fixed order whatever the number of threads.
std::vector<double> column_means(const Embedding& X, const Run& run);

// scale * (X - mean) in the precision of the tiles. The scale is a power of two that brings the
// longest row into [1, 2), so that no square over- or underflows and no bit is lost by it.
template <class Real>
struct Centered {
  index_t n_samples, n_features;
  double scale;
  std::vector<double> mean;
  std::vector<Real> rows;             // (n_samples, n_features)
  std::vector<double> squared_norms;  // of `rows`, (n_samples)

  const Real* row(index_t i) const { return rows.data() + i * n_features; }
};

// `scale` = 0 chooses it from the data. Throws std::invalid_argument if all rows are equal.
template <class Real>
Centered<Real> centered(const Embedding& X, const Run& run, double scale = 0.0);

// The scale that `centered` would choose.
double natural_scale(const Embedding& X, const Run& run);

// Unit round-off times the longest chain of roundings of a product of two rows, and then some:
// |fl(a.b) - a.b| <= product_error * |a| |b| for any order of summation, for rows rounded from
// float64 once, including the few roundings of what is added to the product afterwards.
template <class Real>
double product_error(index_t n_features);

}  // namespace consilience
