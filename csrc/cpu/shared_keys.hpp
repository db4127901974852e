#pragma once

#include <cstdint>
#include <vector>

#include "common/types.hpp"

namespace consilience {

// A row and the samples that it is held against; keys[c] is to be that of candidates[c].
struct KeysWanted {
  index_t sample;
  const std::int32_t* candidates;
  index_t count;
  double* keys;
};

// Float64 keys, sum_f (x_if - x_jf)^2 or -sum_f x_if x_jf, of several rows i at once, to the bits
// of exact.hpp. Candidates are visited in the order of X, and each meets all rows that want it
// while it is in the first cache: alone, a row waits for memory at nearly every candidate.
class SharedKeys {
 public:
  void fill(const Embedding& X, bool inner_product, const std::vector<KeysWanted>& rows);

  // Keys that are best asked for in one call.
  static constexpr index_t kKeys = 32'000;

 private:
  struct Entry {
    std::int32_t sample, row, at;
  };

  void arrange(index_t n_samples, const std::vector<KeysWanted>& rows);

  std::vector<std::int32_t> starts_;
  std::vector<Entry> entries_;  // by sample, or nearly so
  std::vector<double> wide_;
};

}  // namespace consilience
