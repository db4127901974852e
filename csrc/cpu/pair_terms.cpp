// pair_terms on the CPU: per entry of the upper triangle and set 2 d flops of a product, per
// channel an epilogue (a square root or an exponential) and per two channels a multiply-add. Blocks
// of float32 never leave the caches; float64 ones are tiles of BLAS.

#include "ops/pair_terms.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <memory>
#include <numbers>
#include <type_traits>

#include "common/blas.hpp"
#include "cpu/centered.hpp"
#include "cpu/exact.hpp"
#include "cpu/pair_functions.hpp"
#include "cpu/panels.hpp"
#include "cpu/tournament.hpp"

namespace consilience {
namespace {

// Rows and columns of a block of float32: 9 KiB a channel, whole panels of every micro-kernel.
constexpr index_t kFloatBlock = kPairStep;

index_t whole_lanes(index_t n) { return (n + kBlockLanes - 1) / kBlockLanes * kBlockLanes; }

// Rows about their mean, and products of them by blocks.
template <class Real>
class Set {
 public:
  Set(const Embedding& X, const Run& run) : X_(X) {
    Centered<Real> set = centered<Real>(X, run);
    scale_ = set.scale;
    norms_.assign(set.squared_norms.begin(), set.squared_norms.end());
    if constexpr (kPacked) {
      panels_ = std::make_unique<Panels>(packed(set, run));
    } else {
      rows_ = std::move(set.rows);
    }
  }

  double unscale() const { return 1.0 / scale_; }
  bool same_rows(const Embedding& X) const {
    return X.data == X_.data && X.is_double == X_.is_double && X.n_features == X_.n_features;
  }

  // Squared distances in units of unscale()^2.
  void squares(const TileRange& t, const Block<Real>& block) const {
    if (expand(t, *this, block)) repair_near(t, block);
  }

  // About half of what is usual in each row of a channel's matrix: u_i = median_s g_is - half the
  // median of these, over some columns s. A far row does not move it.
  std::vector<Real> typical(const Channel& channel, const Run& run) const {
    const Set columns(*this, spread_out(X_.n_samples));
    const auto n_columns = static_cast<index_t>(columns.norms_.size());
    std::vector<Real> medians(X_.n_samples);
    parallel_for((X_.n_samples + kFloatBlock - 1) / kFloatBlock, run, [&](index_t task, int) {
      const index_t start = task * kFloatBlock;
      const TileRange t{start, std::min(X_.n_samples, start + kFloatBlock), 0, n_columns};
      Real entries[kFloatBlock * kFloatBlock];
      const Real zeros[kFloatBlock] = {};
      const Block<Real> block{entries, t.n_rows(), n_columns, kFloatBlock};
      expand(t, columns, block);
      for (index_t i = 0; i < t.n_rows(); ++i) {
        Real* row = block.row(i);
        std::replace_if(row, row + n_columns, [](Real square) { return square < 0; }, Real{0});
      }
      values_about(channel.function, block, unscale(), channel.gamma, zeros, zeros, entries);
      for (index_t i = 0; i < t.n_rows(); ++i) {
        medians[start + i] = median(block.row(i), block.row(i) + n_columns);
      }
    });
    std::vector<Real> sorted = medians;
    const Real half = Real(0.5) * median(sorted.data(), sorted.data() + sorted.size());
    for (Real& u : medians) u -= half;
    return medians;
  }

 private:
  static constexpr bool kPacked = std::is_same_v<Real, float>;

  Set(const Set& all, const std::vector<index_t>& chosen) : X_(all.X_), scale_(all.scale_) {
    const index_t d = X_.n_features;
    if constexpr (kPacked) {
      panels_ = std::make_unique<Panels>(static_cast<index_t>(chosen.size()), d);
    }
    for (const index_t i : chosen) {
      if constexpr (kPacked) {
        const float* from = all.panels_->row(i);
        for (index_t f = 0; f < d; ++f) {
          panels_->set(static_cast<index_t>(norms_.size()), f, from[f * micro_kernel().cols]);
        }
      } else {
        rows_.insert(rows_.end(), all.rows_.data() + i * d, all.rows_.data() + (i + 1) * d);
      }
      norms_.push_back(all.norms_[i]);
    }
  }

