// ThinQR: an orthonormal basis Q of the row space of X with its triangular factor,
// X_B = L Q, kept while rows leave and arrive.
//
// Invariant: |Q Q^T - I| and |X - K Q| are of order eps (of |x_i| in row i), for
// any condition number; K = [I; W] L are the coordinates of all rows.
// Built by preconditioned Cholesky QR: L from a Q-less Householder QR gives
// Q_1 = L^-1 X_B, orthonormal to eps cond(X), and orthonormal_rows.hpp does the rest.
// Rows leave by the rotations of L, applied to Q; rows arrive by Gram-Schmidt,
// twice. Nothing of an erased row is kept.
// Shapes: X (n, p), rank r; Q (r, p), L (r, r). Memory r p. Cost: 6 n r p; erase of
// k rows 6 r p k; append of c rows 8 r p c + 6 p c^2.
// X is only read. Throws InputError, ShapeError, UnknownSampleError, before anything
// changes.
#pragma once

#include "qless_qr.hpp"

namespace minnorm {

template <class S>
class ThinQR {
 public:
  ThinQR() = default;
  // X (n, p) is read, not kept. `tolerance`: distance below which a row is
  // dependent, relative to sigma_max of unit rows; negative: max(n, 16) eps.
  explicit ThinQR(ConstRowMatrixRef<S> X, double tolerance = -1) : tolerance_(tolerance) {
    if (X.rows() < 1 || X.cols() < 1)
      throw ShapeError("X: expected at least one row and one column, got shape (" +
                       std::to_string(X.rows()) + ", " + std::to_string(X.cols()) + ")");
    const auto blocks = JacobianBlocks<S>::view(X);
    const Vector<double> scale = detail::row_scales(blocks);
    *this =
        ThinQR(blocks, detail::row_space_by_qr(blocks, scale, tolerance_for(X.rows())), tolerance);
  }
  // Q for rows whose factor is known already.
  template <class T>
  ThinQR(const JacobianBlocks<T>& X, const RowSpace<double>& space, double tolerance)
      : tolerance_(tolerance) {
    const Index r = space.rank();
    Vector<double> scale(r);
    for (Index k = 0; k < r; ++k)
      scale(k) = space.scale()(space.basis()[static_cast<std::size_t>(k)]);
    Qt_.resize(X.cols(), r);
    const Matrix<double> L = space.factor().matrix();
    Matrix<double> solved;
    X.for_each_panel(space.basis(), scale,
                     [&](const ConstRowMatrixRef<double>& panel, Index first) {
                       solved = panel;
                       L.template triangularView<Eigen::Lower>().solveInPlace(solved);
                       Qt_.middleRows(first, panel.cols()) = solved.transpose().template cast<S>();
                     });
    const Matrix<double> U = detail::orthonormalise(Qt_);
    const Matrix<double> LU = L.template triangularView<Eigen::Lower>() * U;
    space_ = RowSpace<S>(space.scale(), space.basis(), space.dependents(),
                         TriangularFactor<S>(Matrix<S>(LU.template cast<S>())),
                         space.weights().template cast<S>(), space.slack());
  }

  // From parts that were saved: Q (r, p) and the row space that goes with it.
  ThinQR(RowSpace<S> space, ConstRowMatrixRef<S> Q, double tolerance)
      : space_(std::move(space)), Qt_(Q.transpose()), tolerance_(tolerance) {
    if (Q.rows() != space_.rank())
      throw ShapeError("Q: number of rows: " + detail::got(space_.rank(), Q.rows()));
  }

  const RowSpace<S>& space() const { return space_; }
  double tolerance() const { return tolerance_; }  // as given
  Index size() const { return space_.size(); }
  Index rank() const { return space_.rank(); }
  Index cols() const { return Qt_.rows(); }
  // (r, p), orthonormal rows; valid until this object changes.
  Eigen::Map<const RowMatrix<S>> Q() const { return {Qt_.data(), rank(), cols()}; }
  // (r, r), X_B = L Q in the units of X.
  Matrix<S> L() const {
    Matrix<S> L = space_.factor().matrix();
    for (Index k = 0; k < rank(); ++k)
      L.row(k) /= static_cast<S>(space_.scale()(space_.basis()[static_cast<std::size_t>(k)]));
    return L;
  }
  // (n - r, r), X_D = W X_B in the units of X.
  Matrix<S> weights() const {
    Matrix<S> W = space_.weights();
    for (Index d = 0; d < W.rows(); ++d)
      for (Index k = 0; k < rank(); ++k)
        W(d, k) *= static_cast<S>(space_.scale()(space_.basis()[static_cast<std::size_t>(k)]) /
                                  space_.scale()(space_.dependents()[static_cast<std::size_t>(d)]));
    return W;
  }

