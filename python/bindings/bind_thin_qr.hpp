// ThinQR: orthonormal basis of a row space with its triangular factor.
#pragma once

#include <pybind11/stl.h>

#include "arrays.hpp"
#include "minnorm/thin_qr.hpp"

namespace minnorm::python {

// Plain arrays in the scaled units of RowSpace: the same for either backend.
template <class S>
py::dict thin_qr_state(const ThinQR<S>& qr) {
  const RowSpace<S>& space = qr.space();
  std::vector<Index> exponents;
  for (const double t : space.scale()) exponents.push_back(exponent_of(t));
  py::dict out;
  out["kind"] = "thin_qr";
  out["Q"] = RowMatrix<S>(qr.Q());
  out["L"] = RowMatrix<S>(space.factor().matrix());
  out["W"] = RowMatrix<S>(space.weights());
  out["exponents"] = integers(exponents);
  out["basis"] = integers(space.basis());
  out["dependents"] = integers(space.dependents());
  out["slack"] = space.slack();
  out["missing"] = space.missing();
  const double tolerance = qr.tolerance();
  out["rtol"] = tolerance < 0 ? py::object(py::none()) : py::float_(tolerance * tolerance);
  return out;
}

template <class S>
ThinQR<S> thin_qr_from_state(const py::dict& in) {
  const Indices exponents = indices(in["exponents"].cast<Handles>());
  Vector<double> scale(static_cast<Index>(exponents.size()));
  for (std::size_t i = 0; i < exponents.size(); ++i)
    scale(static_cast<Index>(i)) = std::ldexp(1.0, -static_cast<int>(exponents[i]));
  RowSpace<S> space(std::move(scale), indices(in["basis"].cast<Handles>()),
                    indices(in["dependents"].cast<Handles>()),
                    TriangularFactor<S>(Matrix<S>(matrix<S>(in["L"].cast<Array<S>>(), "L"))),
                    Matrix<S>(matrix<S>(in["W"].cast<Array<S>>(), "W")), in["slack"].cast<double>(),
                    in["missing"].cast<double>());
  const py::object rtol = in["rtol"];
  const auto Q = in["Q"].cast<Array<S>>();
  return {std::move(space), matrix<S>(Q, "Q"),
          rtol.is_none() ? -1 : std::sqrt(rtol.cast<double>())};
}

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
  property("n_columns", [](const QR& q) { return q.cols(); });
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
          py::arg("X").noconvert())
      .def("state",
           [](const Core& c) {
             const QR copy = c.read([](const QR& q) { return q; });
             return thin_qr_state<S>(copy);
           })
      .def_static("from_state",
                  [](const py::dict& state) { return Core(thin_qr_from_state<S>(state)); });
}

}  // namespace minnorm::python
