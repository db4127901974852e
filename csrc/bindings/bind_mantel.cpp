// Python face of mantel.

#include "bindings/numpy_view.hpp"
#include "ops/mantel.hpp"

namespace consilience {

void bind_mantel(py::module_& m) {
  m.def(
      "mantel_terms",
      [](const IndexMatrix& indices, const std::optional<Matrix>& e, int n_threads) {
        const NeighborLists graph = neighbor_lists(indices, indices.shape(0), "indices");
        const double* e_data = edge_data(e, indices, "e");
        const Run run = run_on(n_threads);
        MantelTerms terms;
        {
          const py::gil_scoped_release no_gil;
          terms = mantel_terms(graph, e_data, run);
        }
        return py::make_tuple(terms.sum, terms.squares, terms.reciprocal, terms.row_squares,
                              terms.col_squares, terms.row_col);
      },
      "indices"_a.noconvert(), "e"_a.noconvert().none(true), py::kw_only(), "n_threads"_a);

  m.def(
      "mantel_draws",
      [](const IndexMatrix& indices_x, const IndexMatrix& indices_y, const std::optional<Matrix>& e,
         const std::optional<Matrix>& f, const IndexMatrix& permutations, int n_threads) {
        const NeighborLists x = neighbor_lists(indices_x, indices_x.shape(0), "indices_x");
        const NeighborLists y = neighbor_lists(indices_y, x.n_rows, "indices_y");
        const double* e_data = edge_data(e, indices_x, "e");
        const double* f_data = edge_data(f, indices_y, "f");
        require_permutations(permutations, x.n_rows);
        const Run run = run_on(n_threads);
        Vector draws(permutations.shape(0));
        double* out = draws.mutable_data();
        {
          const py::gil_scoped_release no_gil;
          mantel_draws(x, y, e_data, f_data, permutations.data(), permutations.shape(0), run, out);
        }
        return draws;
      },
      "indices_x"_a.noconvert(), "indices_y"_a.noconvert(), "e"_a.noconvert().none(true),
      "f"_a.noconvert().none(true), "permutations"_a.noconvert(), py::kw_only(), "n_threads"_a);
}

}  // namespace consilience
