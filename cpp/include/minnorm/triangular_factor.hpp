// TriangularFactor: the lower-triangular L with L L^T = G, G the Gram matrix of
// the rows held, in the order in which they are held.
//
// Invariant: diag(L) > 0 where G is positive definite; the strict upper triangle
// and the spare capacity are zero, so nothing of an erased row stays behind.
// Rows leave by orthogonal transformations alone (triangular_update.hpp): by
// Cauchy interlacing sigma_min(L) never falls when a row is erased.
// Shapes: L (n, n). Cost: from_gram n^3/3, solve 2 n^2 per right-hand side, erase
// of k rows at most 2 n^2 k, append of m rows n^2 m once its blocks are known.
// Right-hand sides are solved in place; they do not overlap L. `erase` takes its memory
// from a workspace, erase_bytes of it, and for few rows none from the heap; solves with
// few right-hand sides take none. Throws nothing but std::bad_alloc.
#pragma once

#include <cstring>
#include <utility>

#include "cholesky.hpp"
#include "lanczos.hpp"
#include "triangular_inverse.hpp"
#include "triangular_update.hpp"

namespace minnorm {

// How rows left the factor: rotations (few), blocked reflections (many), or a
// Cholesky factorisation of L_R L_R^T (most).
enum class Erasure { none, rotations, blocked, refactored };

namespace detail {
inline const char* suffix(Erasure how) {
  switch (how) {
    case Erasure::rotations:
      return "+rotations";
    case Erasure::blocked:
      return "+blocked";
    case Erasure::refactored:
      return "+refactored";
    default:
      return "";
  }
}
}  // namespace detail

template <class S>
class TriangularFactor {
 public:
  TriangularFactor() = default;
  // Takes L as given; its strict upper triangle is cleared.
  explicit TriangularFactor(Matrix<S> L) : L_(std::move(L)), n_(L_.rows()) { clear_upper(); }
  // L = diagonal I, the start of a Q-less QR of rows given by column panels.
  TriangularFactor(Index n, S diagonal) : L_(Matrix<S>::Zero(n, n)), n_(n) {
    L_.diagonal().setConstant(diagonal);
  }

  // Cholesky factor of the lower triangle of G; false where it breaks down.
  static bool from_gram(Matrix<S> G, TriangularFactor& out) {
    if (!detail::cholesky_in_place<S>(G) || !G.diagonal().allFinite()) return false;
    out = TriangularFactor(std::move(G));
    return true;
  }

  Index size() const { return n_; }
  auto matrix() const { return L_.topLeftCorner(n_, n_); }

  // L L^T += C C^T; C (n, k) is destroyed.
  void accumulate(MatrixRef<S> C) { detail::triangular_update<S>(L_.topLeftCorner(n_, n_), C); }

  // New last rows [L21 L22]; L22 lower triangular (m, m), L21 (m, n).
  void append(const Matrix<S>& L21, const Matrix<S>& L22) {
    const Index m = L22.rows(), n = n_ + m;
    if (n > L_.rows()) {
      const Index capacity = std::max(n, n_ + n_ / 8);
      Matrix<S> grown = Matrix<S>::Zero(capacity, capacity);
      grown.topLeftCorner(n_, n_) = L_.topLeftCorner(n_, n_);
      L_.swap(grown);
    }
    L_.block(n_, 0, m, n_) = L21;
    L_.block(n_, n_, m, m) = L22.template triangularView<Eigen::Lower>();
    n_ = n;
  }

