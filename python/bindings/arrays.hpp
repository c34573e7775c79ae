// Between numpy arrays and the core, without copies on the way in.
//
// The Python layer has made every array C-contiguous, aligned, native and of one
// dtype; .noconvert() on each argument keeps pybind11 from converting silently.
#pragma once

#include <pybind11/eigen.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <memory>
#include <mutex>
#include <shared_mutex>

#include "minnorm/certificate.hpp"
#include "minnorm/samples.hpp"

namespace minnorm::python {

namespace py = pybind11;

template <class S>
using Array = py::array_t<S, py::array::c_style>;
using Handles = py::array_t<Handle, py::array::c_style>;

template <class S>
using RowMap = Eigen::Map<const RowMatrix<S>>;

template <class S>
RowMap<S> matrix(const Array<S>& array, const char* name) {
  if (array.ndim() != 2)
    throw ShapeError(std::string(name) + ": number of dimensions: " + detail::got(2, array.ndim()));
  return {array.data(), array.shape(0), array.shape(1)};
}

// A reference to a Python object that the core may drop while it runs without the
// GIL: it is given back under it.
inline std::shared_ptr<const void> kept_alive(const py::object& object) {
  return {new py::object(object), [](const py::object* kept) {
            const py::gil_scoped_acquire gil;
            delete kept;
          }};
}

// The array's buffer, kept alive by the block.
template <class S>
typename Rows<S>::Block block(const Array<S>& array, bool owned) {
  const auto rows = matrix<S>(array, "X");
  if (owned && !array.writeable())
    throw InputError("X: expected a writeable array that the model may own, got a read-only one");
  return {const_cast<S*>(rows.data()), rows.rows(), rows.cols(), kept_alive(array)};
}

// The matrix as an array that owns its buffer: large results are not copied.
template <class S>
py::array_t<S> owning_array(RowMatrix<S> values) {
  auto held = std::make_unique<RowMatrix<S>>(std::move(values));
  const py::capsule owner(held.get(),
                          [](void* pointer) { delete static_cast<RowMatrix<S>*>(pointer); });
  const RowMatrix<S>& out = *held.release();
  return py::array_t<S>({out.rows(), out.cols()}, out.data(), owner);
}

inline std::vector<Handle> handles(const Handles& array) {
  if (array.ndim() != 1)
    throw ShapeError("handles: number of dimensions: " + detail::got(1, array.ndim()));
  return {array.data(), array.data() + array.size()};
}

template <class T>
py::array_t<std::int64_t> integers(const std::vector<T>& values) {
  py::array_t<std::int64_t> out(static_cast<py::ssize_t>(values.size()));
  std::copy(values.begin(), values.end(), out.mutable_data());
  return out;
}

inline Indices indices(const Handles& array) {
  const std::vector<Handle> values = handles(array);
  return {values.begin(), values.end()};
}

// A model with a lock: many may read, one may change. The GIL is released first
// and the lock taken after, so no thread waits for the lock while it holds the GIL.
template <class Model>
class Guarded {
 public:
  explicit Guarded(Model model) : model_(std::move(model)) {}
  Guarded(Guarded&& other) noexcept : model_(std::move(other.model_)) {}

  template <class F>
  auto read(F f) const {
    const py::gil_scoped_release nogil;  // f works on C++ objects alone
    const std::shared_lock<std::shared_mutex> lock(mutex_);
    return f(model_);
  }
  template <class F>
  auto change(F f) {
    const py::gil_scoped_release nogil;  // f works on C++ objects alone
    const std::unique_lock<std::shared_mutex> lock(mutex_);
    return f(model_);
  }

 private:
  Model model_;
  mutable std::shared_mutex mutex_;
};

inline py::dict to_dict(const Certificate& c) {
  py::dict out;
  out["method"] = c.method;
  out["rank"] = c.rank;
  out["n_retained"] = c.n_retained;
  out["n_forgotten"] = c.n_forgotten;
  out["residual"] = c.residual;
  out["parameter_error_bound"] = c.parameter_error_bound;
  out["intercept_error_bound"] = c.intercept_error_bound;
  out["prediction_error_bound"] = c.prediction_error_bound;
  out["sigma_min_bound"] = c.sigma_min_bound;
  out["condition_bound"] = c.condition_bound;
  out["interpolates"] = c.interpolates;
  out["refinement_steps"] = c.refinement_steps;
  return out;
}

template <class S>
Samples<S> samples_from(const py::dict& state) {
  const auto Y = state["Y"].cast<Array<S>>();
  return {handles(state["handles"].cast<Handles>()), RowMatrix<S>(matrix<S>(Y, "Y")),
          state["next_handle"].cast<Handle>(), state["n_forgotten"].cast<Index>()};
}

template <class S>
void samples_to(py::dict& state, const Samples<S>& samples) {
  state["Y"] = RowMatrix<S>(samples.targets());
  state["handles"] = integers(samples.handles());
  state["next_handle"] = samples.next_handle();
  state["n_forgotten"] = samples.n_forgotten();
}

// scale = 2^-exponent, the form in which a state holds it.
inline int exponent_of(double scale) { return -std::ilogb(scale); }

}  // namespace minnorm::python
