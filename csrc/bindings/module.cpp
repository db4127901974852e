#include <pybind11/pybind11.h>

namespace consilience {
void bind_blas(pybind11::module_& m);
void bind_graph_terms(pybind11::module_& m);
void bind_joint_nearest(pybind11::module_& m);
void bind_knn_approx(pybind11::module_& m);
void bind_knn_exact(pybind11::module_& m);
void bind_mantel(pybind11::module_& m);
void bind_moments(pybind11::module_& m);
void bind_pair_rows(pybind11::module_& m);
void bind_pair_terms(pybind11::module_& m);
void bind_rank_counts(pybind11::module_& m);
}  // namespace consilience

PYBIND11_MODULE(_core, m) {
  consilience::bind_blas(m);
  consilience::bind_graph_terms(m);
  consilience::bind_joint_nearest(m);
  consilience::bind_knn_approx(m);
  consilience::bind_knn_exact(m);
  consilience::bind_mantel(m);
  consilience::bind_moments(m);
  consilience::bind_pair_rows(m);
  consilience::bind_pair_terms(m);
  consilience::bind_rank_counts(m);
}
