// Python face of knn_exact: checks, drops the GIL, calls the kernel.

#include <algorithm>

#include "bindings/numpy_view.hpp"
#include "ops/knn_exact.hpp"

namespace consilience {

void bind_knn_exact(py::module_& m) {
  m.def(
      "knn_exact",
      [](const py::array& X, index_t k, const std::string& distance,
         const std::optional<Indices>& rows, index_t tile, const std::optional<Matrix>& axes,
         const std::optional<Matrix>& rest_axes, bool words, int n_threads) {
        require_blas();
        const Embedding set = embedding(X, "X");
        require(k >= 1 && k < set.n_samples, "`k` must be in [1, n_samples)");
        require(set.n_samples <= (index_t{1} << 31) - 1, "n_samples must be below 2**31");
        require(tile >= 1 && tile <= 4096, "`tile` must be in [1, 4096]");
        require(distance == "l2" || distance == "ip", "`distance` must be 'l2' or 'ip'");
        KnnExactOptions options;
        options.k = k;
        options.distance = distance == "l2" ? Distance::l2 : Distance::ip;
        options.tile = tile;
        if (rows) {
          require_rows(*rows, set.n_samples);
          options.rows = rows->data();
          options.n_rows = rows->size();
        }
        if (axes) {
          require(axes->ndim() == 2 && axes->shape(0) == set.n_features && axes->shape(1) > 0 &&
                      axes->shape(1) <= std::max(set.n_features / 2, set.n_features - 8),
                  "`axes` must be of shape (n_features, at most half as many or 8 less)");
          options.axes = axes->data();
          options.n_axes = axes->shape(1);
        }
        if (rest_axes) {
          require(axes && rest_axes->ndim() == 2 && rest_axes->shape(0) == set.n_features &&
                      rest_axes->shape(1) == set.n_features - options.n_axes,
                  "`rest_axes` must be the (n_features, n_features - n_axes) beside `axes`");
          options.rest_axes = rest_axes->data();
        }
        require_words(words, set);
        options.words = words;
        const Run run = run_on(n_threads);
        const index_t n_rows = rows ? options.n_rows : set.n_samples;
        IndexMatrix indices({n_rows, k});
        Matrix distances({n_rows, k});
        index_t* index_data = indices.mutable_data();
        double* distance_data = distances.mutable_data();
        index_t judged = 0;
        {
          const py::gil_scoped_release no_gil;
          judged = knn_exact(set, options, run, index_data, distance_data);
        }
        return py::make_tuple(indices, distances, judged);
      },
      "X"_a.noconvert(), py::kw_only(), "k"_a, "distance"_a, "rows"_a.noconvert(), "tile"_a,
      "axes"_a.noconvert() = py::none(), "rest_axes"_a.noconvert() = py::none(), "words"_a = false,
      "n_threads"_a);
  m.def("knn_exact_bytes", &knn_exact_bytes, "n_samples"_a, "n_features"_a, "n_axes"_a, "n_rows"_a,
        "k"_a);
  m.def("fast_words", &fast_words, "Whether this processor multiplies words faster than floats.");
}

}  // namespace consilience
