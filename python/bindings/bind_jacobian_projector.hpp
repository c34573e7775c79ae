// JacobianProjector: J by reference, vectors in and out.
#pragma once

#include <pybind11/functional.h>
#include <pybind11/stl.h>

#include "arrays.hpp"
#include "minnorm/jacobian_projector.hpp"

namespace minnorm::python {

// Nested as in JacobianBlocks: column blocks, each a sequence of row blocks. The rows
// of a block may lie any distance apart; the Python layer sees to the rest.
template <class S>
std::vector<typename JacobianBlocks<S>::ColumnBlock> column_blocks(const py::sequence& columns) {
  std::vector<typename JacobianBlocks<S>::ColumnBlock> out;
  for (const py::handle column : columns) {
    typename JacobianBlocks<S>::ColumnBlock next;
    for (const py::handle item : column.cast<py::sequence>()) {
      if (!py::isinstance<py::array_t<S>>(item))
        throw InputError("J: expected blocks of one dtype, float32 or float64");
      const auto array = item.cast<py::array_t<S>>();
      if (array.ndim() != 2)
        throw ShapeError("J: number of dimensions of a block: " + detail::got(2, array.ndim()));
      const auto entry = static_cast<py::ssize_t>(sizeof(S));
      if (array.shape(1) > 1 && array.strides(1) != entry)
        throw InputError("J: expected the entries of a row side by side");
      if (array.shape(0) > 1 && array.strides(0) % entry != 0)
        throw InputError("J: expected aligned rows");
      if (next.blocks.empty())
        next.cols = array.shape(1);
      else if (array.shape(1) != next.cols)
        throw ShapeError("J: number of columns of a row block: " +
                         detail::got(next.cols, array.shape(1)));
      const Index stride = array.shape(0) > 1 ? array.strides(0) / entry : next.cols;
      next.blocks.push_back(
          {const_cast<S*>(array.data()), array.shape(0), stride, kept_alive(array)});
    }
    out.push_back(std::move(next));
  }
  return out;
}

// Gives pages of a mapped file back; called from inside a pass, without the GIL.
template <class S>
typename JacobianBlocks<S>::Release release_hook(const py::object& callable) {
  if (callable.is_none()) return {};
  return [keep = kept_alive(callable)](Index first, Index last) {
    const py::gil_scoped_acquire gil;
    (*static_cast<const py::object*>(keep.get()))(first, last);
  };
}

inline JacobianFactorization jacobian_factorization(const std::string& name) {
  if (name == "auto") return JacobianFactorization::automatic;
  if (name == "cholesky") return JacobianFactorization::cholesky;
  if (name == "seminormal") return JacobianFactorization::seminormal;
  if (name == "qr") return JacobianFactorization::qr;
  throw InputError("factorization: expected auto, cholesky, seminormal or qr, got " + name);
}
inline const char* name_of(JacobianFactorization used) {
  switch (used) {
    case JacobianFactorization::cholesky:
      return "cholesky";
    case JacobianFactorization::seminormal:
      return "seminormal";
    case JacobianFactorization::qr:
      return "qr";
    default:
      return "auto";
  }
}

inline py::dict to_dict(const ProjectionReport& report) {
  py::dict out;
  out["rank"] = report.rank;
  out["rtol"] = report.rtol;
  out["orthogonality"] = report.orthogonality;
  out["norm_removed"] = report.norm_removed;
  out["passes"] = report.passes;
  out["reorthogonalised"] = report.reorthogonalised;
  out["factorization"] = name_of(report.factorization);
  return out;
}

// A projector and the products that were made for the first vectors.
template <class S>
struct ProjectorState {
  JacobianProjector<S> projector;
  Matrix<double> products;
};

template <class S, class T>
void bind_vectors(py::class_<Guarded<ProjectorState<S>>>& core) {
  using State = ProjectorState<S>;
  using Core = Guarded<State>;
  core.def(
          "project",
          [](const Core& c, const Array<T>& V, std::optional<double> strength, bool first) {
            const auto vectors = matrix<T>(V, "vectors");
            ProjectionReport report;
            RowMatrix<T> out = c.read([&](const State& s) {
              return s.projector.template project<T>(vectors, strength, &report,
                                                     first ? &s.products : nullptr);
            });
            return py::make_tuple(owning_array(std::move(out)), to_dict(report));
          },
          py::arg("V").noconvert(), py::arg("strength"), py::arg("first"))
      .def(
          "coefficients",
          [](const Core& c, const Array<T>& V) {
            const auto vectors = matrix<T>(V, "vectors");
            return c.read(
                [&](const State& s) { return s.projector.template coefficients<T>(vectors); });
          },
          py::arg("V").noconvert());
}

template <class S>
void bind_jacobian_projector(py::module_& module, const char* name) {
  using State = ProjectorState<S>;
  using Core = Guarded<State>;
  py::class_<Core> core(module, name, py::module_local());
  core.def(py::init([](const py::sequence& blocks, std::optional<double> rtol, double damping,
                       bool damping_relative, const std::string& factorization,
                       const py::object& vectors, const py::object& release) {
             JacobianBlocks<S> J(column_blocks<S>(blocks), release_hook<S>(release));
             const ProjectorOptions options{rtol.value_or(-1), damping, damping_relative,
                                            jacobian_factorization(factorization)};
             const auto make = [&](auto... V) {
               // J and V are kept alive by the blocks and the caller.
               const py::gil_scoped_release nogil;
               Matrix<double> products;
               if constexpr (sizeof...(V) > 0) {
                 JacobianProjector<S> projector(std::move(J), options, V..., products);
                 return Core(State{std::move(projector), std::move(products)});
               } else {
                 return Core(State{JacobianProjector<S>(std::move(J), options), {}});
               }
             };
             if (vectors.is_none()) return make();
             if (py::isinstance<Array<float>>(vectors))
               return make(ConstRowMatrixRef<float>(
                   matrix<float>(vectors.cast<Array<float>>(), "vectors")));
             return make(ConstRowMatrixRef<double>(
                 matrix<double>(vectors.cast<Array<double>>(), "vectors")));
           }),
           py::arg("blocks"), py::kw_only(), py::arg("rtol"), py::arg("damping"),
           py::arg("damping_relative"), py::arg("factorization"), py::arg("vectors"),
           py::arg("release"));
  bind_vectors<S, float>(core);
  bind_vectors<S, double>(core);
  const auto property = [&core](const char* label, auto get) {
    core.def_property_readonly(label, [get](const Core& c) {
      return c.read([get](const State& s) { return get(s.projector); });
    });
  };
  using P = JacobianProjector<S>;
  property("n_rows", [](const P& p) { return p.rows(); });
  property("n_columns", [](const P& p) { return p.cols(); });
  property("rank", [](const P& p) { return p.rank(); });
  property("rtol", [](const P& p) { return p.rtol(); });
  property("norm", [](const P& p) { return p.norm(); });
  property("gram_eigenvalues", [](const P& p) { return gram_eigenvalues(p.space()); });
  property("condition", [](const P& p) { return p.condition(); });
  property("factorization", [](const P& p) { return name_of(p.factorization()); });
  core.def_property_readonly("dtype", [](const Core&) { return py::dtype::of<S>(); })
      .def_property_readonly("backend", [](const Core&) { return "native"; })
      .def_property_readonly(
          "basis",
          [](const Core& c) {
            return integers(c.read([](const State& s) { return s.projector.space().basis(); }));
          })
      .def(
          "delete_rows",
          [](Core& c, const Handles& positions) {
            c.change([which = indices(positions)](State& s) { s.projector.erase(which); });
          },
          py::arg("positions").noconvert())
      .def(
          "add_rows",
          [](Core& c, const py::sequence& blocks) {
            const auto more = column_blocks<S>(blocks);
            c.change([&](State& s) { s.projector.append(more); });
          },
          py::arg("blocks"));
}

}  // namespace minnorm::python
