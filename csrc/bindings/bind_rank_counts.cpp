// Python face of rank_counts.

#include <algorithm>
#include <numeric>

#include "bindings/numpy_view.hpp"
#include "ops/rank_counts.hpp"

namespace consilience {
namespace {

using Samples = std::vector<index_t>;

void require_different(const Samples& samples, index_t n, const char* name) {
  std::vector<bool> seen(n, false);
  for (const index_t i : samples) {
    require(0 <= i && i < n && !seen[i], std::string("`") + name + "` must hold different samples");
    seen[i] = true;
  }
}

std::vector<NeighborLists> lists_of(const std::vector<IndexMatrix>& sources, index_t n_rows,
                                    index_t n) {
  std::vector<NeighborLists> lists;
  for (const IndexMatrix& indices : sources) {
    require(indices.ndim() == 2 && indices.shape(0) == n_rows && indices.shape(1) > 0,
            "`sources` must be of shape (n_rows, k)");
    require(all_within(indices, n), "`sources` points outside");
    lists.push_back({indices.data(), n_rows, indices.shape(1)});
  }
  return lists;
}

}  // namespace

void bind_rank_counts(py::module_& m) {
  m.def(
      "rank_counts",
      [](const py::array& X, const std::vector<IndexMatrix>& sources, const Samples& ks,
         const std::optional<Samples>& rows, const std::optional<Samples>& sample, int n_threads) {
        require_blas();
        const Embedding set = embedding(X, "X");
        const index_t n = set.n_samples;
        require(n <= (index_t{1} << 30), "n_samples must be at most 2**30");
        require(!sources.empty() && !ks.empty(), "no sources or no ks");
        require(std::is_sorted(ks.begin(), ks.end()) && ks.front() >= 1, "`ks` must ascend from 1");
        require(!(rows && sample), "sums of the whole matrix take all rows");
        if (rows) require_different(*rows, n, "rows");
        if (sample) require_different(*sample, n, "sample");
        Samples chosen = rows.value_or(Samples(n));
        if (!rows) std::iota(chosen.begin(), chosen.end(), index_t{0});
        const index_t n_rows = static_cast<index_t>(chosen.size());
        const std::vector<NeighborLists> lists = lists_of(sources, n_rows, n);
        for (const NeighborLists& list : lists) {
          require(ks.back() <= list.k, "`ks` exceeds the k of a source");
        }

        const Run run = run_on(n_threads);
        const RankQueries queries{lists, ks, chosen};
        Vector sums({static_cast<index_t>(lists.size()), n_rows, static_cast<index_t>(ks.size())});
        const index_t n_moments = sample ? n : 0;
        const index_t n_sample = sample ? static_cast<index_t>(sample->size()) : 0;
        Vector columns(n_moments), squares(n_moments);
        Matrix block({n_sample, n_sample});
        double *to = sums.mutable_data(), *to_columns = columns.mutable_data();
        double *to_squares = squares.mutable_data(), *to_block = block.mutable_data();
        {
          const py::gil_scoped_release no_gil;
          if (sample) {
            rank_counts(set, queries, run, to, {*sample, to_columns, to_squares, to_block});
          } else {
            rank_counts(set, queries, run, to);
          }
        }
        return py::make_tuple(sums, columns, squares, block);
      },
      "X"_a.noconvert(), py::kw_only(), "sources"_a.noconvert(), "ks"_a, "rows"_a = py::none(),
      "sample"_a = py::none(), "n_threads"_a);
  m.def(
      "count_nearer",
      [](const py::array& X, const py::array& rows, const Indices& selves, const Matrix& squares,
         const Vector& origin, int n_threads) {
        const Embedding set = embedding(X, "X"), asked = embedding(rows, "rows");
        const index_t n_rows = asked.n_samples;
        require(set.n_samples <= (index_t{1} << 30), "n_samples must be at most 2**30");
        require(asked.n_features == set.n_features, "`rows` and `X` differ in n_features");
        require(selves.ndim() == 1 && selves.size() == n_rows, "`selves` must be of all rows");
        require(squares.ndim() == 2 && squares.shape(0) == n_rows && squares.shape(1) > 0,
                "`squares` must be of shape (n_rows, n_squares)");
        require(origin.ndim() == 1 && origin.size() == set.n_features,
                "`origin` must be of shape (n_features,)");
        for (index_t r = 0; r < n_rows; ++r) {
          const double* own = squares.data() + r * squares.shape(1);
          require(std::is_sorted(own, own + squares.shape(1)), "`squares` must ascend");
        }
        const Run run = run_on(n_threads);
        IndexMatrix doubled({n_rows, squares.shape(1)});
        index_t* to = doubled.mutable_data();
        const RankThresholds thresholds{asked, selves.data(), squares.data(), squares.shape(1),
                                        origin.data()};
        {
          const py::gil_scoped_release no_gil;
          count_nearer(set, thresholds, run, to);
        }
        return doubled;
      },
      "X"_a.noconvert(), py::kw_only(), "rows"_a.noconvert(), "selves"_a.noconvert(),
      "squares"_a.noconvert(), "origin"_a.noconvert(), "n_threads"_a);
  m.def(
      "count_nearer_bytes",
      [](index_t n_samples, index_t n_features, index_t n_squares, int n_threads) {
        require(n_samples >= 1 && n_features >= 1 && n_squares >= 1 && n_threads >= 1,
                "sizes must be at least 1");
        return count_nearer_bytes(n_samples, n_features, n_squares, n_threads);
      },
      "n_samples"_a, "n_features"_a, "n_squares"_a, "n_threads"_a);
  m.def(
      "squares_between",
      [](const py::array& Y, const py::array& X, const Indices& i, const Indices& j,
         int n_threads) {
        const Embedding rows = embedding(Y, "Y"), set = embedding(X, "X");
        require(rows.n_features == set.n_features, "`Y` and `X` differ in n_features");
        require(i.ndim() == 1 && j.ndim() == 1 && i.size() == j.size(), "`i` and `j` differ");
        require(all_within(i, rows.n_samples), "`i` points outside");
        require(all_within(j, set.n_samples), "`j` points outside");
        const Run run = run_on(n_threads);
        Vector squares(i.size());
        double* to = squares.mutable_data();
        {
          const py::gil_scoped_release no_gil;
          squares_between(rows, set, i.data(), j.data(), i.size(), run, to);
        }
        return squares;
      },
      "Y"_a.noconvert(), "X"_a.noconvert(), py::kw_only(), "i"_a.noconvert(), "j"_a.noconvert(),
      "n_threads"_a);
  m.def("rank_counts_bytes", &rank_counts_bytes, "n_samples"_a, "n_features"_a, "n_threads"_a);
}

}  // namespace consilience
