#pragma once

#include <vector>

#include "cpu/centered.hpp"

namespace consilience {

// Rows seen from a few orthonormal axes Q: p = Q^T a and rho, the length of what is left of a.
//   a_i.a_j <= p_i.p_j + rho_i rho_j,   |a_i - a_j| >= |(p_i, rho_i) - (p_j, rho_j)|,
// by Cauchy and Schwarz, whatever the axes are; how much that rules out depends on them.
struct Prefix {
  index_t n_samples, width;  // width = number of axes + 1
  std::vector<float> rows;   // (n_samples, width), rho last and rounded up

  const float* row(index_t i) const { return rows.data() + i * width; }
};

// axes: (n_features, n_axes), row-major. Throws std::invalid_argument unless its columns are
// orthonormal to about 1e-9, which the bounds of Selection leave room for.
Prefix project(const Centered<float>& set, const double* axes, index_t n_axes, const Run& run);

// What the rows are along the other axes, (n_samples, n_features - n_axes). Throws unless all axes
// together are orthonormal.
std::vector<float> project_rest(const Centered<float>& set, const double* axes, index_t n_axes,
                                const double* rest_axes, const Run& run);

// An order of the samples in which near ones are near each other: halves along the axis of most
// variance, down to `leaf` rows, cut at whole blocks so that blocks are nodes of a binary tree.
std::vector<index_t> tree_order(const Prefix& prefix, index_t leaf, index_t block);

Centered<float> reordered(const Centered<float>& set, const std::vector<index_t>& order,
                          const Run& run);
Prefix reordered(const Prefix& prefix, const std::vector<index_t>& order);

// Bounding boxes of runs of `size` rows, in the leading axes and rho.
class Boxes {
 public:
  Boxes(const Prefix& prefix, index_t size);
  // A lower bound of the squared distance of any row of box a to any row of box b of another.
  double squared_gap(index_t a, const Boxes& other, index_t b) const;

 private:
  index_t n_axes_;
  std::vector<float> low_, high_;  // (n_boxes, n_axes_)
};

}  // namespace consilience
