// Rows made orthonormal by Cholesky QR: Q <- U^-1 Q with U U^T = Q Q^T.
//
// Invariant of the result: |Q Q^T - I| of order eps, and Q_before = U Q. A round
// leaves eps cond(Q)^2, so that rows which are nearly orthonormal (from a triangular
// solve) need two (Yamamoto, Nakatsukasa, Yanagisawa and Fukaya, ETNA 44, 2015). A
// Gram matrix that is not definite to rounding is shifted (Fukaya, Kannan, Nakatsukasa,
// Yamamoto and Yanagisawa, SIAM J. Sci. Comput. 42, 2020).
// Shapes: Q (r, p), held as Q^T (p, r), column-major. Cost 2 r^2 p a round.
// Q is changed in place. Throws nothing but std::bad_alloc.
#pragma once

#include <Eigen/Cholesky>
#include <type_traits>

#include "jacobian_blocks.hpp"
#include "tall_products.hpp"

namespace minnorm::detail {

inline constexpr Index orthogonal_chunk = 512;  // columns of Q worked on together

// Q Q^T for Q^T (p, r), accumulated in double; lower triangle.
template <class S>
Matrix<double> gram_of_columns(const Matrix<S>& Qt) {
  const Index r = Qt.cols();
  Matrix<double> G = Matrix<double>::Zero(r, r);
  const Eigen::Map<const RowMatrix<S>> Q(Qt.data(), r, Qt.rows());
  JacobianBlocks<S>::view(Q).for_each_panel(
      all_indices(r), {},
      [&](const ConstRowMatrixRef<double>& panel, Index) { add_gram(panel, G); });
  return G;
}

// Q <- U^-1 Q for lower-triangular U.
template <class S>
void solve_rows(const Matrix<double>& U, Matrix<S>& Qt) {
  Matrix<double> chunk;
  for (Index from = 0; from < Qt.rows(); from += orthogonal_chunk) {
    const Index w = std::min(orthogonal_chunk, Qt.rows() - from);
    chunk = Qt.middleRows(from, w).template cast<double>();
    U.transpose().template triangularView<Eigen::Upper>().template solveInPlace<Eigen::OnTheRight>(
        chunk);
    Qt.middleRows(from, w) = chunk.template cast<S>();
  }
}

// Makes the rows of Q orthonormal; returns lower-triangular U with Q_before = U Q.
template <class S>
Matrix<double> orthonormalise(Matrix<S>& Qt) {
  const Index r = Qt.cols();
  Matrix<double> U = Matrix<double>::Identity(r, r);
  // From a defect d one round leaves d * eps_double + eps: below this it is the last.
  const double last = std::is_same_v<S, float> ? 1e-3 : 1e-8;
  for (int round = 0; round < 6 && r > 0; ++round) {
    const Matrix<double> G = gram_of_columns(Qt);
    const Matrix<double> gap = G - Matrix<double>::Identity(r, r);
    const double defect =
        gap.template triangularView<Eigen::Lower>().toDenseMatrix().cwiseAbs().maxCoeff();
    Matrix<double> U1 = G;
    if (Eigen::LLT<Eigen::Ref<Matrix<double>>>(U1).info() != Eigen::Success) {
      U1 = G;
      const double trace = G.trace(), rows = static_cast<double>(r);
      U1.diagonal().array() +=
          11 * (rows + 1) * std::numeric_limits<double>::epsilon() * trace * std::max(1.0, rows);
      Eigen::LLT<Eigen::Ref<Matrix<double>>> shifted(U1);
    }
    U1.template triangularView<Eigen::StrictlyUpper>().setZero();
    solve_rows(U1, Qt);
    U = U * U1;
    if (defect <= last) break;
  }
  return U;
}

}  // namespace minnorm::detail
