// count_nearer on the CPU: 2 d flops per entry, then a cell and a few comparisons with the
// thresholds of the row, from the caches; float64 differences for those that are too near to one.
// Columns are packed as they come, once for all rows, and are the only reads of X.

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "common/simd.hpp"
#include "cpu/exact.hpp"
#include "cpu/micro_kernel.hpp"
#include "cpu/moved_rows.hpp"
#include "cpu/panels.hpp"
#include "cpu/row_keys.hpp"
#include "ops/rank_counts.hpp"

namespace consilience {
namespace {

// Products of a tile stay in the second cache.
constexpr index_t kTileCols = 480;
constexpr index_t kChunkEntries = index_t{1} << 24;
constexpr index_t kLeastChunk = 4 * kTileCols, kMostChunk = 128 * kTileCols;
constexpr index_t kLeastCells = 64, kMostCells = 4096;
// Lengths beyond are left to float64, where they cannot overflow.
constexpr double kMostNorm2 = 0x1p100;
// Squared lengths up to which products and keys of whole numbers are exact in float32.
constexpr double kWholeNorm2 = 0x1p20;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

index_t chunk_of(index_t n_samples, index_t n_features) {
  const index_t fitting = kChunkEntries / n_features / kTileCols * kTileCols;
  return std::min(n_samples, std::clamp(fitting, kLeastChunk, kMostChunk));
}

index_t cells_of(index_t n_squares) {
  if (n_squares >= kMostCells / 2) return kMostCells;
  const auto twice = std::bit_ceil(static_cast<std::uint64_t>(2 * n_squares));
  return std::clamp(static_cast<index_t>(twice), kLeastCells, kMostCells);
}

// Whether all entries are whole numbers, and their squares sum up to few enough.
template <class Real>
CONSILIENCE_INLINE bool whole(const Real* row, index_t d) {
  const double rest = sum_in_lanes(
      d, [=](index_t f) { return static_cast<double>(std::abs(row[f] - std::nearbyint(row[f]))); });
  const double norm2 = sum_in_lanes(
      d, [=](index_t f) { return static_cast<double>(row[f]) * static_cast<double>(row[f]); });
  return rest == 0.0 && norm2 <= kWholeNorm2;
}
CONSILIENCE_SIMD bool all_whole(const float* row, index_t d) { return whole(row, d); }
CONSILIENCE_SIMD bool all_whole(const double* row, index_t d) { return whole(row, d); }
bool is_whole(const Embedding& X, index_t i) {
  return X.is_double ? all_whole(X.double_row(i), X.n_features)
                     : all_whole(X.float_row(i), X.n_features);
}

// keys[c] = half_norms[c] - products[c], and the cells they fall into.
CONSILIENCE_SIMD void to_cells(float* keys, const float* half_norms, index_t n, float low,
                               float per_key, float last, std::int32_t* cells) {
  for (index_t c = 0; c < n; ++c) {
    keys[c] = half_norms[c] - keys[c];
    const float at = (keys[c] - low) * per_key;
    cells[c] = static_cast<std::int32_t>(std::max(0.0f, std::min(at, last)));
  }
}

// The thresholds of one row as bounds of float32 keys, found by cells of equal width: a key below
// from[t] is certainly nearer than threshold t, one above to[t] certainly not.
class Bounds {
 public:
  explicit Bounds(index_t n_squares)
      : n_squares_(n_squares),
        from_(n_squares),
        to_(n_squares),
        first_(n_squares + 1),
        starts_(cells_of(n_squares) + 1),
        last_(static_cast<float>(cells_of(n_squares) - 1)) {}

  // error: of any key of the row, of squared length norm2; none if 0
  void set(const double* squares, double scale2, double norm2, double error) {
    constexpr auto kLargest = static_cast<double>(std::numeric_limits<float>::max());
    n_ = 0;
    for (index_t t = 0; t < n_squares_; ++t) {
      if (t > 0 && squares[t] == squares[t - 1]) continue;  // one for all that are equal
      const double key = std::min(0.5 * (scale2 * squares[t] - norm2), 0.5 * kLargest);
      const bool is_float = static_cast<double>(static_cast<float>(key)) == key;
      double margin = error;
      if (error > 0.0 || !is_float) margin += std::ldexp(std::abs(key), -22);
      from_[n_] = static_cast<float>(key - margin);
      to_[n_] = static_cast<float>(key + margin);
      first_[n_++] = t;
    }
    first_[n_] = n_squares_;
    low_ = from_.front();
    const float range = from_[n_ - 1] - low_;
    per_key_ = range > 0.0f ? last_ / range : 0.0f;
    if (!std::isfinite(per_key_)) per_key_ = 0.0f;
    std::fill(starts_.begin(), starts_.end(), static_cast<std::int32_t>(n_));
    for (index_t t = n_ - 1; t >= 0; --t) {
      const float at = (from_[t] - low_) * per_key_;
      starts_[static_cast<index_t>(std::max(0.0f, std::min(at, last_)))] =
          static_cast<std::int32_t>(t);
    }
    for (index_t cell = static_cast<index_t>(starts_.size()) - 2; cell >= 0; --cell) {
      starts_[cell] = std::min(starts_[cell], starts_[cell + 1]);
    }
  }

