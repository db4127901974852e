#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>
#include <vector>

#include "common/types.hpp"

namespace consilience {

// class_l <- (key_l - low) per_key, rounded down.
void to_classes(const float* keys, index_t n, float low, float per_key, std::int32_t* classes);
void to_classes(const double* keys, index_t n, double low, double per_key, std::int32_t* classes);

// The samples of a row in classes of equal width by key, and how many come before each class: a
// rank up to those of the same class, without a sort.
template <class Real>
class RowClasses {
 public:
  explicit RowClasses(index_t n)
      : n_(n),
        class_of_(n),
        next_(n),
        classes_(std::min(kMostClasses, std::bit_ceil(static_cast<std::uint64_t>(n)))),
        doubled_(classes_.size()) {}

  // All keys lie in [low, high], and `self` comes last: its key becomes infinite. False if the
  // samples crowd into few classes, so that looking through one is no short walk. Classes are no
  // narrower than `width`.
  bool assign(Real* keys, Real low, Real high, double width, index_t self) {
    keys_ = keys, low_ = low, high_ = high;
    const double range = static_cast<double>(high) - static_cast<double>(low);
    if (!(range > 0.0)) return false;
    const double fitting = std::min(range / width, static_cast<double>(classes_.size()));
    n_classes_ = std::max<index_t>(1, static_cast<index_t>(fitting));
    per_key_ = static_cast<Real>(static_cast<double>(n_classes_ - 1) / range);
    to_classes(keys, n_, low, per_key_, class_of_.data());
    class_of_[self] = static_cast<std::int32_t>(n_classes_ - 1);
    std::fill_n(classes_.begin(), n_classes_, Class{0, 0});
    for (index_t l = 0; l < n_; ++l) {
      Class& its = classes_[class_of_[l]];
      next_[l] = its.last;
      its.last = static_cast<std::int32_t>(l + 1);
      ++its.before;
    }
    // Self is not counted: its class is the last one.
    --classes_[n_classes_ - 1].before;
    index_t crowd = 0, shared = 0;
    std::int32_t before = 0;
    for (index_t c = 0; c < n_classes_; ++c) {
      const std::int32_t count = classes_[c].before;
      classes_[c].before = before;
      doubled_[c] = 2 * before + count + 1;
      before += count;
      const index_t squared = index_t{count} * count;
      crowd += squared;
      shared += squared * count - count;
    }
    shared_ = static_cast<double>(shared);
    if (crowd > kCrowd * n_) return false;
    keys[self] = std::numeric_limits<Real>::infinity();
    return true;
  }

  // Counts the samples with keys below `from`, and calls visit(l) for those up to `to`.
  template <class Visit>
  index_t below(double from, double to, Visit&& visit) const {
    const index_t first = class_at(from), last = class_at(to);
    index_t count = classes_[first].before;
    for (index_t c = first; c <= last; ++c) {
      for (index_t at = classes_[c].last; at > 0; at = next_[at - 1]) {
        const double key = static_cast<double>(keys_[at - 1]);
        count += key < from;  // no branch: a matter of chance
        if (from <= key && key <= to) visit(at - 1);
      }
    }
    return count;
  }

  // Twice the mean rank of each class, and the sum of squares of the ranks 1 to n - 1 so shared: t
  // ties take (t^3 - t) / 12 from it.
  const std::int32_t* mean_ranks() const { return doubled_.data(); }
  double squares() const {
    const auto n = static_cast<double>(n_);
    return (n - 1.0) * n * (2.0 * n - 1.0) / 6.0 - shared_ / 12.0;
  }

  double key(index_t l) const { return static_cast<double>(keys_[l]); }
  const std::int32_t* classes() const { return class_of_.data(); }

 private:
  static constexpr index_t kCrowd = 16;
  // Fewer than a float32 tells apart.
  static constexpr std::uint64_t kMostClasses = 1 << 20;
  // How many come before it, and one more than its last sample, which leads to the others.
  struct Class {
    std::int32_t before, last;
  };

  index_t class_at(double key) const {
    const Real inside = static_cast<Real>(key) < low_    ? low_
                        : static_cast<Real>(key) > high_ ? high_
                                                         : static_cast<Real>(key);
    return static_cast<index_t>((inside - low_) * per_key_);
  }

  index_t n_, n_classes_ = 0;
  const Real* keys_ = nullptr;
  Real low_ = 0, high_ = 0, per_key_ = 0;
  std::vector<std::int32_t> class_of_, next_;
  std::vector<Class> classes_;
  std::vector<std::int32_t> doubled_;
  double shared_ = 0.0;
};

}  // namespace consilience
