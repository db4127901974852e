// knn_exact on the CPU: float32 products of each pair of rows once (2 d flops per entry, fewer on a
// prefix), held against both rows' thresholds in registers, then about k float64 distances per row.

#include "ops/knn_exact.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#include "cpu/candidates.hpp"
#include "cpu/exact.hpp"
#include "cpu/micro_kernel.hpp"
#include "cpu/panels.hpp"
#include "cpu/prefix.hpp"
#include "cpu/selection.hpp"
#include "cpu/shared_keys.hpp"
#include "cpu/tournament.hpp"
#include "cpu/word_kernel.hpp"
#include "cpu/word_panels.hpp"

namespace consilience {
namespace {

constexpr index_t kLeastGuessed = 128;

// The same for the same n, on any platform.
std::vector<index_t> order_of_chance(index_t n) {
  std::vector<index_t> order(n);
  std::iota(order.begin(), order.end(), index_t{0});
  std::mt19937_64 bits(static_cast<std::uint64_t>(n));
  for (index_t i = n - 1; i > 0; --i) {
    std::swap(order[i], order[static_cast<index_t>(bits() % static_cast<std::uint64_t>(i + 1))]);
  }
  return order;
}

// The float64 side of the search, for one row.
struct Judge {
  const Embedding& X;
  const Selection& selection;
  const index_t* order;
  Distance distance;
  index_t i;
  double to_mean;  // <x_i, mean>, read under ip only

  float width(index_t j) const { return selection.width[j]; }
  void prefetch(index_t j) const { prefetch_row(X, order[j]); }
  index_t id(index_t j) const { return order[j]; }
  index_t sample() const { return order[i]; }
  float slack() const { return selection.slack[i]; }

  const double* row() const {
    thread_local std::vector<double> wide;
    wide.resize(X.n_features);
    widened_row(X, order[i], wide.data());
    return wide.data();
  }

  double key(const double* row, index_t j) const {
    return distance == Distance::l2 ? squared_distance_to(X, order[j], row)
                                    : -product_with(X, order[j], row);
  }

  float threshold(double key) const {
    const double scale2 = selection.set.scale * selection.set.scale;
    const double norm2 = selection.set.squared_norms[i];
    // For ip, tiles leave out what row i has in common with all others.
    double value = scale2 * (distance == Distance::l2 ? key : key + to_mean);
    double magnitude = std::abs(value) + norm2;
    if (distance == Distance::l2) value = 0.5 * (value - norm2);
    return static_cast<float>(value + selection.slack[i] + selection.error * magnitude);
  }
};

class Search {
 public:
  Search(const Embedding& X, const KnnExactOptions& options, const Run& run)
      : X_(X),
        options_(options),
        run_(run),
        block_(std::max<index_t>(1, options.tile / kernel_.cols) * kernel_.cols),
        order_(X.n_samples),
        lists_(options.rows ? options.n_rows : X.n_samples, options.k,
               guesses() ? X.n_samples - 1 : 0) {
    Centered<float> set = centered<float>(X, run);
    std::iota(order_.begin(), order_.end(), index_t{0});
    Prefix prefix{};
    if (options.n_axes > 0) {
      prefix = project(set, options.axes, options.n_axes, run);
      order_ = tree_order(prefix, kernel_.cols, block_);
      set = reordered(set, order_, run);
      prefix = reordered(prefix, order_);
    } else if (guesses()) {
      order_ = order_of_chance(n());
      set = reordered(set, order_, run);
    }
    for (index_t i = 0; i < n(); ++i) {
      if (row_of(order_[i]) >= 0) wanted_.push_back(i);
    }
    if (options.n_axes > 0) {
      pack(prefix.rows, prefix.width);
      if (options.distance == Distance::l2) {
        boxes_ = std::make_unique<Boxes>(prefix, kernel_.cols);
        wanted_boxes_ = std::make_unique<Boxes>(reordered(prefix, wanted_), kernel_.cols);
      }
    } else {
      pack(set.rows, set.n_features);
    }
    std::vector<float> rest;
    if (options.rest_axes) {
      rest = project_rest(set, options.axes, options.n_axes, options.rest_axes, run);
      for (index_t i = 0; i < n(); ++i) lengths_.push_back(prefix.row(i)[options.n_axes]);
    }
    selection_ = make_selection(std::move(set), options.distance == Distance::ip,
                                words_ ? words_->rounding() : 0.0);
    // What is left to multiply, if anything: the panels hold the others.
    if (options.rest_axes || options.n_axes == 0) selection_.set.rows = std::move(rest);
    if (!all_wanted()) pack_wanted();
    if (options.distance != Distance::ip) return;
    to_means_.resize(n());
    for (index_t i = 0; i < n(); ++i) {
      to_means_[i] = product_with(X, order_[i], selection_.set.mean.data());
    }
  }

