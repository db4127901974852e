// Python face of graph_terms.

#include "bindings/numpy_view.hpp"
#include "ops/graph_terms.hpp"

namespace consilience {

namespace {

using Members = py::array_t<Splits, kPlain>;

const Splits* member_data(const Members& members, index_t n, index_t k, const char* name) {
  require(members.ndim() == 2 && members.shape(0) == n && members.shape(1) == k,
          std::string("`") + name + "` must have the shape of its lists");
  return members.data();
}

void require_splits(int n_splits) {
  require(1 <= n_splits && n_splits <= kMostSplits, "`n_splits` must be in [1, 32]");
}

}  // namespace

void bind_graph_terms(py::module_& m) {
  m.def(
      "edge_values",
      [](const py::array& X, const IndexMatrix& indices, const Vector& origin,
         const std::optional<Matrix>& products, const std::optional<Indices>& rows, int n_threads) {
        const Embedding set = embedding(X, "X");
        const NeighborLists graph = neighbor_lists(indices, rows, set.n_samples, "indices");
        require(origin.size() == set.n_features, "`origin` must have one entry per feature");
        const double* known = edge_data(products, indices, "products");
        const Run run = run_on(n_threads);
        Matrix values({graph.n_rows, graph.k});
        double* out = values.mutable_data();
        {
          const py::gil_scoped_release no_gil;
          edge_values(set, graph, origin.data(), known, run, out);
        }
        return values;
      },
      "X"_a.noconvert(), "indices"_a.noconvert(), "origin"_a.noconvert(), py::kw_only(),
      "products"_a.noconvert() = py::none(), "rows"_a.noconvert() = py::none(), "n_threads"_a);

  m.def(
      "graph_terms",
      [](const IndexMatrix& indices_x, const IndexMatrix& indices_y, const std::optional<Matrix>& e,
         const std::optional<Matrix>& f, int n_threads) {
        const NeighborLists x = neighbor_lists(indices_x, indices_x.shape(0), "indices_x");
        const NeighborLists y = neighbor_lists(indices_y, x.n_rows, "indices_y");
        const double* e_data = edge_data(e, indices_x, "e");
        const double* f_data = edge_data(f, indices_y, "f");
        const Run run = run_on(n_threads);
        py::array_t<index_t> overlap(x.n_rows);
        std::vector<Vector> sums;
        for (int s = 0; s < 6; ++s) sums.emplace_back(x.n_rows);
        const GraphTerms out{overlap.mutable_data(), sums[0].mutable_data(), sums[1].mutable_data(),
                             sums[2].mutable_data(), sums[3].mutable_data(), sums[4].mutable_data(),
                             sums[5].mutable_data()};
        {
          const py::gil_scoped_release no_gil;
          graph_terms(x, y, e_data, f_data, run, out);
        }
        return py::make_tuple(overlap, sums[0], sums[1], sums[2], sums[3], sums[4], sums[5]);
      },
      "indices_x"_a.noconvert(), "indices_y"_a.noconvert(), "e"_a.noconvert().none(true),
      "f"_a.noconvert().none(true), py::kw_only(), "n_threads"_a);

  m.def(
      "overlap_terms",
      [](const IndexMatrix& indices_x, const IndexMatrix& indices_y, const std::optional<Matrix>& e,
         const std::optional<Matrix>& f, const std::optional<index_t>& n_samples, int n_threads) {
        const index_t n_rows = indices_x.shape(0), n = n_samples.value_or(n_rows);
        const NeighborLists x = neighbor_lists(indices_x, n_rows, n, "indices_x");
        const NeighborLists y = neighbor_lists(indices_y, n_rows, n, "indices_y");
        const double* e_data = edge_data(e, indices_x, "e");
        const double* f_data = edge_data(f, indices_y, "f");
        const Run run = run_on(n_threads);
        py::array_t<index_t> overlap(x.n_rows);
        Vector products(x.n_rows);
        index_t* overlap_data = overlap.mutable_data();
        double* products_data = products.mutable_data();
        {
          const py::gil_scoped_release no_gil;
          overlap_terms(x, y, e_data, f_data, run, overlap_data, products_data);
        }
        return py::make_tuple(overlap, products);
      },
      "indices_x"_a.noconvert(), "indices_y"_a.noconvert(), "e"_a.noconvert().none(true),
      "f"_a.noconvert().none(true), py::kw_only(), "n_samples"_a = py::none(), "n_threads"_a);

  m.def(
      "lists_within",
      [](const IndexMatrix& indices, const Indices& group, index_t k,
         const std::optional<Indices>& rows, int n_threads) {
        require(group.ndim() == 1, "`group` must be of shape (n_samples,)");
        const NeighborLists graph = neighbor_lists(indices, rows, group.size(), "indices");
        require(1 <= k && k <= graph.k, "`k` must be in [1, the k of the graph]");
        const Run run = run_on(n_threads);
        py::array_t<index_t> places({graph.n_rows, k});
        index_t* out = places.mutable_data();
        {
          const py::gil_scoped_release no_gil;
          lists_within(graph, group.data(), k, run, out);
        }
        return places;
      },
      "indices"_a.noconvert(), "group"_a.noconvert(), py::kw_only(), "k"_a,
      "rows"_a.noconvert() = py::none(), "n_threads"_a);

  m.def(
      "members_within",
      [](const IndexMatrix& indices, const Members& halves, index_t k,
         const std::optional<Indices>& rows, int n_threads) {
        require(halves.ndim() == 1, "`halves` must be of shape (n_samples,)");
        const NeighborLists graph = neighbor_lists(indices, rows, halves.size(), "indices");
        require(1 <= k && k <= graph.k, "`k` must be in [1, the k of the graph]");
        const Run run = run_on(n_threads);
        Members members({graph.n_rows, graph.k});
        Splits* out = members.mutable_data();
        {
          const py::gil_scoped_release no_gil;
          members_within(graph, halves.data(), k, run, out);
        }
        return members;
      },
      "indices"_a.noconvert(), "halves"_a.noconvert(), py::kw_only(), "k"_a,
      "rows"_a.noconvert() = py::none(), "n_threads"_a);

  m.def(
      "overlap_within",
      [](const IndexMatrix& indices_x, const IndexMatrix& indices_y, const Members& members_x,
         const Members& members_y, const std::optional<Matrix>& e, const std::optional<Matrix>& f,
         int n_splits, const std::optional<index_t>& n_samples, int n_threads) {
        const index_t n_rows = indices_x.shape(0), n = n_samples.value_or(n_rows);
        const NeighborLists x = neighbor_lists(indices_x, n_rows, n, "indices_x");
        const NeighborLists y = neighbor_lists(indices_y, n_rows, n, "indices_y");
        const Splits* of_x = member_data(members_x, n_rows, x.k, "members_x");
        const Splits* of_y = member_data(members_y, n_rows, y.k, "members_y");
        const double* e_data = edge_data(e, indices_x, "e");
        const double* f_data = edge_data(f, indices_y, "f");
        require_splits(n_splits);
        const Run run = run_on(n_threads);
        Matrix products({static_cast<index_t>(n_splits), n_rows});
        double* out = products.mutable_data();
        {
          const py::gil_scoped_release no_gil;
          overlap_within(x, y, of_x, of_y, e_data, f_data, n_splits, run, out);
        }
        return products;
      },
      "indices_x"_a.noconvert(), "indices_y"_a.noconvert(), "members_x"_a.noconvert(),
      "members_y"_a.noconvert(), "e"_a.noconvert().none(true), "f"_a.noconvert().none(true),
      py::kw_only(), "n_splits"_a, "n_samples"_a = py::none(), "n_threads"_a);

  m.def(
      "nth_within",
      [](const Matrix& values, const Members& members, index_t order, int n_splits, int n_threads) {
        require(values.ndim() == 2 && values.shape(1) > 0, "`values` must be of shape (n_rows, k)");
        const index_t n = values.shape(0), k = values.shape(1);
        const Splits* which = member_data(members, n, k, "members");
        require(1 <= order && order <= k, "`order` must be in [1, k]");
        require_splits(n_splits);
        const Run run = run_on(n_threads);
        Matrix nth({static_cast<index_t>(n_splits), n});
        double* out = nth.mutable_data();
        {
          const py::gil_scoped_release no_gil;
          nth_within(values.data(), which, n, k, order, n_splits, run, out);
        }
        return nth;
      },
      "values"_a.noconvert(), "members"_a.noconvert(), py::kw_only(), "order"_a, "n_splits"_a,
      "n_threads"_a);

  m.def(
      "list_terms",
      [](const IndexMatrix& indices_x, const IndexMatrix& indices_y, bool cycle, bool lcs,
         bool edit, const std::optional<index_t>& n_samples, int n_threads) {
        const index_t n_rows = indices_x.shape(0), n = n_samples.value_or(n_rows);
        const NeighborLists x = neighbor_lists(indices_x, n_rows, n, "indices_x");
        const NeighborLists y = neighbor_lists(indices_y, n_rows, n, "indices_y");
        require(!cycle || n == n_rows, "`cycle` takes the lists of all samples");
        const Run run = run_on(n_threads);
        const auto make = [&](bool wanted) { return Vector(wanted ? x.n_rows : 0); };
        Vector cycles = make(cycle), lengths = make(lcs), edits = make(edit);
        const ListTerms out{cycle ? cycles.mutable_data() : nullptr,
                            lcs ? lengths.mutable_data() : nullptr,
                            edit ? edits.mutable_data() : nullptr};
        {
          const py::gil_scoped_release no_gil;
          list_terms(x, y, run, out);
        }
        return py::make_tuple(cycles, lengths, edits);
      },
      "indices_x"_a.noconvert(), "indices_y"_a.noconvert(), py::kw_only(), "cycle"_a, "lcs"_a,
      "edit"_a, "n_samples"_a = py::none(), "n_threads"_a);

  m.def(
      "list_draws",
      [](const IndexMatrix& indices_x, const IndexMatrix& indices_y,
         const IndexMatrix& permutations, bool jaccard, bool cycle, bool lcs, bool edit,
         int n_threads) {
        const NeighborLists x = neighbor_lists(indices_x, indices_x.shape(0), "indices_x");
        const NeighborLists y = neighbor_lists(indices_y, x.n_rows, "indices_y");
        require_permutations(permutations, x.n_rows);
        const Run run = run_on(n_threads);
        const auto make = [&](bool wanted) { return Vector(wanted ? permutations.shape(0) : 0); };
        Vector shares = make(jaccard), cycles = make(cycle), lengths = make(lcs),
               edits = make(edit);
        const ListDraws out{
            jaccard ? shares.mutable_data() : nullptr, cycle ? cycles.mutable_data() : nullptr,
            lcs ? lengths.mutable_data() : nullptr, edit ? edits.mutable_data() : nullptr};
        {
          const py::gil_scoped_release no_gil;
          list_draws(x, y, permutations.data(), permutations.shape(0), run, out);
        }
        return py::make_tuple(shares, cycles, lengths, edits);
      },
      "indices_x"_a.noconvert(), "indices_y"_a.noconvert(), "permutations"_a.noconvert(),
      py::kw_only(), "jaccard"_a, "cycle"_a, "lcs"_a, "edit"_a, "n_threads"_a);
}

}  // namespace consilience
