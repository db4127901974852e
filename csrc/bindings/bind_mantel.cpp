// Python face of mantel.

#include <algorithm>
#include <tuple>

#include "bindings/numpy_view.hpp"
#include "ops/mantel.hpp"

namespace consilience {

namespace {

using SixSums = std::tuple<double, double, double, double, double, double>;

SixSums as_tuple(const MantelTerms& terms) {
  return {terms.sum,         terms.squares,     terms.reciprocal,
          terms.row_squares, terms.col_squares, terms.row_col};
}

}  // namespace

void bind_mantel(py::module_& m) {
  m.def(
      "mantel_terms",
      [](const IndexMatrix& indices, const Matrix& e, int n_threads) {
        const NeighborLists graph = neighbor_lists(indices, indices.shape(0), "indices");
        const double* e_data = edge_data(e, indices, "e");
        const Run run = run_on(n_threads);
        const py::gil_scoped_release no_gil;
        return as_tuple(mantel_terms(graph, e_data, run));
      },
      "indices"_a.noconvert(), "e"_a.noconvert(), py::kw_only(), "n_threads"_a);

  m.def(
      "mantel_counts",
      [](const IndexMatrix& indices, const std::vector<index_t>& ks, int n_threads) {
        const NeighborLists graph = neighbor_lists(indices, indices.shape(0), "indices");
        require(!ks.empty() && std::is_sorted(ks.begin(), ks.end()) && 1 <= ks.front() &&
                    ks.back() <= graph.k,
                "`ks` must be ascending and in [1, the k of the graph]");
        const Run run = run_on(n_threads);
        const py::gil_scoped_release no_gil;
        std::vector<SixSums> found;
        for (const MantelTerms& terms : mantel_counts(graph, ks, run)) {
          found.push_back(as_tuple(terms));
        }
        return found;
      },
      "indices"_a.noconvert(), "ks"_a, py::kw_only(), "n_threads"_a);

  m.def(
      "mantel_draws",
      [](const std::vector<IndexMatrix>& indices, const std::vector<std::optional<Matrix>>& values,
         const std::vector<std::pair<index_t, index_t>>& pairs, const IndexMatrix& permutations,
         int n_threads) {
        require(!indices.empty() && values.size() == indices.size(),
                "`values` must have an entry for each graph");
        const auto n_graphs = static_cast<index_t>(indices.size());
        require(indices[0].shape(0) <= index_t{1} << 26, "n_samples must be at most 2**26");
        std::vector<WeightedGraph> graphs;
        for (index_t g = 0; g < n_graphs; ++g) {
          graphs.push_back({neighbor_lists(indices[g], indices[0].shape(0), "indices"),
                            edge_data(values[g], indices[g], "values")});
        }
        std::vector<GraphPair> chosen;
        for (const auto& [x, y] : pairs) {
          require(0 <= x && x < n_graphs && 0 <= y && y < n_graphs, "`pairs` points outside");
          chosen.push_back({x, y});
        }
        require_permutations(permutations, graphs[0].lists.n_rows);
        const Run run = run_on(n_threads);
        const index_t n_draws = permutations.shape(0);
        Matrix draws({static_cast<index_t>(pairs.size()), n_draws});
        double* out = draws.mutable_data();
        {
          const py::gil_scoped_release no_gil;
          mantel_draws(graphs, chosen, permutations.data(), n_draws, run, out);
        }
        return draws;
      },
      "indices"_a.noconvert(), "values"_a.noconvert(), "pairs"_a, "permutations"_a.noconvert(),
      py::kw_only(), "n_threads"_a);

  m.def("mantel_draws_bytes", &mantel_draws_bytes, "n_samples"_a, "n_pairs"_a);
}

}  // namespace consilience
