// KernelCoreFloat and KernelCoreDouble: the kernel model for Python.
#pragma once

#include "arrays.hpp"

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
py::dict kernel_state(const KernelInterpolator<S>& model) {
  const auto state = model.state();
  const Kernel& kernel = state.options.kernel;
  py::dict out;
  out["kind"] = "kernel";
  out["version"] = 1;
  out["X"] = model.precomputed() ? py::object(py::none()) : py::cast(gathered(model.rows()));
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
  py::class_<Core>(module, name, py::module_local())
      .def(py::init([](const Array<S>& X, const Array<S>& Y, const std::string& kernel,
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
          "dual_coef",
          [](const Core& c) { return c.read([](const Model& m) { return m.dual_coef(); }); })
      .def_property_readonly(
          "certificate",
          [](const Core& c) {
            return to_dict(c.read([](const Model& m) { return m.certificate(); }));
          })
      .def(
          "predict",
          [](const Core& c, const Array<S>& Z) {
            const auto values = matrix<S>(Z, "X");
            return c.read([&](const Model& m) { return m.predict(values); });
          },
          py::arg("Z").noconvert())
      .def(
          "forget",
          [](Core& c, const Handles& gone) {
            c.change([which = handles(gone)](Model& m) { m.forget(which); });
          },
          py::arg("handles").noconvert())
      .def(
          "learn",
          [](Core& c, const Array<S>& X, const Array<S>& Y, bool owns_rows) {
            const auto values = matrix<S>(X, "X");
            const auto targets = matrix<S>(Y, "Y");
            auto held = block<S>(X, owns_rows);
            return integers(c.change([&](Model& m) {
              if (m.precomputed()) return m.learn_precomputed(values, targets);
              // A model that owns its rows must own these too.
              if (m.rows().owned() && !owns_rows) held = Rows<S>::copied(values);
              return m.learn(std::move(held), values.cols(), targets);
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
      .def("state",
           [](const Core& c) { return kernel_state<S>(c.read([](const Model& m) { return m; })); })
      .def_static("from_state",
                  [](const py::dict& state) { return Core(kernel_from_state<S>(state)); });
}

}  // namespace minnorm::python
