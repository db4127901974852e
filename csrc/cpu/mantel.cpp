// mantel on the CPU: O(k) random reads per row for the terms, and per row and draw for the permuted
// sums; one draw per task.

#include "ops/mantel.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <numeric>
#include <type_traits>
#include <vector>

#include "common/simd.hpp"

namespace consilience {
namespace {

constexpr index_t kRowsPerTask = 1024;

double value(const double* e, index_t at) { return e ? e[at] : 1.0; }

// The edges that end in each sample, by their start.
class Incoming {
 public:
  explicit Incoming(const NeighborLists& graph, bool weighted)
      : starts_(graph.n_rows + 1, 0),
        rows_(std::make_unique_for_overwrite<std::uint32_t[]>(graph.n_rows * graph.k)),
        edges_(weighted ? graph.n_rows * graph.k : 0) {
    const index_t n = graph.n_rows, k = graph.k;
    for (index_t at = 0; at < n * k; ++at) ++starts_[graph.indices[at] + 1];
    for (index_t j = 0; j < n; ++j) starts_[j + 1] += starts_[j];
    std::vector<index_t> cursor(starts_.begin(), starts_.end() - 1);
    for (index_t i = 0; i < n; ++i) {
      for (index_t s = 0; s < k; ++s) {
        const index_t at = cursor[graph.row(i)[s]]++;
        rows_[at] = static_cast<std::uint32_t>(i);
        if (weighted) edges_[at] = i * k + s;
      }
    }
  }

  index_t begin(index_t j) const { return starts_[j]; }
  index_t end(index_t j) const { return starts_[j + 1]; }
  index_t row(index_t at) const { return rows_[at]; }
  // Its position in the lists, one after another; of weighted graphs.
  index_t edge(index_t at) const { return edges_[at]; }

 private:
  std::vector<index_t> starts_;
  std::unique_ptr<std::uint32_t[]> rows_;
  std::vector<index_t> edges_;
};

constexpr index_t kBlockBytes = 64;
template <class Id>
constexpr index_t kLanes = kBlockBytes / sizeof(Id);
// Longer lists are quicker to mark than to compare with.
constexpr index_t kMostBlocks = 3;

// Asks for a row of `count` entries ahead of its use.
template <class T>
CONSILIENCE_INLINE void prefetch(const T* row, index_t count) {
#if defined(__GNUC__)
  const char *at = reinterpret_cast<const char*>(row), *stop = at + count * sizeof(T);
  for (; at < stop; at += 64) __builtin_prefetch(at);
#else
  (void)row, (void)count;
#endif
}

// Writes the rows i of which some q(j), j in the list of i, is in list q(i) of y, and returns how
// many they are.
template <class Id>
CONSILIENCE_INLINE index_t find_sharing(index_t n, const Id* lists_x, index_t k_x, const Id* q,
                                        const Id* lists_y, index_t n_blocks, Id* rows) {
  // Vectors of half a block: registers that most processors have.
  typedef std::make_signed_t<Id> Entries __attribute__((vector_size(kBlockBytes / 2)));
  typedef std::uint64_t Words __attribute__((vector_size(kBlockBytes / 2)));
  constexpr index_t kAhead = 8;
  const index_t k_y = n_blocks * kLanes<Id>;
  index_t found = 0;
  for (index_t i = 0; i < n; ++i) {
    prefetch(lists_y + q[std::min(i + kAhead, n - 1)] * k_y, k_y);
    const Id* list_x = lists_x + i * k_x;
    std::uint64_t shared = 0;
    for (index_t block = 0; block < n_blocks; ++block) {
      Entries list[2], met[2] = {};
      std::memcpy(list, lists_y + q[i] * k_y + block * kLanes<Id>, sizeof list);
      for (index_t s = 0; s < k_x; ++s) {
        const auto j = static_cast<std::make_signed_t<Id>>(q[list_x[s]]);
        met[0] |= list[0] == j;
        met[1] |= list[1] == j;
      }
      const auto any = reinterpret_cast<Words>(met[0] | met[1]);
      shared |= (any[0] | any[1]) | (any[2] | any[3]);
    }
    // No branch: where rows share is a matter of chance.
    rows[found] = static_cast<Id>(i);
    found += shared != 0;
  }
  return found;
}

CONSILIENCE_SIMD index_t sharing(index_t n, const std::uint16_t* lists_x, index_t k_x,
                                 const std::uint16_t* q, const std::uint16_t* lists_y,
                                 index_t n_blocks, std::uint16_t* rows) {
  return find_sharing(n, lists_x, k_x, q, lists_y, n_blocks, rows);
}

CONSILIENCE_SIMD index_t sharing(index_t n, const std::uint32_t* lists_x, index_t k_x,
                                 const std::uint32_t* q, const std::uint32_t* lists_y,
                                 index_t n_blocks, std::uint32_t* rows) {
  return find_sharing(n, lists_x, k_x, q, lists_y, n_blocks, rows);
}

// Draws of one pair of graphs. Few relabelled rows share anything, and the others are told by
// comparing whole lists; entries are as narrow as they can be.
template <class Id>
class Relabelling {
 public:
  struct Scratch {
    std::vector<Id> q, rows, place;
  };