  // Forgets rows by position; those that stay close ranks.
  typename RowSpace<S>::Erased erase(const Indices& positions) {
    check_erasable(positions, size());
    return space_.erase(positions, tolerance_for(size()), &Qt_);
  }

  // New last rows (c, p).
  void append(ConstRowMatrixRef<S> X) { append(JacobianBlocks<S>::view(X)); }
  template <class T>
  void append(const JacobianBlocks<T>& X) {
    if (X.cols() != cols())
      throw ShapeError("X: number of columns: " + detail::got(cols(), X.cols()));
    const Index c = X.rows(), r = rank();
    const Vector<double> scale = detail::row_scales(X);
    Matrix<double> Et(cols(), c);
    X.for_each_panel(all_indices(c), scale,
                     [&](const ConstRowMatrixRef<double>& panel, Index first) {
                       Et.middleRows(first, panel.cols()) = panel.transpose();
                     });
    const Vector<double> lengths = Et.colwise().norm();
    Matrix<double> C = project_out(Et);
    C += project_out(Et);

    const Eigen::Map<const RowMatrix<double>> E(Et.data(), c, cols());
    const Matrix<double> left =
        detail::qless_qr(JacobianBlocks<double>::view(E), all_indices(c), Vector<double>())
            .matrix();
    Matrix<double> K = Matrix<double>::Zero(size() + c, r + c);
    K.topLeftCorner(size(), r) = space_.coordinates();
    K.bottomLeftCorner(c, r) = C;
    K.bottomRightCorner(c, c) = left;
    const double largest = detail::largest_singular_value(detail::unit_rows(std::move(K)));
    IndependentRows chosen = detail::choose_rows(left, lengths, tolerance_for(size() + c), largest);
    const double slack = detail::slack_of(left, lengths, chosen, largest);
    const Index more = chosen.rank;
    Matrix<double> new_Qt(cols(), more);
    for (Index k = 0; k < more; ++k)
      new_Qt.col(k) = Et.col(chosen.order[static_cast<std::size_t>(k)]);
    detail::solve_rows(chosen.L, new_Qt);
    // What was small before it was scaled up carries its rounding along Q.
    const Matrix<double> along = project_out(new_Qt);
    const Matrix<double> U = detail::orthonormalise(new_Qt);
    for (Index k = 0; k < more; ++k)
      C.row(chosen.order[static_cast<std::size_t>(k)]) += chosen.L.row(k) * along;
    chosen.L = chosen.L * U;
    Matrix<S> grown(cols(), r + more);
    grown << Qt_, new_Qt.template cast<S>();
    space_.append(scale, C, chosen, slack);
    Qt_.swap(grown);
  }

  static void check_erasable(const Indices& positions, Index size) {
    if (positions.empty()) throw InputError("rows: expected at least one row to delete, got none");
    for (std::size_t k = 0; k < positions.size(); ++k) {
      if (positions[k] < 0 || positions[k] >= size)
        throw UnknownSampleError("rows: expected positions 0 to " + std::to_string(size - 1) +
                                 ", got " + std::to_string(positions[k]));
      if (k > 0 && positions[k] <= positions[k - 1])
        throw InputError("rows: expected ascending, distinct positions, got " +
                         std::to_string(positions[k]) + " after " +
                         std::to_string(positions[k - 1]));
    }
    if (static_cast<Index>(positions.size()) == size)
      throw InputError("rows: expected at least one row to be retained, got all " +
                       std::to_string(size));
  }

 private:
  double tolerance_for(Index n) const {
    const double numerical = detail::numerical_tolerance<S>(n);
    return tolerance_ >= 0 ? std::max(tolerance_, numerical) : numerical;
  }

  // E <- E - C Q, C = E Q^T (c, r), returned.
  Matrix<double> project_out(Matrix<double>& Et) const {
    Matrix<double> C = Matrix<double>::Zero(Et.cols(), rank()), chunk;
    const auto each_chunk = [&](auto f) {
      for (Index from = 0; from < cols(); from += detail::orthogonal_chunk) {
        const Index w = std::min(detail::orthogonal_chunk, cols() - from);
        chunk = Qt_.middleRows(from, w).template cast<double>();
        f(Et.middleRows(from, w));
      }
    };
    each_chunk([&](auto e) { C.noalias() += e.transpose() * chunk; });
    each_chunk([&](auto e) { e.noalias() -= chunk * C.transpose(); });
    return C;
  }

  RowSpace<S> space_;
  Matrix<S> Qt_;  // (p, r)
  double tolerance_ = -1;
};

}  // namespace minnorm
