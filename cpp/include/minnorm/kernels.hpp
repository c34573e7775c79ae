// Kernel functions on pairs of rows, evaluated by blocks.
//
//   linear      x.z                       polynomial  (gamma x.z + coef0)^degree
//   rbf         exp(-gamma |x - z|^2)     laplacian   exp(-gamma |x - z|_1)
//   matern32    (1 + a) exp(-a), a = sqrt(6 gamma) |x - z|
//   matern52    (1 + a + a^2 / 3) exp(-a), a = sqrt(10 gamma) |x - z|
// so that gamma = 1 / (2 length^2) is one length scale for the last four but
// laplacian. Inner products and distances come from GEMM on blocks centred on the
// block's mean, several blocks at once where there are threads; pairs so close that |x|^2 + |z|^2 -
// 2 x.z has cancelled are evaluated again from x - z, so that k(x, x) is exact and duplicates
// agree. Shapes: A (n, p), B (m, p) -> K (n, m). Cost 2 n m p flops, no copy of A or B beyond two
// blocks. Throws InputError.
#pragma once

#include <Eigen/Core>
#include <cmath>
#include <string>

#include "errors.hpp"
#include "threads.hpp"

namespace minnorm {

enum class KernelType { linear, rbf, laplacian, polynomial, matern32, matern52, precomputed };

struct Kernel {
  KernelType type = KernelType::rbf;
  double gamma = 1;
  double degree = 3;
  double coef0 = 1;
};

inline KernelType kernel_type(const std::string& name) {
  if (name == "linear") return KernelType::linear;
  if (name == "rbf") return KernelType::rbf;
  if (name == "laplacian") return KernelType::laplacian;
  if (name == "polynomial") return KernelType::polynomial;
  if (name == "matern32") return KernelType::matern32;
  if (name == "matern52") return KernelType::matern52;
  if (name == "precomputed") return KernelType::precomputed;
  throw InputError(
      "kernel: expected linear, rbf, laplacian, polynomial, matern32, matern52 or precomputed, "
      "got " +
      name);
}

inline void require_valid(const Kernel& kernel) {
  if (!(kernel.gamma > 0) || !std::isfinite(kernel.gamma))
    throw InputError("gamma: expected a finite number > 0, got " + std::to_string(kernel.gamma));
  if (!(kernel.degree >= 0) || !std::isfinite(kernel.degree))
    throw InputError("degree: expected a finite number >= 0, got " + std::to_string(kernel.degree));
  if (!std::isfinite(kernel.coef0))
    throw InputError("coef0: expected a finite number, got " + std::to_string(kernel.coef0));
}

namespace detail {

inline constexpr Index kernel_block = 256;

// A pair takes 2 p flops for its product and some tens for its function.
inline double evaluation_flops(Index pairs, Index p) {
  return static_cast<double>(pairs) * (2 * static_cast<double>(p) + 30);
}

template <class S>
void power(MatrixRef<S> K, double degree) {
  if (degree != std::floor(degree) || degree > 64) {
    K = K.array().pow(static_cast<S>(degree)).matrix();
    return;
  }
  const Matrix<S> base = K;
  K.setOnes();
  Matrix<S> square = base;
  for (auto d = static_cast<unsigned>(degree); d > 0; d >>= 1) {
    if (d & 1u) K = K.cwiseProduct(square);
    if (d > 1) square = square.cwiseAbs2();
  }
}

// Squared distances; those below 1/1024 of |x|^2 + |z|^2 are taken from x - z.
template <class S>
void squared_distances(ConstRowMatrixRef<S> A, ConstRowMatrixRef<S> B, MatrixRef<S> D) {
  const Eigen::Matrix<S, 1, Eigen::Dynamic> centre = B.colwise().mean();
  const RowMatrix<S> a = A.rowwise() - centre, b = B.rowwise() - centre;
  const Vector<S> aa = a.rowwise().squaredNorm(), bb = b.rowwise().squaredNorm();
  D.noalias() = S(-2) * a * b.transpose();
  for (Index j = 0; j < D.cols(); ++j)
    for (Index i = 0; i < D.rows(); ++i) {
      const S sizes = aa(i) + bb(j), d = D(i, j) + sizes;
      D(i, j) = d > sizes / 1024 ? d : (A.row(i) - B.row(j)).squaredNorm();
    }
}

template <class S>
void evaluate_block(const Kernel& kernel, ConstRowMatrixRef<S> A, ConstRowMatrixRef<S> B,
                    MatrixRef<S> K) {
  const S gamma = static_cast<S>(kernel.gamma);
  auto k = K.array();
  switch (kernel.type) {
    case KernelType::linear:
      K.noalias() = A * B.transpose();
      return;
    case KernelType::polynomial:
      K.noalias() = gamma * A * B.transpose();
      k += static_cast<S>(kernel.coef0);
      power<S>(K, kernel.degree);
      return;
    case KernelType::laplacian:
      for (Index j = 0; j < K.cols(); ++j)
        for (Index i = 0; i < K.rows(); ++i) K(i, j) = (A.row(i) - B.row(j)).template lpNorm<1>();
      k = (-gamma * k).exp();
      return;
    case KernelType::rbf:
      squared_distances<S>(A, B, K);
      k = (-gamma * k).exp();
      return;
    case KernelType::matern32:
      squared_distances<S>(A, B, K);
      k = (S(6) * gamma * k).sqrt();
      k = (S(1) + k) * (-k).exp();
      return;
    case KernelType::matern52:
      squared_distances<S>(A, B, K);
      k = (S(10) * gamma * k).sqrt();
      k = (S(1) + k + k.square() / S(3)) * (-k).exp();
      return;
    case KernelType::precomputed:
      throw InputError("kernel: a precomputed kernel has no function to evaluate");
  }
}

}  // namespace detail

// K(i, j) = k(A_i, B_j).
template <class S>
void evaluate(const Kernel& kernel, ConstRowMatrixRef<S> A, ConstRowMatrixRef<S> B,
              MatrixRef<S> K) {
  if (A.cols() != B.cols())
    throw ShapeError("X: number of features: " + detail::got(B.cols(), A.cols()));
  const Index step = detail::kernel_block;
  const Index down = (A.rows() + step - 1) / step, across = (B.rows() + step - 1) / step;
  const Index threads = detail::thread_count(detail::evaluation_flops(K.size(), A.cols()));
  detail::for_each_task(down * across, threads, [&](Index task) {
    const Index i = task % down * step, j = task / down * step;
    const Index h = std::min(step, A.rows() - i), w = std::min(step, B.rows() - j);
    detail::evaluate_block<S>(kernel, A.middleRows(i, h), B.middleRows(j, w), K.block(i, j, h, w));
  });
}

// K(i, j) = k(A_i, A_j), exactly symmetric.
template <class S>
void evaluate_symmetric(const Kernel& kernel, ConstRowMatrixRef<S> A, MatrixRef<S> K) {
  const Index n = A.rows(), step = detail::kernel_block;
  const Index threads = detail::thread_count(detail::evaluation_flops(n * n / 2, A.cols()));
  // Columns of blocks, the longest first: they even out the triangle.
  detail::for_each_task((n + step - 1) / step, threads, [&](Index column) {
    const Index j = column * step, w = std::min(step, n - j);
    for (Index i = j; i < n; i += step) {
      const Index h = std::min(step, n - i);
      detail::evaluate_block<S>(kernel, A.middleRows(i, h), A.middleRows(j, w),
                                K.block(i, j, h, w));
      if (i > j) K.block(j, i, w, h) = K.block(i, j, h, w).transpose();
    }
    auto own = K.block(j, j, w, w);
    own.template triangularView<Eigen::StrictlyUpper>() = own.transpose();
  });
}

}  // namespace minnorm
