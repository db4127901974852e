#pragma once

#include <string>
#include <vector>

#include "bindings/numpy_view.hpp"
#include "ops/pair_terms.hpp"

namespace consilience {

// Functions of pairs of rows, by name, each of its own set.
inline std::vector<Channel> channels_of(const std::vector<py::array>& sets,
                                        const std::vector<std::string>& functions,
                                        const std::vector<double>& gammas) {
  require(!sets.empty(), "no channels");
  require(functions.size() == sets.size() && gammas.size() == sets.size(),
          "one function and gamma per channel");
  std::vector<Channel> channels;
  for (std::size_t c = 0; c < sets.size(); ++c) {
    const std::string& function = functions[c];
    require(function == "distance" || function == "squared" || function == "rbf",
            "a function is 'distance', 'squared' or 'rbf'");
    channels.push_back({embedding(sets[c], "sets"),
                        function == "distance"  ? PairFunction::distance
                        : function == "squared" ? PairFunction::squared
                                                : PairFunction::rbf,
                        gammas[c]});
    require(channels[c].X.n_samples == channels[0].X.n_samples, "n_samples differ");
  }
  return channels;
}

}  // namespace consilience
