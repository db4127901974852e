// Enough of CUDA C++ to run its kernels on a CPU, for tests on machines without a GPU: every thread
// of a block is a fiber, blocks run one after another. Slow, deterministic, and it notices threads
// that wait for each other in vain.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <stdexcept>
#include <vector>

#include "emulated/fiber.hpp"

#define CONSILIENCE_EMULATED
#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__ static
#define __restrict__
#define __align__(n) alignas(n)

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
};

namespace emulated {

// Threads wait here for those that are still running; a thread that ends is waited for no longer.
struct Barrier {
  unsigned expected = 0, arrived = 0, turn = 0;
};

struct Warp {
  Barrier barrier;
  unsigned char values[32][32];
};

struct Thread {
  Fiber fiber;
  dim3 index;
  unsigned flat = 0;
  Warp* warp = nullptr;
  // Not to be run before this barrier has had another turn.
  const Barrier* awaited = nullptr;
  unsigned turn = 0;
  bool ended = false;
  // It looked again for what others have to do, in vain.
  bool idle = false;
};

extern Thread* running;
inline Thread& current() { return *running; }
inline Warp& warp() { return *running->warp; }

unsigned char* dynamic_shared();
void wait(Barrier& barrier);
void wait_block();
// `threads` of the block wait for each other at its barrier `which`.
void wait_some(unsigned which, unsigned threads);

// Lets the others run; `idle` if nothing was done since the last time.
inline void rest(bool idle) {
  current().idle = idle;
  current().fiber.leave();
  current().idle = false;
}
// Lets the others run until `done()`.
template <class Done>
void wait_until(Done done) {
  for (; !done(); current().idle = true) current().fiber.leave();
  current().idle = false;
}

void run(dim3 grid, dim3 block, std::size_t shared_bytes, const std::function<void()>& kernel);

// Tells the warp what this lane holds, reads what others do, and lets none change it meanwhile.
template <class T, class Read>
auto exchange(const T& value, Read read) {
  static_assert(sizeof(T) <= sizeof(Warp::values[0]));
  Warp& own = warp();
  std::memcpy(own.values[current().flat % 32], &value, sizeof(T));
  wait(own.barrier);
  const auto found = read([&own](unsigned lane) {
    T other;
    std::memcpy(&other, own.values[lane % 32], sizeof(T));
    return other;
  });
  wait(own.barrier);
  return found;
}

template <class T>
T from_lane(const T& value, unsigned lane) {
  return exchange(value, [lane](auto of) { return of(lane); });
}

extern dim3 block_index, block_dim, grid_dim;

}  // namespace emulated

inline unsigned char* dynamic_shared() { return emulated::dynamic_shared(); }

#define threadIdx (emulated::current().index)
#define blockIdx (emulated::block_index)
#define blockDim (emulated::block_dim)
#define gridDim (emulated::grid_dim)

inline void __syncthreads() { emulated::wait_block(); }
inline void __syncwarp(unsigned = 0xffffffffu) { emulated::wait(emulated::warp().barrier); }
inline void __threadfence() {}

template <class T>
T __shfl_sync(unsigned, T value, int lane) {
  return emulated::from_lane(value, static_cast<unsigned>(lane));
}
template <class T>
T __shfl_down_sync(unsigned, T value, int delta) {
  const unsigned lane = emulated::current().flat % 32, from = lane + static_cast<unsigned>(delta);
  return emulated::from_lane(value, from < 32 ? from : lane);
}
template <class T>
T __shfl_up_sync(unsigned, T value, int delta) {
  const int lane = static_cast<int>(emulated::current().flat % 32), from = lane - delta;
  return emulated::from_lane(value, static_cast<unsigned>(from >= 0 ? from : lane));
}
template <class T>
T __shfl_xor_sync(unsigned, T value, int mask) {
  return emulated::from_lane(value, emulated::current().flat % 32 ^ static_cast<unsigned>(mask));
}
inline unsigned __ballot_sync(unsigned, int predicate) {
  return emulated::exchange(predicate != 0, [](auto of) {
    unsigned votes = 0;
    for (unsigned lane = 0; lane < 32; ++lane) votes |= static_cast<unsigned>(of(lane)) << lane;
    return votes;
  });
}
inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
inline int __all_sync(unsigned mask, int predicate) {
  return __ballot_sync(mask, predicate) == 0xffffffffu;
}
inline int __syncthreads_or(int predicate) {
  static int any;
  emulated::wait_block();
  if (emulated::current().flat == 0) any = 0;
  emulated::wait_block();
  any |= predicate != 0;
  emulated::wait_block();
  return any;
}

template <class T, class U>
T atomicAdd(T* at, U value) {
  const T old = *at;
  *at += static_cast<T>(value);
  return old;
}
template <class T>
T atomicCAS(T* at, T expected, T value) {
  const T old = *at;
  if (old == expected) *at = value;
  return old;
}
template <class T, class U>
T atomicMax(T* at, U value) {
  const T old = *at;
  if (static_cast<T>(value) > old) *at = static_cast<T>(value);
  return old;
}
template <class T, class U>
T atomicMin(T* at, U value) {
  const T old = *at;
  if (static_cast<T>(value) < old) *at = static_cast<T>(value);
  return old;
}
template <class T, class U>
T atomicOr(T* at, U value) {
  const T old = *at;
  *at |= static_cast<T>(value);
  return old;
}

inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline int __ffs(int bits) { return __builtin_ffs(bits); }
inline int __clz(int bits) { return bits ? __builtin_clz(static_cast<unsigned>(bits)) : 32; }

template <class To, class From>
To bits_of(From value) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &value, sizeof(To));
  return to;
}
inline double __longlong_as_double(long long bits) { return bits_of<double>(bits); }
inline long long __double_as_longlong(double value) { return bits_of<long long>(value); }
inline float __int_as_float(int bits) { return bits_of<float>(bits); }
inline float __uint_as_float(unsigned bits) { return bits_of<float>(bits); }
inline unsigned __float_as_uint(float value) { return bits_of<unsigned>(value); }

using std::exp, std::fabs, std::fma, std::fmax, std::fmin, std::log, std::sqrt;
inline float fmaf(float a, float b, float c) { return std::fma(a, b, c); }
inline float fmaxf(float a, float b) { return std::fmax(a, b); }
inline float fminf(float a, float b) { return std::fmin(a, b); }
template <class T>
T min(T a, T b) {
  return b < a ? b : a;
}
template <class T>
T max(T a, T b) {
  return a < b ? b : a;
}
inline float __double2float_ru(double value) {
  const float near = static_cast<float>(value);
  return static_cast<double>(near) < value
             ? std::nextafter(near, std::numeric_limits<float>::infinity())
             : near;
}
