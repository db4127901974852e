// The sweep of knn_exact.cuh by warpgroups (sm_90a): those that multiply look for near pairs, and
// three warps judge and list what is found, so that nobody waits for the lists' memory.
#pragma once

#include "group_tiles.cuh"
#include "knn_lists.cuh"

constexpr int kListingWarps = 3;
constexpr int kPairs = kGroupColumns / 2;
constexpr int kQueue = 256;       // pairs that a warp found and that are not yet judged
constexpr int kStep = 4 * kWarp;  // the most that it finds before it makes room

// -offset and reach of two columns, which are compared with what a row needs.
struct __align__(16) ColumnPair {
  float negated[2], reach[2];
};

// The largest norm, error, |offset| and |reach| of some columns.
struct __align__(16) Largest {
  float norm, error, offset, reach;
};

// Pairs that may be near enough and the sums of their products, as a warp finds them: those before
// `tail` are there, those before `head` are judged.
struct Queue {
  int rows[kQueue], columns[kQueue];
  float sums[kQueue];
  int head, tail, ended;
};

struct SweepShared {
  Queue queues[kMultiplyingWarps];
  ColumnPair pairs[2][kPairs];
  Largest largest[2][4];
  Stages ring;
};

// A pair is judged as csrc/cuda/knn_exact.cuh says.
__device__ __forceinline__ void judge_pair(const Searched& of, const CandidateLists& lists, int i,
                                           int j, float sum) {
  if (!of.meets(i, j)) return;
  const Bounds x = of.bounds_x[i], y = of.bounds_y[j];
  const float most = most_of(of.s, sum, x, y), value = of.s * sum;
  if (most + x.reach >= y.offset) lists.add(i, y.offset - value, j);
  if (of.same && most + y.reach >= x.offset) lists.add(j, x.offset - value, i);
}

// One of the warps that judge what others found, 32 at a time.
__device__ __forceinline__ void judge(const Searched& of, const CandidateLists& lists,
                                      SweepShared& shared, int which) {
  constexpr int kQueues = (kMultiplyingWarps + kListingWarps - 1) / kListingWarps;
  const int lane = lane_index();
  int heads[kQueues] = {};
  bool open = true;
  for (int vain = 0; open; ++vain) {
    if (vain > 0 && lane == 0) relax(vain);
    open = false;
#pragma unroll
    for (int q = 0; q < kQueues; ++q) {
      const int warp = which + q * kListingWarps;
      if (warp >= kMultiplyingWarps) continue;
      Queue& queue = shared.queues[warp];
      // In this order: what was found before the end is seen.
      const bool ended = __shfl_sync(kAllLanes, observe(queue.ended), 0) != 0;
      const int left = __shfl_sync(kAllLanes, observe(queue.tail), 0) - heads[q];
      const int count = min(left, kWarp);
      if (!ended || left > count) open = true;
      if (count == 0 || (count < kWarp && !ended)) continue;
      if (lane < count) {
        const unsigned at = (heads[q] + lane) % static_cast<unsigned>(kQueue);
        judge_pair(of, lists, queue.rows[at], queue.columns[at], queue.sums[at]);
      }
      heads[q] += count;
      __syncwarp();
      if (lane == 0) publish(queue.head, heads[q]);
      vain = -1;
    }
  }
}

// What a row needs of s h_i.h_j less the offset of a column to list it, and with the reach of a
// column to be listed; both with the largest error of the columns, and what float32 rounds away.
struct Needs {
  float to_list, to_be_listed;
};

__device__ __forceinline__ Needs needs_of(const Bounds& x, const Largest& y, float s, bool same) {
  const float error = fmaf(x.error, y.norm, x.norm * y.error);
  const float sizes = fmaf(s * x.norm, y.norm, error);
  const float lost = 1e-6f * (sizes + fabsf(x.reach) + y.offset);
  const float lost_y = 1e-6f * (sizes + fabsf(x.offset) + y.reach);
  return {-(x.reach + error) - lost, same ? x.offset - error - lost_y : infinity_float()};
}

// Returns where the queue begins, once a step of a warp fits behind `tail`.
__device__ __forceinline__ int wait_for_room(Queue& queue, int tail) {
  __syncwarp();
  if (lane_index() == 0) publish(queue.tail, tail);
  for (int vain = 0;; ++vain) {
    const int head = __shfl_sync(kAllLanes, observe(queue.head), 0);
    if (tail + kStep - head <= kQueue) return head;
    if (lane_index() == 0) relax(vain);
  }
}

// What a thread that multiplies does with its products: it finds pairs for those who judge.
struct NearPairs {
  const Searched& of;
  SweepShared& shared;
  int head = 0, tail = 0;       // of the warp's queue
  Bounds x[2] = {}, y[2] = {};  // of its rows, and of the two columns that it tells the others of

