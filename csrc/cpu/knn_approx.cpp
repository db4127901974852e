// knn_approx on the CPU: 2 d flops per pair of a cell (fanout x cell / 2 pairs per row) and per
// pair of a join (kJoined^2 / 2 per row), then a few more than k float64 distances per row.

#include "ops/knn_approx.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "cpu/cells.hpp"
#include "cpu/coarse_rows.hpp"
#include "cpu/exact.hpp"
#include "cpu/micro_kernel.hpp"
#include "cpu/nearest_lists.hpp"
#include "cpu/panels.hpp"
#include "cpu/selection.hpp"

namespace consilience {
namespace {

// Two panels of the widest kernel are not worth their price: bench/ladder/knn_approx.md.
constexpr index_t kListed = 24, kListing = 24, kJoined = kListed + kListing;
constexpr index_t kRowsPerTask = 64;
using Members = std::vector<std::int32_t>;

// Float32 may have ordered a few wrongly; bytes, a share of those about the k-th place too.
constexpr index_t most_listed(index_t k) { return k + 4 + k / 8; }
index_t n_listed(const KnnApproxOptions& options) {
  return options.step > 0.0 ? most_listed(options.k) : options.k + 4;
}

class Search {
 public:
  Search(const Embedding& X, const KnnApproxOptions& options, const Run& run)
      : X_(X),
        options_(options),
        run_(run),
        selection_(make_selection(centered<float>(X, run), options.distance == Distance::ip)),
        coarse_(options.step > 0.0 ? std::make_unique<CoarseRows>(coarse_rows(
                                         set_, options.step * selection_.set.scale, run))
                                   : nullptr),
        cells_(cells(set_, coarse_.get(), {options.cell, options.fanout, options.seed}, run)),
        lists_(X.n_samples, n_listed(options)),
        workers_(run.n_threads) {
    if (coarse_) {
      use_bytes();
    } else {
      for (index_t i = 0; i < n(); ++i) {
        offsets_.push_back(offset(i));
        lower_.push_back(selection_.lower[sample(i)]);
        slack_.push_back(selection_.slack[sample(i)]);
      }
    }
  }

  void run() {
    const std::vector<Members>& groups = cells_.groups;
    parallel_for(static_cast<index_t>(groups.size()), run_,
                 [&](index_t c, int worker) { meet(groups[c], workers_[worker]); });
    join();
    // A row of small cells only may have met fewer than k.
    for_rows([&](index_t i, int) {
      if (lists_.count(i) < options_.k) meet_all(i);
    });
  }

  void finish(index_t* indices, double* distances) {
    for_rows([&](index_t i, int) {
      std::vector<std::pair<double, index_t>> judged;
      const std::int32_t* list = lists_.indices(i);
      const index_t count = lists_.count(i);
      const index_t row = sample(i);
      for (index_t s = 0; s < count; ++s) {
        if (s + 1 < count) prefetch_row(X_, sample(list[s + 1]));
        const index_t other = sample(list[s]);
        judged.emplace_back(
            l2() ? squared_distance(X_, row, other) : -inner_product(X_, row, other), other);
      }
      std::sort(judged.begin(), judged.end());
      for (index_t s = 0; s < options_.k; ++s) {
        const auto& [key, j] = judged[s];
        indices[row * options_.k + s] = j;
        distances[row * options_.k + s] = l2() ? std::sqrt(key) : key;
      }
    });
  }

 private:
  struct Worker {
    std::unique_ptr<Panels> panels;
    std::vector<float> lower, thresholds;
    std::vector<std::int32_t> sums;
    std::vector<Near> near;  // of each member
  };

  index_t n() const { return X_.n_samples; }
  index_t d() const { return X_.n_features; }
  // Rows go by their place in the order of the cells.
  index_t sample(index_t i) const { return cells_.order[i]; }
  // The w_j of Selection.
  float offset(index_t j) const {
    return selection_.lower[sample(j)] + 0.5f * selection_.width[sample(j)];
  }

