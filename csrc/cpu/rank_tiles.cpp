// Half of the 2 d flops per entry, and per entry and query two comparisons for either side; then a
// few float64 differences per query, for those within the bound of its float64 distance.

#include "cpu/rank_tiles.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "cpu/centered.hpp"
#include "cpu/exact.hpp"
#include "cpu/micro_kernel.hpp"
#include "cpu/panels.hpp"
#include "cpu/row_keys.hpp"
#include "cpu/tournament.hpp"

namespace consilience {
namespace {

constexpr index_t kTile = 480;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Appends the different neighbours that row r asks for, ascending.
void different(const RankQueries& queries, index_t r, std::vector<index_t>& columns) {
  const auto first = static_cast<std::ptrdiff_t>(columns.size());
  for (const NeighborLists& list : queries.lists) {
    columns.insert(columns.end(), list.row(r), list.row(r) + queries.ks.back());
  }
  std::sort(columns.begin() + first, columns.end());
  columns.erase(std::unique(columns.begin() + first, columns.end()), columns.end());
}

struct Questions {
  explicit Questions(const RankQueries& queries) {
    starts.push_back(0);
    for (index_t r = 0; r < queries.n_rows(); ++r) {
      different(queries, r, columns);
      starts.push_back(static_cast<index_t>(columns.size()));
    }
  }

  index_t count(index_t r) const { return starts[r + 1] - starts[r]; }
  // Which of its row's questions asks for sample j.
  index_t place(index_t r, index_t j) const {
    const auto first = columns.begin() + starts[r], last = columns.begin() + starts[r + 1];
    return std::lower_bound(first, last, j) - first;
  }

  std::vector<index_t> starts, columns;
};

class TileCounter {
 public:
  TileCounter(const Embedding& X, const RankQueries& queries, const Run& run)
      : X_(X), queries_(queries), run_(run), questions_(queries) {
    // Pairs of rows once, or all columns of some rows.
    both_ = 2 * queries.n_rows() > n();
    samples_ = queries.rows;
    // Half the time of the other way, as a difference costs that many products of its length.
    const auto d = static_cast<double>(X.n_features);
    most_decided_ = static_cast<index_t>(0.5 * static_cast<double>(n()) *
                                         static_cast<double>(n_rows()) * d / (10.0 * d + 200.0));
    row_of_.assign(both_ ? n() : n_rows(), -1);
    for (index_t r = 0; r < n_rows(); ++r) row_of_[both_ ? queries.rows[r] : r] = r;
    const Centered<float> set = centered<float>(X, run);
    bound(set);
    right_ = std::make_unique<Panels>(packed(set, run));
    if (!both_) {
      left_ = std::make_unique<Panels>(
          packed(n_rows(), set.n_features, run, [&](index_t r) { return set.row(samples_[r]); }));
    }
    ask(set);
  }

  // False if it was given up.
  bool run() {
    const index_t block = kTile / kernel_.cols * kernel_.cols;
    if (both_) {
      tournament(n(), block, run_, [&](const TileRange& t, index_t, int) { meet(t, *right_); });
      return n_decided_ <= most_decided_;
    }
    parallel_for((n_rows() + block - 1) / block, run_, [&](index_t task, int) {
      const index_t start = task * block, stop = std::min(n_rows(), start + block);
      for (index_t column = 0; column < n(); column += block) {
        meet({start, stop, column, std::min(n(), column + block)}, *left_);
      }
    });
    return n_decided_ <= most_decided_;
  }

  void finish(double* rank_sums) const {
    const std::vector<index_t>& ks = queries_.ks;
    const auto n_ks = static_cast<index_t>(ks.size());
    for (std::size_t s = 0; s < queries_.lists.size(); ++s) {
      for (index_t r = 0; r < n_rows(); ++r) {
        const index_t* neighbors = queries_.lists[s].row(r);
        double* sums = rank_sums + (static_cast<index_t>(s) * n_rows() + r) * n_ks;
        index_t sum = 0, seen = 0;
        for (index_t q = 0; q < n_ks; ++q) {
          for (; seen < ks[q]; ++seen) {
            sum += 2 + doubled_[at(position(r), questions_.place(r, neighbors[seen]))];
          }
          sums[q] = 0.5 * static_cast<double>(sum);
        }
      }
    }
  }

