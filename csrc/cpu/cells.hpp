#pragma once

#include <cstdint>
#include <vector>

#include "cpu/centered.hpp"

namespace consilience {

struct CellOptions {
  index_t size = 640;  // on average; none is more than kCrowded times as large
  index_t fanout = 6;  // cells that a row is in
  std::uint64_t seed = 0;
};

constexpr index_t kCrowded = 3;

// Overlapping groups of near rows: those that have one of as many seeded rows among their `fanout`
// nearest. Groups of more rows than are wanted are halved across random directions.
std::vector<std::vector<std::int32_t>> cells(const Centered<float>& set, const CellOptions& options,
                                             const Run& run);

index_t n_pivots(index_t n_samples, const CellOptions& options);

}  // namespace consilience