  // Different samples, a block of them at most: the golden ratio meets no pattern of the rows.
  static std::vector<index_t> spread_out(index_t n_samples) {
    std::vector<index_t> chosen;
    for (index_t s = 0; s < std::min(n_samples, kFloatBlock); ++s) {
      const double turn = static_cast<double>(s) * std::numbers::phi;
      chosen.push_back(
          static_cast<index_t>((turn - std::floor(turn)) * static_cast<double>(n_samples)));
    }
    return chosen;
  }

  static Real median(Real* first, Real* last) {
    Real* middle = first + (last - first) / 2;
    std::nth_element(first, middle, last);
    return *middle;
  }

  // Products of rows with rows of `columns`, expanded to squared distances. True if any is near.
  bool expand(const TileRange& t, const Set& columns, const Block<Real>& block) const {
    if constexpr (kPacked) {
      const MicroKernel& kernel = micro_kernel();
      for (index_t j = t.col_start; j < t.col_stop; j += kernel.cols) {
        for (index_t i = t.row_start; i < t.row_stop; i += kernel.rows) {
          kernel.multiply(panels_->row(i), columns.panels_->row(j), panels_->depth(), false,
                          block.row(i - t.row_start) + (j - t.col_start), block.stride);
        }
      }
    } else {
      const index_t d = X_.n_features;
      blas::gemm_nt(t.n_rows(), t.n_cols(), d, rows_.data() + t.row_start * d, d,
                    columns.rows_.data() + t.col_start * d, d, block.entries, block.stride);
    }
    return squared_distances(block, norms_.data() + t.row_start,
                             columns.norms_.data() + t.col_start);
  }

  // Near pairs, where the expansion cancels, from differences.
  void repair_near(const TileRange& t, const Block<Real>& block) const {
    for (index_t i = t.row_start; i < t.row_stop; ++i) {
      Real* row = block.row(i - t.row_start);
      for (index_t j = t.col_start; j < t.col_stop; ++j) {
        Real& square = row[j - t.col_start];
        if (!(square < near_share<Real>() * (norms_[i] + norms_[j]))) continue;
        square = i == j ? 0 : static_cast<Real>(scale_ * scale_ * squared_distance(X_, i, j));
      }
    }
  }

  Embedding X_;
  double scale_;
  std::vector<Real> norms_;
  std::unique_ptr<Panels> panels_;  // float32
  std::vector<Real> rows_;          // float64
};

template <class Real>
class Sweep {
 public:
  Sweep(const std::vector<Channel>& channels, const PairTermsOptions& options, const Run& run)
      : channels_(channels),
        n_(channels[0].X.n_samples),
        first_(options.first),
        stop_(options.stop < 0 ? n_ : options.stop),
        run_(run) {
    assert(first_ % kPairStep == 0 && (stop_ % kPairStep == 0 || stop_ == n_));
    // A block of float64 is a whole tile, and no larger than the samples fill.
    block_ = std::is_same_v<Real, float> ? kFloatBlock : std::min(options.tile, n_);
    tile_ = std::max<index_t>(1, options.tile / block_) * block_;
    area_ = block_ * stride_of(block_);
    for (const Channel& channel : channels) {
      const auto known = std::find_if(sets_.begin(), sets_.end(), [&](const Set<Real>& set) {
        return set.same_rows(channel.X);
      });
      const std::size_t s = known - sets_.begin();
      if (known == sets_.end()) {
        sets_.emplace_back(channel.X, run);
        members_.emplace_back();
      }
      members_[s].push_back(static_cast<index_t>(offsets_.size()));
      offsets_.push_back(sets_[s].typical(channel, run));
      terms_.offsets.insert(terms_.offsets.end(), offsets_.back().begin(), offsets_.back().end());
    }
  }

