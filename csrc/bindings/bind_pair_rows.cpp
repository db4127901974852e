// Python face of pair_rows.

#include "bindings/channels.hpp"
#include "ops/pair_rows.hpp"

namespace consilience {

void bind_pair_rows(py::module_& m) {
  m.def(
      "pair_rows",
      [](const std::vector<py::array>& sets, const std::vector<std::string>& functions,
         const std::vector<double>& gammas, const std::vector<std::pair<index_t, index_t>>& pairs,
         const Indices& rows, const Indices& references, bool double_tiles, int n_threads) {
        require_blas();
        const std::vector<Channel> channels = channels_of(sets, functions, gammas);
        const index_t n_samples = channels[0].X.n_samples;
        require_rows(rows, n_samples);
        require_rows(references, n_samples);
        require(references.size() > 1, "`references` must be two at least");
        const auto n_channels = static_cast<index_t>(channels.size());
        for (const auto& [a, b] : pairs) {
          require(0 <= a && a < n_channels && 0 <= b && b < n_channels, "a pair names no channel");
        }
        const PairRowsRequest request{rows.data(),       rows.size(), references.data(),
                                      references.size(), pairs,       double_tiles};
        const Run run = run_on(n_threads);
        PairRowsTerms terms;
        {
          const py::gil_scoped_release no_gil;
          terms = pair_rows(channels, request, run);
        }
        const index_t n_pairs = static_cast<index_t>(pairs.size());
        const Matrix offsets({n_channels, rows.size()}, terms.offsets.data());
        const Matrix row_sums({n_channels, rows.size()}, terms.row_sums.data());
        const Matrix products({n_pairs, rows.size()}, terms.products.data());
        return py::make_tuple(row_sums, products, offsets);
      },
      "sets"_a.noconvert(), py::kw_only(), "functions"_a, "gammas"_a, "pairs"_a,
      "rows"_a.noconvert(), "references"_a.noconvert(), "double_tiles"_a, "n_threads"_a);
  m.def(
      "pair_rows_bytes",
      [](index_t n_rows, index_t n_references, index_t total_features, index_t n_sets,
         index_t n_channels, index_t n_pairs, bool double_tiles, int n_threads) {
        require(total_features >= 1, "`total_features` must be at least 1");
        return pair_rows_bytes(n_rows, n_references, total_features, n_sets, n_channels, n_pairs,
                               double_tiles, n_threads);
      },
      "n_rows"_a, "n_references"_a, "total_features"_a, "n_sets"_a, "n_channels"_a, "n_pairs"_a,
      "double_tiles"_a, "n_threads"_a);
}

}  // namespace consilience