  void run() {
    if (all_wanted()) {
      tournament(
          n(), block_, run_, [&](const TileRange& t, index_t, int) { meet(t, !t.diagonal()); },
          Draw::nearest_first);
      return;
    }
    const index_t n_rows = n_lists(), n_blocks = (n() + block_ - 1) / block_;
    const auto n_rounds = static_cast<index_t>(std::bit_ceil(static_cast<std::uint64_t>(n_blocks)));
    parallel_for((n_rows + block_ - 1) / block_, run_, [&](index_t task, int) {
      const index_t start = task * block_, stop = std::min(n_rows, start + block_);
      // Blocks next to their own in the tree first, as they set the thresholds.
      const index_t home = wanted_[start + (stop - start) / 2] / block_;
      for (index_t round = 0; round < n_rounds; ++round) {
        const index_t column = (home ^ round) * block_;
        if (column >= n()) continue;
        meet({start, stop, column, std::min(n(), column + block_)}, false);
      }
    });
  }

  index_t n_lists() const { return static_cast<index_t>(wanted_.size()); }

  // Writes the neighbours of some lists, and returns how many float64 distances it took.
  index_t finish(index_t start, index_t stop, index_t* indices, double* distances) {
    const bool ip = options_.distance == Distance::ip;
    thread_local SharedKeys shared;
    return lists_.finish(
        start, stop, [&](index_t list) { return judge(wanted_[list]); },
        [&](const std::vector<KeysWanted>& wanted) { shared.fill(X_, ip, wanted); },
        [&](index_t list, const KeyedSample* nearest) {
          const index_t row = row_of(order_[wanted_[list]]) * options_.k;
          for (index_t s = 0; s < options_.k; ++s) {
            indices[row + s] = nearest[s].sample;
            distances[row + s] = ip ? nearest[s].key : std::sqrt(nearest[s].key);
          }
        });
  }

 private:
  index_t n() const { return X_.n_samples; }
  bool all_wanted() const { return n_lists() == n(); }
  bool pruned() const { return options_.n_axes > 0; }
  // Few neighbours soon make their own threshold, and along axes near rows come first.
  bool guesses() const { return options_.k >= kLeastGuessed && !pruned(); }

  // Which row of the answer a sample has, or -1.
  index_t row_of(index_t sample) const {
    if (!options_.rows) return sample;
    const index_t* last = options_.rows + options_.n_rows;
    const index_t* found = std::lower_bound(options_.rows, last, sample);
    return found != last && *found == sample ? found - options_.rows : -1;
  }

  Judge judge(index_t i) const {
    const bool ip = options_.distance == Distance::ip;
    return {X_, selection_, order_.data(), options_.distance, i, ip ? to_means_[i] : 0.0};
  }

  void pack(const std::vector<float>& rows, index_t width) {
    if (options_.words) {
      words_ = std::make_unique<WordPanels>(rows.data(), n(), width, run_);
      return;
    }
    panels_ = std::make_unique<Panels>(
        packed(n(), width, run_, [&](index_t i) { return rows.data() + i * width; }));
  }

  void pack_wanted() {
    if (words_) {
      wanted_words_ = std::make_unique<WordPanels>(*words_, wanted_);
      return;
    }
    const index_t width = panels_->depth();
    wanted_panels_ = std::make_unique<Panels>(n_lists(), width);
    for (index_t list = 0; list < n_lists(); ++list) {
      const float* from = panels_->row(wanted_[list]);
      for (index_t f = 0; f < width; ++f) {
        wanted_panels_->set(list, f, from[f * kernel_.cols]);
      }
    }
  }

  // Rows that want neighbours meet columns: all products that may matter to a row, or with `both`
  // to a column.
  void meet(const TileRange& t, bool both) {
    const index_t rows = kernel_.rows, cols = kernel_.cols;
    std::vector<double> row_reach, col_reach;
    if (boxes_) {
      row_reach = reaches(t.row_start, t.row_stop);
      if (both) col_reach = reaches(t.col_start, t.col_stop);
    }
    const auto panels_meet = [&](index_t i, index_t j) {
      if (boxes_) {
        const double gap = wanted_boxes_->squared_gap(i / cols, *boxes_, j / cols);
        const bool rows_reach = gap <= row_reach[(i - t.row_start) / cols];
        const bool cols_reach = both && gap <= col_reach[(j - t.col_start) / cols];
        if (!rows_reach && !cols_reach) return;
      }
      const index_t row_stop = std::min(t.row_stop, i + cols);
      const index_t col_stop = std::min(t.col_stop, j + cols);
      for (; i < row_stop; i += rows) {
        look({i, std::min(row_stop, i + rows), j, col_stop}, both);
      }
    };
    // Thresholds first: a leaf of the tree among itself.
    const bool leaves_first = t.diagonal() && all_wanted();
    for (index_t j = t.col_start; leaves_first && j < t.col_stop; j += cols) panels_meet(j, j);
    for (index_t j = t.col_start; j < t.col_stop; j += cols) {
      for (index_t i = t.row_start; i < t.row_stop; i += cols) {
        if (!leaves_first || i != j) panels_meet(i, j);
      }
    }
  }

