// Takes gemm from SciPy's cython_blas capsules.

#include "bindings/numpy_view.hpp"

namespace consilience {

void bind_blas(py::module_& m) {
  const auto pointer = [](const py::capsule& capsule, const char* expected) {
    const char* name = capsule.name();
    require(name != nullptr && std::string(name).find(expected) != std::string::npos,
            "not a capsule of SciPy's BLAS with 32-bit integers");
    return capsule.get_pointer();
  };
  m.def(
      "install_blas",
      [pointer](const py::capsule& sgemm, const py::capsule& dgemm) {
        blas::install(reinterpret_cast<blas::Sgemm*>(pointer(sgemm, "int *")),
                      reinterpret_cast<blas::Dgemm*>(pointer(dgemm, "int *")));
      },
      "sgemm"_a, "dgemm"_a, "Use these routines for matrix products.");
  m.def("blas_installed", &blas::installed);
}

}  // namespace consilience
