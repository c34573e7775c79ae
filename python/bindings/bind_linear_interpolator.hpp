// LinearCoreFloat and LinearCoreDouble: the linear model for Python.
#pragma once

#include "bind_model.hpp"
#include "minnorm/linear_interpolator.hpp"

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
py::dict linear_state(const typename LinearInterpolator<S>::State& state, RowMatrix<S> rows) {
  py::dict out;
  out["kind"] = "linear";
  out["version"] = 1;
  out["X"] = std::move(rows);
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
  auto rows = Rows<S>::panels(matrix<S>(in["X"].cast<Array<S>>(), "X"));
  const py::gil_scoped_release nogil;  // everything is in C++ objects by now
  return LinearInterpolator<S>::from_state(std::move(state), std::move(rows));
}

template <class S>
void bind_linear_interpolator(py::module_& module, const char* name) {
  using Model = LinearInterpolator<S>;
  using Core = Guarded<Model>;
  py::class_<Core> core(module, name, py::module_local());
  bind_model<S, Model>(core);
  core.def(py::init([](const Array<S>& X, const Array<S>& Y, const std::string& keep, double alpha,
                       bool fit_intercept, const std::string& factorization) {
             Model model({alpha, fit_intercept, factorization_choice(factorization)});
             const auto values = matrix<S>(X, "X");
             const auto targets = matrix<S>(Y, "Y");
             const bool copy = keep == "copy", own = keep == "own";
             auto held = block<S>(X, own);
             {
               const py::gil_scoped_release nogil;  // X and Y are kept alive by the caller
               if (copy)
                 model.fit(values, targets);
               else
                 model.fit(Rows<S>(std::move(held), values.cols(), own), targets);
             }
             return Core(std::move(model));
           }),
           py::arg("X").noconvert(), py::arg("Y").noconvert(), py::kw_only(), py::arg("keep"),
           py::arg("alpha"), py::arg("fit_intercept"), py::arg("factorization"))
      .def_property_readonly(
          "coef", [](const Core& c) { return c.read([](const Model& m) { return m.coef(); }); })
      .def_property_readonly(
          "intercept",
          [](const Core& c) { return c.read([](const Model& m) { return m.intercept(); }); })
      .def(
          "learn",
          [](Core& c, const Array<S>& X, const Array<S>& Y, bool owns_rows) {
            const auto rows = matrix<S>(X, "X");
            const auto targets = matrix<S>(Y, "Y");
            auto held = block<S>(X, owns_rows);
            return integers(c.change([&](Model& m) {
              // A model that owns its rows must own these too.
              if (m.rows().owned() && !owns_rows) held = m.rows().copied(rows);
              return m.learn(std::move(held), rows.cols(), targets);
            }));
          },
          py::arg("X").noconvert(), py::arg("Y").noconvert(), py::arg("owns_rows"))
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
           [](const Core& c) {
             auto [state, rows] = c.read([](const Model& m) {
               return std::pair<typename Model::State, RowMatrix<S>>(m.state(),
                                                                     m.rows().gathered());
             });
             return linear_state<S>(state, std::move(rows));
           })
      .def_static("from_state",
                  [](const py::dict& state) { return Core(linear_from_state<S>(state)); });
}

}  // namespace minnorm::python
