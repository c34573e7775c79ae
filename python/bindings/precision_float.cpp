// Everything in float precision: one translation unit, so that Eigen's products are
// compiled once for both models.
#include "bind_kernel_interpolator.hpp"
#include "bind_kernels.hpp"
#include "bind_linear_interpolator.hpp"

namespace minnorm::python {

void bind_float(py::module_& module) {
  bind_linear_interpolator<float>(module, "LinearCoreFloat");
  bind_kernel_interpolator<float>(module, "KernelCoreFloat");
  bind_kernels<float>(module);
}

}  // namespace minnorm::python