  // Keys in squared steps. Products are whole numbers: only their float32 rounding is left.
  void use_bytes() {
    const double step = options_.step * set_.scale;
    *coarse_ = reordered(*coarse_, cells_.order);
    offsets_ = std::move(coarse_->halves);
    if (!l2()) {
      for (index_t j = 0; j < n(); ++j) {
        offsets_[j] = static_cast<float>(static_cast<double>(offset(j)) / (step * step));
      }
    }
    float largest = 0.0f;
    for (const float w : offsets_) largest = std::max(largest, std::abs(w));
    lower_ = offsets_;
    slack_.assign(n(), 0x1p-21f * largest);
  }

  const float* row(index_t i) const { return coarse_ ? coarse_->row(i) : set_.row(sample(i)); }
  index_t depth() const { return coarse_ ? coarse_->depth : d(); }
  bool l2() const { return options_.distance == Distance::l2; }

  template <class Body>
  void for_rows(Body&& body) {
    parallel_for((n() + kRowsPerTask - 1) / kRowsPerTask, run_, [&](index_t task, int worker) {
      const index_t stop = std::min(n(), (task + 1) * kRowsPerTask);
      for (index_t i = task * kRowsPerTask; i < stop; ++i) body(i, worker);
    });
  }

  // All pairs of the members.
  void meet(const Members& members, Worker& worker) {
    const auto count = static_cast<index_t>(members.size());
    load(members, worker);
    const Panels& panels = *worker.panels;
    const float* lower = worker.lower.data();
    const std::int32_t* sums = worker.sums.data();
    const float* thresholds = worker.thresholds.data();
    float products[kMostRows * kMostCols];
    std::uint64_t masks[kMostRows];
    for (index_t col = 0; col < count; col += kernel_.cols) {
      const index_t col_stop = std::min(count, col + kernel_.cols);
      for (index_t row = 0; row < col_stop; row += kernel_.rows) {
        const MicroBounds bounds{lower + row, thresholds + row, lower + col, thresholds + col};
        const float *left = panels.row(row), *right = panels.row(col);
        const bool any = coarse_ ? kernel_.bytes_reached(left, right, depth(), sums + row, bounds,
                                                         products, masks)
                                 : kernel_.reached(left, right, depth(), bounds, products, masks);
        if (!any) continue;
        for (index_t i = row; i < std::min(col_stop, row + kernel_.rows); ++i) {
          // Each pair once: columns after i, and before the end.
          const index_t first = std::max<index_t>(0, i + 1 - col);
          const index_t last = col_stop - col;
          if (first >= last) continue;
          std::uint64_t mask = masks[i - row];
          mask &= (~std::uint64_t{0} >> (64 - last)) & (~std::uint64_t{0} << first);
          for (; mask != 0; mask &= mask - 1) {
            const int c = std::countr_zero(mask);
            take(members, i, col + c, products[(i - row) * kernel_.cols + c], worker);
          }
        }
      }
    }
    for (index_t m = 0; m < count; ++m) {
      if (m + 8 < count) lists_.prefetch(members[m + 8]);
      lists_.offer(members[m], worker.near[m]);
    }
  }

  void load(const Members& members, Worker& worker) {
    const auto count = static_cast<index_t>(members.size());
    if (!worker.panels || worker.panels->n_rows() < count) {
      worker.panels = std::make_unique<Panels>(count, depth());
    }
    // Past the members: finite products, and nobody who would take them.
    const index_t padded = worker.panels->n_panels() * kernel_.cols;
    worker.lower.assign(padded, 0.0f);
    worker.thresholds.assign(padded, -kInfinity);
    if (coarse_) worker.sums.assign(padded, 0);
    for (index_t m = 0; m < count; m += 4) {
      const float* rows[4];
      for (index_t r = 0; r < 4; ++r) rows[r] = row(members[std::min(m + r, count - 1)]);
      worker.panels->set_four(m, rows);
    }
    if (static_cast<index_t>(worker.near.size()) < count) {
      worker.near.resize(count, Near(lists_.length()));
    }
    for (index_t m = 0; m < count; ++m) {
      worker.near[m].clear();
      worker.lower[m] = lower_[members[m]];
      if (coarse_) worker.sums[m] = coarse_->sums[members[m]];
      worker.thresholds[m] = widened(members[m], lists_.threshold(members[m]));
    }
  }

  // Above every lower bound that a pair of a key up to the threshold can show, rounding included:
  // what is left out here could not be in the list, whoever came before (docs/theory.md).
  float widened(index_t i, float threshold) const {
    return threshold + (slack_[i] + 0x1p-22f * std::abs(threshold));
  }