  // Deletes rows (ascending, distinct). Refactoring squares the condition number
  // and is taken only where the caller says that a Gram matrix is good enough.
  // `carried` (t, n), if given, holds (L^-1 B)^T and goes through the reflections:
  // it becomes that of the rows of B that stay. Refactoring leaves it stale.
  // It keeps its shape: the last columns, one for each row erased, are zero then.
  Erasure erase(View<Index> rows, bool gram_is_accurate, MatrixRef<S>* carried, Workspace& space) {
    if (rows.empty()) return Erasure::none;
    const Workspace::Frame frame(space);
    const Index k = static_cast<Index>(rows.size());
    Erasure how = k <= detail::few_columns ? Erasure::rotations : Erasure::blocked;
    if (gram_is_accurate && how == Erasure::blocked && refactoring_is_cheaper(rows)) {
      if (erase_by_refactoring(rows, space)) return Erasure::refactored;
    }
    erase_by_reflections(rows, carried, space);
    return how;
  }
  Erasure erase(View<Index> rows, bool gram_is_accurate = false) {
    Workspace space;
    return erase(rows, gram_is_accurate, nullptr, space);
  }
  // Of the workspace, to erase k of n rows with t columns carried.
  static std::size_t erase_bytes(Index n, Index k, Index t) {
    return Workspace::bytes<Index>(n) + Workspace::bytes<Index>(k) + Workspace::bytes<S>(n * k) +
           Workspace::bytes<S>(t * k) + detail::PanelReflections<S>::bytes(k);
  }

  // B <- L^-1 B, L^-T B, (L L^T)^-1 B. Few columns go one by one: Eigen's solver
  // for a vector is three times as fast as the one for a matrix of one column.
  template <class D>
  void forward(Eigen::MatrixBase<D>& B) const {
    each_column(
        B, [this](auto& b) { matrix().template triangularView<Eigen::Lower>().solveInPlace(b); });
  }
  template <class D>
  void backward(Eigen::MatrixBase<D>& B) const {
    each_column(B, [this](auto& b) {
      matrix().transpose().template triangularView<Eigen::Upper>().solveInPlace(b);
    });
  }
  template <class D>
  void solve(Eigen::MatrixBase<D>& B) const {
    forward(B);
    backward(B);
  }

  // L^-1. n^3 / 3 flops.
  Matrix<S> inverse() const {
    Matrix<S> V = matrix();
    detail::invert_triangle<S>(V);
    return V;
  }

  // Largest and smallest singular value: estimates, from below and from above, by 4 and 8
  // products with L L^T and its inverse, 4 n^2 flops each.
  double largest_singular_value() const {
    return std::sqrt(detail::largest_eigenvalue<S>(n_, 4, [this](Vector<S>& x) {
      // L L^T x = sum of l_j (l_j . x): one read of each column.
      Vector<S> out = Vector<S>::Zero(n_);
      for (Index j = 0; j < n_; ++j) {
        const auto l = L_.col(j).segment(j, n_ - j);
        out.tail(n_ - j) += l.dot(x.tail(n_ - j)) * l;
      }
      x = out;
    }));
  }
  double smallest_singular_value() const {
    if (n_ > 0 && !(matrix().diagonal().minCoeff() > 0)) return 0;
    const double inverse = detail::largest_eigenvalue<S>(n_, 8, [this](Vector<S>& x) { solve(x); });
    return std::isfinite(inverse) && inverse > 0 ? 1 / std::sqrt(inverse) : 0;
  }

 private:
  template <class D, class Solve>
  static void each_column(Eigen::MatrixBase<D>& B, Solve solve) {
    static_assert(!D::IsRowMajor || D::IsVectorAtCompileTime, "columns must be contiguous");
    if (B.cols() > detail::few_columns) return solve(B.derived());
    for (Index k = 0; k < B.cols(); ++k) {
      auto b = B.col(k);
      solve(b);
    }
  }

  void clear_upper() { L_.template triangularView<Eigen::StrictlyUpper>().setZero(); }

  View<Index> retained(View<Index> rows, Workspace& space) const {
    Index* kept = space.take<Index>(n_);
    std::iota(kept, kept + n_, Index(0));
    return {kept, detail::close_ranks(static_cast<std::size_t>(n_), rows,
                                      [&](std::size_t from, std::size_t to) {
                                        kept[to] = static_cast<Index>(from);
                                      })};
  }

  // Flops of both ways; the blocked update runs at about two thirds of the speed
  // of the products and Cholesky of the other (measured, n = 2000).
  bool refactoring_is_cheaper(View<Index> rows) const {
    const double m = static_cast<double>(n_) - static_cast<double>(rows.size());
    double update = 0, products = m * m * m / 3;
    for (std::size_t f = 0; f < rows.size(); ++f) {
      const double right = m - static_cast<double>(rows[f] - static_cast<Index>(f));
      update += 2 * right * right;  // 4 flops an entry of the triangle right of it
    }
    products += m * m * static_cast<double>(n_) / 2;
    return 1.5 * update > products;
  }

