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
