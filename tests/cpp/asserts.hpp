// The properties that the tests state, each named once. A property returns an
// AssertionResult that says by how much it failed: EXPECT_TRUE(factors(L, G)).
//
// Tolerances are multiples of the working precision; the factor is the number of
// roundings that can add up, generously.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "minnorm/rows.hpp"
#include "minnorm/triangular_factor.hpp"

namespace minnorm::test {

using ::testing::AssertionFailure;
using ::testing::AssertionResult;
using ::testing::AssertionSuccess;

template <class S>
constexpr double eps() {
  return static_cast<double>(std::numeric_limits<S>::epsilon());
}

inline AssertionResult at_most(double value, double limit, const char* what) {
  if (value <= limit) return AssertionSuccess();
  return AssertionFailure() << what << ": " << value << ", expected at most " << limit;
}

// |A - B|_F <= tolerance |B|_F.
template <class A, class B>
AssertionResult close(const Eigen::MatrixBase<A>& a, const Eigen::MatrixBase<B>& b,
                      double tolerance) {
  if (a.rows() != b.rows() || a.cols() != b.cols())
    return AssertionFailure() << "shape (" << a.rows() << ", " << a.cols() << "), expected ("
                              << b.rows() << ", " << b.cols() << ")";
  const Matrix<double> x = a.template cast<double>(), y = b.template cast<double>();
  return at_most((x - y).norm(), tolerance * y.norm(), "distance");
}

template <class A, class B>
AssertionResult identical(const Eigen::MatrixBase<A>& a, const Eigen::MatrixBase<B>& b) {
  if (a.rows() == b.rows() && a.cols() == b.cols() && (a.array() == b.array()).all())
    return AssertionSuccess();
  return AssertionFailure() << "matrices differ";
}

using Long = Eigen::Matrix<long double, Eigen::Dynamic, Eigen::Dynamic>;

// The lower triangle of a block at (top, left) is wrong by `gap`, at most `bound` entry by
// entry; whatever else is in the matrix is as it was before.
template <class S>
AssertionResult lower_block_within(const Matrix<S>& after, const Matrix<S>& before, Index top,
                                   Index left, const Long& gap, const Long& bound) {
  for (Index j = 0; j < after.cols(); ++j)
    for (Index i = 0; i < after.rows(); ++i) {
      const Index r = i - top, c = j - left;
      if (r < 0 || r >= gap.rows() || c < 0 || c > r) {
        if (after(i, j) != before(i, j))
          return AssertionFailure() << "entry (" << i << ", " << j << "), outside, has changed";
      } else if (!(std::abs(gap(r, c)) <= bound(r, c))) {
        return AssertionFailure() << "entry (" << r << ", " << c << ") is wrong by " << gap(r, c)
                                  << ", expected at most " << bound(r, c);
      }
    }
  return AssertionSuccess();
}

// diag(L) > 0; the strict upper triangle and the spare capacity are zero.
template <class S>
AssertionResult is_clean_triangle(const TriangularFactor<S>& factor) {
  const Index n = factor.size();
  const auto L = factor.matrix();
  if (n > 0 && !(L.diagonal().minCoeff() > 0)) return AssertionFailure() << "diagonal not positive";
  const Matrix<S>& all = L.nestedExpression();
  for (Index j = 0; j < all.cols(); ++j)
    for (Index i = 0; i < all.rows(); ++i)
      if ((i < j || i >= n || j >= n) && all(i, j) != 0)
        return AssertionFailure() << "entry (" << i << ", " << j << ") of a factor of size " << n
                                  << " is " << all(i, j) << ", expected 0";
  return AssertionSuccess();
}

// L L^T = X X^T, entry by entry relative to |x_i| |x_j|: orthogonal transformations
// of the rows keep small rows as accurate as large ones.
template <class S>
AssertionResult factors_rows(const TriangularFactor<S>& factor, const RowMatrix<double>& X,
                             double roundings) {
  if (factor.size() != X.rows())
    return AssertionFailure() << "size " << factor.size() << ", expected " << X.rows();
  const Matrix<double> L = factor.matrix().template cast<double>();
  const Vector<double> inverse = X.rowwise().norm().cwiseInverse();
  const Matrix<double> gap =
      inverse.asDiagonal() * (L * L.transpose() - X * X.transpose()) * inverse.asDiagonal();
  return at_most(gap.cwiseAbs().maxCoeff(), roundings * eps<S>(), "|L L^T - X X^T|");
}

// No entry of `secret` is left in the block.
template <class S>
AssertionResult holds_none_of(const RowMatrix<S>& buffer, const RowMatrix<S>& secret) {
  for (Index i = 0; i < secret.size(); ++i)
    if (secret.data()[i] != 0 && (buffer.array() == secret.data()[i]).any())
      return AssertionFailure() << "entry " << secret.data()[i] << " is still in the buffer";
  return AssertionSuccess();
}

// The rows A without those at `gone` (ascending).
template <class M>
M without_rows(const M& A, const Indices& gone) {
  M kept(A.rows() - static_cast<Index>(gone.size()), A.cols());
  Index next = 0;
  std::size_t f = 0;
  for (Index i = 0; i < A.rows(); ++i) {
    if (f < gone.size() && gone[f] == i)
      ++f;
    else
      kept.row(next++) = A.row(i);
  }
  return kept;
}
template <class M>
M stacked(const M& top, const M& bottom) {
  M all(top.rows() + bottom.rows(), bottom.cols());
  all << top, bottom;
  return all;
}

// What a model is to hold after forget and learn, kept by the plainest means.
template <class S>
struct Ledger {
  RowMatrix<S> X, Y;
  std::vector<Handle> handles;

  Ledger(const RowMatrix<S>& rows, const RowMatrix<S>& targets) : X(rows), Y(targets) {
    for (Index i = 0; i < X.rows(); ++i) handles.push_back(i);
  }
  std::vector<Handle> handles_of(const Indices& positions) const {
    std::vector<Handle> chosen;
    for (const Index i : positions) chosen.push_back(handles[static_cast<std::size_t>(i)]);
    return chosen;
  }
  void forget(const Indices& positions) {
    X = without_rows(X, positions);
    Y = without_rows(Y, positions);
    for (std::size_t k = positions.size(); k-- > 0;) handles.erase(handles.begin() + positions[k]);
  }
  void learn(const RowMatrix<S>& rows, const RowMatrix<S>& targets,
             const std::vector<Handle>& issued) {
    X = stacked(X, rows);
    Y = stacked(Y, targets);
    handles.insert(handles.end(), issued.begin(), issued.end());
  }
};

// The model holds the samples of the ledger, in its order, under its handles.
template <class Model, class S>
AssertionResult holds(const Model& model, const Ledger<S>& ledger) {
  if (model.samples().handles() != ledger.handles) return AssertionFailure() << "handles differ";
  if (!identical(model.samples().targets(), ledger.Y))
    return AssertionFailure() << "targets differ";
  if (model.rows().size() != ledger.X.rows()) return AssertionFailure() << "number of rows differs";
  const RowMatrix<S> rows = model.rows().gathered();
  for (Index i = 0; i < ledger.X.rows() && ledger.X.cols() == model.n_features(); ++i)
    if (!identical(rows.row(i), ledger.X.row(i)))
      return AssertionFailure() << "row " << i << " differs";
  return AssertionSuccess();
}

}  // namespace minnorm::test
