// mantel on the CPU: O(k) random reads per row for the terms, and per row and draw for the permuted
// sums; one draw per task.

#include "ops/mantel.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "common/simd.hpp"
#include "cpu/large_pages.hpp"
#include "cpu/list_filter.hpp"

namespace consilience {
namespace {

constexpr index_t kRowsPerTask = 1024;

// The edges that end in each sample, by their start: position in the lists, one after another.
class Incoming {
 public:
  // Of edges whose place s in their list and ends satisfy wanted(i, j).
  template <class Wanted>
  Incoming(const NeighborLists& graph, index_t k, Wanted&& wanted) : starts_(graph.n_rows + 1, 0) {
    const index_t n = graph.n_rows;
    for (index_t i = 0; i < n; ++i) {
      for (index_t s = 0; s < k; ++s) {
        const index_t j = graph.row(i)[s];
        starts_[j + 1] += wanted(i, j);
      }
    }
    for (index_t j = 0; j < n; ++j) starts_[j + 1] += starts_[j];
    // One more, which those that are not wanted write to.
    edges_ = std::make_unique_for_overwrite<Edge[]>(starts_[n] + 1);
    std::vector<index_t> cursor(starts_.begin(), starts_.end() - 1);
    for (index_t i = 0; i < n; ++i) {
      for (index_t s = 0; s < k; ++s) {
        const index_t j = graph.row(i)[s];
        const bool keep = wanted(i, j);
        edges_[keep ? cursor[j] : starts_[n]] = {static_cast<std::uint32_t>(i),
                                                 static_cast<std::uint32_t>(s)};
        cursor[j] += keep;
      }
    }
  }

  struct Edge {
    std::uint32_t row, place;
  };
  const Edge* begin(index_t j) const { return edges_.get() + starts_[j]; }
  const Edge* end(index_t j) const { return edges_.get() + starts_[j + 1]; }

 private:
  std::vector<index_t> starts_;
  std::unique_ptr<Edge[]> edges_;
};

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

// A graph whose entries are as narrow as they can be, each list in lines of its own.
template <class Id>
struct NarrowGraph {
  static constexpr index_t kLine = 64 / sizeof(Id);
  struct alignas(64) Line {
    Id entries[kLine];
  };

  explicit NarrowGraph(const WeightedGraph& graph)
      : k(graph.lists.k),
        values(graph.values),
        n_lines((k + kLine - 1) / kLine),
        lines(graph.lists.n_rows * n_lines) {
    for (index_t i = 0; i < graph.lists.n_rows; ++i) {
      std::copy_n(graph.lists.row(i), k, lines[i * n_lines].entries);
    }
  }

  const Id* row(index_t i) const { return lines[i * n_lines].entries; }
  double value(index_t edge) const { return values ? values[edge] : 1.0; }
  // Where an entry stands in a list; k if it does not.
  index_t place(index_t i, Id entry) const {
    const Id* list = row(i);
    index_t at = k;
    for (index_t s = 0; s < k; ++s) at = list[s] == entry ? s : at;
    return at;
  }

  index_t k;
  const double* values;
  index_t n_lines;
  LargePages<Line> lines;
};

// An edge of both graphs, by its position in the lists of each.
struct SharedEdge {
  index_t of_x, of_y;
};

// Draws of many pairs of graphs. Few relabelled rows share anything: filters of the lists tell
// which entries may be shared, and these are looked up.
template <class Id>
class Relabelling {
 public:
  struct Scratch {
    std::vector<Id> q, entries, place;
    std::vector<std::uint32_t> found;
    std::vector<SharedEdge> shared;
    std::vector<index_t> counts;
  };

