// Choice of a maximal independent set of rows, with the others as combinations.
//
// Result: order[0 .. rank) are the chosen rows, L (rank, rank) their triangular
// factor in that order, W (rest, rank) the weights of the rest: X_rest = W X_B.
// A row is dependent when its distance to the span of the rows chosen before it
// is at most `tolerance`, absolute.
// Cost: by QR 4 n r p / 2 flops and a working copy, by Gram matrix n r^2.
// Throws nothing but std::bad_alloc.
#pragma once

#include <Eigen/QR>
#include <cmath>
#include <numeric>
#include <utility>

#include "types.hpp"

namespace minnorm {

struct IndependentRows {
  Indices order;
  Index rank = 0;
  Matrix<double> L, W;
  double defect = 0;  // Gram only: most negative or largest entry left over
};

// Rows were chosen at unit length; back to their own: L_B = diag(l_B) L', and
// W_ij = l_i W'_ij / l_j. A chosen row has a length > 0.
inline void restore_lengths(IndependentRows& chosen, const Vector<double>& lengths) {
  Vector<double> in(chosen.rank), out(chosen.W.rows());
  for (Index k = 0; k < chosen.rank; ++k)
    in(k) = lengths(chosen.order[static_cast<std::size_t>(k)]);
  for (Index d = 0; d < out.size(); ++d)
    out(d) = lengths(chosen.order[static_cast<std::size_t>(chosen.rank + d)]);
  chosen.L = in.asDiagonal() * chosen.L;
  chosen.W = out.asDiagonal() * chosen.W * in.cwiseInverse().asDiagonal();
}

// Rows given as the columns of A: column-pivoted Householder QR, whose R^T is L.
inline IndependentRows independent_rows(const Matrix<double>& A, double tolerance) {
  IndependentRows out;
  const Index n = A.cols();
  const Eigen::ColPivHouseholderQR<Matrix<double>> qr(A);
  const auto& permutation = qr.colsPermutation().indices();
  for (Index j = 0; j < n; ++j) out.order.push_back(permutation(j));
  const auto& R = qr.matrixQR();
  const Index most = std::min(A.rows(), n);
  while (out.rank < most && std::abs(R(out.rank, out.rank)) > tolerance) ++out.rank;
  const Index r = out.rank;
  const Matrix<double> R11 = R.topLeftCorner(r, r).triangularView<Eigen::Upper>();
  Matrix<double> R12 = R.block(0, r, r, n - r);
  R11.triangularView<Eigen::Upper>().solveInPlace(R12);
  out.W = R12.transpose();
  out.L = R11.transpose();
  for (Index j = 0; j < r; ++j)
    if (out.L(j, j) < 0) out.L.col(j) = -out.L.col(j);
  return out;
}

// Rows given by their Gram matrix S (lower triangle): Cholesky with complete
// pivoting; here `tolerance` is on squared distances. `defect` is what is left of
// the dependent block, of rounding size exactly when S is positive semidefinite.
inline IndependentRows independent_rows_of_gram(Matrix<double> S, double tolerance) {
  IndependentRows out;
  const Index n = S.rows();
  out.order.resize(static_cast<std::size_t>(n));
  std::iota(out.order.begin(), out.order.end(), Index(0));
  S.triangularView<Eigen::StrictlyUpper>() = S.transpose();
  Index k = 0;
  for (; k < n; ++k) {
    Index pivot = 0;
    const double largest = S.diagonal().tail(n - k).maxCoeff(&pivot);
    if (!(largest > tolerance)) break;
    pivot += k;
    if (pivot != k) {
      S.row(k).swap(S.row(pivot));
      S.col(k).swap(S.col(pivot));
      std::swap(out.order[static_cast<std::size_t>(k)], out.order[static_cast<std::size_t>(pivot)]);
    }
    const double root = std::sqrt(largest);
    const Index below = n - k - 1;
    S(k, k) = root;
    S.col(k).tail(below) /= root;
    S.bottomRightCorner(below, below)
        .selfadjointView<Eigen::Lower>()
        .rankUpdate(S.col(k).tail(below), -1);
    // Symmetric swaps read both triangles.
    for (Index j = k + 1; j < n; ++j) S.row(j).segment(j + 1, n - j - 1) = S.col(j).tail(n - j - 1);
  }
  out.rank = k;
  if (k < n) {
    const auto rest = S.bottomRightCorner(n - k, n - k);
    out.defect = rest.cwiseAbs().maxCoeff();
  }
  out.L = S.topLeftCorner(k, k).triangularView<Eigen::Lower>();
  out.W = S.block(k, 0, n - k, k);
  out.L.triangularView<Eigen::Lower>().solveInPlace<Eigen::OnTheRight>(out.W);
  return out;
}

}  // namespace minnorm
