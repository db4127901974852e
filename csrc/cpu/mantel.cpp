// mantel on the CPU: O(k) random reads per row for the terms, and per row and draw for the permuted
// sums; one draw per task.

#include "ops/mantel.hpp"

#include <algorithm>
#include <vector>

namespace consilience {
namespace {

constexpr index_t kRowsPerTask = 1024;

double value(const double* e, index_t at) { return e ? e[at] : 1.0; }

// The edges that end in each sample, by their start: positions in the lists, one after another.
class Incoming {
 public:
  explicit Incoming(const NeighborLists& graph)
      : starts_(graph.n_rows + 1, 0), edges_(graph.n_rows * graph.k) {
    const index_t n_edges = graph.n_rows * graph.k;
    for (index_t at = 0; at < n_edges; ++at) ++starts_[graph.indices[at] + 1];
    for (index_t j = 0; j < graph.n_rows; ++j) starts_[j + 1] += starts_[j];
    std::vector<index_t> cursor(starts_.begin(), starts_.end() - 1);
    for (index_t at = 0; at < n_edges; ++at) edges_[cursor[graph.indices[at]]++] = at;
  }

  const index_t* begin(index_t j) const { return edges_.data() + starts_[j]; }
  const index_t* end(index_t j) const { return edges_.data() + starts_[j + 1]; }

 private:
  std::vector<index_t> starts_, edges_;
};

}  // namespace

MantelTerms mantel_terms(const NeighborLists& graph, const double* e, const Run& run) {
  const index_t n = graph.n_rows, k = graph.k;
  const Incoming incoming(graph);
  std::vector<double> rows(n, 0.0), columns(n, 0.0), back(n, 0.0), squares(n, 0.0);
  std::vector<std::vector<index_t>> places(run.n_threads);
  parallel_for((n + kRowsPerTask - 1) / kRowsPerTask, run, [&](index_t task, int worker) {
    std::vector<index_t>& place = places[worker];
    if (place.empty()) place.assign(n, -1);
    const index_t stop = std::min(n, (task + 1) * kRowsPerTask);
    for (index_t i = task * kRowsPerTask; i < stop; ++i) {
      for (index_t s = 0; s < k; ++s) {
        const double forth = value(e, i * k + s);
        rows[i] += forth;
        squares[i] += forth * forth;
        place[graph.row(i)[s]] = i * k + s;
      }
      for (const index_t* at = incoming.begin(i); at != incoming.end(i); ++at) {
        columns[i] += value(e, *at);
        const index_t forth = place[*at / k];
        if (forth >= 0) back[i] += value(e, forth) * value(e, *at);
      }
      for (index_t s = 0; s < k; ++s) place[graph.row(i)[s]] = -1;
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
  const index_t n = graph_x.n_rows;
  std::vector<std::vector<index_t>> places(run.n_threads, std::vector<index_t>(n, -1));
  parallel_for(n_draws, run, [&](index_t draw, int worker) {
    const index_t* q = permutations + draw * n;
    std::vector<index_t>& place = places[worker];
    double total = 0.0;
    for (index_t i = 0; i < n; ++i) {
      const index_t* list = graph_y.row(q[i]);
      for (index_t s = 0; s < graph_y.k; ++s) place[list[s]] = s;
      for (index_t s = 0; s < graph_x.k; ++s) {
        const index_t at = place[q[graph_x.row(i)[s]]];
        if (at >= 0) total += value(e, i * graph_x.k + s) * value(f, q[i] * graph_y.k + at);
      }
      for (index_t s = 0; s < graph_y.k; ++s) place[list[s]] = -1;
    }
    draws[draw] = total;
  });
}

}  // namespace consilience