  Relabelling(const NeighborLists& x, const NeighborLists& y, const double* e, const double* f)
      : x_(x),
        y_(y),
        e_(e),
        f_(f),
        n_blocks_((y.k + kLanes<Id> - 1) / kLanes<Id>),
        k_y_(n_blocks_ * kLanes<Id>),
        lists_x_(x.indices, x.indices + x.n_rows * x.k),
        lists_y_(y.n_rows * k_y_) {
    // Filled up with the row itself, which no neighbour of a row is.
    for (index_t i = 0; i < y.n_rows; ++i) {
      Id* list = lists_y_.data() + i * k_y_;
      std::fill_n(list, k_y_, static_cast<Id>(i));
      std::copy_n(y.row(i), y.k, list);
    }
  }

  double sum(const index_t* permutation, Scratch& scratch) const {
    const index_t n = x_.n_rows;
    scratch.q.assign(permutation, permutation + n);
    scratch.rows.resize(n + 1);
    scratch.place.resize(n, 0);
    const Id *q = scratch.q.data(), *rows = scratch.rows.data();
    const index_t n_sharing = find(q, scratch.rows);
    double total = 0.0;
    for (index_t r = 0; r < n_sharing; ++r) {
      const index_t ahead = rows[std::min(r + kAhead, n_sharing - 1)];
      prefetch(lists_y_.data() + q[ahead] * k_y_, y_.k);
      if (e_) prefetch(e_ + ahead * x_.k, x_.k);
      if (f_) prefetch(f_ + q[ahead] * y_.k, y_.k);
      total = add_row(rows[r], q, scratch.place.data(), total);
    }
    return total;
  }

 private:
  static constexpr index_t kAhead = 4;

  index_t find(const Id* q, std::vector<Id>& rows) const {
    if (n_blocks_ <= kMostBlocks) {
      return sharing(x_.n_rows, lists_x_.data(), x_.k, q, lists_y_.data(), n_blocks_, rows.data());
    }
    std::iota(rows.begin(), rows.end(), Id{0});
    return x_.n_rows;
  }

  double add_row(index_t i, const Id* q, Id* place, double total) const {
    const Id *list_x = lists_x_.data() + i * x_.k, *list_y = lists_y_.data() + q[i] * k_y_;
    for (index_t s = 0; s < y_.k; ++s) place[list_y[s]] = static_cast<Id>(s + 1);
    for (index_t s = 0; s < x_.k; ++s) {
      const index_t at = place[q[list_x[s]]];
      if (at > 0) total += value(e_, i * x_.k + s) * value(f_, q[i] * y_.k + at - 1);
    }
    for (index_t s = 0; s < y_.k; ++s) place[list_y[s]] = 0;
    return total;
  }

  const NeighborLists &x_, &y_;
  const double *e_, *f_;
  index_t n_blocks_, k_y_;
  std::vector<Id> lists_x_, lists_y_;
};

}  // namespace

MantelTerms mantel_terms(const NeighborLists& graph, const double* e, const Run& run) {
  const index_t n = graph.n_rows, k = graph.k;
  const Incoming incoming(graph, e != nullptr);
  std::vector<double> rows(n, 0.0), columns(n, 0.0), back(n, 0.0), squares(n, 0.0);
  std::vector<std::vector<std::int32_t>> places(run.n_threads);
  parallel_for((n + kRowsPerTask - 1) / kRowsPerTask, run, [&](index_t task, int worker) {
    std::vector<std::int32_t>& place = places[worker];
    if (place.empty()) place.assign(n, -1);
    const index_t stop = std::min(n, (task + 1) * kRowsPerTask);
    for (index_t i = task * kRowsPerTask; i < stop; ++i) {
      const index_t *list = graph.row(i), first = incoming.begin(i), last = incoming.end(i);
      for (index_t s = 0; s < k; ++s) place[list[s]] = static_cast<std::int32_t>(s);
      if (e) {
        for (index_t s = 0; s < k; ++s) {
          const double forth = e[i * k + s];
          rows[i] += forth;
          squares[i] += forth * forth;
        }
        for (index_t at = first; at < last; ++at) {
          const double weight = e[incoming.edge(at)];
          columns[i] += weight;
          const index_t forth = place[incoming.row(at)];
          if (forth >= 0) back[i] += e[i * k + forth] * weight;
        }
      } else {
        index_t both = 0;
        for (index_t at = first; at < last; ++at) both += place[incoming.row(at)] >= 0;
        rows[i] = squares[i] = static_cast<double>(k);
        columns[i] = static_cast<double>(last - first);
        back[i] = static_cast<double>(both);
      }
      for (index_t s = 0; s < k; ++s) place[list[s]] = -1;
    }
  });
  MantelTerms terms;
  for (index_t i = 0; i < n; ++i) {
    terms.sum += rows[i];
    terms.squares += squares[i];
    terms.reciprocal += back[i];
    terms.row_squares += rows[i] * rows[i];
    terms.col_squares += columns[i] * columns[i];
    terms.row_col += rows[i] * columns[i];
  }
  return terms;
}

void mantel_draws(const NeighborLists& graph_x, const NeighborLists& graph_y, const double* e,
                  const double* f, const index_t* permutations, index_t n_draws, const Run& run,
                  double* draws) {
  const auto all = [&](auto id) {
    const Relabelling<decltype(id)> relabelling(graph_x, graph_y, e, f);
    std::vector<typename Relabelling<decltype(id)>::Scratch> scratch(run.n_threads);
    parallel_for(n_draws, run, [&](index_t draw, int worker) {
      draws[draw] = relabelling.sum(permutations + draw * graph_x.n_rows, scratch[worker]);
    });
  };
  if (graph_x.n_rows <= index_t{1} << 16) {
    all(std::uint16_t{});
  } else {
    all(std::uint32_t{});
  }
}

}  // namespace consilience
