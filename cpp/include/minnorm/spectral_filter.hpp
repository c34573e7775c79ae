// The spectrum of a row space, and the filter F in P = I - Q^T F Q for a projection
// that is truncated or damped.
//
// With T J = K Q, Q orthonormal: the Gram matrix of the rows scaled to unit length
// is K_1 K_1^T, K_1 = K with unit rows = U S V^T; its eigenvalues are S^2.
//   truncation  F = V_k V_k^T over S^2 > rtol S_1^2
//   damping mu  v - J^T (J J^T + mu I)^-1 J v: with J's own rows, T^-1 K V_k = U' S' V'^T,
//               F = V_k V' diag(S'^2 / (S'^2 + mu)) V'^T V_k^T
//   neither     F = I.
// Invariant: F is symmetric, 0 <= F <= I. Singular values are taken of K, not
// eigenvalues of K K^T: S is accurate to eps S_1, and S^2 down to eps^2 S_1^2.
// Shapes: K (m, r), F = V diag(f) V^T with V (r, k). Cost about 10 m r^2.
// Throws nothing but std::bad_alloc.
#pragma once

#include <Eigen/SVD>

#include "row_space.hpp"

namespace minnorm {

namespace detail {

// T^-1 K times 2^exponent, the power of two that brings the longest row into [1, 2):
// J may be of any size, its squares need not be.
struct OwnRows {
  Matrix<double> K;
  int exponent = 0;
};
inline OwnRows own_rows(Matrix<double> K, const Vector<double>& scale) {
  OwnRows out;
  int least = std::numeric_limits<int>::max();
  for (Index i = 0; i < K.rows(); ++i)
    if (K.row(i).squaredNorm() > 0) least = std::min(least, std::ilogb(scale(i)));
  if (least == std::numeric_limits<int>::max()) least = 0;
  for (Index i = 0; i < K.rows(); ++i) K.row(i) *= std::ldexp(1 / scale(i), least);
  out.K = std::move(K);
  out.exponent = least;
  return out;
}

inline Eigen::BDCSVD<Matrix<double>> singular_values(const Matrix<double>& K, bool vectors) {
  return Eigen::BDCSVD<Matrix<double>>(K, vectors ? unsigned(Eigen::ComputeThinV) : 0u);
}

}  // namespace detail

// Eigenvalues (m), descending, of the Gram matrix of unit rows; zeros beyond the rank.
inline Vector<double> gram_eigenvalues(const RowSpace<double>& space) {
  Vector<double> all = Vector<double>::Zero(space.size());
  if (space.rank() == 0) return all;
  const auto svd = detail::singular_values(detail::unit_rows(space.coordinates()), false);
  all.head(svd.singularValues().size()) = svd.singularValues().cwiseAbs2();
  return all;
}

// |J|_2, an estimate from below.
inline double spectral_norm(const RowSpace<double>& space) {
  const auto own = detail::own_rows(space.coordinates(), space.scale());
  return std::ldexp(detail::largest_singular_value(own.K), -own.exponent);
}

class SpectralFilter {
 public:
  SpectralFilter() = default;  // F = I
  // rtol: of the eigenvalues, relative to the largest; 0 keeps all. damping: mu, or
  // the fraction of the largest eigenvalue of J J^T.
  SpectralFilter(const RowSpace<double>& space, double rtol, double damping, bool relative)
      : identity_(space.rank() == 0 || (!(rtol > 0) && !(damping > 0))) {
    rank_ = space.rank();
    if (identity_) return;
    const Matrix<double> K = space.coordinates();
    V_ = Matrix<double>::Identity(rank_, rank_);
    if (rtol > 0) {
      const auto svd = detail::singular_values(detail::unit_rows(K), true);
      const auto& s = svd.singularValues();
      while (rank_ > 1 && !(s(rank_ - 1) * s(rank_ - 1) > rtol * s(0) * s(0))) --rank_;
      V_ = svd.matrixV().leftCols(rank_);
    }
    f_ = Vector<double>::Ones(rank_);
    if (damping > 0) {
      const auto own = detail::own_rows(K, space.scale());
      const auto svd = detail::singular_values(own.K * V_, true);
      const auto& s = svd.singularValues();
      const double mu = relative ? damping * s(0) * s(0) : std::ldexp(damping, 2 * own.exponent);
      for (Index k = 0; k < rank_; ++k) {
        // f = s^2 / (s^2 + mu); neither square may overflow.
        const double ratio = std::sqrt(mu) / s(k);
        f_(k) = s(k) > 0 && std::isfinite(ratio) ? 1 / (1 + ratio * ratio) : 0;
      }
      V_ = V_ * svd.matrixV();
    }
  }

  bool identity() const { return identity_; }
  Index rank() const { return rank_; }
  // out = F W for W (r, t), column by column; `room` is for V^T W.
  void apply(const Matrix<double>& W, Matrix<double>& out, Matrix<double>& room) const {
    if (identity_) {
      out = W;
      return;
    }
    out.resize(W.rows(), W.cols());
    room.resize(rank_, 1);
    auto half = room.col(0);
    for (Index k = 0; k < W.cols(); ++k) {
      half.noalias() = V_.transpose() * W.col(k);
      half.array() *= f_.array();
      out.col(k).noalias() = V_ * half;
    }
  }

 private:
  bool identity_ = true;
  Index rank_ = 0;
  Matrix<double> V_;  // (r, k)
  Vector<double> f_;
};

}  // namespace minnorm
