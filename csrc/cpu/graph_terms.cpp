// graph_terms on the CPU: O(k) random reads per row (edge_values: O(k d), or O(d + k)); the lists'
// LCS is O(k log k), because no list repeats an entry, their Levenshtein distance O(k^2).

#include "ops/graph_terms.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

#include "common/simd.hpp"
#include "cpu/exact.hpp"

namespace consilience {
namespace {

constexpr index_t kRowsPerTask = 256;
// A difference may be so many times smaller than what it is taken from: six bits are lost.
constexpr double kMostCancelled = 64.0;

// Calls body(i, worker) for all rows.
template <class Body>
void for_all_rows(index_t n, const Run& run, Body&& body) {
  parallel_for((n + kRowsPerTask - 1) / kRowsPerTask, run, [&](index_t task, int worker) {
    const index_t stop = std::min(n, (task + 1) * kRowsPerTask);
    for (index_t i = task * kRowsPerTask; i < stop; ++i) body(i, worker);
  });
}

// Where each sample stands in one list: place[j], or -1. Set and cleared in O(k).
class Places {
 public:
  explicit Places(index_t n) : place_(n, -1) {}
  index_t operator[](index_t j) const { return place_[j]; }
  void set(const index_t* list, index_t k) {
    for (index_t s = 0; s < k; ++s) place_[list[s]] = static_cast<std::int32_t>(s);
  }
  void clear(const index_t* list, index_t k) {
    for (index_t s = 0; s < k; ++s) place_[list[s]] = -1;
  }

 private:
  std::vector<std::int32_t> place_;
};

// How many entries each split has counted: bit t of plane p is bit p of the count of split t.
class SplitCounts {
 public:
  explicit SplitCounts(index_t most) {
    while (most >> n_planes_) ++n_planes_;
  }
  void clear() { std::fill_n(planes_, n_planes_, Splits{0}); }
  void add(Splits one) {
    for (int p = 0; p < n_planes_; ++p) {
      const Splits carry = planes_[p] & one;
      planes_[p] ^= one;
      one = carry;
    }
  }
  // The splits whose count is `number`.
  Splits equal(index_t number) const {
    Splits same = ~Splits{0};
    for (int p = 0; p < n_planes_; ++p) same &= (number >> p & 1) ? planes_[p] : ~planes_[p];
    return same;
  }

 private:
  int n_planes_ = 0;
  Splits planes_[64];
};

// An edge that two lists share, the splits in which it is a member of both, and its product.
struct MemberEdge {
  Splits splits;
  double product;
};

// sums[t] = the products of split t, in their order. Lanes of all splits: no branch.
CONSILIENCE_SIMD void sum_of_splits(const MemberEdge* edges, index_t count, double* sums) {
  double totals[kMostSplits] = {};
  for (index_t at = 0; at < count; ++at) {
    const Splits splits = edges[at].splits;
    const double product = edges[at].product;
    for (int t = 0; t < kMostSplits; ++t) totals[t] += (splits >> t & 1) ? product : 0.0;
  }
  std::copy_n(totals, kMostSplits, sums);
}

struct SharedEdge {
  index_t to;
  double e, f;
};

// The shared edges of all rows, each row's in ascending order of their end.
class SharedEdges {
 public:
  SharedEdges(const NeighborLists& X, const NeighborLists& Y, const double* e, const double* f,
              const Run& run)
      : k_(std::min(X.k, Y.k)), edges_(X.n_rows * k_), counts_(X.n_rows, 0) {
    std::vector<Places> places(run.n_threads, Places(X.n_rows));
    for_all_rows(X.n_rows, run, [&](index_t i, int worker) {
      Places& place = places[worker];
      SharedEdge* row = edges_.data() + i * k_;
      place.set(X.row(i), X.k);
      for (index_t s = 0; s < Y.k; ++s) {
        const index_t j = Y.row(i)[s], r = place[j];
        if (r < 0) continue;
        row[counts_[i]++] = {j, e ? e[i * X.k + r] : 1.0, f ? f[i * Y.k + s] : 1.0};
      }
      place.clear(X.row(i), X.k);
      std::sort(row, row + counts_[i],
                [](const SharedEdge& a, const SharedEdge& b) { return a.to < b.to; });
    });
  }

  const SharedEdge* begin(index_t i) const { return edges_.data() + i * k_; }
  const SharedEdge* end(index_t i) const { return begin(i) + counts_[i]; }
  index_t count(index_t i) const { return counts_[i]; }

