#pragma once

#include <cstdint>
#include <vector>

#include "common/types.hpp"

namespace consilience {

// Longer lists fill their filters.
constexpr index_t kLongestFiltered = 64;
// Entries that are probed together: those of one register of two bytes each.
constexpr index_t kProbedLanes = 32;
// Rows of a block: their filters and relabelled entries stay in the second cache.
constexpr index_t kProbedRows = 32;
// What is found of a pair before it is looked up: a pair's lists and values are then read one after
// another, and pages stay known. A block may find more; a line more keeps pairs out of one cache
// set.
constexpr index_t kMostFound = 8192;
constexpr index_t kFoundStride = kMostFound + kProbedRows * kLongestFiltered + 16;

// Which entries a list may have: a bit for each of 512 values of two parts of an entry, its lowest
// 9 bits and the 9 from `shift` on. Of 25 entries in either list, one in 440 that is not in the
// list seems to be.
struct alignas(64) ListFilter {
  std::uint16_t low[kProbedLanes] = {};
  std::uint16_t high[kProbedLanes] = {};

  void add(std::uint32_t entry, int shift) {
    const std::uint32_t other = entry >> shift;
    low[entry >> 4 & 31] |= static_cast<std::uint16_t>(1u << (entry & 15));
    high[other >> 4 & 31] |= static_cast<std::uint16_t>(1u << (other & 15));
  }
};

// One graph against others, of which `filters` are.
struct ProbedLists {
  index_t k;
  struct Pair {
    index_t filter, number;
  };
  std::vector<Pair> pairs;
};

// Finds which entries may be in the filtered lists, for the rows of a block.
//   entries: relabelled, (n_rows, n_graphs, width).   filters: for each row, those of all lists
//   found:   of each pair, kFoundStride apart: counts[pair] times row * 64 + place, ascending
template <class Id>
using Probe = void (*)(const std::vector<ProbedLists>& graphs, const Id* entries, index_t width,
                       index_t first, index_t stop, const ListFilter* const* filters, int shift,
                       std::uint32_t* found, index_t* counts);

template <class Id>
Probe<Id> probe();
template <>
Probe<std::uint16_t> probe();
template <>
Probe<std::uint32_t> probe();

}  // namespace consilience