  void look_up(float* keys, const float* half_norms, index_t n, std::int32_t* cells) const {
    to_cells(keys, half_norms, n, low_, per_key_, last_, cells);
  }
  // Of keys, those that may be nearer than any threshold: their number.
  index_t within(const float* keys, index_t n, std::int32_t* some) const {
    const float last = to_[n_ - 1];
    index_t n_some = 0;
    for (index_t c = 0; c < n; ++c) {
      some[n_some] = static_cast<std::int32_t>(c);  // no branch: a matter of chance
      n_some += keys[c] <= last;
    }
    return n_some;
  }
  // How many different thresholds a key is not certainly nearer than.
  index_t reached(float key, std::int32_t cell) const {
    const std::int32_t stop = starts_[cell + 1];
    std::int32_t count = starts_[cell];
    for (std::int32_t t = count; t < stop; ++t) count += from_[t] <= key;
    return count;
  }
  // Whether it may be nearer than the last of those all the same.
  bool is_open(float key, index_t n_reached) const {
    return n_reached > 0 && key <= to_[n_reached - 1];
  }

  // The first threshold after those.
  index_t after(index_t n_reached) const { return first_[n_reached]; }

 private:
  index_t n_squares_, n_ = 0;
  std::vector<float> from_, to_;
  std::vector<index_t> first_;        // of the equal ones
  std::vector<std::int32_t> starts_;  // of each cell, the first threshold in it or after it
  float low_ = 0.0f, per_key_ = 0.0f, last_;
};

class Stream {
 public:
  Stream(const Embedding& X, const RankThresholds& asked, const Run& run, index_t* doubled)
      : X_(X),
        asked_(asked),
        run_(run),
        doubled_(doubled),
        d_(X.n_features),
        n_rows_(asked.rows.n_samples),
        chunk_(chunk_of(X.n_samples, d_)),
        origin_(asked.origin, asked.origin + d_),
        columns_(chunk_, d_),
        half_norms_(chunk_ + kMostCols) {
    for (index_t r = 0; whole_ && r < n_rows_; ++r) whole_ = is_whole(asked.rows, r);
    if (whole_) {
      std::fill(origin_.begin(), origin_.end(), 0.0);
    } else {
      scale_ = natural_scale();
    }
    // Whole panels of rows, but some for every worker.
    const index_t share = (n_rows_ + run.n_threads - 1) / run.n_threads;
    const index_t whole_tiles = (share + kernel_.rows - 1) / kernel_.rows * kernel_.rows;
    group_ = std::min<index_t>(kernel_.cols, whole_tiles);
  }

  void operator()() {
    std::fill_n(doubled_, n_rows_ * asked_.n_squares, index_t{0});
    std::vector<std::unique_ptr<Worker>> workers(run_.n_threads);
    for (index_t first = 0; first < X_.n_samples; first += chunk_) {
      const index_t count = std::min(chunk_, X_.n_samples - first);
      pack(first, count);
      parallel_for((n_rows_ + group_ - 1) / group_, run_, [&](index_t task, int worker_id) {
        auto& worker = workers[worker_id];
        if (!worker) worker = std::make_unique<Worker>(*this);
        meet(task * group_, std::min(n_rows_, (task + 1) * group_), first, count, *worker);
      });
    }
    parallel_for((n_rows_ + kRowsPerTask - 1) / kRowsPerTask, run_, [&](index_t task, int) {
      const index_t stop = std::min(n_rows_, (task + 1) * kRowsPerTask);
      for (index_t r = task * kRowsPerTask; r < stop; ++r) add_up(r);
    });
  }

 private:
  static constexpr index_t kRowsPerTask = 256;

  // By the rows alone; 1 if all of them are the origin.
  double natural_scale() const {
    double longest = 0.0;
    std::vector<double> row(d_);
    for (index_t r = 0; r < n_rows_; ++r) {
      widened_row(asked_.rows, r, row.data());
      double norm2 = 0.0;
      for (index_t f = 0; f < d_; ++f) norm2 += (row[f] - origin_[f]) * (row[f] - origin_[f]);
      longest = std::max(longest, norm2);
    }
    return longest > 0.0 ? std::ldexp(1.0, -std::ilogb(std::sqrt(longest))) : 1.0;
  }