  const SharedEdge* find(index_t i, index_t to) const {
    const SharedEdge* edge = std::lower_bound(
        begin(i), end(i), to, [](const SharedEdge& a, index_t j) { return a.to < j; });
    return edge != end(i) && edge->to == to ? edge : nullptr;
  }

 private:
  index_t k_;
  std::vector<SharedEdge> edges_;
  std::vector<index_t> counts_;
};

// Both lists have distinct entries, so a common subsequence is an increasing sequence of places.
index_t longest_common_subsequence(const Places& place, const index_t* list, index_t k,
                                   std::vector<index_t>& tails) {
  tails.clear();
  for (index_t s = 0; s < k; ++s) {
    const index_t p = place[list[s]];
    if (p < 0) continue;
    const auto at = std::lower_bound(tails.begin(), tails.end(), p);
    if (at == tails.end()) {
      tails.push_back(p);
    } else {
      *at = p;
    }
  }
  return static_cast<index_t>(tails.size());
}

index_t levenshtein(const index_t* a, index_t n_a, const index_t* b, index_t n_b,
                    std::vector<index_t>& row) {
  row.resize(n_b + 1);
  for (index_t t = 0; t <= n_b; ++t) row[t] = t;
  for (index_t s = 1; s <= n_a; ++s) {
    index_t diagonal = row[0];
    row[0] = s;
    for (index_t t = 1; t <= n_b; ++t) {
      const index_t change = diagonal + (a[s - 1] != b[t - 1]);
      diagonal = row[t];
      row[t] = std::min({change, row[t] + 1, row[t - 1] + 1});
    }
  }
  return row[n_b];
}

}  // namespace

void edge_values(const Embedding& X, const NeighborLists& graph, const double* origin,
                 const double* products, const Run& run, double* values) {
  for_all_rows(graph.n_rows, run, [&](index_t i, int) {
    const index_t sample = graph.sample(i);
    const double to_origin = products ? product_with(X, sample, origin) : 0.0;
    for (index_t s = 0; s < graph.k; ++s) {
      const index_t at = i * graph.k + s;
      if (products) {
        values[at] = products[at] - to_origin;
        if (kMostCancelled * std::abs(values[at]) >= std::abs(to_origin)) continue;
      }
      values[at] = shifted_inner_product(X, sample, graph.row(i)[s], origin);
    }
  });
}

void graph_terms(const NeighborLists& graph_x, const NeighborLists& graph_y, const double* e,
                 const double* f, const Run& run, const GraphTerms& out) {
  const index_t n = graph_x.n_rows;
  const SharedEdges shared(graph_x, graph_y, e, f, run);
  for_all_rows(n, run, [&](index_t i, int) {
    out.overlap[i] = shared.count(i);
    out.products[i] = out.rows_e[i] = out.rows_f[i] = out.reciprocal[i] = 0.0;
    for (const SharedEdge* edge = shared.begin(i); edge != shared.end(i); ++edge) {
      out.products[i] += edge->e * edge->f;
      out.rows_e[i] += edge->e;
      out.rows_f[i] += edge->f;
      const SharedEdge* back = shared.find(edge->to, i);
      if (back) out.reciprocal[i] += edge->e * back->f;
    }
  });
  // Columns gather from all rows: one thread, so that the order of the sums is fixed.
  std::fill(out.columns_e, out.columns_e + n, 0.0);
  std::fill(out.columns_f, out.columns_f + n, 0.0);
  for (index_t i = 0; i < n; ++i) {
    for (const SharedEdge* edge = shared.begin(i); edge != shared.end(i); ++edge) {
      out.columns_e[edge->to] += edge->e;
      out.columns_f[edge->to] += edge->f;
    }
  }
}

void overlap_terms(const NeighborLists& graph_x, const NeighborLists& graph_y, const double* e,
                   const double* f, const Run& run, index_t* overlap, double* products) {
  const bool weighted = e || f;
  std::vector<Places> places(run.n_threads, Places(graph_x.n_samples));
  for_all_rows(graph_x.n_rows, run, [&](index_t i, int worker) {
    Places& place = places[worker];
    const index_t* list = graph_y.row(i);
    place.set(graph_x.row(i), graph_x.k);
    index_t count = 0;
    double sum = 0.0;
    for (index_t s = 0; weighted && s < graph_y.k; ++s) {
      const index_t r = place[list[s]];
      if (r < 0) continue;
      ++count;
      sum += (e ? e[i * graph_x.k + r] : 1.0) * (f ? f[i * graph_y.k + s] : 1.0);
    }
    if (!weighted) {
      for (index_t s = 0; s < graph_y.k; ++s) count += place[list[s]] >= 0;
      sum = static_cast<double>(count);
    }
    place.clear(graph_x.row(i), graph_x.k);
    overlap[i] = count;
    products[i] = sum;
  });
}

void lists_within(const NeighborLists& graph, const index_t* group, index_t k, const Run& run,
                  index_t* places) {
  for_all_rows(graph.n_rows, run, [&](index_t i, int) {
    const index_t *list = graph.row(i), own = group[graph.sample(i)];
    index_t *out = places + i * k, found = 0;
    for (index_t s = 0; s < graph.k && found < k; ++s) {
      // Written in any case, and kept by a count: half of the branches would go wrong.
      out[found] = s;
      found += group[list[s]] == own;
    }
    std::fill(out + found, out + k, index_t{-1});
  });
}

void members_within(const NeighborLists& graph, const Splits* halves, index_t k, const Run& run,
                    Splits* members) {
  for_all_rows(graph.n_rows, run, [&](index_t i, int) {
    const index_t* list = graph.row(i);
    const Splits other = ~halves[graph.sample(i)];
    SplitCounts counts(k);
    counts.clear();
    Splits full = 0;
    for (index_t s = 0; s < graph.k; ++s) {
      const Splits found = (halves[list[s]] ^ other) & ~full;
      members[i * graph.k + s] = found;
      counts.add(found);
      full |= counts.equal(k);
    }
  });
}

void overlap_within(const NeighborLists& graph_x, const NeighborLists& graph_y,
                    const Splits* members_x, const Splits* members_y, const double* e,
                    const double* f, int n_splits, const Run& run, double* products) {
  const bool same = graph_x.indices == graph_y.indices;
  std::vector<Places> places(run.n_threads, Places(graph_x.n_samples));
  std::vector<std::vector<MemberEdge>> edges(run.n_threads);
  for_all_rows(graph_x.n_rows, run, [&](index_t i, int worker) {
    Places& place = places[worker];
    const index_t *list = graph_y.row(i), x = i * graph_x.k, y = i * graph_y.k;
    std::vector<MemberEdge>& row = edges[worker];
    row.resize(graph_y.k);
    index_t count = 0;
    // Written in any case, and kept by a count: where lists share is a matter of chance.
    const auto add = [&](index_t r, index_t s) {
      const Splits both = members_x[x + r] & members_y[y + s];
      row[count] = {both, (e ? e[x + r] : 1.0) * (f ? f[y + s] : 1.0)};
      count += both != 0;
    };
    if (same) {
      for (index_t s = 0; s < graph_y.k; ++s) add(s, s);
    } else {
      place.set(graph_x.row(i), graph_x.k);
      for (index_t s = 0; s < graph_y.k; ++s) {
        if (const index_t r = place[list[s]]; r >= 0) add(r, s);
      }
      place.clear(graph_x.row(i), graph_x.k);
    }
    double sums[kMostSplits];
    sum_of_splits(row.data(), count, sums);
    for (int t = 0; t < n_splits; ++t) products[t * graph_x.n_rows + i] = sums[t];
  });
}

void nth_within(const double* values, const Splits* members, index_t n, index_t k, index_t order,
                int n_splits, const Run& run, double* nth) {
  const Splits all = ~Splits{0} >> (kMostSplits - n_splits);
  for_all_rows(n, run, [&](index_t i, int) {
    const double* row = values + i * k;
    const auto write = [&](Splits which, double value) {
      for (; which; which &= which - 1) nth[std::countr_zero(which) * n + i] = value;
    };
    SplitCounts counts(order);
    counts.clear();
    Splits missing = all;
    for (index_t s = 0; s < k && missing; ++s) {
      counts.add(members[i * k + s] & missing);
      const Splits reached = missing & counts.equal(order);
      write(reached, row[s]);
      missing &= ~reached;
    }
    write(missing, row[k - 1]);
  });
}

void list_terms(const NeighborLists& graph_x, const NeighborLists& graph_y, const Run& run,
                const ListTerms& out) {
  const index_t n = graph_x.n_rows;
  std::vector<Places> places(run.n_threads, Places(graph_x.n_samples));
  std::vector<std::vector<index_t>> scratch(run.n_threads);
  for_all_rows(n, run, [&](index_t i, int worker) {
    const index_t *x = graph_x.row(i), *y = graph_y.row(i);
    if (out.cycle) {
      bool returns = false;
      for (index_t s = 0; s < graph_y.k && !returns; ++s) {
        const index_t* back = graph_x.row(y[s]);
        returns = std::find(back, back + graph_x.k, i) != back + graph_x.k;
      }
      out.cycle[i] = returns ? 1.0 : 0.0;
    }
    if (out.lcs) {
      places[worker].set(x, graph_x.k);
      out.lcs[i] = static_cast<double>(
          longest_common_subsequence(places[worker], y, graph_y.k, scratch[worker]));
      places[worker].clear(x, graph_x.k);
    }
    if (out.edit) {
      out.edit[i] = static_cast<double>(levenshtein(x, graph_x.k, y, graph_y.k, scratch[worker]));
    }
  });
}

namespace {

// One relabelling of graph_y against graph_x.
class Relabelled {
 public:
  Relabelled(const NeighborLists& x, const NeighborLists& y)
      : x_(x), y_(y), place_(x.n_rows), back_(x.n_rows), list_(y.k) {}

