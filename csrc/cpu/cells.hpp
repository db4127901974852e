#pragma once

#include <cstdint>
#include <vector>

#include "cpu/centered.hpp"
#include "cpu/coarse_rows.hpp"

namespace consilience {

struct CellOptions {
  index_t size = 640;  // on average; none is more than kCrowded times as large
  index_t fanout = 8;  // cells that a row is in
  std::uint64_t seed = 0;
};

constexpr index_t kCrowded = 3;

// Overlapping groups of near rows: those that have one of as many seeded rows among their `fanout`
// nearest. Groups of more rows than are wanted are halved across random directions.
struct Cells {
  std::vector<std::int32_t> order;                // of all rows, near ones near each other
  std::vector<std::vector<std::int32_t>> groups;  // places in that order, ascending
};

// With `coarse` rows, or null, it is by those that pivots are near.
Cells cells(const Centered<float>& set, const CoarseRows* coarse, const CellOptions& options,
            const Run& run);

index_t n_pivots(index_t n_samples, const CellOptions& options);

}  // namespace consilience
