// The extension module: a table of contents, and the translation of errors.
#include <pybind11/pybind11.h>

#include "minnorm/errors.hpp"

namespace minnorm::python {
void bind_float(pybind11::module_& module);
void bind_double(pybind11::module_& module);
void bind_projection(pybind11::module_& module);
}  // namespace minnorm::python

namespace {

namespace py = pybind11;

void raise(const char* name, const std::exception& error) {
  const py::object type = py::module_::import("minnorm.errors").attr(name);
  PyErr_SetString(type.ptr(), error.what());
}

void translate(std::exception_ptr pointer) {
  if (!pointer) return;
  try {
    std::rethrow_exception(pointer);
  } catch (const minnorm::ShapeError& error) {
    raise("ShapeError", error);
  } catch (const minnorm::InputError& error) {
    raise("InputError", error);
  } catch (const minnorm::UnknownSampleError& error) {
    raise("UnknownSampleError", error);
  } catch (const minnorm::NotPositiveDefiniteError& error) {
    raise("NotPositiveDefiniteError", error);
  }
}

}  // namespace

PYBIND11_MODULE(MINNORM_MODULE_NAME, module) {
  module.doc() = "Compiled core of minnorm; use the estimators of the package instead.";
  py::register_local_exception_translator(&translate);
  minnorm::python::bind_float(module);
  minnorm::python::bind_double(module);
  minnorm::python::bind_projection(module);
}
