#include "cuda/staging.hpp"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>

namespace consilience {
namespace {

constexpr std::size_t kPiece = std::size_t{8} << 20;
constexpr int kPieces = 3;
constexpr std::size_t kThreads = 4;

// By several threads: pages of new memory are filled in as they are touched.
void copy_in_threads(void* to, const void* from, std::size_t bytes) {
  const std::size_t part = (bytes / kThreads / 4096 + 1) * 4096;
  std::vector<std::thread> threads;
  for (std::size_t first = part; first < bytes; first += part) {
    threads.emplace_back([=] {
      std::memcpy(static_cast<char*>(to) + first, static_cast<const char*>(from) + first,
                  std::min(part, bytes - first));
    });
  }
  std::memcpy(to, from, std::min(part, bytes));
  for (std::thread& thread : threads) thread.join();
}

struct Piece {
  void* memory = nullptr;
  cudaEvent_t moved = nullptr;
};

// Made at the first large copy and kept: pinning memory takes longer than a copy.
cudaError_t make(Piece (&pieces)[kPieces]) {
  for (Piece& piece : pieces) {
    if (piece.memory == nullptr) {
      const cudaError_t status = cudaHostAlloc(&piece.memory, kPiece, cudaHostAllocPortable);
      if (status != cudaSuccess) return status;
    }
  }
  return cudaSuccess;
}

}  // namespace

cudaError_t copy_staged(cudaStream_t stream, void* to, const void* from, std::size_t bytes,
                        cudaMemcpyKind kind) {
  if (bytes < kPiece / 2) {
    const cudaError_t status = cudaMemcpyAsync(to, from, bytes, kind, stream);
    const cudaError_t ended = cudaStreamSynchronize(stream);
    return status != cudaSuccess ? status : ended;
  }
  static std::mutex mutex;
  static Piece pieces[kPieces];
  const std::lock_guard<std::mutex> alone(mutex);
  cudaError_t status = make(pieces);
  if (status != cudaSuccess) return status;
  for (Piece& piece : pieces) {  // of the current device
    if (status == cudaSuccess) {
      status = cudaEventCreateWithFlags(&piece.moved, cudaEventDisableTiming);
    }
  }
  const std::size_t count = (bytes + kPiece - 1) / kPiece;
  const auto size = [&](std::size_t p) { return std::min(kPiece, bytes - p * kPiece); };
  const bool home = kind == cudaMemcpyDeviceToHost;
  // Home: pieces are asked for ahead and emptied in order. Away: one is filled when it is free.
  for (std::size_t p = 0; p < count + (home ? kPieces - 1 : 0) && status == cudaSuccess; ++p) {
    if (home && p + 1 >= kPieces) {
      const std::size_t ready = p + 1 - kPieces;
      status = cudaEventSynchronize(pieces[ready % kPieces].moved);
      if (status != cudaSuccess) break;
      copy_in_threads(static_cast<char*>(to) + ready * kPiece, pieces[ready % kPieces].memory,
                      size(ready));
    }
    if (p >= count) continue;
    const Piece& piece = pieces[p % kPieces];
    if (home) {
      status = cudaMemcpyAsync(piece.memory, static_cast<const char*>(from) + p * kPiece, size(p),
                               kind, stream);
    } else {
      if (p >= kPieces) status = cudaEventSynchronize(piece.moved);
      if (status != cudaSuccess) break;
      copy_in_threads(piece.memory, static_cast<const char*>(from) + p * kPiece, size(p));
      status =
          cudaMemcpyAsync(static_cast<char*>(to) + p * kPiece, piece.memory, size(p), kind, stream);
    }
    if (status == cudaSuccess) status = cudaEventRecord(piece.moved, stream);
  }
  const cudaError_t ended = cudaStreamSynchronize(stream);
  for (Piece& piece : pieces) {
    if (piece.moved != nullptr) cudaEventDestroy(piece.moved);
    piece.moved = nullptr;
  }
  return status != cudaSuccess ? status : ended;
}

}  // namespace consilience
