#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "common/blas.hpp"
#include "common/parallel.hpp"
#include "common/types.hpp"

// The gate for our own callers: nothing is converted in silence, a wrong array raises.
namespace consilience {

namespace py = pybind11;
using namespace py::literals;

// Read as they are, or a copy of what lies across the bounds of its entries.
constexpr int kAligned = py::detail::npy_api::NPY_ARRAY_ALIGNED_;
constexpr int kPlain = py::array::c_style | kAligned;
using Vector = py::array_t<double, kPlain>;
using Matrix = py::array_t<double, kPlain>;
using Indices = py::array_t<index_t, kPlain>;
using IndexMatrix = py::array_t<index_t, kPlain>;

// Raises ValueError in Python.
inline void require(bool condition, const std::string& message) {
  if (!condition) throw std::invalid_argument(message);
}

// BLAS counts features in 32 bits.
constexpr index_t kMostFeatures = (index_t{1} << 31) - 1;

// A C-contiguous float32 or float64 matrix, as it is.
inline Embedding embedding(const py::array& X, const char* name) {
  const bool is_float = py::isinstance<py::array_t<float>>(X);
  const bool is_double = py::isinstance<py::array_t<double>>(X);
  if (!is_float && !is_double) {
    throw py::type_error(std::string("`") + name + "` must be float32 or float64");
  }
  require(X.ndim() == 2, std::string("`") + name + "` must be 2-D");
  require((X.flags() & kPlain) == kPlain,
          std::string("`") + name + "` must be C-contiguous and aligned");
  require(X.shape(0) > 0 && X.shape(1) > 0, std::string("`") + name + "` is empty");
  require(X.shape(1) <= kMostFeatures, std::string("`") + name + "` has 2**31 features or more");
  return {X.data(), is_double, X.shape(0), X.shape(1)};
}

// Whether all entries are in [0, n).
inline bool all_within(const IndexMatrix& indices, index_t n) {
  const index_t* first = indices.data();
  bool within = true;
  for (index_t at = 0; at < indices.size(); ++at) within &= (0 <= first[at]) & (first[at] < n);
  return within;
}

// Which of n samples: ascending, so that each is named once.
inline void require_rows(const Indices& rows, index_t n) {
  require(rows.ndim() == 1 && rows.size() > 0, "`rows` must be a non-empty vector");
  require(all_within(rows, n), "`rows` points outside");
  for (index_t r = 1; r < rows.size(); ++r) {
    require(rows.at(r - 1) < rows.at(r), "`rows` must be ascending");
  }
}

// Sums of products of words must fit into 32 bits (docs/theory.md, "Words").
inline void require_words(bool words, const Embedding& X) {
  require(!words || X.n_features <= index_t{1} << 16, "`words` take at most 65,536 features");
}

// Neighbour lists of n_rows of n samples; every index is checked, since kernels follow them.
inline NeighborLists neighbor_lists(const IndexMatrix& indices, index_t n_rows, index_t n,
                                    const char* name) {
  require(indices.ndim() == 2 && indices.shape(0) == n_rows && indices.shape(1) > 0,
          std::string("`") + name + "` must be of shape (n_rows, k)");
  require(all_within(indices, n), std::string("`") + name + "` points outside");
  return {indices.data(), n_rows, indices.shape(1), nullptr, n};
}

// Of all samples.
inline NeighborLists neighbor_lists(const IndexMatrix& indices, index_t n, const char* name) {
  return neighbor_lists(indices, n, n, name);
}

// Of all samples, or of those that `rows` says.
inline NeighborLists neighbor_lists(const IndexMatrix& indices, const std::optional<Indices>& rows,
                                    index_t n, const char* name) {
  if (!rows) return neighbor_lists(indices, n, name);
  require_rows(*rows, n);
  NeighborLists lists = neighbor_lists(indices, rows->size(), n, name);
  lists.rows = rows->data();
  return lists;
}

inline void require_permutations(const IndexMatrix& permutations, index_t n) {
  require(permutations.ndim() == 2 && permutations.shape(1) == n,
          "`permutations` must be of shape (n_draws, n_samples)");
  require(all_within(permutations, n), "`permutations` points outside");
}

// Values beside neighbour lists, or null.
inline const double* edge_data(const std::optional<Matrix>& values, const IndexMatrix& indices,
                               const char* name) {
  if (!values) return nullptr;
  require(values->ndim() == 2 && values->shape(0) == indices.shape(0) &&
              values->shape(1) == indices.shape(1),
          std::string("`") + name + "` must have the shape of its indices");
  return values->data();
}

// How to run, with Ctrl-C answered: the calling thread asks Python at most every 50 ms.
inline Run run_on(int n_threads) {
  require(n_threads >= 1, "`n_threads` must be at least 1");
  auto last = std::chrono::steady_clock::now();
  return {n_threads, [last]() mutable {
            const auto now = std::chrono::steady_clock::now();
            if (now - last < std::chrono::milliseconds(50)) return;
            last = now;
            const py::gil_scoped_acquire gil;
            if (PyErr_CheckSignals() != 0) throw py::error_already_set();
          }};
}

inline void require_blas() {
  if (!blas::installed()) throw std::runtime_error("call install_blas first");
}

}  // namespace consilience
