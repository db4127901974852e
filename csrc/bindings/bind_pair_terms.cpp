// Python face of pair_terms.

#include "bindings/numpy_view.hpp"
#include "ops/pair_terms.hpp"

namespace consilience {

void bind_pair_terms(py::module_& m) {
  m.def(
      "pair_terms",
      [](const std::vector<py::array>& sets, const std::vector<std::string>& functions,
         const std::vector<double>& gammas, const std::vector<Vector>& offsets, index_t tile,
         bool double_tiles, int n_threads) {
        require_blas();
        require(!sets.empty(), "no channels");
        require(functions.size() == sets.size() && gammas.size() == sets.size() &&
                    offsets.size() == sets.size(),
                "one function, gamma and offsets per channel");
        require(tile >= 1 && tile <= 4096, "`tile` must be in [1, 4096]");
        std::vector<Channel> channels;
        for (std::size_t c = 0; c < sets.size(); ++c) {
          const std::string& function = functions[c];
          require(function == "distance" || function == "squared" || function == "rbf",
                  "a function is 'distance', 'squared' or 'rbf'");
          channels.push_back({embedding(sets[c], "sets"),
                              function == "distance"  ? PairFunction::distance
                              : function == "squared" ? PairFunction::squared
                                                      : PairFunction::rbf,
                              gammas[c], offsets[c].data()});
          require(channels[c].X.n_samples == channels[0].X.n_samples, "n_samples differ");
          require(offsets[c].size() == channels[0].X.n_samples, "one offset per sample");
        }
        const Run run = run_on(n_threads);
        PairTerms terms;
        {
          const py::gil_scoped_release no_gil;
          terms = pair_terms(channels, {tile, double_tiles}, run);
        }
        const auto n_channels = static_cast<py::ssize_t>(channels.size());
        const Matrix row_sums({n_channels, static_cast<py::ssize_t>(channels[0].X.n_samples)},
                              terms.row_sums.data());
        const Matrix products({n_channels, n_channels}, terms.products.data());
        return py::make_tuple(row_sums, products);
      },
      "sets"_a.noconvert(), py::kw_only(), "functions"_a, "gammas"_a, "offsets"_a.noconvert(),
      "tile"_a, "double_tiles"_a, "n_threads"_a);
  m.def(
      "pair_terms_bytes",
      [](index_t n_samples, index_t total_features, index_t n_channels, index_t tile,
         bool double_tiles, int n_threads) {
        return pair_terms_bytes(n_samples, total_features, n_channels, {tile, double_tiles},
                                n_threads);
      },
      "n_samples"_a, "total_features"_a, "n_channels"_a, "tile"_a, "double_tiles"_a, "n_threads"_a);
}

}  // namespace consilience