  __device__ __forceinline__ void expect(index_t row, index_t first) {
    const Bounds nobody = {0.0f, 0.0f, infinity_float(), -infinity_float()};
    const index_t column = first + 2 * (threadIdx.x % 128);
#pragma unroll
    for (int t = 0; t < 2; ++t) {
      y[t] = column + t < of.n_y ? of.bounds_y[column + t] : nobody;
      x[t] = row + 8 * t < of.n_x ? of.bounds_x[row + 8 * t] : nobody;
    }
  }

  // Needs of its rows, and all columns' part in shared memory, once the warpgroup has met.
  __device__ __forceinline__ void exchange(Needs (&needs)[2], index_t first) {
    const int group = warp_index() / 4, lane = lane_index();
    const index_t column = first + 2 * (threadIdx.x % 128);
    ColumnPair own;
    Largest most = {0.0f, 0.0f, 0.0f, 0.0f};
#pragma unroll
    for (int t = 0; t < 2; ++t) {
      own.negated[t] = -y[t].offset;
      own.reach[t] = of.same ? y[t].reach : -infinity_float();
      if (column + t >= of.n_y) continue;
      most.norm = fmaxf(most.norm, y[t].norm);
      most.error = fmaxf(most.error, y[t].error);
      most.offset = fmaxf(most.offset, fabsf(y[t].offset));
      most.reach = fmaxf(most.reach, fabsf(y[t].reach));
    }
    most = {warp_max(most.norm), warp_max(most.error), warp_max(most.offset), warp_max(most.reach)};
    group_sync(group);  // nobody reads those of the tile before any more
    shared.pairs[group][threadIdx.x % 128] = own;
    if (lane == 0) shared.largest[group][warp_index() % 4] = most;
    group_sync(group);
    most = shared.largest[group][0];
#pragma unroll
    for (int w = 1; w < 4; ++w) {
      const Largest other = shared.largest[group][w];
      most = {fmaxf(most.norm, other.norm), fmaxf(most.error, other.error),
              fmaxf(most.offset, other.offset), fmaxf(most.reach, other.reach)};
    }
    needs[0] = needs_of(x[0], most, of.s, of.same);
    needs[1] = needs_of(x[1], most, of.s, of.same);
  }

  __device__ __forceinline__ void take(const float (&sums)[128], index_t row, index_t first) {
    const int group = warp_index() / 4, lane = lane_index();
    const unsigned before = (1u << lane) - 1u;  // the lanes
    Queue& queue = shared.queues[warp_index()];
    Needs needs[2];
    exchange(needs, first);
    const int first_row = static_cast<int>(row);
    const int first_column = static_cast<int>(first) + lane % 4 * 2;
#pragma unroll
    for (int j = 0; j < kGroupColumns / 8; ++j) {
      const ColumnPair pair = shared.pairs[group][4 * j + lane % 4];
      bool near[4];
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const float value = sums[4 * j + e];
        near[e] = fmaf(of.s, value, pair.negated[e % 2]) >= needs[e / 2].to_list ||
                  fmaf(of.s, value, pair.reach[e % 2]) >= needs[e / 2].to_be_listed;
      }
      if (!__any_sync(kAllLanes, near[0] || near[1] || near[2] || near[3])) continue;
      if (tail + kStep - head > kQueue) head = wait_for_room(queue, tail);
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const unsigned found = __ballot_sync(kAllLanes, near[e]);
        if (near[e]) {
          const unsigned at = (tail + __popc(found & before)) % static_cast<unsigned>(kQueue);
          queue.rows[at] = first_row + e / 2 * 8;
          queue.columns[at] = first_column + 8 * j + e % 2;
          queue.sums[at] = sums[4 * j + e];
        }
        tail += __popc(found);
      }
    }
    __syncwarp();
    if (lane == 0) publish(queue.tail, tail);
  }

  __device__ __forceinline__ void end() {
    if (lane_index() == 0) publish(shared.queues[warp_index()].ended, 1);
  }
};

// Candidates of all rows X among the rows Y.
__device__ __forceinline__ void sweep_by_groups(const Searched& of, const CandidateLists& lists) {
  auto* bricks = aligned_shared<unsigned short, 1024>(dynamic_shared());
  auto& shared = behind<SweepShared>(bricks);
  if (threadIdx.x == 0) shared.ring.start();
  if (threadIdx.x < kMultiplyingWarps) {
    Queue& queue = shared.queues[threadIdx.x];
    queue.head = queue.tail = queue.ended = 0;
  }
  __syncthreads();
  if (threadIdx.x < kMultiplying) {
    more_registers<kRegistersMultiplying>();
    NearPairs near = {of, shared};
    multiply_tiles(of, bricks, shared.ring, near);
    near.end();
  } else {
    fewer_registers<kRegistersOthers>();
    const int which = warp_index() - kMultiplyingWarps;
    if (which < kListingWarps) {
      judge(of, lists, shared, which);
    } else if (lane_index() == 0) {
      bring(of, bricks, shared.ring);
    }
  }
}