  // The largest squared distance at which a row of each panel would still take a neighbour.
  std::vector<double> reaches(index_t start, index_t stop) const {
    std::vector<double> out;
    for (index_t first = start; first < stop; first += kernel_.cols) {
      double reach = 0.0;
      for (index_t i = first; i < std::min(stop, first + kernel_.cols); ++i) {
        const double norm2 = selection_.set.squared_norms[position(i)];
        reach = std::max(reach, 2.0 * static_cast<double>(lists_.threshold(i)) + norm2);
      }
      out.push_back(reach);
    }
    return out;
  }

  // One micro-tile.
  void look(const TileRange& t, bool both) {
    float products[kMostRows * kMostCols];
    std::uint64_t of_rows[kMostRows], of_columns[kMostRows];
    float row_lower[kMostRows], row_thresholds[kMostRows];
    for (index_t i = t.row_start; i < t.row_start + kernel_.rows; ++i) {
      const bool there = i < t.row_stop;
      row_lower[i - t.row_start] = there ? selection_.lower[position(i)] : 0.0f;
      row_thresholds[i - t.row_start] = there ? lists_.threshold(i) : -kInfinity;
    }
    const MicroBounds bounds{row_lower, row_thresholds, selection_.lower.data() + t.col_start,
                             both ? lists_.thresholds() + t.col_start : kNever.data()};
    if (!(words_ ? reached_by_words(t, bounds, products, of_rows, of_columns)
                 : reached(t, bounds, products, of_rows, of_columns, both))) {
      return;
    }
    const std::uint64_t there = ~std::uint64_t{0} >> (64 - t.n_cols());
    for (index_t i = t.row_start; i < t.row_stop; ++i) {
      const std::uint64_t to_row = of_rows[i - t.row_start] & there;
      const std::uint64_t to_columns = of_columns[i - t.row_start] & there;
      if ((to_row | to_columns) == 0) continue;
      const float* row = products + (i - t.row_start) * kernel_.cols;
      const float step = words_ ? *words_->steps(position(i)) : 1.0f;
      if (pruned()) {
        finish_products(i, t.col_start, to_row | to_columns, row, step, both);
        continue;
      }
      offer_row(i, t.col_start, to_row, to_columns, row, step);
    }
  }

  // Products in steps of the row.
  void offer_row(index_t list, index_t col_start, std::uint64_t to_row, std::uint64_t to_columns,
                 const float* products, float step) {
    const index_t i = position(list);
    const float* lower = selection_.lower.data();
    if (i >= col_start && i < col_start + kMostCols) {
      const std::uint64_t others = ~(std::uint64_t{1} << (i - col_start));
      to_row &= others;
      to_columns &= others;
    }
    lists_.offer_row(list, col_start, to_row, lower + col_start, products, step, judge(i));
    if (to_columns == 0) return;
    lists_.offer_to_columns(col_start, i, to_columns, lower[i], products, step,
                            [&](index_t j) { return judge(j); });
  }

  bool reached(const TileRange& t, const MicroBounds& bounds, float* products,
               std::uint64_t* of_rows, std::uint64_t* of_columns, bool both) const {
    const Panels& left = wanted_panels_ ? *wanted_panels_ : *panels_;
    if (!kernel_.reached(left.row(t.row_start), panels_->row(t.col_start), left.depth(), bounds,
                         products, of_rows)) {
      return false;
    }
    // Of interest to either: their lists will tell.
    for (int i = 0; i < kernel_.rows; ++i) of_columns[i] = both ? of_rows[i] : 0;
    return true;
  }

  // The same, with products in steps of the rows.
  bool reached_by_words(const TileRange& t, const MicroBounds& bounds, float* products,
                        std::uint64_t* of_rows, std::uint64_t* of_columns) const {
    const WordPanels& left = wanted_words_ ? *wanted_words_ : *words_;
    const WordSteps steps{left.inverses(t.row_start), words_->steps(t.col_start)};
    return word_kernel().reached(left.row(t.row_start), words_->row(t.col_start), left.pairs(),
                                 steps, bounds, products, of_rows, of_columns);
  }

