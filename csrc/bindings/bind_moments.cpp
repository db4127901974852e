// Python face of moments, and of the column means that they are taken about.

#include "bindings/numpy_view.hpp"
#include "cpu/centered.hpp"
#include "ops/moments.hpp"

namespace consilience {

void bind_moments(py::module_& m) {
  m.def(
      "moments",
      [](const std::vector<py::array>& sets, const std::vector<std::pair<index_t, index_t>>& pairs,
         const std::vector<Vector>& shifts, int n_threads) {
        require(!sets.empty() && shifts.size() == sets.size(), "one vector of shifts per set");
        const index_t n_sets = static_cast<index_t>(sets.size());
        std::vector<Embedding> views;
        std::vector<const double*> origins;
        for (index_t s = 0; s < n_sets; ++s) {
          views.push_back(embedding(sets[s], "sets"));
          require(views[s].n_samples == views[0].n_samples, "n_samples differ");
          require(shifts[s].size() == views[s].n_features, "one shift per feature");
          origins.push_back(shifts[s].data());
        }
        std::vector<Matrix> out;
        std::vector<double*> data;
        for (const auto& [a, b] : pairs) {
          require(0 <= a && a < n_sets && 0 <= b && b < n_sets, "a pair names no set");
          out.push_back(Matrix({views[a].n_features + 2, views[b].n_features + 2}));
          data.push_back(out.back().mutable_data());
        }
        const Run run = run_on(n_threads);
        {
          const py::gil_scoped_release no_gil;
          moments(views, origins, pairs, run, data);
        }
        return out;
      },
      "sets"_a.noconvert(), py::kw_only(), "pairs"_a, "shifts"_a.noconvert(), "n_threads"_a);
  m.def("moments_bytes", &moments_bytes, "n_samples"_a, "n_features"_a, "n_sets"_a);
  m.def(
      "column_means",
      [](const py::array& X, int n_threads) {
        const Embedding x = embedding(X, "X");
        const Run run = run_on(n_threads);
        std::vector<double> means;
        {
          const py::gil_scoped_release no_gil;
          means = column_means(x, run);
        }
        return Vector(static_cast<py::ssize_t>(means.size()), means.data());
      },
      "X"_a.noconvert(), py::kw_only(), "n_threads"_a);
}

}  // namespace consilience
