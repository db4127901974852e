// joint_nearest on a GPU; CPU twin: cpu/joint_nearest.cpp. An addition and a comparison per entry
// and pair, in registers; a warp reads 8 rows of squares for 16 pairs, its neighbours in the block
// mostly the same ones.
#pragma once

#include "squares.cuh"

constexpr int kJointSide = 4;  // sets whose pairs with so many others a warp looks at
constexpr int kJointPairs = kJointSide * kJointSide;
constexpr int kStepsTogether = 8;  // of a block's warps, so that what one reads the others find

// Of row r and each pair of sets units[u, 0] + s, units[u, 1] + t: the two j of smallest
// squares[a, r, j] + squares[b, r, j], in found[u, 4 s + t, r, :]. Sets that there are not are the
// last one. A warp per unit.
extern "C" __global__ void __launch_bounds__(256, 2)
    joint_candidates(const double* __restrict__ squares, index_t n_sets, index_t n_rows, index_t n,
                     const index_t* units, index_t n_units, int* found) {
  const index_t asked = static_cast<index_t>(blockIdx.x) * (blockDim.x / kWarp) + warp_index();
  const index_t unit = min(asked, n_units - 1), r = blockIdx.y;
  const double* rows[2][kJointSide];
  for (int side = 0; side < 2; ++side) {
    for (int s = 0; s < kJointSide; ++s) {
      const index_t set = min(units[2 * unit + side] + s, n_sets - 1);
      rows[side][s] = squares + (set * n_rows + r) * n;
    }
  }
  // The second smallest so far, known to all lanes; of pair p, lane p knows the rest.
  double second[kJointPairs], nearest = infinity();
  int places[2] = {-1, -1};
  for (int p = 0; p < kJointPairs; ++p) second[p] = infinity();
  for (index_t start = 0; start < n; start += kStepsTogether * kWarp) {
    __syncthreads();
    const index_t stop = min(n, start + kStepsTogether * kWarp);
    for (index_t first = start; first < stop; first += kWarp) {
      const index_t j = first + lane_index();
      double x[kJointSide], y[kJointSide];
      for (int s = 0; s < kJointSide; ++s) {
        x[s] = j < n ? rows[0][s][j] : infinity();
        y[s] = j < n ? rows[1][s][j] : infinity();
      }
      bool nearer = false;
      for (int p = 0; p < kJointPairs; ++p) {
        nearer |= x[p / kJointSide] + y[p % kJointSide] < second[p];
      }
      if (!__any_sync(kAllLanes, nearer)) continue;
      for (int p = 0; p < kJointPairs; ++p) {
        const double sum = x[p / kJointSide] + y[p % kJointSide];
        unsigned voters = __ballot_sync(kAllLanes, sum < second[p]);
        while (voters != 0) {
          const int lane = __ffs(static_cast<int>(voters)) - 1;
          voters &= voters - 1;
          const double value = __shfl_sync(kAllLanes, sum, lane);
          if (!(value < second[p])) continue;
          const double least = __shfl_sync(kAllLanes, nearest, p);
          const int place = static_cast<int>(first) + lane;
          second[p] = value < least ? least : value;
          if (lane_index() == p) {
            places[1] = value < least ? places[0] : place;
            places[0] = value < least ? place : places[0];
            nearest = value < least ? value : least;
          }
        }
      }
    }
  }
  if (asked < n_units && lane_index() < kJointPairs) {
    int* to = found + ((unit * kJointPairs + lane_index()) * n_rows + r) * 2;
    to[0] = places[0];
    to[1] = places[1];
  }
}

// distances[p, r, :] = the distances of sample queries[r], or first + r, to those found for pair p, ascending, from
// differences. A pair is (set, set, place in `found`), a set (address, features, is_double).
// A warp per row and pair.
extern "C" __global__ void __launch_bounds__(256)
    joint_distances(const index_t* sets, const index_t* pairs, const int* found,
                    const index_t* queries, index_t first, index_t n_rows, double* distances) {
  const index_t p = blockIdx.x;
  const index_t r = static_cast<index_t>(blockIdx.y) * (blockDim.x / kWarp) + warp_index();
  if (r >= n_rows) return;  // with its whole warp
  const int* places = found + (pairs[3 * p + 2] * n_rows + r) * 2;
  const index_t i = queries ? queries[r] : first + r;
  double one = 0.0, other = 0.0;
  for (int side = 0; side < 2; ++side) {
    const index_t* set = sets + 3 * pairs[3 * p + side];
    const void* X = reinterpret_cast<const void*>(set[0]);
    one += exact_key(X, i, X, places[0], set[1], set[2], 0);
    other += exact_key(X, i, X, places[1], set[1], set[2], 0);
  }
  if (lane_index() == 0) {
    double* to = distances + (p * n_rows + r) * 2;
    to[0] = sqrt(fmin(one, other));
    to[1] = sqrt(fmax(one, other));
  }
}
