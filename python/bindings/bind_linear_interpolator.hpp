// LinearCoreFloat and LinearCoreDouble: the linear model for Python.
#pragma once

#include "arrays.hpp"

namespace minnorm::python {

inline FactorizationChoice factorization_choice(const std::string& name) {
  if (name == "auto") return FactorizationChoice::automatic;
  if (name == "cholesky") return FactorizationChoice::cholesky;
  if (name == "qr") return FactorizationChoice::qr;
  throw InputError("factorization: expected auto, cholesky or qr, got " + name);
}

inline const char* name_of(FactorizationChoice choice) {
  switch (choice) {
    case FactorizationChoice::cholesky:
      return "cholesky";
    case FactorizationChoice::qr:
      return "qr";
    default:
      return "auto";
  }
}

template <class S>
py::dict linear_state(const LinearInterpolator<S>& model) {
  const auto state = model.state();
  py::dict out;
  out["kind"] = "linear";
  out["version"] = 1;
  out["X"] = gathered(model.rows());
  samples_to(out, state.samples);
  out["alpha"] = state.options.alpha;
  out["fit_intercept"] = state.options.fit_intercept;
  out["factorization"] = name_of(state.options.factorization);
  out["factored_by"] = state.from_gram ? "cholesky" : "qr";
  out["method"] = state.method;
  out["exponent"] = exponent_of(state.frame.scale);
  out["offset"] = state.frame.offset;
  out["L"] = RowMatrix<S>(state.L);
  out["basis"] = integers(state.basis);
  out["dependents"] = integers(state.dependents);
  out["W"] = RowMatrix<S>(state.weights);
  out["sigma_min_bound"] = state.sigma;
  out["sum_squares"] = state.norm * state.norm;
  return out;
}

template <class S>
LinearInterpolator<S> linear_from_state(const py::dict& in) {
  typename LinearInterpolator<S>::State state;
  state.options = {in["alpha"].cast<double>(), in["fit_intercept"].cast<bool>(),
                   factorization_choice(in["factorization"].cast<std::string>())};
  state.samples = samples_from<S>(in);
  state.frame.scale = std::ldexp(1.0, -in["exponent"].cast<int>());
  state.frame.offset = state.options.fit_intercept ? in["offset"].cast<double>() : 0;
  state.L = matrix<S>(in["L"].cast<Array<S>>(), "L");
  state.basis = indices(in["basis"].cast<Handles>());
  state.dependents = indices(in["dependents"].cast<Handles>());
  state.weights = matrix<S>(in["W"].cast<Array<S>>(), "W");
  state.sigma = in["sigma_min_bound"].cast<double>();
  state.from_gram = in["factored_by"].cast<std::string>() == "cholesky";
  state.method = in["method"].cast<std::string>();
  auto rows = Rows<S>::copy(matrix<S>(in["X"].cast<Array<S>>(), "X"));
  const py::gil_scoped_release nogil;  // everything is in C++ objects by now
  return LinearInterpolator<S>::from_state(std::move(state), std::move(rows));
}

template <class S>
void bind_linear_interpolator(py::module_& module, const char* name) {
  using Model = LinearInterpolator<S>;
  using Core = Guarded<Model>;
  py::class_<Core>(module, name, py::module_local())
      .def(py::init([](const Array<S>& X, const Array<S>& Y, bool owns_rows, double alpha,
                       bool fit_intercept, const std::string& factorization) {
             Model model({alpha, fit_intercept, factorization_choice(factorization)});
             Rows<S> rows(block<S>(X, owns_rows), X.shape(1), owns_rows);
             const auto targets = matrix<S>(Y, "Y");
             {
               const py::gil_scoped_release nogil;  // X and Y are kept alive by the caller
               model.fit(std::move(rows), targets);
             }
             return Core(std::move(model));
           }),
           py::arg("X").noconvert(), py::arg("Y").noconvert(), py::kw_only(), py::arg("owns_rows"),
           py::arg("alpha"), py::arg("fit_intercept"), py::arg("factorization"))
      .def_property_readonly(
          "n_samples",
          [](const Core& c) { return c.read([](const Model& m) { return m.n_samples(); }); })
      .def_property_readonly(
          "n_features",
          [](const Core& c) { return c.read([](const Model& m) { return m.n_features(); }); })
      .def_property_readonly(
          "n_targets",
          [](const Core& c) {
            return c.read([](const Model& m) { return m.samples().targets().cols(); });
          })
      .def_property_readonly(
          "rank", [](const Core& c) { return c.read([](const Model& m) { return m.rank(); }); })
      .def_property_readonly("dtype", [](const Core&) { return py::dtype::of<S>(); })
      .def_property_readonly("backend", [](const Core&) { return "native"; })
      .def_property_readonly(
          "handles",
          [](const Core& c) {
            return integers(c.read([](const Model& m) { return m.samples().handles(); }));
          })
      .def_property_readonly("targets",
                             [](const Core& c) {
                               return c.read([](const Model& m) { return m.samples().targets(); });
                             })
      .def_property_readonly(
          "coef", [](const Core& c) { return c.read([](const Model& m) { return m.coef(); }); })
      .def_property_readonly(
          "intercept",
          [](const Core& c) { return c.read([](const Model& m) { return m.intercept(); }); })
      .def_property_readonly(
          "dual_coef",
          [](const Core& c) { return c.read([](const Model& m) { return m.dual_coef(); }); })
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
          "learn",
          [](Core& c, const Array<S>& X, const Array<S>& Y, bool owns_rows) {
            const auto rows = matrix<S>(X, "X");
            const auto targets = matrix<S>(Y, "Y");
            auto held = block<S>(X, owns_rows);
            return integers(c.change([&](Model& m) {
              // A model that owns its rows must own these too.
              if (m.rows().owned() && !owns_rows) held = Rows<S>::copied(rows);
              return m.learn(std::move(held), rows.cols(), targets);
            }));
          },
          py::arg("X").noconvert(), py::arg("Y").noconvert(), py::arg("owns_rows"))
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
           [](const Core& c) { return c.read([](const Model& m) { return m.leave_one_out(); }); })
      .def(
          "influence",
          [](const Core& c, const Handles& positions) {
            return c.read(
                [which = indices(positions)](const Model& m) { return m.influence(which).coef; });
          },
          py::arg("positions").noconvert())
      .def(
          "influence_intercept",
          [](const Core& c, const Handles& positions) {
            return c.read([which = indices(positions)](const Model& m) {
              return m.influence_intercept(which);
            });
          },
          py::arg("positions").noconvert())
      .def("state",
           [](const Core& c) { return linear_state<S>(c.read([](const Model& m) { return m; })); })
      .def_static("from_state",
                  [](const py::dict& state) { return Core(linear_from_state<S>(state)); });
}

}  // namespace minnorm::python
