// The border that no exception crosses: what is thrown inside becomes a status and a
// message of the calling thread.
//
// The message lies in a buffer of fixed size, so that reporting a failure cannot fail.
#pragma once

#include "minnorm.h"
#include "minnorm/errors.hpp"

namespace minnorm::c {

// A handle that stands for nothing: null, freed, or never issued.
struct HandleError : Error {
  using Error::Error;
};

// Call inside a catch block.
minnorm_status report_current_exception() noexcept;

template <class F>
minnorm_status guarded(F f) noexcept {
  try {
    f();
    return MINNORM_OK;
  } catch (...) {
    return report_current_exception();
  }
}

template <class T>
T& required(T* pointer, const char* name) {
  if (!pointer) throw InputError(std::string(name) + ": expected a pointer, got NULL");
  return *pointer;
}

}  // namespace minnorm::c
