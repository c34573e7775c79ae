// The positive update L L^T += C C^T of a lower-triangular factor by
// reflections, the one kernel behind row deletion and the Q-less QR.
//
// Invariant: the rows [L C] are only ever multiplied from the right by
// orthogonal matrices, so [L C][L C]^T never changes but for rounding that grows
// linearly with the number of reflections; at the end C = 0 and diag(L) >= 0.
// An update, never a downdate: nothing can break down.
//
// One reflection annihilates row j of C. With x = L_jj, c = C_j,: and
// beta = sqrt(x^2 + |c|^2), take u = x + beta (no cancellation since x >= 0),
// v = c / u, tau = u / beta. H = I - tau [1; v][1; v]^T maps [x c] to [-beta 0];
// the sign of column j is flipped afterwards, so a row [l c] becomes
//   w = tau (l + c v),   l' = w - l,   c' = c - w v^T.
// With one column in C this is the Givens rotation up to the sign of c.
// The reflections of a panel J together are I - Y T Y^T with Y = [I; V]:
//   W = (L_J + C V) T,   L_J' = W - L_J,   C' = C - W V^T      (compact WY).
// Shapes: L (n, n), C (n, k). Cost 4 n^2 k / 2 flops. C is destroyed.
// L and C do not overlap. Memory for V, T and W comes from a workspace; up to
// few_columns columns of C nothing else is allocated. Throws nothing but std::bad_alloc.
#pragma once

#include <algorithm>
#include <cmath>

#include "workspace.hpp"

namespace minnorm::detail {

inline constexpr Index few_columns = 8, most_panel_columns = 32, chunk_rows = 256;
inline Index panel_width(Index k) { return k <= few_columns ? 16 : most_panel_columns; }

// Reflections of one panel: V (k, b), upper-triangular T (b, b); W (chunk_rows, b) is room
// for products.
template <class S>
struct PanelReflections {
  MatrixMap<S> V, T, W;

  PanelReflections(Workspace& space, Index k)
      : V(space.matrix<S>(k, panel_width(k))),
        T(space.matrix<S>(panel_width(k), panel_width(k))),
        W(space.matrix<S>(chunk_rows, panel_width(k))) {}
  static std::size_t bytes(Index k) {
    const Index b = panel_width(k);
    return Workspace::bytes<S>(k * b) + Workspace::bytes<S>(b * b) +
           Workspace::bytes<S>(chunk_rows * b);
  }
};

// Triangularises the diagonal block: D (b, b) lower, C (b, k). Writes V and T.
template <class S>
void reflect_diagonal_block(MatrixRef<S> D, MatrixRef<S> C, MatrixRef<S> V, MatrixRef<S> T) {
  const Index b = D.rows();
  Eigen::Matrix<S, Eigen::Dynamic, 1, 0, most_panel_columns, 1> w(b);
  for (Index j = 0; j < b; ++j) {
    const S squared = C.row(j).squaredNorm();
    const S x = D(j, j);
    S tau = 2;  // v = 0: H changes the sign of column j, which is flipped back
    if (squared > 0) {
      const S beta = std::sqrt(x * x + squared), u = x + beta;
      V.col(j) = C.row(j).transpose() / u;
      tau = u / beta;
      D(j, j) = beta;
    } else {
      V.col(j).setZero();
    }
    const Index below = b - j - 1;
    if (below > 0) {
      auto rows = C.bottomRows(below);
      auto l = D.col(j).tail(below);
      w.head(below).noalias() = rows * V.col(j);
      w.head(below) = tau * (w.head(below) + l);
      l = w.head(below) - l;
      rows.noalias() -= w.head(below) * V.col(j).transpose();
    }
    T(j, j) = tau;
    if (j > 0) {
      w.head(j).noalias() = V.leftCols(j).transpose() * V.col(j);
      T.col(j).head(j).noalias() =
          T.topLeftCorner(j, j).template triangularView<Eigen::Upper>() * w.head(j);
      T.col(j).head(j) *= -tau;
    }
  }
}

// Applies the reflections to rows below the panel, k = K columns of C held in
// registers: each entry of L is read and written once.
template <int K, class S>
void apply_few(MatrixRef<S> L, MatrixRef<S> C, ConstMatrixRef<S> V, ConstMatrixRef<S> T) {
  constexpr int R = 128 / sizeof(S);
  const Index m = L.rows(), b = L.cols();
  Index i = 0;
  for (; i + R <= m; i += R) {
    Eigen::Array<S, R, K> c = C.template block<R, K>(i, 0);
    for (Index j = 0; j < b; ++j) {
      auto column = L.col(j).template segment<R>(i);
      const Eigen::Array<S, R, 1> l = column;
      Eigen::Array<S, R, 1> w = l;
      unrolled<K>([&](auto f) { w += c.col(f()) * V(f(), j); });
      w *= T(j, j);
      column = (w - l).matrix();
      unrolled<K>([&](auto f) { c.col(f()) -= w * V(f(), j); });
    }
    C.template block<R, K>(i, 0) = c;
  }
  for (; i < m; ++i) {
    Eigen::Array<S, 1, K> c = C.template block<1, K>(i, 0);
    for (Index j = 0; j < b; ++j) {
      S w = L(i, j);
      for (int f = 0; f < K; ++f) w += c(f) * V(f, j);
      w *= T(j, j);
      L(i, j) = w - L(i, j);
      for (int f = 0; f < K; ++f) c(f) -= w * V(f, j);
    }
    C.template block<1, K>(i, 0) = c;
  }
}

template <class S>
void apply_reflections(MatrixRef<S> L, MatrixRef<S> C, PanelReflections<S>& panel, Index b) {
  const Index k = C.cols(), m = L.rows();
  const ConstMatrixRef<S> V = panel.V.topLeftCorner(k, b), T = panel.T.topLeftCorner(b, b);
  switch (k) {
    case 1:
      return apply_few<1, S>(L, C, V, T);
    case 2:
      return apply_few<2, S>(L, C, V, T);
    case 3:
      return apply_few<3, S>(L, C, V, T);
    case 4:
      return apply_few<4, S>(L, C, V, T);
    case 5:
      return apply_few<5, S>(L, C, V, T);
    case 6:
      return apply_few<6, S>(L, C, V, T);
    case 7:
      return apply_few<7, S>(L, C, V, T);
    case 8:
      return apply_few<8, S>(L, C, V, T);
    default:
      break;
  }
  for (Index i = 0; i < m; i += chunk_rows) {
    const Index rows = std::min(chunk_rows, m - i);
    auto l = L.middleRows(i, rows);
    auto c = C.middleRows(i, rows);
    auto w = panel.W.topLeftCorner(rows, b);
    w = l;
    w.noalias() += c * V;
    w = w * T.template triangularView<Eigen::Upper>();
    l = w - l;
    c.noalias() -= w * V.transpose();
  }
}

// L L^T += C C^T in place; C (n, k) is destroyed.
template <class S>
void triangular_update(MatrixRef<S> L, MatrixRef<S> C) {
  const Index n = L.rows(), k = C.cols(), width = panel_width(k);
  if (k == 0) return;
  Workspace space;
  PanelReflections<S> panel(space, k);
  for (Index j = 0; j < n; j += width) {
    const Index b = std::min(width, n - j), below = n - j - b;
    reflect_diagonal_block<S>(L.block(j, j, b, b), C.middleRows(j, b), panel.V.leftCols(b),
                              panel.T.topLeftCorner(b, b));
    if (below > 0) apply_reflections<S>(L.block(j + b, j, below, b), C.bottomRows(below), panel, b);
  }
}

}  // namespace minnorm::detail