 private:
  index_t n() const { return X_.n_samples; }
  index_t n_rows() const { return queries_.n_rows(); }
  index_t n_positions() const { return static_cast<index_t>(row_of_.size()); }
  // Where a row of the queries stands in the tiles, and the sample that stands there.
  index_t position(index_t r) const { return both_ ? samples_[r] : r; }
  index_t sample(index_t position) const { return both_ ? position : samples_[position]; }
  index_t at(index_t position, index_t layer) const { return layer * stride_ + position; }

  // Bounds of |a_l|^2 / 2 less what a product with a_l may be off by; a query's bounds, in `ask`,
  // hold the share of the row. Comparisons round by 2^-23 of either.
  double share(double squared_norm) const {
    const index_t d = X_.n_features;
    return product_error<float>(chunked_roundings(d)) * 0.5 * squared_norm +
           std::ldexp(static_cast<double>(d), -120);
  }

  void bound(const Centered<float>& set) {
    upper_.assign(n() + kMostCols, kInfinity);
    lower_.assign(n() + kMostCols, kInfinity);
    for (index_t l = 0; l < n(); ++l) {
      const double half = 0.5 * set.squared_norms[l];
      const double error = share(set.squared_norms[l]) + std::ldexp(half, -22);
      upper_[l] = static_cast<float>(half + error);
      lower_[l] = static_cast<float>(half - error);
    }
  }

  void ask(const Centered<float>& set) {
    layers_.assign((n_positions() + kernel_.cols - 1) / kernel_.cols, 0);
    index_t n_layers = 0;
    for (index_t r = 0; r < n_rows(); ++r) {
      index_t& layers = layers_[position(r) / kernel_.cols];
      layers = std::max(layers, questions_.count(r));
      n_layers = std::max(n_layers, layers);
    }
    stride_ = n_positions() + kMostCols;
    near_.assign(stride_ * n_layers, -kInfinity);
    far_.assign(stride_ * n_layers, -kInfinity);
    exact_.resize(questions_.columns.size());
    doubled_.assign(stride_ * n_layers, 0);
    const double scale2 = set.scale * set.scale;
    parallel_for((n_rows() + kTile - 1) / kTile, run_, [&](index_t task, int) {
      const index_t stop = std::min(n_rows(), (task + 1) * kTile);
      for (index_t r = task * kTile; r < stop; ++r) {
        const index_t i = samples_[r];
        const double own = set.squared_norms[i];
        for (index_t layer = 0; layer < questions_.count(r); ++layer) {
          const index_t question = questions_.starts[r] + layer;
          exact_[question] = squared_distance(X_, i, questions_.columns[question]);
          const double key = 0.5 * (scale2 * exact_[question] - own);
          const double error = share(own) + std::ldexp(std::abs(key), -22);
          near_[at(position(r), layer)] = static_cast<float>(key - error);
          far_[at(position(r), layer)] = static_cast<float>(key + error);
        }
      }
    });
  }

  void meet(const TileRange& t, const Panels& left) {
    if (n_decided_ > most_decided_) return;
    index_t n_decided = 0;
    const index_t cols = kernel_.cols;
    alignas(64) float products[kMostCols * kMostCols];
    for (index_t j = t.col_start; j < t.col_stop; j += cols) {
      for (index_t i = t.row_start; i < t.row_stop; i += cols) {
        // Within a block of the diagonal each pair of panels comes twice, once either way.
        const bool twice = both_ && t.diagonal();
        if (twice && j < i) continue;
        const index_t row_stop = std::min(t.row_stop, i + cols);
        multiply(left, i, row_stop, j, products);
        exclude_self(i, row_stop, j, products);
        const bool columns_ask = both_ && !(twice && i == j);
        const index_t row_layers = layers_[i / cols];
        const index_t column_layers = columns_ask ? layers_[j / cols] : 0;
        for (index_t layer = 0; layer < std::max(row_layers, column_layers); ++layer) {
          n_decided += count(layer, i, row_stop, j, columns_ask, products);
        }
      }
    }
    n_decided_ += n_decided;
  }

  void multiply(const Panels& left, index_t i, index_t row_stop, index_t j, float* products) const {
    const index_t d = X_.n_features, cols = kernel_.cols;
    for (index_t f = 0; f < d; f += kFeatureChunk) {
      const index_t depth = std::min(kFeatureChunk, d - f);
      for (index_t row = i; row < row_stop; row += kernel_.rows) {
        kernel_.multiply(left.row(row) + f * cols, right_->row(j) + f * cols, depth, f > 0,
                         products + (row - i) * cols, cols);
      }
    }
  }