  struct Sums {
    double jaccard = 0.0, cycle = 0.0, lcs = 0.0, edit = 0.0;
  };

  void relabel(const index_t* q) {
    if (q == q_) return;
    q_ = q;
    for (index_t i = 0; i < x_.n_rows; ++i) back_[q[i]] = i;
  }

  // Over rows [first, stop).
  Sums sum(index_t first, index_t stop, const ListDraws& out) {
    const index_t* q = q_;
    double jaccard = 0.0, cycle = 0.0, lcs = 0.0, edit = 0.0;
    for (index_t i = first; i < stop; ++i) {
      const index_t* renamed = y_.row(q[i]);
      place_.set(x_.row(i), x_.k);
      index_t shared = 0;
      for (index_t s = 0; s < y_.k; ++s) {
        list_[s] = back_[renamed[s]];
        shared += place_[list_[s]] >= 0;
      }
      if (out.jaccard) {
        jaccard += static_cast<double>(shared) / static_cast<double>(x_.k + y_.k - shared);
      }
      if (out.lcs && shared > 0) {
        lcs +=
            static_cast<double>(longest_common_subsequence(place_, list_.data(), y_.k, scratch_));
      }
      place_.clear(x_.row(i), x_.k);
      if (out.edit) {
        // Lists that share nothing must be changed throughout.
        edit += static_cast<double>(
            shared == 0 ? std::max(x_.k, y_.k)
                        : levenshtein(x_.row(i), x_.k, list_.data(), y_.k, scratch_));
      }
      if (out.cycle) cycle += returns(i) ? 1.0 : 0.0;
    }
    return {jaccard, cycle, lcs, edit};
  }