  void take(const Members& members, index_t i, index_t j, float product_ij, Worker& worker) {
    const auto offer = [&](index_t to, index_t m) {
      if (worker.lower[m] - product_ij > worker.thresholds[to]) return;
      if (worker.near[to].add(offsets_[members[m]] - product_ij, members[m])) {
        const float bound = widened(members[to], worker.near[to].narrow());
        worker.thresholds[to] = std::min(worker.thresholds[to], bound);
      }
    };
    offer(i, j);
    offer(j, i);
  }

  // Those that one row lists or is listed by meet, for each row.
  void join() {
    const index_t listed = std::min(kListed, lists_.length());
    std::vector<std::int32_t> joined(n() * kJoined);
    std::vector<std::int32_t> counts(n());
    for (index_t i = 0; i < n(); ++i) {
      counts[i] = static_cast<std::int32_t>(std::min(listed, lists_.count(i)));
      std::copy_n(lists_.indices(i), counts[i], joined.data() + i * kJoined);
    }
    // The nearest of those who list a row come first; who it lists itself is there already.
    const std::vector<std::int32_t> own = counts;
    for (index_t s = 0; s < listed; ++s) {
      for (index_t i = 0; i < n(); ++i) {
        if (s >= own[i]) continue;
        const index_t j = joined[i * kJoined + s];
        std::int32_t* of_j = joined.data() + j * kJoined;
        if (counts[j] - own[j] == kListing) continue;
        if (std::find(of_j, of_j + own[j], i) != of_j + own[j]) continue;
        of_j[counts[j]++] = static_cast<std::int32_t>(i);
      }
    }
    std::vector<Members> members(run_.n_threads);
    for_rows([&](index_t i, int worker) {
      const std::int32_t* first = joined.data() + i * kJoined;
      members[worker].assign(first, first + counts[i]);
      meet(members[worker], workers_[worker]);
    });
  }

  void meet_all(index_t i) {
    lists_.clear(i);  // products are others here: keys differ
    Near near(lists_.length());
    for (index_t j = 0; j < n(); ++j) {
      if (j == i) continue;
      const float key = offset(j) - product(set_.row(sample(i)), set_.row(sample(j)), d());
      if (near.add(key, static_cast<std::int32_t>(j))) near.narrow();
    }
    lists_.offer(i, near);
  }

  static constexpr float kInfinity = std::numeric_limits<float>::infinity();

  const Embedding& X_;
  const KnnApproxOptions& options_;
  const Run& run_;
  const MicroKernel& kernel_ = micro_kernel();
  Selection selection_;
  const Centered<float>& set_ = selection_.set;
  std::unique_ptr<CoarseRows> coarse_;  // instead of whole rows
  Cells cells_;
  // A pair (i, j) has key offsets_[j] - a_i.a_j in the list of i.
  std::vector<float> offsets_, lower_, slack_;
  NearestLists lists_;
  std::vector<Worker> workers_;
};

}  // namespace

void knn_approx(const Embedding& X, const KnnApproxOptions& options, const Run& run,
                index_t* indices, double* distances) {
  assert(options.k >= 1 && options.k < X.n_samples);
  assert(options.step == 0.0 || (options.step > 0.0 && X.n_features <= kMostCoarseFeatures));
  assert(options.fanout >= 1 && options.cell >= options.fanout);
  Search search(X, options, run);
  search.run();
  search.finish(indices, distances);
}

index_t knn_approx_bytes(index_t n_samples, index_t n_features, const KnnApproxOptions& options,
                         int n_threads) {
  const index_t pivots = n_pivots(n_samples, {options.cell, options.fanout, options.seed});
  const index_t length = most_listed(options.k), most = kCrowded * options.cell;
  const index_t per_row = 4 * n_features + 60 + 2 * CoarseRows::bytes_per_row(n_features) +
                          NearestLists::bytes_per_row(length) + 8 * options.fanout + 4 * kJoined +
                          16 * options.k;
  const index_t per_worker = most * (4 * n_features + 12 + Near::bytes(length)) + 1024 * pivots;
  return n_samples * per_row + 4 * pivots * n_features + n_threads * per_worker;
}

bool fast_bytes() { return micro_kernel().fast_bytes; }

}  // namespace consilience
