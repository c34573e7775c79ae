// What the linear and the kernel model have in common for Python: who is held, what
// was found, and deletion.
#pragma once

#include "arrays.hpp"

namespace minnorm::python {

template <class S, class Model>
void bind_model(py::class_<Guarded<Model>>& core) {
  using Core = Guarded<Model>;
  // A property that is read under the lock and copied out.
  const auto property = [&core](const char* name, auto get) {
    core.def_property_readonly(name, [get](const Core& c) { return c.read(get); });
  };
  property("n_samples", [](const Model& m) { return m.n_samples(); });
  property("n_features", [](const Model& m) { return m.n_features(); });
  property("n_targets", [](const Model& m) { return m.samples().targets().cols(); });
  property("rank", [](const Model& m) { return m.rank(); });
  property("targets", [](const Model& m) { return RowMatrix<S>(m.samples().targets()); });
  property("dual_coef", [](const Model& m) { return m.dual_coef(); });
  core.def_property_readonly("dtype", [](const Core&) { return py::dtype::of<S>(); })
      .def_property_readonly("backend", [](const Core&) { return "native"; })
      .def_property_readonly(
          "handles",
          [](const Core& c) {
            return integers(c.read([](const Model& m) { return m.samples().handles(); }));
          })
      .def_property_readonly(
          "certificate",
          [](const Core& c) {
            return to_dict(c.read([](const Model& m) { return m.certificate(); }));
          })
      .def(
          "forget",
          [](Core& c, const Handles& gone) {
            c.change([which = handles(gone)](Model& m) { m.forget(which); });
          },
          py::arg("handles").noconvert())
      .def(
          "set_targets",
          [](Core& c, const Array<S>& Y) {
            const auto targets = matrix<S>(Y, "Y");
            c.change([&](Model& m) { m.set_targets(targets); });
          },
          py::arg("Y").noconvert())
      .def(
          "preview",
          [](const Core& c, const Handles& gone) {
            return Core(
                c.read([which = handles(gone)](const Model& m) { return m.preview(which); }));
          },
          py::arg("handles").noconvert())
      .def("leave_one_out",
           [](const Core& c) { return c.read([](const Model& m) { return m.leave_one_out(); }); });
}

}  // namespace minnorm::python