 private:
  bool returns(index_t i) const {
    for (const index_t j : list_) {
      const index_t* back = x_.row(j);
      if (std::find(back, back + x_.k, i) != back + x_.k) return true;
    }
    return false;
  }

  const NeighborLists &x_, &y_;
  Places place_;
  std::vector<index_t> back_, list_, scratch_;
  const index_t* q_ = nullptr;
};

// Comparisons of entries in one task: a tenth of a second or two, so that it can be interrupted.
constexpr index_t kComparisonsPerTask = index_t{1} << 23;

}  // namespace

void list_draws(const NeighborLists& graph_x, const NeighborLists& graph_y,
                const index_t* permutations, index_t n_draws, const Run& run,
                const ListDraws& out) {
  std::vector<Relabelled> workers(run.n_threads, Relabelled(graph_x, graph_y));
  const index_t n = graph_x.n_rows;
  const index_t block = std::clamp<index_t>(kComparisonsPerTask / (graph_x.k * graph_y.k), 1, n);
  const index_t n_blocks = (n + block - 1) / block;
  std::vector<Relabelled::Sums> sums(n_draws * n_blocks);
  parallel_for(n_draws * n_blocks, run, [&](index_t task, int worker) {
    const index_t draw = task / n_blocks, first = task % n_blocks * block;
    workers[worker].relabel(permutations + draw * n);
    sums[task] = workers[worker].sum(first, std::min(n, first + block), out);
  });
  for (index_t draw = 0; draw < n_draws; ++draw) {
    Relabelled::Sums all;
    for (index_t b = 0; b < n_blocks; ++b) {
      const Relabelled::Sums& part = sums[draw * n_blocks + b];
      all.jaccard += part.jaccard, all.cycle += part.cycle;
      all.lcs += part.lcs, all.edit += part.edit;
    }
    if (out.jaccard) out.jaccard[draw] = all.jaccard;
    if (out.cycle) out.cycle[draw] = all.cycle;
    if (out.lcs) out.lcs[draw] = all.lcs;
    if (out.edit) out.edit[draw] = all.edit;
  }
}

}  // namespace consilience
