// ThinQR: orthonormal basis of a row space with its triangular factor.
#pragma once

#include <pybind11/stl.h>

#include "arrays.hpp"

namespace minnorm::python {

template <class S>
void bind_thin_qr(py::module_& module, const char* name) {
  using QR = ThinQR<S>;
  using Core = Guarded<QR>;
  py::class_<Core> core(module, name, py::module_local());
  const auto property = [&core](const char* label, auto get) {
    core.def_property_readonly(label, [get](const Core& c) { return c.read(get); });
  };
  core.def(py::init([](const Array<S>& X, std::optional<double> rtol) {
             const auto rows = matrix<S>(X, "X");
             const py::gil_scoped_release nogil;  // X is kept alive by the caller
             return Core(QR(rows, rtol ? std::sqrt(*rtol) : -1));
           }),
           py::arg("X").noconvert(), py::kw_only(), py::arg("rtol"));
  property("n_rows", [](const QR& q) { return q.size(); });
  property("rank", [](const QR& q) { return q.rank(); });
  property("Q", [](const QR& q) { return RowMatrix<S>(q.Q()); });
  property("L", [](const QR& q) { return RowMatrix<S>(q.L()); });
  property("weights", [](const QR& q) { return RowMatrix<S>(q.weights()); });
  core.def_property_readonly("dtype", [](const Core&) { return py::dtype::of<S>(); })
      .def_property_readonly("backend", [](const Core&) { return "native"; })
      .def_property_readonly(
          "basis",
          [](const Core& c) {
            return integers(c.read([](const QR& q) { return q.space().basis(); }));
          })
      .def_property_readonly(
          "dependents",
          [](const Core& c) {
            return integers(c.read([](const QR& q) { return q.space().dependents(); }));
          })
      .def(
          "delete_rows",
          [](Core& c, const Handles& positions) {
            c.change([which = indices(positions)](QR& q) { q.erase(which); });
          },
          py::arg("positions").noconvert())
      .def(
          "add_rows",
          [](Core& c, const Array<S>& X) {
            const auto rows = matrix<S>(X, "X");
            c.change([&](QR& q) { q.append(rows); });
          },
          py::arg("X").noconvert());
}

}  // namespace minnorm::python
