// KernelCoreFloat and KernelCoreDouble: the kernel model for Python.
#pragma once

#include "bind_model.hpp"
#include "minnorm/kernel_interpolator.hpp"

namespace minnorm::python {

inline const char* name_of(KernelType type) {
  switch (type) {
    case KernelType::linear:
      return "linear";
    case KernelType::rbf:
      return "rbf";
    case KernelType::laplacian:
      return "laplacian";
    case KernelType::polynomial:
      return "polynomial";
    case KernelType::matern32:
      return "matern32";
    case KernelType::matern52:
      return "matern52";
    default:
      return "precomputed";
  }
}

template <class S>
py::dict kernel_state(const typename KernelInterpolator<S>::State& state, RowMatrix<S> rows) {
  const Kernel& kernel = state.options.kernel;
  py::dict out;
  out["kind"] = "kernel";
  out["version"] = 1;
  out["X"] =
      kernel.type == KernelType::precomputed ? py::object(py::none()) : py::cast(std::move(rows));
  out["K"] = RowMatrix<S>(state.K);
  samples_to(out, state.samples);
  out["alpha"] = state.options.alpha;
  out["fit_intercept"] = false;
  out["factorization"] = "cholesky";
  out["factored_by"] = "cholesky";
  out["method"] = state.method;
  out["exponent"] = exponent_of(state.scale);
  out["offset"] = 0.0;
  out["L"] = RowMatrix<S>(state.L);
  out["basis"] = integers(state.basis);
  out["dependents"] = integers(state.dependents);
  out["W"] = RowMatrix<S>(state.weights);
  out["sigma_min_bound"] = state.lambda;
  out["sum_squares"] = state.K.template cast<double>().diagonal().sum() * state.scale;
  out["kernel"] = name_of(kernel.type);
  out["gamma"] = kernel.gamma;
  out["degree"] = kernel.degree;
  out["coef0"] = kernel.coef0;
  return out;
}

template <class S>
KernelInterpolator<S> kernel_from_state(const py::dict& in) {
  typename KernelInterpolator<S>::State state;
  state.options.kernel = {kernel_type(in["kernel"].cast<std::string>()), in["gamma"].cast<double>(),
                          in["degree"].cast<double>(), in["coef0"].cast<double>()};
  state.options.alpha = in["alpha"].cast<double>();
  state.samples = samples_from<S>(in);
  state.scale = std::ldexp(1.0, -in["exponent"].cast<int>());
  state.K = matrix<S>(in["K"].cast<Array<S>>(), "K");
  state.L = matrix<S>(in["L"].cast<Array<S>>(), "L");
  state.basis = indices(in["basis"].cast<Handles>());
  state.dependents = indices(in["dependents"].cast<Handles>());
  state.weights = matrix<S>(in["W"].cast<Array<S>>(), "W");
  state.lambda = in["sigma_min_bound"].cast<double>();
  state.method = in["method"].cast<std::string>();
  Rows<S> rows;
  if (!in["X"].is_none()) rows = Rows<S>::copy(matrix<S>(in["X"].cast<Array<S>>(), "X"));
  const py::gil_scoped_release nogil;  // everything is in C++ objects by now
  return KernelInterpolator<S>::from_state(std::move(state), std::move(rows));
}

template <class S>
void bind_kernel_interpolator(py::module_& module, const char* name) {
  using Model = KernelInterpolator<S>;
  using Core = Guarded<Model>;
  py::class_<Core> core(module, name, py::module_local());
  bind_model<S, Model>(core);
  core.def(py::init([](const Array<S>& X, const Array<S>& Y, const std::string& kernel,
                       double gamma, double degree, double coef0, double alpha, bool owns_rows) {
             Model model({{kernel_type(kernel), gamma, degree, coef0}, alpha});
             const auto values = matrix<S>(X, "X");
             const auto targets = matrix<S>(Y, "Y");
             Rows<S> rows;
             if (!model.precomputed())
               rows = Rows<S>(block<S>(X, owns_rows), X.shape(1), owns_rows);
             {
               const py::gil_scoped_release nogil;  // X and Y are kept alive by the caller
               if (model.precomputed())
                 model.fit_precomputed(values, targets);
               else
                 model.fit(std::move(rows), targets);
             }
             return Core(std::move(model));
           }),
           py::arg("X").noconvert(), py::arg("Y").noconvert(), py::kw_only(), py::arg("kernel"),
           py::arg("gamma"), py::arg("degree"), py::arg("coef0"), py::arg("alpha"),
           py::arg("owns_rows"))
      .def(
          "predict",
          [](const Core& c, const Array<S>& Z) {
            const auto values = matrix<S>(Z, "X");
            return c.read([&](const Model& m) { return m.predict(values); });
          },
          py::arg("Z").noconvert())
      .def(
          "learn",
          [](Core& c, const Array<S>& X, const Array<S>& Y, bool owns_rows) {
            const auto values = matrix<S>(X, "X");
            const auto targets = matrix<S>(Y, "Y");
            auto held = block<S>(X, owns_rows);
            return integers(c.change([&](Model& m) {
              if (m.precomputed()) return m.learn_precomputed(values, targets);
              // A model that owns its rows must own these too.
              if (m.rows().owned() && !owns_rows) held = m.rows().copied(values);
              return m.learn(std::move(held), values.cols(), targets);
            }));
          },
          py::arg("X").noconvert(), py::arg("Y").noconvert(), py::arg("owns_rows"))
      .def("state",
           [](const Core& c) {
             auto [state, rows] = c.read([](const Model& m) {
               return std::pair<typename Model::State, RowMatrix<S>>(m.state(),
                                                                     m.rows().gathered());
             });
             return kernel_state<S>(state, std::move(rows));
           })
      .def_static("from_state",
                  [](const py::dict& state) { return Core(kernel_from_state<S>(state)); });
}

}  // namespace minnorm::python
