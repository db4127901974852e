#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>

namespace consilience {

// Zeros that start at a cache line, of a type that needs no constructor.
template <class T>
class Aligned {
 public:
  explicit Aligned(std::size_t size)
      : data_(static_cast<T*>(::operator new(size * sizeof(T), std::align_val_t{kAlignment}))) {
    std::fill_n(data_.get(), size, T{});
  }

  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }

 private:
  static constexpr std::size_t kAlignment = 64;
  struct Delete {
    void operator()(T* data) const { ::operator delete(data, std::align_val_t{kAlignment}); }
  };
  std::unique_ptr<T[], Delete> data_;
};

}  // namespace consilience
