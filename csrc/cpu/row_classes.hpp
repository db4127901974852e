#pragma once

#include <cstdint>
#include <vector>

#include "common/types.hpp"

namespace consilience {

// class_l <- (key_l - low) per_key, rounded down.
void to_classes(const float* keys, index_t n, float low, float per_key, std::int32_t* classes);
void to_classes(const double* keys, index_t n, double low, double per_key, std::int32_t* classes);

// A sample whose rank its key leaves open: others as near lie in places [start, stop).
struct OpenRank {
  std::int32_t sample, start, stop;
};

// Together, as each is stored where no other was lately.
template <class Real>
struct KeyOf {
  Real key;
  std::int32_t sample;
};

// The samples of a row laid out class by class, in classes of equal width by key: a rank up to
// those of the same class, without a sort.
template <class Real>
class RowClasses {
 public:
  explicit RowClasses(index_t n);

  // All keys lie in [low, high], and `self` comes last: its key becomes infinite. False if the
  // samples crowd into few classes, so that looking through one is no short walk. Only `with_means`
  // are there mean ranks.
  bool assign(Real* keys, Real low, Real high, double gap, index_t self, bool with_means);

  // Of samples by their keys: doubled[j] <- 2 (1 + how many keys are below j's by more than `gap`).
  // Returns how many have others within it: they are in `open`, of room for all.
  index_t look_up(const std::int32_t* samples, index_t n_samples, double gap, std::int32_t* doubled,
                  OpenRank* open) const;

  // Writes the others within the gap of an open rank: their number, of at most stop - start.
  index_t near(const OpenRank& open, double gap, std::int32_t* others) const {
    const Real margin = margin_of(gap), key = keys_[open.sample];
    const Real from = key - margin, to = key + margin;
    index_t n_others = 0;
    for (index_t at = open.start; at < open.stop; ++at) {
      const auto [other, sample] = sorted_[at];
      others[n_others] = sample;  // no branch: a matter of chance
      n_others += static_cast<int>(from <= other) & static_cast<int>(other <= to) &
                  static_cast<int>(sample != open.sample);
    }
    return n_others;
  }

  double key(index_t l) const { return static_cast<double>(keys_[l]); }

  // Twice the mean rank of sample l's class; added for all samples.
  std::int32_t mean_rank(index_t l) const { return doubled_[slot_of_[l]]; }
  void add_mean_ranks(std::uint32_t* columns) const;
  // The sum of squares of the ranks 1 to n - 1 so shared: t ties take (t^3 - t) / 12 from it.
  double squares() const {
    const auto n = static_cast<double>(n_);
    return (n - 1.0) * n * (2.0 * n - 1.0) / 6.0 - (cubes_ - (n - 1.0)) / 12.0;
  }

 private:
  // What two keys must differ by, where a bound of one of them is rounded.
  Real margin_of(double gap) const;

  index_t n_;
  int log2_steps_;
  const Real* keys_ = nullptr;
  Real low_ = 0, high_ = 0, per_key_ = 0;
  std::vector<std::int32_t> slot_of_, slots_, doubled_;
  std::vector<KeyOf<Real>> sorted_;
  double cubes_ = 0.0;
};

}  // namespace consilience
