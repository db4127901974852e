// Products of tiles by mma.sync, which every GPU since Ampere has: where there are no warpgroups,
// and for rows in two halves.
#pragma once

#include "halves.cuh"
#include "knn_lists.cuh"

constexpr int kTileRows = 128;     // of a block of 8 warps, 2 x 4
constexpr int kTileColumns = 128;  // two blocks a multiprocessor, one multiplies as the other lists
constexpr int kChunk = 32;         // features multiplied at a time, 64 bytes
constexpr int kStages = 4;         // chunks on their way
constexpr int kSharedBytes = kStages * (kTileRows + kTileColumns) * kChunk * 2;
static_assert(kTileRows == kBrickRows && kTileColumns == kBrickRows, "tiles are of whole bricks");

// Where 16 bytes of a row of a chunk lie, so that eight rows are read without bank conflicts.
__device__ __forceinline__ int swizzled(int row, int piece) {
  return row * kChunk + (piece ^ ((row >> 1) & 3)) * 8;
}

struct Tile {
  index_t row, column;  // of its first entry
};

// Rows in groups, so that blocks which run together share what they read.
__device__ __forceinline__ Tile tile_of(index_t block, index_t n_columns) {
  const index_t across = (n_columns + kTileColumns - 1) / kTileColumns;
  const index_t group = block / (across * kGroup), inside = block % (across * kGroup);
  return {(group * kGroup + inside % kGroup) * kTileRows, inside / kGroup * kTileColumns};
}

// Products of kTileRows rows of X and kTileColumns of Y, in fragments. kTerms = 1: h.h'. kTerms =
// 3: rows are [high | low], and low.high' + high.low' + high.high' are summed a chunk at a time,
// which keeps the error of sums below that of the rest.
template <int kTerms>
struct Product {
  static constexpr int kAcross = kTileColumns / 4 / 8;  // fragments of a warp, of 16 x 8
  float sums[4][kAcross][4];

  static constexpr int kStageHalves = (kTileRows + kTileColumns) * kChunk;

  __device__ __forceinline__ void load(unsigned short* stage, const unsigned short* X,
                                       const unsigned short* Y, index_t chunks, Tile tile,
                                       int chunk, int per_term) {
    const int term = kTerms == 1 ? 0 : chunk / per_term;
    const int at = kTerms == 1 ? chunk : chunk % per_term;
    const int at_x = at + (kTerms == 3 && term == 0 ? per_term : 0);
    const int at_y = at + (kTerms == 3 && term == 1 ? per_term : 0);
    const int piece = threadIdx.x % 4;
#pragma unroll
    for (int pass = 0; pass < (kTileRows + kTileColumns) / 64; ++pass) {
      const bool of_x = pass < kTileRows / 64;
      const int row = pass * 64 + threadIdx.x / 4, own = of_x ? row : row - kTileRows;
      const int part = of_x ? at_x : at_y;  // half a brick
      const index_t block = (of_x ? tile.row : tile.column) / kBrickRows;
      const unsigned short* brick = (of_x ? X : Y) + (block * chunks + part / 2) * kBrick;
      copy_async(stage + swizzled(row, piece), brick + in_brick(own, part % 2 * 4 + piece));
    }
  }

  __device__ __forceinline__ void multiply(const unsigned short* stage,
                                           float (&into)[4][kAcross][4]) {
    const int lane = lane_index();
    const int rows = warp_index() / 4 * 64,
              columns = kTileRows + warp_index() % 4 * (kTileColumns / 4);
#pragma unroll
    for (int step = 0; step < kChunk / 16; ++step) {
      unsigned a[4][4], b[kAcross / 2][4];
#pragma unroll
      for (int m = 0; m < 4; ++m) {
        load_matrices(a[m], stage + swizzled(rows + 16 * m + lane % 16, 2 * step + lane / 16));
      }
#pragma unroll
      for (int m = 0; m < kAcross / 2; ++m) {
        load_matrices(b[m], stage + swizzled(columns + 16 * m + lane / 16 * 8 + lane % 8,
                                             2 * step + lane / 8 % 2));
      }
#pragma unroll
      for (int m = 0; m < 4; ++m) {
#pragma unroll
        for (int p = 0; p < kAcross; ++p) {
          multiply_add(into[m][p], a[m], b[p / 2][p % 2 * 2], b[p / 2][p % 2 * 2 + 1]);
        }
      }
    }
  }

  __device__ __forceinline__ void run(unsigned short* shared, const unsigned short* X,
                                      const unsigned short* Y, index_t chunks, Tile tile) {
    const int halves = static_cast<int>(chunks) * (kBrickFeatures / kChunk);
    const int per_term = kTerms == 1 ? halves : halves / 2;
    const int n_chunks = per_term * kTerms;
#pragma unroll
    for (int m = 0; m < 4; ++m) {
#pragma unroll
      for (int p = 0; p < kAcross; ++p) {
#pragma unroll
        for (int r = 0; r < 4; ++r) sums[m][p][r] = 0.0f;
      }
    }
#pragma unroll
    for (int chunk = 0; chunk < kStages - 1; ++chunk) {
      if (chunk < n_chunks) {
        load(shared + chunk * kStageHalves, X, Y, chunks, tile, chunk, per_term);
      }
      copy_commit();
    }
    for (int chunk = 0; chunk < n_chunks; ++chunk) {
      copy_wait<kStages - 2>();
      __syncthreads();
      const int next = chunk + kStages - 1;
      if (next < n_chunks) {
        load(shared + next % kStages * kStageHalves, X, Y, chunks, tile, next, per_term);
      }
      copy_commit();
      const unsigned short* stage = shared + chunk % kStages * kStageHalves;
      if constexpr (kTerms == 1) {
        multiply(stage, sums);
      } else {
        float part[4][kAcross][4] = {};
        multiply(stage, part);
#pragma unroll
        for (int m = 0; m < 4; ++m) {
#pragma unroll
          for (int p = 0; p < kAcross; ++p) {
#pragma unroll
            for (int r = 0; r < 4; ++r) sums[m][p][r] += part[m][p][r];
          }
        }
      }
    }
  }

  // Where this thread's entries lie in the tile: entry (m, half, p, odd) is sums[m][p][2 half +
  // odd].
  __device__ __forceinline__ static int row(int m, int half) {
    return warp_index() / 4 * 64 + lane_index() / 4 + 16 * m + 8 * half;
  }
  __device__ __forceinline__ static int column(int p, int odd) {
    return warp_index() % 4 * (kTileColumns / 4) + lane_index() % 4 * 2 + 8 * p + odd;
  }
};
