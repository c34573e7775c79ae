// What the library throws. Every message says what was expected, what came and
// what to do. After a throw the object that threw is as it was before the call.
#pragma once

#include <stdexcept>
#include <string>

namespace minnorm {

struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};
// A value outside its domain: NaN, a negative ridge, an unknown kernel.
struct InputError : Error {
  using Error::Error;
};
// Sizes that do not fit each other.
struct ShapeError : InputError {
  using InputError::InputError;
};
// A sample that is not held: never issued, or forgotten already.
struct UnknownSampleError : Error {
  using Error::Error;
};
// A kernel matrix with a negative eigenvalue beyond rounding.
struct NotPositiveDefiniteError : Error {
  using Error::Error;
};

namespace detail {
inline std::string got(long long expected, long long came) {
  return "expected " + std::to_string(expected) + ", got " + std::to_string(came);
}
}  // namespace detail

}  // namespace minnorm
