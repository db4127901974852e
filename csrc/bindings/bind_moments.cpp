// Python face of moments.

#include "bindings/numpy_view.hpp"
#include "ops/moments.hpp"

namespace consilience {

void bind_moments(py::module_& m) {
  m.def(
      "moments",
      [](const py::array& X, const py::array& Y, const Vector& shift_x, const Vector& shift_y,
         int n_threads) {
        require_blas();
        const Embedding x = embedding(X, "X"), y = embedding(Y, "Y");
        require(x.n_samples == y.n_samples, "n_samples differ");
        require(shift_x.size() == x.n_features && shift_y.size() == y.n_features,
                "one shift per feature");
        const Run run = run_on(n_threads);
        Matrix out({x.n_features + 2, y.n_features + 2});
        double* data = out.mutable_data();
        {
          const py::gil_scoped_release no_gil;
          moments(x, y, shift_x.data(), shift_y.data(), run, data);
        }
        return out;
      },
      "X"_a.noconvert(), "Y"_a.noconvert(), py::kw_only(), "shift_x"_a.noconvert(),
      "shift_y"_a.noconvert(), "n_threads"_a);
}

}  // namespace consilience
