// The row space of J from its Gram matrix: one read of J, and the rank as far as a
// Gram matrix can show it.
//
// Squared distances of unit rows carry an error of about m u, u = 2^-52: a tolerance
// below sqrt(16 m u) is not visible, and then only rows that are all far above it are
// taken. Rows of zeros are dependent, exactly. The factor leaves about u cond(J)^2.
// Shapes: G (m, m). Cost: scaled_gram m^2 p, row_space_by_gram m^3 / 3, appended_by_gram
// 2 r c p for c new rows.
#pragma once

#include <optional>

#include "removal.hpp"

namespace minnorm::detail {

// Sums over panels: of panel panel^T, and of the products of a panel with vectors.
struct GramSums {
  Matrix<double> G, products;

  GramSums& operator+=(const GramSums& other) {
    G += other.G;
    products += other.products;
    return *this;
  }
};

// G = T J J^T T (lower triangle) and T J (V S)^T; returns T. No V: no products.
template <class S, class T>
Vector<double> scaled_gram(const JacobianBlocks<S>& J, const ConstRowMatrixRef<T>* V,
                           Matrix<double>& G, Matrix<double>& products) {
  const Index m = J.rows();
  const Indices all = all_indices(m);
  const Vector<double> vector_scale = V ? scales_of<T>(*V) : Vector<double>();
  Vector<double> before;
  const auto pass = [&] {
    GramSums sums{Matrix<double>::Zero(m, m), Matrix<double>::Zero(m, V ? V->rows() : 0)};
    J.sum_over_panels(
        all, before, sums,
        [&](const ConstRowMatrixRef<double>& panel, Index from, Upcoming& next, GramSums& own) {
          RowMatrix<double> x;
          if (V) load_scaled_columns<T>(*V, from, panel.cols(), vector_scale, x);
          add_gram(panel, own.G, x, own.products, next);
        });
    G.swap(sums.G);
    if (V) products.swap(sums.products);
  };
  pass();
  before = rescue_scales(J, G.diagonal());
  if (before.size() > 0) pass();
  Vector<double> scale(m);
  for (Index i = 0; i < m; ++i) scale(i) = power_of_two_scale(std::sqrt(G(i, i)));
  for (Index j = 0; j < m; ++j)
    for (Index i = j; i < m; ++i) G(i, j) *= scale(i) * scale(j);
  if (V) products = scale.asDiagonal() * products;
  if (before.size() > 0) scale.array() *= before.array();
  return scale;
}

// Nothing where the Gram matrix cannot tell the rank, or leaves more than `limit` of w in
// a pass; `forced`: whatever it can tell.
inline std::optional<RowSpace<double>> row_space_by_gram(const Matrix<double>& G,
                                                         const Vector<double>& scale,
                                                         double tolerance, double limit,
                                                         bool forced) {
  const Index m = G.rows();
  const double eps = std::numeric_limits<double>::epsilon();
  // Schur complements of unit rows carry an error of about m u.
  const double visible = 16 * static_cast<double>(m) * eps;
  Indices rows, zeros;
  for (Index i = 0; i < m; ++i) (G(i, i) > 0 ? rows : zeros).push_back(i);
  const Index n = static_cast<Index>(rows.size());
  Matrix<double> unit = block_of(G, rows, rows);
  const Vector<double> lengths = unit.diagonal().cwiseSqrt();
  for (Index j = 0; j < n; ++j)
    for (Index i = j; i < n; ++i) unit(i, j) /= lengths(i) * lengths(j);
  unit.template triangularView<Eigen::StrictlyUpper>() = unit.transpose();
  const double squared = tolerance * tolerance * std::max(1.0, largest_singular_value(unit));

  IndependentRows chosen;
  TriangularFactor<double> factor;
  bool full = TriangularFactor<double>::from_gram(unit, factor);
  if (full) {
    const double largest = factor.largest_singular_value();
    const double smallest = factor.smallest_singular_value();
    full = smallest * smallest > std::max(4 * squared, visible) &&
           largest * largest * eps <= limit * smallest * smallest;
  }
  if (full) {
    chosen.order = all_indices(n);
    chosen.rank = n;
    chosen.L = factor.matrix();
    chosen.W.resize(0, n);
  } else {
    if (squared < visible && !forced) return {};
    chosen = independent_rows_of_gram(unit, std::max(squared, visible));
  }
  restore_lengths(chosen, lengths);
  Indices basis, dependents;
  for (Index k = 0; k < n; ++k)
    (k < chosen.rank ? basis : dependents)
        .push_back(rows[static_cast<std::size_t>(chosen.order[static_cast<std::size_t>(k)])]);
  Matrix<double> W =
      Matrix<double>::Zero(chosen.W.rows() + static_cast<Index>(zeros.size()), chosen.rank);
  W.topRows(chosen.W.rows()) = chosen.W;
  dependents.insert(dependents.end(), zeros.begin(), zeros.end());
  RowSpace<double> space(scale, std::move(basis), std::move(dependents),
                         TriangularFactor<double>(std::move(chosen.L)), std::move(W),
                         std::sqrt(std::max(chosen.defect, visible)));
  if (!full && !forced) {
    const double condition = space.condition();
    if (!(condition * condition * eps <= limit)) return {};
  }
  return space;
}

// The row space with the rows of `all` behind those it has, by their products with the
// basis. Nothing where the Gram matrix cannot tell. One read of the basis.
template <class S>
std::optional<RowSpace<double>> appended_by_gram(const RowSpace<double>& held,
                                                 const JacobianBlocks<S>& all, double tolerance) {
  const Index m = held.size(), c = all.rows() - m, r = held.rank();
  Indices chosen = held.basis();
  Vector<double> t = Vector<double>::Ones(r + c);
  for (Index k = 0; k < r; ++k) t(k) = held.scale()(chosen[static_cast<std::size_t>(k)]);
  for (Index i = 0; i < c; ++i) chosen.push_back(m + i);
  Matrix<double> G = Matrix<double>::Zero(c, r + c);
  all.sum_over_panels(
      chosen, t, G,
      [&](const ConstRowMatrixRef<double>& panel, Index, Upcoming&, Matrix<double>& own) {
        add_tall_product(panel.bottomRows(c), panel, own);
      });
  const Vector<double> diagonal = G.rightCols(c).diagonal();
  // Zeros, overflow and NaN: a fresh factor deals with them, or says why not.
  if (!(diagonal.array() > 1e-250).all() || !(diagonal.array() < 1e250).all()) return {};
  Vector<double> scale(c), lengths(c);
  for (Index i = 0; i < c; ++i) {
    scale(i) = power_of_two_scale(std::sqrt(diagonal(i)));
    lengths(i) = std::sqrt(diagonal(i)) * scale(i);
  }
  G = scale.asDiagonal() * G;
  G.rightCols(c) = G.rightCols(c) * scale.asDiagonal();
  Matrix<double> C = G.leftCols(r).transpose();
  held.factor().forward(C);
  Matrix<double> schur = G.rightCols(c) - C.transpose() * C;
  const Vector<double> unit = lengths.cwiseInverse();
  schur = unit.asDiagonal() * schur * unit.asDiagonal();
  const double eps = std::numeric_limits<double>::epsilon();
  const double visible = 16 * static_cast<double>(m + c) * eps;
  const double largest = largest_singular_value(unit_rows(held.coordinates()));
  const double squared = tolerance * tolerance * std::max(1.0, largest * largest);
  if (squared < visible && schur.diagonal().minCoeff() < 1e3 * visible) return {};
  IndependentRows rest = independent_rows_of_gram(schur, std::max(squared, visible));
  if (squared < visible && rest.rank < c) return {};
  for (Index j = 0; j < rest.rank; ++j)
    if (!held.is_far(rest.L(j, j), 1)) return {};
  restore_lengths(rest, lengths);
  RowSpace<double> space = held;
  space.append(scale, C.transpose(), rest, std::sqrt(std::max(rest.defect, visible)));
  return space;
}

}  // namespace minnorm::detail
