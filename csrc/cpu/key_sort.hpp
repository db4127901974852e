#pragma once

#include <cstdint>
#include <vector>

#include "common/types.hpp"

namespace consilience {

struct KeyedSample {
  double key;
  std::int32_t sample;

  bool operator<(const KeyedSample& other) const {
    return key < other.key || (key == other.key && sample < other.sample);
  }
};

// Sorts by (key, sample): buckets of equal width, finished by insertion, where std::sort takes a
// branch of chance per comparison. Buffers are kept from call to call.
class KeySort {
 public:
  void sort(std::vector<KeyedSample>& entries);

 private:
  std::vector<std::int32_t> bucket_, starts_;
  std::vector<KeyedSample> sorted_;
};

}  // namespace consilience
