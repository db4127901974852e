// Python face of knn_approx: checks, drops the GIL, calls the kernel.

#include "bindings/numpy_view.hpp"
#include "ops/knn_approx.hpp"

namespace consilience {
namespace {

void require_cells(index_t cell, index_t fanout, index_t n_samples) {
  require(1 <= fanout && fanout <= n_samples, "`fanout` must be in [1, n_samples]");
  require(fanout <= cell && cell < index_t{1} << 31, "`cell` must be in [`fanout`, 2**31)");
}

}  // namespace

void bind_knn_approx(py::module_& m) {
  m.def(
      "knn_approx",
      [](const py::array& X, index_t k, const std::string& distance, std::uint64_t seed,
         index_t cell, index_t fanout, double step, int n_threads) {
        require_blas();
        const Embedding set = embedding(X, "X");
        require(k >= 1 && k < set.n_samples, "`k` must be in [1, n_samples)");
        require(set.n_samples <= (index_t{1} << 31) - 2, "n_samples must be below 2**31 - 1");
        require(distance == "l2" || distance == "ip", "`distance` must be 'l2' or 'ip'");
        require_cells(cell, fanout, set.n_samples);
        require(step == 0.0 || (step > 0.0 && set.n_features <= kMostCoarseFeatures),
                "`step` must be 0, or positive and n_features at most 65,536");
        const KnnApproxOptions options{
            k, distance == "l2" ? Distance::l2 : Distance::ip, seed, cell, fanout, step};
        const Run run = run_on(n_threads);
        IndexMatrix indices({set.n_samples, k});
        Matrix distances({set.n_samples, k});
        index_t* index_data = indices.mutable_data();
        double* distance_data = distances.mutable_data();
        {
          const py::gil_scoped_release no_gil;
          knn_approx(set, options, run, index_data, distance_data);
        }
        return py::make_tuple(indices, distances);
      },
      "X"_a.noconvert(), py::kw_only(), "k"_a, "distance"_a, "seed"_a, "cell"_a, "fanout"_a,
      "step"_a, "n_threads"_a);
  m.def(
      "knn_approx_bytes",
      [](index_t n_samples, index_t n_features, index_t k, index_t cell, index_t fanout,
         int n_threads) {
        require(n_samples >= 1 && n_features >= 1 && k >= 1, "sizes must be at least 1");
        require_cells(cell, fanout, n_samples);
        const KnnApproxOptions options{k, Distance::l2, 0, cell, fanout};
        return knn_approx_bytes(n_samples, n_features, options, n_threads);
      },
      "n_samples"_a, "n_features"_a, "k"_a, "cell"_a, "fanout"_a, "n_threads"_a);
  m.def("fast_bytes", &fast_bytes);
}

}  // namespace consilience
