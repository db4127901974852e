// Python face of joint_nearest.

#include "bindings/numpy_view.hpp"
#include "ops/joint_nearest.hpp"

namespace consilience {

void bind_joint_nearest(py::module_& m) {
  m.def(
      "joint_nearest",
      [](const std::vector<py::array>& arrays,
         const std::vector<std::pair<index_t, index_t>>& pairs,
         const std::optional<Indices>& rows, index_t tile, bool words, int n_threads) {
        require_blas();
        require(!arrays.empty() && !pairs.empty(), "no sets or no pairs");
        require(tile >= 1 && tile <= 4096, "`tile` must be in [1, 4096]");
        std::vector<Embedding> sets;
        for (const py::array& X : arrays) {
          sets.push_back(embedding(X, "sets"));
          require(sets.back().n_samples == sets[0].n_samples, "n_samples differ");
          require_words(words, sets.back());
        }
        const auto n_sets = static_cast<index_t>(sets.size());
        for (const auto& [a, b] : pairs) {
          require(0 <= a && a < n_sets && 0 <= b && b < n_sets, "a pair names no set");
        }
        const index_t n = sets[0].n_samples;
        require(n > 2, "two neighbours need at least 3 samples");
        JointRows wanted;
        if (rows) {
          require_rows(*rows, n);
          wanted = {rows->data(), rows->size()};
        }
        const Run run = run_on(n_threads);
        py::array_t<double> distances({static_cast<py::ssize_t>(pairs.size()),
                                       rows ? wanted.n_rows : n, index_t{2}});
        double* out = distances.mutable_data();
        {
          const py::gil_scoped_release no_gil;
          joint_nearest(sets, pairs, wanted, tile, words, run, out);
        }
        return distances;
      },
      "sets"_a.noconvert(), py::kw_only(), "pairs"_a,
      "rows"_a.noconvert() = py::none(), "tile"_a, "words"_a = false, "n_threads"_a);
  m.def("joint_nearest_bytes", &joint_nearest_bytes, "n_samples"_a, "n_rows"_a,
        "total_features"_a, "most_features"_a, "n_sets"_a, "n_pairs"_a, "n_threads"_a);
}

}  // namespace consilience
