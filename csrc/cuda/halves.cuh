// How rows of halves lie in memory: bricks of 128 rows x 64 features, each as a tensor core wants
// it in shared memory, so that one copy brings it. [row block][chunk of features][row][feature]
#pragma once

#include "common.cuh"

constexpr int kBrickRows = 128, kBrickFeatures = 64;
constexpr int kBrick = kBrickRows * kBrickFeatures;  // halves, 16 KiB

struct __align__(16) Piece {
  unsigned words[4];  // eight halves
};

// Eight pieces of a row are exchanged so that eight rows are read without bank conflicts.
__device__ __forceinline__ int in_brick(int row, int piece) {
  return row * kBrickFeatures + (piece ^ (row & 7)) * 8;
}

// `chunks` bricks hold the features of a row.
__device__ __forceinline__ index_t half_at(index_t row, index_t feature, index_t chunks) {
  const index_t brick = row / kBrickRows * chunks + feature / kBrickFeatures;
  const int within =
      in_brick(static_cast<int>(row % kBrickRows), static_cast<int>(feature % kBrickFeatures) / 8);
  return brick * kBrick + within + feature % 8;
}

// Some rows, and zeros up to a whole brick. A warp a row.
extern "C" __global__ void __launch_bounds__(256)
    gather_halves(const unsigned short* table, index_t chunks, const index_t* ids, index_t count,
                  unsigned short* gathered) {
  const index_t q = static_cast<index_t>(blockIdx.x) * 8 + warp_index();
  if (q >= (count + kBrickRows - 1) / kBrickRows * kBrickRows) return;
  for (index_t f = 8 * lane_index(); f < chunks * kBrickFeatures; f += 8 * kWarp) {
    Piece piece = {};
    if (q < count) piece = *reinterpret_cast<const Piece*>(table + half_at(ids[q], f, chunks));
    *reinterpret_cast<Piece*>(gathered + half_at(q, f, chunks)) = piece;
  }
}
