// What csrc/cuda/ptx.cuh names, in plain C++.
#pragma once

inline unsigned short half_of(float value) {
  const _Float16 half = static_cast<_Float16>(value);
  return bits_of<unsigned short>(half);
}
inline float float_of(unsigned short half) { return static_cast<float>(bits_of<_Float16>(half)); }

inline void copy_async(void* shared, const void* global) { std::memcpy(shared, global, 16); }
inline void copy_commit() {}
template <int kPending>
void copy_wait() {}

inline void load_matrices(unsigned (&out)[4], const void* shared_row) {
  const unsigned lane = emulated::current().flat % 32;
  struct Words {
    unsigned word[4];
  };
  const Words found = emulated::exchange(shared_row, [lane](auto of) {
    Words words;
    for (unsigned m = 0; m < 4; ++m) {
      words.word[m] = static_cast<const unsigned*>(of(8 * m + lane / 4))[lane % 4];
    }
    return words;
  });
  std::memcpy(out, found.word, sizeof(found));
}

// Every lane tells the fragments it holds and gathers the rows and columns that it sums over.
inline void multiply_add(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  struct Fragments {
    unsigned a[4], b[2];
  };
  struct Sums {
    float value[4];
  };
  const auto half_at = [](unsigned word, unsigned odd) {
    return float_of(static_cast<unsigned short>(odd ? word >> 16 : word & 0xffffu));
  };
  const unsigned lane = emulated::current().flat % 32;
  const Fragments own = {{a[0], a[1], a[2], a[3]}, {b0, b1}};
  const Sums sums = emulated::exchange(own, [&](auto of) {
    Sums found;
    for (unsigned r = 0; r < 4; ++r) {
      const unsigned row = lane / 4 + 8 * (r / 2), column = 2 * (lane % 4) + r % 2;
      float sum = c[r];
      for (unsigned k = 0; k < 16; ++k) {
        const unsigned x = of(4 * (row % 8) + k % 8 / 2).a[row / 8 + 2 * (k / 8)];
        const unsigned y = of(4 * column + k % 8 / 2).b[k / 8];
        sum += half_at(x, k % 2) * half_at(y, k % 2);
      }
      found.value[r] = sum;
    }
    return found;
  });
  std::memcpy(c, sums.value, sizeof(sums));
}

// Warpgroups. Both ways to sweep are compiled; tests say which is taken.
inline bool kWarpgroups = true;

struct alignas(8) Phase {
  std::uint8_t turn, arrivals;
  std::int16_t missing;
  std::int32_t bytes;
};
static_assert(sizeof(Phase) == 8);

inline void phase_settle(Phase& phase) {
  if (phase.missing != 0 || phase.bytes != 0) return;
  phase.missing = phase.arrivals;
  phase.turn ^= 1;
}
inline void phase_start(Phase& phase, int arrivals) {
  phase = {0, static_cast<std::uint8_t>(arrivals), static_cast<std::int16_t>(arrivals), 0};
}
inline void phase_fence() {}
inline void phase_arrive(Phase& phase) {
  if (phase.missing-- == 0) throw std::runtime_error("more arrivals than a phase expects");
  phase_settle(phase);
}
inline void phase_expect(Phase& phase, int bytes) {
  phase.bytes += bytes;
  phase_arrive(phase);
}
inline void phase_wait(Phase& phase, unsigned parity) {
  emulated::wait_until([&] { return phase.turn != parity; });
}
inline void publish(int& shared, int value) { shared = value; }
inline int observe(const int& shared) { return shared; }
inline void relax(int vain) { emulated::rest(vain > 1); }
inline void copy_bulk(void* shared, const void* global, int bytes, Phase& phase) {
  std::memcpy(shared, global, static_cast<std::size_t>(bytes));
  phase.bytes -= bytes;
  phase_settle(phase);
}

template <int kCount>
void fewer_registers() {}
template <int kCount>
void more_registers() {}
inline void group_sync(int group) { emulated::wait_some(static_cast<unsigned>(group), 128); }
inline void group_fence() {}
inline void group_commit() {}
template <int kPending>
void group_wait(float (&)[128]) {}

// Steps of a matrix lie 16 halves apart in its first row, wherever the exchange put its pieces.
inline void multiply_group(float (&c)[128], const void* a, const void* b, bool accumulate) {
  const unsigned thread = emulated::current().flat % 128;
  const auto half_at = [](const void* matrix, unsigned row, unsigned k) {
    const auto address = reinterpret_cast<std::uintptr_t>(matrix);
    const std::uintptr_t step = address % 128 / 16;
    const auto* halves = reinterpret_cast<const unsigned short*>(address - address % 128);
    return float_of(halves[row * 64 + ((step + k / 8) ^ (row % 8)) * 8 + k % 8]);
  };
  for (unsigned half = 0; half < 2; ++half) {
    float own[16];
    const unsigned row = thread / 32 * 16 + thread % 32 / 4 + 8 * half;
    for (unsigned k = 0; k < 16; ++k) own[k] = half_at(a, row, k);
    for (unsigned j = 0; j < 64; ++j) {
      const unsigned column = j / 2 * 8 + thread % 4 * 2 + j % 2;
      float& sum = c[j / 2 * 4 + half * 2 + j % 2];
      if (!accumulate) sum = 0.0f;
      for (unsigned k = 0; k < 16; ++k) sum += own[k] * half_at(b, column, k);
    }
  }
}