  Relabelling(std::span<const WeightedGraph> graphs, std::span<const GraphPair> pairs)
      : n_(graphs[0].lists.n_rows), pairs_(pairs) {
    for (const WeightedGraph& graph : graphs) graphs_.emplace_back(graph);
    shift_ = std::max(0, static_cast<int>(std::bit_width(static_cast<std::uint64_t>(n_ - 1))) - 9);
    std::vector<index_t> probed(graphs.size(), -1), filter(graphs.size(), -1);
    std::vector<index_t> filtered;
    for (index_t p = 0; p < static_cast<index_t>(pairs.size()); ++p) {
      const auto [x, y] = pairs[p];
      if (std::max(graphs_[x].k, graphs_[y].k) > kLongestFiltered) {
        marked_.push_back(p);
        continue;
      }
      if (filter[y] < 0) {
        filter[y] = static_cast<index_t>(filtered.size());
        filtered.push_back(y);
      }
      if (probed[x] < 0) {
        probed[x] = static_cast<index_t>(probed_.size());
        probed_.push_back({graphs_[x].k, {}});
        if (graphs_[x].k > kProbedLanes) width_ = kLongestFiltered;
        probed_graphs_.push_back(x);
      }
      probed_[probed[x]].pairs.push_back({filter[y], p});
    }
    n_filters_ = static_cast<index_t>(filtered.size());
    filters_.reset(n_ * n_filters_);
    for (index_t f = 0; f < n_filters_; ++f) {
      const NarrowGraph<Id>& graph = graphs_[filtered[f]];
      for (index_t i = 0; i < n_; ++i) {
        for (index_t s = 0; s < graph.k; ++s) {
          filters_[i * n_filters_ + f].add(graph.row(i)[s], shift_);
        }
      }
    }
  }

  // Writes the sums of all pairs, `stride` apart.
  void sum(const index_t* permutation, Scratch& scratch, double* sums, index_t stride) const {
    scratch.q.assign(permutation, permutation + n_);
    scratch.place.resize(n_, 0);
    scratch.counts.assign(pairs_.size(), 0);
    scratch.entries.resize(probed_.size() * kProbedRows * width_);
    scratch.found.resize(pairs_.size() * kFoundStride);
    for (index_t p = 0; p < static_cast<index_t>(pairs_.size()); ++p) sums[p * stride] = 0.0;
    for (index_t first = 0; first < n_ && !probed_.empty(); first += kProbedRows) {
      const index_t stop = std::min(n_, first + kProbedRows);
      find(first, stop, scratch);
      const index_t most = *std::max_element(scratch.counts.begin(), scratch.counts.end());
      if (stop < n_ && most < kMostFound) continue;
      for (const ProbedLists& graph : probed_) {
        for (const auto& [_, p] : graph.pairs) add_found(p, scratch, sums[p * stride]);
      }
    }
    for (const index_t p : marked_) {
      for (index_t i = 0; i < n_; ++i) add_row(p, i, scratch, sums[p * stride]);
    }
  }

 private:
  void find(index_t first, index_t stop, Scratch& scratch) const {
    const Id* q = scratch.q.data();
    const ListFilter* filters[kProbedRows];
    for (index_t i = first; i < stop; ++i) {
      filters[i - first] = filters_.data() + q[i] * n_filters_;
      prefetch(filters[i - first], n_filters_);
    }
    const auto n_probed = static_cast<index_t>(probed_.size());
    for (index_t g = 0; g < n_probed; ++g) {
      const NarrowGraph<Id>& graph = graphs_[probed_graphs_[g]];
      for (index_t i = first; i < stop; ++i) {
        Id* out = scratch.entries.data() + ((i - first) * n_probed + g) * width_;
        const Id* list = graph.row(i);
#pragma GCC unroll 8
        for (index_t s = 0; s < graph.k; ++s) out[s] = q[list[s]];
      }
    }
    probe_(probed_, scratch.entries.data(), width_, first, stop, filters, shift_,
           scratch.found.data(), scratch.counts.data());
  }