  struct Worker {
    explicit Worker(const Stream& of)
        : left(micro_kernel().cols * of.d_),
          wide(of.group_ * of.d_),
          moved(of.d_),
          products(micro_kernel().cols * kTileCols),
          norms2(of.group_),
          bounds(of.group_, Bounds(of.asked_.n_squares)) {}

    Aligned<float> left;  // the rows, interleaved
    std::vector<double> wide;
    std::vector<float> moved;
    Aligned<float> products;
    std::vector<double> norms2;
    std::vector<Bounds> bounds;
    std::int32_t cells[kTileCols], some[kTileCols];
  };

  void pack(index_t first, index_t count) {
    const index_t cols = kernel_.cols, n_panels = (count + cols - 1) / cols;
    std::vector<double> longest(n_panels, 0.0);
    std::vector<std::vector<index_t>> far(n_panels);
    std::vector<char> whole(n_panels, 1);
    parallel_for(n_panels, run_, [&](index_t panel, int) {
      thread_local std::vector<float> buffer;
      buffer.resize(4 * d_);
      const index_t stop = std::min(count, (panel + 1) * cols);
      for (index_t c = panel * cols; c < stop; c += 4) {
        const index_t some = std::min<index_t>(4, stop - c);
        for (index_t t = 0; t < some; ++t) {
          float* to = buffer.data() + t * d_;
          const double norm2 = move_row(X_, first + c + t, origin_.data(), scale_, to);
          half_norms_[c + t] = static_cast<float>(0.5 * norm2);
          if (!(norm2 < kMostNorm2)) {
            far[panel].push_back(c + t);
            half_norms_[c + t] = kInfinity;
            std::fill_n(to, d_, 0.0f);
          } else {
            longest[panel] = std::max(longest[panel], norm2);
          }
          if (whole_ && !is_whole(X_, first + c + t)) whole[panel] = 0;
        }
        const float* const rows[4] = {buffer.data(), buffer.data() + d_, buffer.data() + 2 * d_,
                                      buffer.data() + 3 * d_};
        if (some == 4) {
          columns_.set_four(c, rows);
        } else {
          for (index_t t = 0; t < some; ++t) columns_.set_row(c + t, rows[t], d_);
        }
      }
    });
    const double most = *std::max_element(longest.begin(), longest.end());
    largest_norm_ = std::sqrt(most) * (1.0 + 0x1p-23);
    exact_ = whole_ && std::all_of(whole.begin(), whole.end(), [](char one) { return one != 0; });
    far_.clear();
    for (const std::vector<index_t>& some : far) far_.insert(far_.end(), some.begin(), some.end());
  }

  // Rows [start, stop) and the columns that are packed.
  void meet(index_t start, index_t stop, index_t first, index_t count, Worker& worker) {
    const index_t cols = kernel_.cols, n_squares = asked_.n_squares;
    for (index_t r = start; r < stop; ++r) {
      const index_t at = r - start;
      const double norm2 = move_row(asked_.rows, r, origin_.data(), scale_, worker.moved.data());
      for (index_t f = 0; f < d_; ++f) worker.left.data()[f * cols + at] = worker.moved[f];
      widened_row(asked_.rows, r, worker.wide.data() + at * d_);
      const double length = std::sqrt(norm2) * (1.0 + 0x1p-23);
      const double error = exact_ ? 0.0 : float_key_error(d_, length, largest_norm_);
      worker.norms2[at] = norm2;
      worker.bounds[at].set(asked_.squares + r * n_squares, scale_ * scale_, norm2, error);
    }
    for (index_t column = 0; column < count; column += kTileCols) {
      const index_t n_cols = std::min(kTileCols, count - column);
      multiply(stop - start, column, n_cols, worker);
      for (index_t r = start; r < stop; ++r) {
        float* keys = worker.products.data() + (r - start) * kTileCols;
        // Its key becomes infinite: of no use to any threshold.
        const index_t self = asked_.selves[r] - first - column;
        if (0 <= self && self < n_cols) keys[self] = -kInfinity;
        worker.bounds[r - start].look_up(keys, half_norms_.data() + column, n_cols, worker.cells);
        count_row(r, first + column, n_cols, keys, r - start, worker);
      }
    }
    for (index_t r = start; r < stop; ++r) {
      for (const index_t c : far_) {
        if (asked_.selves[r] == first + c) continue;
        const double* wide = worker.wide.data() + (r - start) * d_;
        enter(r, squared_distance_to(X_, first + c, wide), n_squares);
      }
    }
  }