  // As far as can be.
  void exclude_self(index_t i, index_t row_stop, index_t j, float* products) const {
    for (index_t row = i; row < row_stop; ++row) {
      const index_t column = sample(row) - j;
      if (0 <= column && column < kernel_.cols) {
        products[(row - i) * kernel_.cols + column] = -kInfinity;
      }
    }
  }

  // How many pairs took a float64 difference.
  index_t count(index_t layer, index_t i, index_t row_stop, index_t j, bool columns_ask,
                const float* products) {
    std::int32_t of_rows[kMostCols] = {}, of_columns[kMostCols] = {};
    std::uint64_t row_undecided[kMostCols], column_undecided[kMostCols];
    const index_t column_at = columns_ask ? at(j, layer) : 0;
    const CountBounds bounds{upper_.data() + i,           lower_.data() + i,
                             near_.data() + at(i, layer), far_.data() + at(i, layer),
                             upper_.data() + j,           lower_.data() + j,
                             near_.data() + column_at,    far_.data() + column_at};
    const index_t rows = row_stop - i;
    const bool undecided =
        kernel_.count(products, kernel_.cols, static_cast<int>(rows), columns_ask, bounds,
                      {of_rows, of_columns, row_undecided, column_undecided});
    for (index_t r = 0; r < rows; ++r) doubled_[at(i + r, layer)] += 2 * of_rows[r];
    const index_t columns = std::min<index_t>(kernel_.cols, n() - j);
    for (index_t c = 0; columns_ask && c < columns; ++c) {
      doubled_[at(j + c, layer)] += 2 * of_columns[c];
    }
    if (!undecided) return 0;
    index_t n_decided = 0;
    const std::uint64_t there = ~std::uint64_t{0} >> (64 - columns);
    for (index_t r = 0; r < rows; ++r) {
      for (std::uint64_t mask = row_undecided[r] & there; mask != 0; mask &= mask - 1) {
        n_decided += decide(i + r, layer, j + std::countr_zero(mask));
      }
      for (std::uint64_t mask = column_undecided[r] & there; mask != 0; mask &= mask - 1) {
        n_decided += decide(j + std::countr_zero(mask), layer, sample(i + r));
      }
    }
    return n_decided;
  }

  // Whether sample l is nearer to a row than its query, by float64 differences. False if it is the
  // query.
  bool decide(index_t position, index_t layer, index_t l) {
    const index_t question = questions_.starts[row_of_[position]] + layer;
    if (l == questions_.columns[question]) return false;
    const double distance = squared_distance(X_, sample(position), l);
    doubled_[at(position, layer)] +=
        distance < exact_[question] ? 2 : (distance == exact_[question] ? 1 : 0);
    return true;
  }

  const Embedding& X_;
  const RankQueries& queries_;
  const Run& run_;
  const MicroKernel& kernel_ = micro_kernel();
  Questions questions_;
  bool both_ = true;
  std::vector<index_t> samples_, row_of_;
  std::vector<float> upper_, lower_;
  std::unique_ptr<Panels> left_, right_;
  // A layer holds one query of every row: its bounds, and twice the number nearer, ties once.
  index_t stride_ = 0;
  std::vector<index_t> layers_;  // of each panel of rows
  std::vector<float> near_, far_;
  std::vector<double> exact_;
  std::atomic<index_t> n_decided_ = 0;
  index_t most_decided_ = 0;
  std::vector<index_t> doubled_;
};

}  // namespace

bool count_in_tiles(const Embedding& X, const RankQueries& queries, const Run& run,
                    double* rank_sums) {
  TileCounter counter(X, queries, run);
  if (!counter.run()) return false;
  counter.finish(rank_sums);
  return true;
}

bool asks_at_most(index_t limit, const RankQueries& queries) {
  const index_t k = queries.ks.back();
  if (k > limit) return false;
  if (k * static_cast<index_t>(queries.lists.size()) <= limit) return true;
  std::vector<index_t> columns;
  for (index_t r = 0; r < queries.n_rows(); ++r) {
    columns.clear();
    different(queries, r, columns);
    if (static_cast<index_t>(columns.size()) > limit) return false;
  }
  return true;
}

// At most half of the rows are packed twice.
index_t count_in_tiles_bytes(index_t n_samples, index_t n_features, index_t n_layers) {
  return n_samples * (10 * n_features + 40 + 32 * n_layers);
}

}  // namespace consilience