  // Looks the found entries up, in order, so that the order of the sums is fixed. What is read is
  // asked for ahead.
  void add_found(index_t p, Scratch& scratch, double& sum) const {
    const NarrowGraph<Id>&x = graphs_[pairs_[p].x], &y = graphs_[pairs_[p].y];
    const std::uint32_t* found = scratch.found.data() + p * kFoundStride;
    const index_t count = std::exchange(scratch.counts[p], 0);
    const Id* q = scratch.q.data();
    constexpr index_t kAhead = 16;
    scratch.shared.clear();
    for (index_t c = 0; c < count; ++c) {
      const index_t ahead = found[std::min(c + kAhead, count - 1)] / kLongestFiltered;
      prefetch(x.row(ahead), x.k);
      prefetch(y.row(q[ahead]), y.k);
      const index_t i = found[c] / kLongestFiltered, s = found[c] % kLongestFiltered;
      const index_t at = y.place(q[i], q[x.row(i)[s]]);
      if (at == y.k) continue;
      const SharedEdge edge{i * x.k + s, q[i] * y.k + at};
      if (x.values) prefetch(x.values + edge.of_x, 1);
      if (y.values) prefetch(y.values + edge.of_y, 1);
      scratch.shared.push_back(edge);
    }
    double total = sum;
    for (const SharedEdge& edge : scratch.shared) {
      total += x.value(edge.of_x) * y.value(edge.of_y);
    }
    sum = total;
  }

  // Of long lists: marks the places of one in an array of all samples.
  void add_row(index_t p, index_t i, Scratch& scratch, double& total) const {
    const NarrowGraph<Id>&x = graphs_[pairs_[p].x], &y = graphs_[pairs_[p].y];
    const Id *q = scratch.q.data(), *list_x = x.row(i), *list_y = y.row(q[i]);
    Id* place = scratch.place.data();
    for (index_t s = 0; s < y.k; ++s) place[list_y[s]] = static_cast<Id>(s + 1);
    for (index_t s = 0; s < x.k; ++s) {
      const index_t at = place[q[list_x[s]]];
      if (at > 0) total += x.value(i * x.k + s) * y.value(q[i] * y.k + at - 1);
    }
    for (index_t s = 0; s < y.k; ++s) place[list_y[s]] = 0;
  }

