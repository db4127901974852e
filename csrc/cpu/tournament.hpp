#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
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

// Who meets whom in a round. `round_robin`: b = round - a, in as few rounds as there are blocks.
// `nearest_first`: b = a xor round, so that blocks meet their siblings in a binary tree first.
enum class Draw { round_robin, nearest_first };

// Walks every unordered pair of row blocks once, as a tournament: within a round no block plays
// twice, so a tile may update its rows and its columns without locks, and each block meets the
// others in the same order for any number of threads: same sums, same bits.
// `body(tile, slot, worker)`; `after_round(n_tiles)` runs alone, and slots count tiles in it.
template <class Body, class AfterRound>
void tournament(index_t n_samples, index_t tile, const Run& run, Body&& body,
                AfterRound&& after_round, Draw draw = Draw::round_robin) {
  const index_t n_blocks = (n_samples + tile - 1) / tile;
  const bool by_tree = draw == Draw::nearest_first;
  const auto power = static_cast<index_t>(std::bit_ceil(static_cast<std::uint64_t>(n_blocks)));
  const index_t n_rounds = by_tree ? power : n_blocks + (n_blocks % 2 == 0 ? 1 : 0);
  const auto start = [&](index_t block) { return std::min(n_samples, block * tile); };

  std::vector<TileRange> tiles;
  for (index_t round = 0; round < n_rounds; ++round) {
    tiles.clear();
    for (index_t a = 0; a < n_blocks; ++a) {
      const index_t b = by_tree ? a ^ round : (round - a + n_rounds) % n_rounds;
      if (b < a || b >= n_blocks) continue;  // the round is odd, or the other sits out
      tiles.push_back({start(a), start(a + 1), start(b), start(b + 1)});
    }
    parallel_for(static_cast<index_t>(tiles.size()), run,
                 [&](index_t slot, int worker) { body(tiles[slot], slot, worker); });
    after_round(static_cast<index_t>(tiles.size()));
  }
}

// Rows [first, stop) against columns [stop, n_samples): likewise, no block twice within a round.
template <class Body, class AfterRound>
void away_games(index_t first, index_t stop, index_t n_samples, index_t tile, const Run& run,
                Body&& body, AfterRound&& after_round) {
  const index_t n_rows = (stop - first + tile - 1) / tile;
  const index_t n_cols = (n_samples - stop + tile - 1) / tile;
  const index_t n_tiles = std::min(n_rows, n_cols), n_rounds = std::max(n_rows, n_cols);
  for (index_t round = 0; n_tiles > 0 && round < n_rounds; ++round) {
    parallel_for(n_tiles, run, [&](index_t slot, int worker) {
      const index_t other = (slot + round) % n_rounds;
      const index_t row = first + tile * (n_rows <= n_cols ? slot : other);
      const index_t col = stop + tile * (n_rows <= n_cols ? other : slot);
      body({row, std::min(stop, row + tile), col, std::min(n_samples, col + tile)}, slot, worker);
    });
    after_round(n_tiles);
  }
}

template <class Body>
void tournament(index_t n_samples, index_t tile, const Run& run, Body&& body,
                Draw draw = Draw::round_robin) {
  tournament(n_samples, tile, run, body, [](index_t) {}, draw);
}

}  // namespace consilience
