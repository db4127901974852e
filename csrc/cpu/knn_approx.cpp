// knn_approx on the CPU: 2 d flops per pair of a cell (fanout x cell / 2 pairs per row) and per
// pair of a join (kJoined^2 / 2 per row), then k + kSpare float64 distances per row.

#include "ops/knn_approx.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "cpu/cells.hpp"
#include "cpu/exact.hpp"
#include "cpu/micro_kernel.hpp"
#include "cpu/nearest_lists.hpp"
#include "cpu/panels.hpp"
#include "cpu/selection.hpp"

namespace consilience {
namespace {

// Two panels of the widest kernel are not worth their price: bench/ladder/knn_approx.md.
constexpr index_t kListed = 24, kListing = 24, kJoined = kListed + kListing;
constexpr index_t kSpare = 4;  // what float32 may have ordered wrongly
constexpr index_t kRowsPerTask = 64;
using Members = std::vector<std::int32_t>;

class Search {
 public:
  Search(const Embedding& X, const KnnApproxOptions& options, const Run& run)
      : X_(X),
        options_(options),
        run_(run),
        selection_(make_selection(centered<float>(X, run), options.distance == Distance::ip)),
        offsets_(X.n_samples),
        lists_(X.n_samples, options.k + kSpare),
        workers_(run.n_threads) {
    for (index_t i = 0; i < n(); ++i) {
      offsets_[i] = selection_.lower[i] + 0.5f * selection_.width[i];
    }
  }

  void run() {
    const auto groups = cells(set_, {options_.cell, options_.fanout, options_.seed}, run_);
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
      for (index_t s = 0; s < count; ++s) {
        if (s + 1 < count) prefetch_row(X_, list[s + 1]);
        judged.emplace_back(
            l2() ? squared_distance(X_, i, list[s]) : -inner_product(X_, i, list[s]), list[s]);
      }
      std::sort(judged.begin(), judged.end());
      for (index_t s = 0; s < options_.k; ++s) {
        const auto& [key, j] = judged[s];
        indices[i * options_.k + s] = j;
        distances[i * options_.k + s] = l2() ? std::sqrt(key) : key;
      }
    });
  }

 private:
  struct Worker {
    std::unique_ptr<Panels> panels;
    std::vector<float> lower, thresholds;
  };

  index_t n() const { return X_.n_samples; }
  index_t d() const { return X_.n_features; }
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
    float* thresholds = worker.thresholds.data();
    float products[kMostRows * kMostCols];
    std::uint64_t masks[kMostRows];
    for (index_t col = 0; col < count; col += kernel_.cols) {
      const index_t col_stop = std::min(count, col + kernel_.cols);
      for (index_t row = 0; row < col_stop; row += kernel_.rows) {
        const MicroBounds bounds{lower + row, thresholds + row, lower + col, thresholds + col};
        if (!kernel_.reached(panels.row(row), panels.row(col), d(), bounds, products, masks)) {
          continue;
        }
        for (index_t i = row; i < std::min(col_stop, row + kernel_.rows); ++i) {
          // Each pair once: columns after i, and before the end.
          const index_t first = std::max<index_t>(0, i + 1 - col);
          const index_t last = col_stop - col;
          if (first >= last) continue;
          std::uint64_t mask = masks[i - row];
          mask &= (~std::uint64_t{0} >> (64 - last)) & (~std::uint64_t{0} << first);
          for (; mask != 0; mask &= mask - 1) {
            const int c = std::countr_zero(mask);
            const index_t j = col + c;
            take(members[i], members[j], products[(i - row) * kernel_.cols + c], thresholds[i],
                 thresholds[j]);
          }
        }
      }
    }
  }

  void load(const Members& members, Worker& worker) {
    const auto count = static_cast<index_t>(members.size());
    if (!worker.panels || worker.panels->n_rows() < count) {
      worker.panels = std::make_unique<Panels>(count, d());
    }
    // Past the members: finite products, and nobody who would take them.
    const index_t padded = worker.panels->n_panels() * kernel_.cols;
    worker.lower.assign(padded, 0.0f);
    worker.thresholds.assign(padded, -kInfinity);
    for (index_t m = 0; m < count; m += 4) {
      const float* rows[4];
      for (index_t r = 0; r < 4; ++r) rows[r] = set_.row(members[std::min(m + r, count - 1)]);
      worker.panels->set_four(m, rows);
    }
    for (index_t m = 0; m < count; ++m) {
      worker.lower[m] = selection_.lower[members[m]];
      worker.thresholds[m] = widened(members[m], lists_.threshold(members[m]));
    }
  }

  // Above every lower bound that a pair of a key up to the threshold can show, rounding included:
  // what is left out here could not be in the list, whoever came before (docs/theory.md).
  float widened(index_t i, float threshold) const {
    return threshold + (selection_.slack[i] + 0x1p-22f * std::abs(threshold));
  }

  void take(std::int32_t i, std::int32_t j, float product_ij, float& threshold_i,
            float& threshold_j) {
    const bool near_i = selection_.lower[j] - product_ij <= threshold_i;
    const bool near_j = selection_.lower[i] - product_ij <= threshold_j;
    if (near_i) threshold_i = widened(i, lists_.offer(i, j, offsets_[j] - product_ij));
    if (near_j) threshold_j = widened(j, lists_.offer(j, i, offsets_[i] - product_ij));
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
    lists_.clear(i);  // products are summed in another order here: keys differ
    for (index_t j = 0; j < n(); ++j) {
      if (j == i) continue;
      const float key = offsets_[j] - product(set_.row(i), set_.row(j), d());
      lists_.offer(i, static_cast<std::int32_t>(j), key);
    }
  }

  static constexpr float kInfinity = std::numeric_limits<float>::infinity();

  const Embedding& X_;
  const KnnApproxOptions& options_;
  const Run& run_;
  const MicroKernel& kernel_ = micro_kernel();
  Selection selection_;
  const Centered<float>& set_ = selection_.set;
  std::vector<float> offsets_;  // a pair (i, j) has key offsets_[j] - a_i.a_j in the list of i
  NearestLists lists_;
  std::vector<Worker> workers_;
};

}  // namespace

void knn_approx(const Embedding& X, const KnnApproxOptions& options, const Run& run,
                index_t* indices, double* distances) {
  assert(options.k >= 1 && options.k < X.n_samples);
  assert(options.fanout >= 1 && options.cell >= options.fanout);
  Search search(X, options, run);
  search.run();
  search.finish(indices, distances);
}

index_t knn_approx_bytes(index_t n_samples, index_t n_features, const KnnApproxOptions& options,
                         int n_threads) {
  const index_t pivots = n_pivots(n_samples, {options.cell, options.fanout, options.seed});
  const index_t per_row = 4 * n_features + 24 + NearestLists::bytes_per_row(options.k + kSpare) +
                          8 * options.fanout + 4 * kJoined + 8 + 16 * options.k;
  const index_t per_worker = 4 * kCrowded * options.cell * (n_features + 4) + 1024 * pivots;
  return n_samples * per_row + 4 * pivots * n_features + n_threads * per_worker;
}

}  // namespace consilience