  index_t n_, n_filters_ = 0, width_ = kProbedLanes;
  int shift_ = 0;
  std::span<const GraphPair> pairs_;
  std::vector<NarrowGraph<Id>> graphs_;
  std::vector<ProbedLists> probed_;
  std::vector<index_t> probed_graphs_, marked_;
  LargePages<ListFilter> filters_;  // of each sample, those of all graphs
  Probe<Id> probe_ = probe<Id>();
};

}  // namespace

MantelTerms mantel_terms(const NeighborLists& graph, const double* e, const Run& run) {
  const index_t n = graph.n_rows, k = graph.k;
  const Incoming incoming(graph, k, [](index_t, index_t) { return true; });
  std::vector<double> rows(n, 0.0), columns(n, 0.0), back(n, 0.0), squares(n, 0.0);
  std::vector<std::vector<std::int32_t>> places(run.n_threads);
  parallel_for((n + kRowsPerTask - 1) / kRowsPerTask, run, [&](index_t task, int worker) {
    std::vector<std::int32_t>& place = places[worker];
    if (place.empty()) place.assign(n, -1);
    const index_t stop = std::min(n, (task + 1) * kRowsPerTask);
    for (index_t i = task * kRowsPerTask; i < stop; ++i) {
      const index_t* list = graph.row(i);
      for (index_t s = 0; s < k; ++s) {
        place[list[s]] = static_cast<std::int32_t>(s);
        const double forth = e[i * k + s];
        rows[i] += forth;
        squares[i] += forth * forth;
      }
      for (const Incoming::Edge* edge = incoming.begin(i); edge != incoming.end(i); ++edge) {
        const double weight = e[edge->row * k + edge->place];
        columns[i] += weight;
        const index_t forth = place[edge->row];
        if (forth >= 0) back[i] += e[i * k + forth] * weight;
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

std::vector<MantelTerms> mantel_counts(const NeighborLists& graph, std::span<const index_t> ks,
                                       const Run& run) {
  const index_t n = graph.n_rows, most = ks.back(), n_ks = static_cast<index_t>(ks.size());
  // The first k that a place in a list counts for.
  std::vector<std::uint32_t> level(most);
  for (index_t s = 0; s < most; ++s) {
    level[s] = static_cast<std::uint32_t>(std::upper_bound(ks.begin(), ks.end(), s) - ks.begin());
  }
  std::vector<std::uint32_t> ends(n * n_ks, 0);
  for (index_t i = 0; i < n; ++i) {
    for (index_t s = 0; s < most; ++s) ++ends[graph.row(i)[s] * n_ks + level[s]];
  }
  // An edge there and back is met at its lower end.
  const Incoming incoming(graph, most, [](index_t i, index_t j) { return i > j; });
  struct Worker {
    std::vector<std::int32_t> place;
    std::vector<index_t> back;
  };
  std::vector<Worker> workers(run.n_threads);
  parallel_for((n + kRowsPerTask - 1) / kRowsPerTask, run, [&](index_t task, int worker) {
    auto& [place, back] = workers[worker];
    if (place.empty()) {
      place.assign(n, static_cast<std::int32_t>(n_ks));
      back.assign(n_ks + 1, 0);
    }
    const index_t stop = std::min(n, (task + 1) * kRowsPerTask);
    for (index_t i = task * kRowsPerTask; i < stop; ++i) {
      const index_t* list = graph.row(i);
      for (index_t s = 0; s < most; ++s) place[list[s]] = static_cast<std::int32_t>(level[s]);
      for (const Incoming::Edge* edge = incoming.begin(i); edge != incoming.end(i); ++edge) {
        ++back[std::max(place[edge->row], static_cast<std::int32_t>(level[edge->place]))];
      }
      for (index_t s = 0; s < most; ++s) place[list[s]] = static_cast<std::int32_t>(n_ks);
    }
  });
  std::vector<MantelTerms> found(n_ks);
  std::vector<index_t> columns(n, 0);
  index_t both = 0;
  for (index_t t = 0; t < n_ks; ++t) {
    for (const Worker& worker : workers) both += worker.back.empty() ? 0 : worker.back[t];
    index_t squares = 0;
    for (index_t j = 0; j < n; ++j) {
      columns[j] += ends[j * n_ks + t];
      squares += columns[j] * columns[j];
    }
    const auto k = static_cast<double>(ks[t]), edges = static_cast<double>(n) * k;
    found[t] = {
        edges,    edges, 2.0 * static_cast<double>(both), edges * k, static_cast<double>(squares),
        edges * k};
  }
  return found;
}

index_t mantel_draws_bytes(index_t n_samples, index_t n_pairs) {
  return n_samples * n_pairs * static_cast<index_t>(sizeof(ListFilter));
}

void mantel_draws(std::span<const WeightedGraph> graphs, std::span<const GraphPair> pairs,
                  const index_t* permutations, index_t n_draws, const Run& run, double* draws) {
  const index_t n = graphs[0].lists.n_rows;
  const auto all = [&](auto id) {
    const Relabelling<decltype(id)> relabelling(graphs, pairs);
    std::vector<typename Relabelling<decltype(id)>::Scratch> scratch(run.n_threads);
    parallel_for(n_draws, run, [&](index_t draw, int worker) {
      relabelling.sum(permutations + draw * n, scratch[worker], draws + draw, n_draws);
    });
  };
  if (n <= index_t{1} << 16) {
    all(std::uint16_t{});
  } else {
    all(std::uint32_t{});
  }
}

}  // namespace consilience
