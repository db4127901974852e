// Python face of pair_terms.

#include "bindings/channels.hpp"
#include "ops/pair_terms.hpp"

namespace consilience {

void bind_pair_terms(py::module_& m) {
  m.def(
      "pair_terms",
      [](const std::vector<py::array>& sets, const std::vector<std::string>& functions,
         const std::vector<double>& gammas, index_t tile, bool double_tiles, int n_threads,
         const std::optional<std::pair<index_t, index_t>>& rows) {
        require_blas();
        require(tile >= 1 && tile <= 4096, "`tile` must be in [1, 4096]");
        const std::vector<Channel> channels = channels_of(sets, functions, gammas);
        const auto [first, stop] = rows.value_or(std::pair{index_t{0}, channels[0].X.n_samples});
        require(0 <= first && first < stop && stop <= channels[0].X.n_samples &&
                    first % kPairStep == 0 &&
                    (stop % kPairStep == 0 || stop == channels[0].X.n_samples),
                "`rows` must be a stripe of samples between multiples of 48, or to the end");
        const Run run = run_on(n_threads);
        PairTerms terms;
        {
          const py::gil_scoped_release no_gil;
          terms = pair_terms(channels, {tile, double_tiles, first, stop}, run);
        }
        const auto n_channels = static_cast<py::ssize_t>(channels.size());
        const auto n_samples = static_cast<py::ssize_t>(channels[0].X.n_samples);
        const Matrix offsets({n_channels, n_samples}, terms.offsets.data());
        const Matrix row_sums({n_channels, n_samples}, terms.row_sums.data());
        const Matrix products({n_channels, n_channels}, terms.products.data());
        return py::make_tuple(row_sums, products, offsets);
      },
      "sets"_a.noconvert(), py::kw_only(), "functions"_a, "gammas"_a, "tile"_a, "double_tiles"_a,
      "n_threads"_a, "rows"_a = py::none());
  m.def(
      "pair_terms_bytes",
      [](index_t n_samples, index_t total_features, index_t most_features, index_t n_channels,
         index_t tile, bool double_tiles, int n_threads) {
        return pair_terms_bytes(n_samples, total_features, most_features, n_channels,
                                {tile, double_tiles}, n_threads);
      },
      "n_samples"_a, "total_features"_a, "most_features"_a, "n_channels"_a, "tile"_a,
      "double_tiles"_a, "n_threads"_a);
  m.def(
      "pair_distances",
      [](const py::array& array, const IndexMatrix& i, const IndexMatrix& j, int n_threads) {
        const Embedding X = embedding(array, "X");
        require(i.ndim() == 1 && j.ndim() == 1 && i.size() == j.size(), "one j per i");
        require(all_within(i, X.n_samples) && all_within(j, X.n_samples),
                "`i` or `j` points outside");
        const Run run = run_on(n_threads);
        Vector distances(i.size());
        double* out = distances.mutable_data();
        const index_t *of_i = i.data(), *of_j = j.data();
        {
          const py::gil_scoped_release no_gil;
          pair_distances(X, of_i, of_j, i.size(), run, out);
        }
        return distances;
      },
      "X"_a.noconvert(), "i"_a.noconvert(), "j"_a.noconvert(), py::kw_only(), "n_threads"_a);
}

}  // namespace consilience
