// graph_terms on a GPU: a warp per row, and a binary search of k entries in the first cache per
// edge; edge_values: a warp per edge, 4 or 8 bytes gathered and 3 flops per feature. Lists come as
// int32, sorted, with the places that their entries had. CPU twin: cpu/graph_terms.cpp.
#pragma once

#include "common.cuh"
#include "exact.cuh"
#include "fixed_sums.cuh"

// Where an entry stands in an ascending list, or -1.
__device__ __forceinline__ int place_in(const int* list, int count, int entry) {
  int low = 0, high = count;
  while (low < high) {
    const int middle = (low + high) / 2;
    if (list[middle] < entry) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low < count && list[low] == entry ? low : -1;
}

// entries: each list ascending;  places: where in the list as it came. Both (n_rows, k).
// A thread counts who stands before its entry: O(k^2) a row, once per graph.
extern "C" __global__ void __launch_bounds__(256)
    sort_lists(const index_t* lists, index_t n_rows, index_t k, int* entries, int* places) {
  const index_t edge = static_cast<index_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (edge >= n_rows * k) return;
  const index_t s = edge % k, own = lists[edge];
  const index_t* list = lists + (edge - s);
  index_t before = 0;
  for (index_t t = 0; t < k; ++t) before += list[t] < own || (list[t] == own && t < s);
  entries[edge - s + before] = static_cast<int>(own);
  places[edge - s + before] = static_cast<int>(s);
}

// values[i, s] = sum_f x_if (x_jf - origin_f), j being the entry that came at place s; rows: which
// samples the lists are of, null: all; origin: null: 0. Sums in the order of cpu/exact.cpp.
extern "C" __global__ void __launch_bounds__(256)
    edge_values(const void* X, index_t d, index_t is_double, const int* entries, const int* places,
                const index_t* rows, index_t n_edges, index_t k, const double* origin,
                double* values) {
  const index_t edge = static_cast<index_t>(blockIdx.x) * (blockDim.x / kWarp) + warp_index();
  if (edge >= n_edges) return;
  const index_t row = edge / k, i = rows ? rows[row] : row, j = entries[edge];
  double sum = 0.0;
  for (index_t f = lane_index(); f < d; f += kWarp) {
    const double to = entry(X, j * d + f, is_double);
    sum += entry(X, i * d + f, is_double) * (origin ? to - origin[f] : to);
  }
  sum = warp_sum(sum);
  if (lane_index() == 0) values[row * k + places[edge]] = sum;
}

extern "C" __global__ void __launch_bounds__(256)
    pair_distances(const void* X, index_t d, index_t is_double, const index_t* i, const index_t* j,
                   index_t n_pairs, double* distances) {
  const index_t pair = static_cast<index_t>(blockIdx.x) * (blockDim.x / kWarp) + warp_index();
  if (pair >= n_pairs) return;
  const double key = exact_key(X, i[pair], X, j[pair], d, is_double, 0);
  if (lane_index() == 0) distances[pair] = sqrt(key);
}

struct SortedLists {
  const int *entries, *places;
  index_t k;
  const double* values;  // by the places they came in; null: 1

  __device__ __forceinline__ int find(index_t row, int entry) const {
    return place_in(entries + row * k, static_cast<int>(k), entry);
  }
  __device__ __forceinline__ index_t edge(index_t row, index_t at) const {
    return row * k + places[row * k + at];
  }
  __device__ __forceinline__ double value(index_t row, index_t at) const {
    return values ? values[edge(row, at)] : 1.0;
  }
};

extern "C" __global__ void __launch_bounds__(256)
    overlap_terms(const int* entries_x, const int* places_x, index_t k_x, const double* e,
                  const int* entries_y, const int* places_y, index_t k_y, const double* f,
                  index_t n_rows, index_t* overlap, double* products) {
  const index_t row = static_cast<index_t>(blockIdx.x) * (blockDim.x / kWarp) + warp_index();
  if (row >= n_rows) return;
  const SortedLists x = {entries_x, places_x, k_x, e}, y = {entries_y, places_y, k_y, f};
  int count = 0;
  double sum = 0.0;
  for (index_t s = lane_index(); s < k_x; s += kWarp) {
    const int at = y.find(row, entries_x[row * k_x + s]);
    if (at < 0) continue;
    ++count;
    sum += x.value(row, s) * y.value(row, at);
  }
  count = warp_sum(count);
  sum = warp_sum(sum);
  if (lane_index() == 0) {
    overlap[row] = count;
    products[row] = sum;
  }
}

// sums: products, rows_e, rows_f, reciprocal, (4, n);  columns: of e, then of f, each in fixed
// point of its scale, (2, kFixedParts, n).
extern "C" __global__ void __launch_bounds__(256)
    graph_terms(const int* entries_x, const int* places_x, index_t k_x, const double* e,
                double scale_e, const int* entries_y, const int* places_y, index_t k_y,
                const double* f, double scale_f, index_t n, double unit, index_t* overlap,
                double* sums, unsigned long long* columns) {
  const index_t row = static_cast<index_t>(blockIdx.x) * (blockDim.x / kWarp) + warp_index();
  if (row >= n) return;
  const SortedLists x = {entries_x, places_x, k_x, e}, y = {entries_y, places_y, k_y, f};
  int count = 0;
  double products = 0.0, rows_e = 0.0, rows_f = 0.0, reciprocal = 0.0;
  for (index_t s = lane_index(); s < k_x; s += kWarp) {
    const int to = entries_x[row * k_x + s], at = y.find(row, to);
    if (at < 0) continue;
    const double of_x = x.value(row, s), of_y = y.value(row, at);
    ++count;
    products += of_x * of_y;
    rows_e += of_x;
    rows_f += of_y;
    add_fixed(columns + to, n, of_x * scale_e, unit);
    add_fixed(columns + kFixedParts * n + to, n, of_y * scale_f, unit);
    const int self = static_cast<int>(row), back = y.find(to, self);
    if (back >= 0 && x.find(to, self) >= 0) reciprocal += of_x * y.value(to, back);
  }
  count = warp_sum(count);
  products = warp_sum(products);
  rows_e = warp_sum(rows_e);
  rows_f = warp_sum(rows_f);
  reciprocal = warp_sum(reciprocal);
  if (lane_index() == 0) {
    overlap[row] = count;
    sums[row] = products;
    sums[n + row] = rows_e;
    sums[2 * n + row] = rows_f;
    sums[3 * n + row] = reciprocal;
  }
}

// products[t, i] = the sum over shared edges that are members of both under split t: a lane's.
extern "C" __global__ void __launch_bounds__(256)
    overlap_within(const int* entries_x, const int* places_x, index_t k_x, const double* e,
                   const unsigned* members_x, const int* entries_y, const int* places_y,
                   index_t k_y, const double* f, const unsigned* members_y, index_t n_rows,
                   index_t n_splits, double* products) {
  const index_t row = static_cast<index_t>(blockIdx.x) * (blockDim.x / kWarp) + warp_index();
  if (row >= n_rows) return;
  const SortedLists x = {entries_x, places_x, k_x, e}, y = {entries_y, places_y, k_y, f};
  double sum = 0.0;
  for (index_t first = 0; first < k_x; first += kWarp) {
    const index_t s = first + lane_index();
    unsigned both = 0;
    double product = 0.0;
    const int at = s < k_x ? y.find(row, entries_x[row * k_x + s]) : -1;
    if (at >= 0) {
      both = members_x[x.edge(row, s)] & members_y[y.edge(row, at)];
      product = x.value(row, s) * y.value(row, at);
    }
    for (unsigned left = __ballot_sync(kAllLanes, both != 0); left; left &= left - 1) {
      const int from = __ffs(static_cast<int>(left)) - 1;
      const unsigned splits = __shfl_sync(kAllLanes, both, from);
      const double added = __shfl_sync(kAllLanes, product, from);
      if (splits >> lane_index() & 1) sum += added;
    }
  }
  if (lane_index() < n_splits) products[lane_index() * n_rows + row] = sum;
}
