// The caller's buffers as row-major views, after their sizes have been examined, and other
// arguments that C leaves unchecked: Eigen asserts what is refused here, and an assertion
// is no status.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>

#include "minnorm/errors.hpp"
#include "minnorm/types.hpp"
#include "status.hpp"

namespace minnorm::c {

inline std::string shape_text(std::int64_t rows, std::int64_t cols) {
  return "(" + std::to_string(rows) + ", " + std::to_string(cols) + ")";
}

template <class S>
void require_buffer(const S* data, std::int64_t rows, std::int64_t cols, std::int64_t ld,
                    const char* name) {
  required(data, name);
  const std::string matrix = name;
  if (rows < 1 || cols < 1)
    throw ShapeError(matrix + ": expected at least one row and one column, got shape " +
                     shape_text(rows, cols));
  if (ld < cols)
    throw ShapeError(matrix + ": leading dimension: expected at least the number of columns, " +
                     std::to_string(cols) + ", got " + std::to_string(ld));
  constexpr std::int64_t most = std::numeric_limits<Index>::max() / std::int64_t(sizeof(S));
  if (ld > most / rows)
    throw ShapeError(matrix + ": expected a matrix that fits the address space, got shape " +
                     shape_text(rows, cols) + " with leading dimension " + std::to_string(ld));
}

template <class S>
using InputMap = Eigen::Map<const RowMatrix<S>, 0, Eigen::OuterStride<>>;
template <class S>
using OutputMap = Eigen::Map<RowMatrix<S>, 0, Eigen::OuterStride<>>;

template <class S>
InputMap<S> input(const S* data, std::int64_t rows, std::int64_t cols, std::int64_t ld,
                  const char* name) {
  require_buffer(data, rows, cols, ld, name);
  return InputMap<S>(data, Index(rows), Index(cols), Eigen::OuterStride<>(Index(ld)));
}

// A buffer for a result of the given shape.
template <class S>
OutputMap<S> output(S* data, std::int64_t rows, std::int64_t cols, std::int64_t ld,
                    std::int64_t expected_rows, std::int64_t expected_cols, const char* name) {
  require_buffer(data, rows, cols, ld, name);
  if (rows != expected_rows || cols != expected_cols)
    throw ShapeError(std::string(name) + ": expected shape " +
                     shape_text(expected_rows, expected_cols) + ", got " + shape_text(rows, cols));
  return OutputMap<S>(data, Index(rows), Index(cols), Eigen::OuterStride<>(Index(ld)));
}

// Enumerators from C are plain integers: any value can come.
inline int enumerator(std::int32_t value, int last, const char* name) {
  if (value < 0 || value > last)
    throw InputError(std::string(name) + ": expected an enumerator from 0 to " +
                     std::to_string(last) + ", got " + std::to_string(value));
  return value;
}

// Data of the other precision would be read beyond its end.
template <class S>
InputError wrong_precision(const std::string& kind) {
  const bool f64 = std::is_same_v<S, double>;
  return InputError("precision: expected a " + kind + (f64 ? " of double" : " of float") +
                    ", got one of " + (f64 ? "float" : "double") +
                    "; call the function that ends in " + (f64 ? "_f32" : "_f64"));
}

}  // namespace minnorm::c
