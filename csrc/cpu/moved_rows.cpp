#include "cpu/moved_rows.hpp"

namespace consilience {
namespace {

template <class From, class Real>
CONSILIENCE_INLINE double move(const From* from, const double* origin, double scale, index_t d,
                               Real* to) {
  return sum_in_lanes(d, [=](index_t f) {
    to[f] = static_cast<Real>(scale * (static_cast<double>(from[f]) - origin[f]));
    return static_cast<double>(to[f]) * static_cast<double>(to[f]);
  });
}

CONSILIENCE_SIMD double moved(const float* from, const double* origin, double scale, index_t d,
                              float* to) {
  return move(from, origin, scale, d, to);
}
CONSILIENCE_SIMD double moved(const double* from, const double* origin, double scale, index_t d,
                              float* to) {
  return move(from, origin, scale, d, to);
}
CONSILIENCE_SIMD double moved(const float* from, const double* origin, double scale, index_t d,
                              double* to) {
  return move(from, origin, scale, d, to);
}
CONSILIENCE_SIMD double moved(const double* from, const double* origin, double scale, index_t d,
                              double* to) {
  return move(from, origin, scale, d, to);
}

template <class Real>
double moved_row(const Embedding& X, index_t i, const double* origin, double scale, Real* to) {
  return X.is_double ? moved(X.double_row(i), origin, scale, X.n_features, to)
                     : moved(X.float_row(i), origin, scale, X.n_features, to);
}

}  // namespace

double move_row(const Embedding& X, index_t i, const double* origin, double scale, float* to) {
  return moved_row(X, i, origin, scale, to);
}
double move_row(const Embedding& X, index_t i, const double* origin, double scale, double* to) {
  return moved_row(X, i, origin, scale, to);
}

}  // namespace consilience
