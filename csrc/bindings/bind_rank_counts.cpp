// Python face of rank_counts.

#include <algorithm>

#include "bindings/numpy_view.hpp"
#include "ops/rank_counts.hpp"

namespace consilience {

void bind_rank_counts(py::module_& m) {
  m.def(
      "rank_counts",
      [](const py::array& X, const std::vector<IndexMatrix>& sources,
         const std::vector<index_t>& ks, const std::vector<index_t>& sample, int n_threads) {
        require_blas();
        const Embedding set = embedding(X, "X");
        require(set.n_samples <= (index_t{1} << 30), "n_samples must be at most 2**30");
        require(!sources.empty() && !ks.empty(), "no sources or no ks");
        require(std::is_sorted(ks.begin(), ks.end()) && ks.front() >= 1, "`ks` must ascend from 1");
        std::vector<NeighborLists> lists;
        for (const IndexMatrix& indices : sources) {
          lists.push_back(neighbor_lists(indices, set.n_samples, "sources"));
          require(ks.back() <= lists.back().k, "`ks` exceeds the k of a source");
        }
        const index_t n = set.n_samples, n_sample = static_cast<index_t>(sample.size());
        std::vector<bool> seen(n, false);
        for (const index_t i : sample) {
          require(0 <= i && i < n && !seen[i], "`sample` must hold different samples");
          seen[i] = true;
        }
        const Run run = run_on(n_threads);
        Vector sums({static_cast<index_t>(sources.size()), n, static_cast<index_t>(ks.size())});
        Vector columns(n), squares(n);
        Matrix block({n_sample, n_sample});
        const RankTerms out{sums.mutable_data(), columns.mutable_data(), squares.mutable_data(),
                            block.mutable_data()};
        {
          const py::gil_scoped_release no_gil;
          rank_counts(set, lists, ks, sample, run, out);
        }
        return py::make_tuple(sums, columns, squares, block);
      },
      "X"_a.noconvert(), py::kw_only(), "sources"_a.noconvert(), "ks"_a, "sample"_a, "n_threads"_a);
  m.def("rank_counts_bytes", &rank_counts_bytes, "n_samples"_a, "n_features"_a, "n_threads"_a);
}

}  // namespace consilience
