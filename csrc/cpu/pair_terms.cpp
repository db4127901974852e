// pair_terms on the CPU: per entry of a tile and channel, 2 d flops of GEMM, an epilogue (square
// root or exponential), and C flops of the product of all channels' tiles with each other.

#include "ops/pair_terms.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <type_traits>

#include "common/blas.hpp"
#include "common/simd.hpp"
#include "cpu/centered.hpp"
#include "cpu/exact.hpp"
#include "cpu/pair_functions.hpp"
#include "cpu/tournament.hpp"

namespace consilience {
namespace {

// Float32 products of tiles are summed over this many entries before they enter float64.
constexpr index_t kFloatChunk = 1024;

template <class Real>
class Sweep {
 public:
  Sweep(const std::vector<Channel>& channels, const PairTermsOptions& options, const Run& run)
      : channels_(channels), n_(channels[0].X.n_samples), options_(options), run_(run) {
    for (const Channel& channel : channels) {
      sets_.push_back(centered<Real>(channel.X, run));
      const auto& norms = sets_.back().squared_norms;
      norms_.emplace_back(norms.begin(), norms.end());
      offsets_.emplace_back(channel.offsets, channel.offsets + n_);
    }
  }

  PairTerms operator()() {
    const index_t n_channels = size(), area = options_.tile * options_.tile;
    terms_.row_sums.assign(n_channels * n_, 0.0);
    terms_.products.assign(n_channels * n_channels, 0.0);
    std::vector<std::vector<Real>> tiles(run_.n_threads, std::vector<Real>(n_channels * area));
    const index_t n_blocks = (n_ + options_.tile - 1) / options_.tile;
    slots_.assign((n_blocks / 2 + 1) * n_channels * n_channels, 0.0);

    tournament(
        n_, options_.tile, run_,
        [&](const TileRange& t, index_t slot, int worker) {
          Real* tile = tiles[worker].data();
          for (index_t c = 0; c < n_channels; ++c) make_tile(c, t, tile + c * area);
          for (index_t c = 0; c < n_channels; ++c) add_row_sums(c, t, tile + c * area);
          add_products(t, tile, area, slots_.data() + slot * n_channels * n_channels);
        },
        [&](index_t n_tiles) { collect(n_tiles); });

    return std::move(terms_);
  }

 private:
  index_t size() const { return static_cast<index_t>(channels_.size()); }

  // f for one tile, 0 on the diagonal of the matrix.
  void make_tile(index_t c, const TileRange& t, Real* tile) const {
    const Centered<Real>& set = sets_[c];
    const index_t d = set.n_features, n_cols = t.n_cols();
    blas::gemm_nt(t.n_rows(), n_cols, d, set.row(t.row_start), d, set.row(t.col_start), d, tile,
                  n_cols);
    const double unscale = 1.0 / set.scale;
    const Real* col_norms = norms_[c].data() + t.col_start;
    for (index_t i = t.row_start; i < t.row_stop; ++i) {
      Real* row = tile + (i - t.row_start) * n_cols;
      if (squared_distances(row, norms_[c][i], col_norms, n_cols)) {
        repair_near(c, i, t.col_start, col_norms, row, n_cols);
      }
      const Real u = offsets_[c][i], *v = offsets_[c].data() + t.col_start;
      switch (channels_[c].function) {
        case PairFunction::distance:
          distances_about(row, n_cols, static_cast<Real>(unscale), u, v);
          break;
        case PairFunction::squared:
          squares_about(row, n_cols, static_cast<Real>(unscale * unscale), u, v);
          break;
        case PairFunction::rbf:
          rbf_about(row, n_cols, static_cast<Real>(-channels_[c].gamma * unscale * unscale), u, v);
          break;
      }
      if (t.diagonal()) row[i - t.col_start] = 0;
    }
  }

  // Near pairs, where the expansion cancels, from differences.
  void repair_near(index_t c, index_t i, index_t col_start, const Real* col_norms, Real* row,
                   index_t n_cols) const {
    const double scale2 = sets_[c].scale * sets_[c].scale;
    for (index_t j = 0; j < n_cols; ++j) {
      if (row[j] < near_share<Real>() * (norms_[c][i] + col_norms[j])) {
        row[j] = static_cast<Real>(scale2 * squared_distance(channels_[c].X, i, col_start + j));
      }
    }
  }

  void add_row_sums(index_t c, const TileRange& t, const Real* tile) {
    double* sums = terms_.row_sums.data() + c * n_;
    for (index_t i = t.row_start; i < t.row_stop; ++i) {
      sums[i] += sum(tile + (i - t.row_start) * t.n_cols(), t.n_cols());
    }
    if (t.diagonal()) return;
    for (index_t i = t.row_start; i < t.row_stop; ++i) {
      add_to(tile + (i - t.row_start) * t.n_cols(), t.n_cols(), sums + t.col_start);
    }
  }

  // All channels' tiles as the rows of one matrix, times its transpose.
  void add_products(const TileRange& t, const Real* tile, index_t area, double* products) const {
    const index_t entries = t.n_rows() * t.n_cols(), n_channels = size();
    const index_t chunk = std::is_same_v<Real, float> ? kFloatChunk : entries;
    const double weight = t.diagonal() ? 1.0 : 2.0;
    std::vector<Real> gram(n_channels * n_channels);
    std::vector<double> total(n_channels * n_channels, 0.0);
    for (index_t first = 0; first < entries; first += chunk) {
      const index_t count = std::min(chunk, entries - first);
      blas::gemm_nt(n_channels, n_channels, count, tile + first, area, tile + first, area,
                    gram.data(), n_channels);
      for (std::size_t g = 0; g < gram.size(); ++g) total[g] += static_cast<double>(gram[g]);
    }
    for (std::size_t g = 0; g < gram.size(); ++g) products[g] = weight * total[g];
  }

  void collect(index_t n_tiles) {
    const std::size_t size = terms_.products.size();
    for (index_t slot = 0; slot < n_tiles; ++slot) {
      for (std::size_t g = 0; g < size; ++g) terms_.products[g] += slots_[slot * size + g];
    }
  }

  const std::vector<Channel>& channels_;
  index_t n_;
  const PairTermsOptions& options_;
  const Run& run_;
  std::vector<Centered<Real>> sets_;
  std::vector<std::vector<Real>> norms_, offsets_;
  std::vector<double> slots_;  // products of the tiles of one round, summed in order after it
  PairTerms terms_;
};

}  // namespace

PairTerms pair_terms(const std::vector<Channel>& channels, const PairTermsOptions& options,
                     const Run& run) {
  assert(!channels.empty());
  return options.double_tiles ? Sweep<double>(channels, options, run)()
                              : Sweep<float>(channels, options, run)();
}

index_t pair_terms_bytes(index_t n_samples, index_t total_features, index_t n_channels,
                         const PairTermsOptions& options, int n_threads) {
  const index_t real = options.double_tiles ? 8 : 4;
  return n_samples * (total_features + 2 * n_channels) * real + n_samples * n_channels * 24 +
         n_threads * n_channels * options.tile * options.tile * real;
}

}  // namespace consilience
