#pragma once

#include <algorithm>
#include <vector>

#include "common/parallel.hpp"

namespace consilience {

// One tile of the upper triangle: rows [row_start, row_stop) against [col_start, col_stop).
struct TileRange {
  index_t row_start, row_stop, col_start, col_stop;

  index_t n_rows() const { return row_stop - row_start; }
  index_t n_cols() const { return col_stop - col_start; }
  bool diagonal() const { return row_start == col_start; }
};

// Walks every unordered pair of row blocks once, as a round-robin tournament: within a round no
// block plays twice, so a tile may update its rows and its columns without locks, and each block
// meets the others in the same order for any number of threads: same sums, same bits.
// `body(tile, slot, worker)`; `after_round(n_tiles)` runs alone, and slots count tiles in it.
template <class Body, class AfterRound>
void tournament(index_t n_samples, index_t tile, const Run& run, Body&& body,
                AfterRound&& after_round) {
  const index_t n_blocks = (n_samples + tile - 1) / tile;
  const index_t n_rounds = n_blocks + (n_blocks % 2 == 0 ? 1 : 0);  // odd: a block may sit out
  const auto start = [&](index_t block) { return std::min(n_samples, block * tile); };

  std::vector<TileRange> tiles;
  for (index_t round = 0; round < n_rounds; ++round) {
    tiles.clear();
    for (index_t a = 0; a < n_blocks; ++a) {
      const index_t b = (round - a + n_rounds) % n_rounds;
      if (b < a || b >= n_blocks) continue;
      tiles.push_back({start(a), start(a + 1), start(b), start(b + 1)});
    }
    parallel_for(static_cast<index_t>(tiles.size()), run,
                 [&](index_t slot, int worker) { body(tiles[slot], slot, worker); });
    after_round(static_cast<index_t>(tiles.size()));
  }
}

template <class Body>
void tournament(index_t n_samples, index_t tile, const Run& run, Body&& body) {
  tournament(n_samples, tile, run, body, [](index_t) {});
}

}  // namespace consilience
