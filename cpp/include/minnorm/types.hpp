// Aliases used everywhere. Samples are rows; what the library stores for its
// own algebra is column-major, what it takes from callers is row-major.
#pragma once

#include <Eigen/Core>
#include <cstdint>
#include <limits>
#include <vector>

namespace minnorm {

using Index = Eigen::Index;
using Handle = std::int64_t;  // stable name of a sample: never reused
using Indices = std::vector<Index>;

template <class S>
using Matrix = Eigen::Matrix<S, Eigen::Dynamic, Eigen::Dynamic>;
template <class S>
using RowMatrix = Eigen::Matrix<S, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class S>
using Vector = Eigen::Matrix<S, Eigen::Dynamic, 1>;

template <class S>
using MatrixRef = Eigen::Ref<Matrix<S>, 0, Eigen::OuterStride<>>;
template <class S>
using ConstMatrixRef = Eigen::Ref<const Matrix<S>, 0, Eigen::OuterStride<>>;
// Binds any row-major block without a copy (a column-major argument is copied).
template <class S>
using ConstRowMatrixRef = Eigen::Ref<const RowMatrix<S>, 0, Eigen::OuterStride<>>;

// gamma_d = d u / (1 - d u): d roundings in sequence (Higham, Accuracy and
// Stability of Numerical Algorithms, 2nd ed., Lemma 3.1). Infinite past d u >= 1.
template <class S>
double gamma(double d) {
  const double du = d * 0.5 * static_cast<double>(std::numeric_limits<S>::epsilon());
  return du < 1.0 ? du / (1.0 - du) : std::numeric_limits<double>::infinity();
}

}  // namespace minnorm