  void multiply(index_t n_rows, index_t column, index_t n_cols, Worker& worker) const {
    const index_t cols = kernel_.cols;
    for (index_t c = 0; c < n_cols; c += cols) {
      const float* right = columns_.row(column + c);
      for (index_t f = 0; f < d_; f += kFeatureChunk) {
        const index_t depth = std::min(kFeatureChunk, d_ - f);
        for (index_t r = 0; r < n_rows; r += kernel_.rows) {
          kernel_.multiply(worker.left.data() + f * cols + r, right + f * cols, depth, f > 0,
                           worker.products.data() + r * kTileCols + c, kTileCols);
        }
      }
    }
  }

  void count_row(index_t r, index_t first, index_t n_cols, const float* keys, index_t at,
                 Worker& worker) {
    const index_t n_squares = asked_.n_squares;
    const Bounds& bounds = worker.bounds[at];
    index_t* nearer = doubled_ + r * n_squares;
    const index_t n_some = bounds.within(keys, n_cols, worker.some);
    for (index_t s = 0; s < n_some; ++s) {
      const std::int32_t c = worker.some[s];
      const index_t reached = bounds.reached(keys[c], worker.cells[c]);
      if (bounds.is_open(keys[c], reached)) {
        // Whole numbers are in their keys.
        const double square =
            exact_ ? 2.0 * static_cast<double>(keys[c]) + worker.norms2[at]
                   : squared_distance_to(X_, first + c, worker.wide.data() + at * d_);
        enter(r, square, bounds.after(reached));
      } else if (bounds.after(reached) < n_squares) {
        nearer[bounds.after(reached)] += 2;
      }
    }
  }

  // A sample at this distance, which is below all thresholds from `reached` on. Entries are what a
  // threshold has more than the one before it.
  void enter(index_t r, double square, index_t reached) {
    const index_t n_squares = asked_.n_squares;
    const double* squares = asked_.squares + r * n_squares;
    index_t* nearer = doubled_ + r * n_squares;
    const index_t t = std::lower_bound(squares, squares + reached, square) - squares;
    if (t == n_squares) return;
    const bool tie = squares[t] == square;
    nearer[t] += tie ? 1 : 2;
    if (tie && t + 1 < n_squares) nearer[t + 1] += 1;
  }

  void add_up(index_t r) {
    const index_t n_squares = asked_.n_squares;
    const double* squares = asked_.squares + r * n_squares;
    index_t* nearer = doubled_ + r * n_squares;
    for (index_t t = 1; t < n_squares; ++t) nearer[t] += nearer[t - 1];
    // Equal thresholds: the first of them has the ties.
    for (index_t t = 1; t < n_squares; ++t) {
      if (squares[t] == squares[t - 1]) nearer[t] = nearer[t - 1];
    }
  }

  const Embedding& X_;
  const RankThresholds& asked_;
  const Run& run_;
  index_t* doubled_;
  const MicroKernel& kernel_ = micro_kernel();
  index_t d_, n_rows_, chunk_, group_ = 0;
  std::vector<double> origin_;
  double scale_ = 1.0, largest_norm_ = 0.0;
  bool whole_ = true, exact_ = false;  // rows, and all that is packed, are whole numbers
  Panels columns_;
  std::vector<float> half_norms_;
  std::vector<index_t> far_;  // of the packed columns, those too long for float32
};

}  // namespace

void count_nearer(const Embedding& X, const RankThresholds& asked, const Run& run,
                  index_t* doubled) {
  Stream(X, asked, run, doubled)();
}

index_t count_nearer_bytes(index_t n_samples, index_t n_features, index_t n_squares,
                           int n_threads) {
  const index_t chunk = chunk_of(n_samples, n_features) + kMostCols;
  const index_t bounds = 16 * n_squares + 4 * cells_of(n_squares) + 192;
  const index_t worker =
      kMostCols * (12 * n_features + 4 * kTileCols + bounds) + 28 * n_features + 8 * kTileCols;
  return chunk * (4 * n_features + 14) + 8 * n_features + n_threads * worker;
}

void squares_between(const Embedding& Y, const Embedding& X, const index_t* i, const index_t* j,
                     index_t n_pairs, const Run& run, double* squares) {
  constexpr index_t kPairsPerTask = 1024;
  constexpr index_t kAhead = 4;
  parallel_for((n_pairs + kPairsPerTask - 1) / kPairsPerTask, run, [&](index_t task, int) {
    thread_local std::vector<double> wide;
    wide.resize(Y.n_features);
    const index_t start = task * kPairsPerTask, stop = std::min(n_pairs, start + kPairsPerTask);
    for (index_t p = start; p < stop; ++p) {
      if (p == start || i[p] != i[p - 1]) widened_row(Y, i[p], wide.data());
      if (p + kAhead < stop) prefetch_row(X, j[p + kAhead]);
      squares[p] = squared_distance_to(X, j[p], wide.data());
    }
  });
}

}  // namespace consilience
