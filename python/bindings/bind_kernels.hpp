// kernel_matrix: kernel functions on pairs of rows.
#pragma once

#include "arrays.hpp"
#include "minnorm/kernels.hpp"

namespace minnorm::python {

template <class S>
void bind_kernels(py::module_& module) {
  module.def(
      "kernel_matrix",
      [](const Array<S>& X, const Array<S>& Z, const std::string& name, double gamma, double degree,
         double coef0) {
        const Kernel kernel{kernel_type(name), gamma, degree, coef0};
        require_valid(kernel);
        const auto A = matrix<S>(X, "X"), B = matrix<S>(Z, "Z");
        Matrix<S> K(A.rows(), B.rows());
        {
          const py::gil_scoped_release nogil;  // reads the buffers of X and Z, writes K
          evaluate<S>(kernel, A, B, K);
        }
        return RowMatrix<S>(K);
      },
      py::arg("X").noconvert(), py::arg("Z").noconvert(), py::arg("kernel"), py::arg("gamma"),
      py::arg("degree"), py::arg("coef0"), "Kernel values (n, m) of rows X (n, p) and Z (m, p).");
}

}  // namespace minnorm::python
