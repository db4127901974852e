#pragma once

#include <cstdlib>
#include <memory>
#include <new>

#ifdef __linux__
#include <sys/mman.h>
#endif

#include "common/types.hpp"

namespace consilience {

// An array that is read at random: on large pages where the system has them, so that where its
// pages are stays known to the processor.
template <class T>
class LargePages {
 public:
  explicit LargePages(index_t size = 0) { reset(size); }

  void reset(index_t size) {
    constexpr std::size_t kPage = std::size_t{1} << 21;
    const std::size_t bytes = (size * sizeof(T) + kPage - 1) / kPage * kPage;
    data_.reset(size == 0 ? nullptr : static_cast<T*>(std::aligned_alloc(kPage, bytes)));
    if (size > 0 && !data_) throw std::bad_alloc();
#ifdef __linux__
    if (size > 0) madvise(data_.get(), bytes, MADV_HUGEPAGE);
#endif
    std::uninitialized_value_construct_n(data_.get(), size);
  }

  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  T& operator[](index_t at) { return data_.get()[at]; }
  const T& operator[](index_t at) const { return data_.get()[at]; }

 private:
  struct Free {
    void operator()(T* data) const { std::free(data); }
  };
  std::unique_ptr<T, Free> data_;
};

}  // namespace consilience