  // The products of whole rows, of those that a prefix leaves: few of them are offered.
  // `of_prefix` holds the bounds of all columns, the product of the lengths of the rest included.
  void finish_products(index_t list, index_t col_start, std::uint64_t mask, const float* of_prefix,
                       float step, bool both) {
    const index_t i = position(list);
    const index_t width = options_.rest_axes ? X_.n_features - options_.n_axes : X_.n_features;
    const float* left = selection_.set.rows.data();
    index_t columns[kMostCols];
    const float* rows[kMostCols];
    float products[kMostCols];
    index_t count = 0;
    for (; mask != 0; mask &= mask - 1) {
      columns[count] = col_start + std::countr_zero(mask);
      rows[count] = left + columns[count] * width;
      ++count;
    }
    // Whole groups of rows: a lone one waits for its own sums.
    const index_t padded = (count + 3) / 4 * 4;
    for (index_t c = count; c < padded; ++c) rows[c] = rows[0];
    kernel_.row_products(left + i * width, rows, padded, width, products);
    for (index_t c = 0; options_.rest_axes && c < count; ++c) {
      const index_t j = columns[c];
      products[c] += step * of_prefix[j - col_start] - lengths_[i] * lengths_[j];
    }
    const float *lower = selection_.lower.data(), *thresholds = lists_.thresholds();
    for (index_t c = 0; c < count; ++c) {
      const index_t j = columns[c];
      if (lower[j] - products[c] <= thresholds[list]) offer(list, j, products[c]);
      if (both && lower[i] - products[c] <= thresholds[j]) offer_back(list, j, products[c]);
    }
  }

  // Column j to the list, and the list's row to column j.
  void offer(index_t list, index_t j, float product) {
    const index_t i = position(list);
    if (i != j) lists_.offer(list, j, selection_.lower[j] - product, judge(i));
  }
  void offer_back(index_t list, index_t j, float product) {
    const index_t i = position(list);
    if (i != j) lists_.offer(j, i, selection_.lower[i] - product, judge(j));
  }

  // Lists are numbered as the wanted rows are; samples by their position in the order.
  index_t position(index_t list) const { return wanted_[list]; }

  static constexpr float kInfinity = std::numeric_limits<float>::infinity();
  inline static const std::vector<float> kNever = std::vector<float>(kMostCols, -kInfinity);

  const Embedding& X_;
  const KnnExactOptions& options_;
  const Run& run_;
  const MicroKernel& kernel_ = micro_kernel();
  index_t block_;
  std::vector<index_t> order_;   // sample at each position
  std::vector<index_t> wanted_;  // positions of the rows that want neighbours, ascending
  std::unique_ptr<Panels> panels_, wanted_panels_;
  std::unique_ptr<WordPanels> words_, wanted_words_;  // in place of those
  std::unique_ptr<Boxes> boxes_, wanted_boxes_;
  Selection selection_;
  std::vector<float> lengths_;  // of what the rows are along the rest of the axes
  CandidateLists lists_;
  std::vector<double> to_means_;
};

}  // namespace

index_t knn_exact(const Embedding& X, const KnnExactOptions& options, const Run& run,
                  index_t* indices, double* distances) {
  [[maybe_unused]] const index_t n = X.n_samples;
  assert(options.k >= 1 && options.k < n && n <= std::numeric_limits<std::int32_t>::max());
  assert(!options.rows || (0 < options.n_rows && options.n_rows <= n));

  Search search(X, options, run);
  search.run();

  constexpr index_t kMostRowsPerTask = 64;
  const index_t rows_per_task =
      std::clamp<index_t>(SharedKeys::kKeys / options.k, 1, kMostRowsPerTask);
  std::vector<index_t> evaluated((search.n_lists() + rows_per_task - 1) / rows_per_task, 0);
  parallel_for(static_cast<index_t>(evaluated.size()), run, [&](index_t task, int) {
    const index_t start = task * rows_per_task;
    const index_t stop = std::min(search.n_lists(), start + rows_per_task);
    evaluated[task] = search.finish(start, stop, indices, distances);
  });
  return std::accumulate(evaluated.begin(), evaluated.end(), index_t{0});
}

index_t knn_exact_bytes(index_t n_samples, index_t n_features, index_t n_axes, index_t n_rows,
                        index_t k) {
  const index_t packed = n_axes > 0 ? n_axes + 1 : 0, rest = n_axes > 0 ? n_features : 0;
  return n_samples * (8 * n_features + 8 * packed + 4 * rest + 52) +
         n_rows *
             (4 * (packed > 0 ? packed : n_features) + CandidateLists::bytes_per_row(k) + 16 * k);
}

bool fast_words() { return word_kernel().fast; }

}  // namespace consilience
