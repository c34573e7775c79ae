// Everything in double precision: one translation unit, so that Eigen's products are
// compiled once for both models.
#include "bind_kernel_interpolator.hpp"
#include "bind_kernels.hpp"
#include "bind_linear_interpolator.hpp"

namespace minnorm::python {

void bind_double(py::module_& module) {
  bind_linear_interpolator<double>(module, "LinearCoreDouble");
  bind_kernel_interpolator<double>(module, "KernelCoreDouble");
  bind_kernels<double>(module);
}

}  // namespace minnorm::python