  PairTerms operator()() {
    const index_t n_channels = size(), square = n_channels * n_channels;
    terms_.row_sums.assign(n_channels * n_, 0.0);
    terms_.products.assign(square, 0.0);
    std::vector<std::vector<Real>> blocks(run_.n_threads, std::vector<Real>(n_channels * area_));
    const index_t n_tiles = (stop_ - first_ + tile_ - 1) / tile_;
    slots_.resize(std::max(n_tiles, index_t{1}) * square);

    const auto sweep = [&](const TileRange& t, index_t slot, int worker) {
      double* products = slots_.data() + slot * square;
      std::fill_n(products, square, 0.0);
      for (index_t i = t.row_start; i < t.row_stop; i += block_) {
        for (index_t j = t.diagonal() ? i : t.col_start; j < t.col_stop; j += block_) {
          const TileRange range{i, std::min(t.row_stop, i + block_), j,
                                std::min(t.col_stop, j + block_)};
          add(range, blocks[worker].data(), products);
        }
      }
    };
    const auto sum_up = [&](index_t n_slots) { collect(n_slots); };
    tournament(
        stop_ - first_, tile_, run_,
        [&](const TileRange& t, index_t slot, int worker) {
          sweep({first_ + t.row_start, first_ + t.row_stop, first_ + t.col_start,
                 first_ + t.col_stop},
                slot, worker);
        },
        sum_up);
    away_games(first_, stop_, n_, tile_, run_, sweep, sum_up);

    for (index_t a = 0; a < n_channels; ++a) {
      for (index_t b = 0; b < a; ++b) {
        terms_.products[a * n_channels + b] = terms_.products[b * n_channels + a];
      }
    }
    return std::move(terms_);
  }

 private:
  index_t size() const { return static_cast<index_t>(channels_.size()); }
  // Micro-kernels write whole panels.
  static index_t stride_of(index_t n_cols) {
    return std::is_same_v<Real, float> ? kFloatBlock : whole_lanes(n_cols);
  }

  // One block of all channels.
  void add(const TileRange& t, Real* blocks, double* products) {
    const index_t stride = stride_of(t.n_cols());
    for (std::size_t s = 0; s < sets_.size(); ++s) {
      // Squared distances stand where the set's last channel will.
      const Block<Real> squares{blocks + members_[s].back() * area_, t.n_rows(), t.n_cols(),
                                stride};
      sets_[s].squares(t, squares);
      for (const index_t c : members_[s]) {
        const Block<Real> values{blocks + c * area_, t.n_rows(), t.n_cols(), stride};
        values_about(channels_[c].function, squares, sets_[s].unscale(), channels_[c].gamma,
                     offsets_[c].data() + t.row_start, offsets_[c].data() + t.col_start,
                     values.entries);
        if (t.diagonal()) {
          for (index_t i = 0; i < t.n_rows(); ++i) values.row(i)[i] = 0;
        }
        double* sums = terms_.row_sums.data() + c * n_;
        add_sums(values, sums + t.row_start, t.diagonal() ? nullptr : sums + t.col_start);
      }
    }
    add_products(blocks, size(), area_, t.n_rows() * stride, t.diagonal() ? 1.0 : 2.0, products);
  }

  void collect(index_t n_slots) {
    const std::size_t size = terms_.products.size();
    for (index_t slot = 0; slot < n_slots; ++slot) {
      for (std::size_t g = 0; g < size; ++g) terms_.products[g] += slots_[slot * size + g];
    }
  }

  const std::vector<Channel>& channels_;
  index_t n_, first_, stop_, block_, tile_, area_;
  const Run& run_;
  std::vector<Set<Real>> sets_;
  std::vector<std::vector<index_t>> members_;  // the channels of each set
  std::vector<std::vector<Real>> offsets_;
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

index_t pair_terms_bytes(index_t n_samples, index_t total_features, index_t most_features,
                         index_t n_channels, const PairTermsOptions& options, int n_threads) {
  const index_t real = options.double_tiles ? 8 : 4;
  const index_t block = options.double_tiles ? options.tile : kFloatBlock;
  return n_samples * (total_features + most_features + 2 * n_channels) * real +
         n_samples * n_channels * 24 + n_threads * n_channels * block * whole_lanes(block) * real;
}

void pair_distances(const Embedding& X, const index_t* i, const index_t* j, index_t n_pairs,
                    const Run& run, double* distances) {
  constexpr index_t kPairsPerTask = 4096;
  parallel_for((n_pairs + kPairsPerTask - 1) / kPairsPerTask, run, [&](index_t task, int) {
    const index_t stop = std::min(n_pairs, (task + 1) * kPairsPerTask);
    for (index_t p = task * kPairsPerTask; p < stop; ++p) {
      if (p + 1 < stop) {
        prefetch_row(X, i[p + 1]);
        prefetch_row(X, j[p + 1]);
      }
      distances[p] = std::sqrt(squared_distance(X, i[p], j[p]));
    }
  });
}

}  // namespace consilience
