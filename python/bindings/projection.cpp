// Projectors in both precisions: their arithmetic is in double, so that it is compiled
// once.
#include "bind_jacobian_projector.hpp"
#include "bind_thin_qr.hpp"

namespace minnorm::python {

void bind_projection(py::module_& module) {
  bind_jacobian_projector<float>(module, "ProjectorCoreFloat");
  bind_jacobian_projector<double>(module, "ProjectorCoreDouble");
  bind_thin_qr<float>(module, "ThinQRCoreFloat");
  bind_thin_qr<double>(module, "ThinQRCoreDouble");
}

}  // namespace minnorm::python