  bool erase_by_refactoring(View<Index> rows, Workspace& space) {
    const Matrix<S> R = rows_of<S>(L_, retained(rows, space)).leftCols(n_);
    const Index m = R.rows();
    Matrix<S> G = Matrix<S>::Zero(m, m);
    detail::add_outer_product<S>(R, S(1), G);
    TriangularFactor factor;
    if (!from_gram(std::move(G), factor)) return false;
    L_.swap(factor.L_);
    n_ = m;
    return true;
  }

  // The retained rows are [L_RR L_RF] up to the order of columns, L_RR lower
  // triangular: L_RF L_RF^T is added to it. Column f of L_RF is zero above row f,
  // so it joins the update at that row. Each panel of columns is first moved into
  // its place, then reflected, while it is in cache.
  void erase_by_reflections(View<Index> rows, MatrixRef<S>* carried, Workspace& space) {
    const View<Index> kept = retained(rows, space);
    const Index m = static_cast<Index>(kept.size()), k = static_cast<Index>(rows.size());
    const Index width = detail::panel_width(k);
    auto C = space.matrix<S>(m, k);
    C.setZero();
    Index* start = space.take<Index>(k);
    for (Index f = 0; f < k; ++f) {
      const Index first = rows[static_cast<std::size_t>(f)] - f;
      start[f] = first;
      move_column(rows[static_cast<std::size_t>(f)], C.col(f).data(), first, rows, m);
    }
    // B = L (L^-1 B) holds before and after: the rows of (L^-1 B)^T turn like those of L.
    auto half_dropped = space.matrix<S>(carried ? carried->rows() : 0, k);
    if (carried) {
      for (Index f = 0; f < k; ++f)
        half_dropped.col(f) = carried->col(rows[static_cast<std::size_t>(f)]);
      for (Index c = rows.front(); c < m; ++c)
        carried->col(c) = carried->col(kept[static_cast<std::size_t>(c)]);
    }
    detail::PanelReflections<S> panel(space, k);
    Index active = 0;
    for (Index j = 0; j < m; j += width) {
      const Index b = std::min(width, m - j), below = m - j - b;
      for (Index c = j; c < j + b; ++c) {
        move_column(kept[static_cast<std::size_t>(c)], L_.col(c).data(), c, rows, m);
        L_.col(c).segment(m, k).setZero();  // while the column is in cache
      }
      while (active < k && start[active] < j + b) ++active;
      if (active == 0) continue;
      auto columns = C.leftCols(active);
      detail::reflect_diagonal_block<S>(L_.block(j, j, b, b), columns.middleRows(j, b),
                                        panel.V.topLeftCorner(active, b),
                                        panel.T.topLeftCorner(b, b));
      if (below > 0)
        detail::apply_reflections<S>(L_.block(j + b, j, below, b), columns.bottomRows(below), panel,
                                     b);
      if (carried)
        detail::apply_reflections<S>(carried->middleCols(j, b), half_dropped.leftCols(active),
                                     panel, b);
    }
    if (carried) carried->rightCols(k).setZero();
    L_.middleCols(m, k).topRows(n_).setZero();
    n_ = m;
  }

  // Copies the retained rows of column `source` to `target`, from new row `from`
  // on. Targets lie before their sources, so ascending order is safe in place.
  void move_column(Index source, S* target, Index from, View<Index> rows, Index m) {
    const S* column = L_.col(source).data();
    Index row = from;  // position after deletion
    std::size_t f = 0;
    while (f < rows.size() && rows[f] - static_cast<Index>(f) <= row) ++f;
    while (row < m) {
      const Index end = f < rows.size() ? std::min(m, rows[f] - static_cast<Index>(f)) : m;
      if (end > row) {
        std::memmove(target + row, column + row + static_cast<Index>(f),
                     static_cast<std::size_t>(end - row) * sizeof(S));
        row = end;
      }
      ++f;
    }
  }

  Matrix<S> L_;
  Index n_ = 0;
};

}  // namespace minnorm
