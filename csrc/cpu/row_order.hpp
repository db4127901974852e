#pragma once

#include <cstdint>
#include <vector>

#include "common/types.hpp"

namespace consilience {

// The samples by ascending key: buckets of equal width, each sorted. About 20 ns an entry.
class RowOrder {
 public:
  explicit RowOrder(index_t n);

  // All keys lie in [low, high]. `self` comes last, as if it were infinitely far.
  void assign(const double* keys, double low, double high, index_t self);

  double key(index_t place) const { return keys_[place]; }
  index_t sample(index_t place) const { return samples_[place]; }

 private:
  void sort(index_t start, index_t stop);
  void finish_by_insertion();

  index_t n_, n_buckets_;
  std::vector<std::int32_t> bucket_, starts_, samples_;
  std::vector<double> keys_;
};

}  // namespace consilience
