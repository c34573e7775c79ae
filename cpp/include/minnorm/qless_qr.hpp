// The triangular factor of the rows of J without the orthogonal one, and the
// passes from which rows are scaled and chosen.
//
// Invariant: L L^T = T J J^T T with the error of orthogonal transformations of
// T J: of order eps |t_i j_i| in row i, so cond(J) is not squared. Panels are
// factored apart and merged as a binary tree, one for each thread: an entry is rounded
// log2(p / w) times in sequence, not p / w times, and a duplicate row leaves a few eps
// (Demmel, Grigori, Hoemmen and Langou, SIAM J. Sci. Comput. 34, 2012).
// Shapes: m rows of p, L (m, m). Cost: gram m^2 p, qless_qr 2 m^2 p (3 m^2 p where
// p is only a few times m); one read of J each.
// J is only read. Throws InputError where J is not finite.
#pragma once

#include <cmath>
#include <string>

#include "row_space.hpp"

namespace minnorm::detail {

// Distance, relative to sigma_max of unit rows, below which a row is dependent.
template <class S>
double numerical_tolerance(Index m) {
  return static_cast<double>(std::max<Index>(m, 16)) *
         static_cast<double>(std::numeric_limits<S>::epsilon());
}

// The power of two that brings `norm` into [1, 2); 1 for 0.
inline double power_of_two_scale(double norm) {
  if (!(norm > 0)) return 1;
  int exponent = 0;
  std::frexp(norm, &exponent);
  return std::ldexp(1.0, std::clamp(1 - exponent, -1000, 1000));
}

// Empty where the squared norms neither overflow nor vanish. Else scales for a second
// pass, from the largest entry of each row whose square does; throws where that is
// not a number. A row of zeros alone asks for nothing.
template <class S>
Vector<double> rescue_scales(const JacobianBlocks<S>& J, const Vector<double>& squared) {
  Vector<double> scale = Vector<double>::Ones(J.rows());
  bool any = false;
  for (Index i = 0; i < J.rows(); ++i) {
    if (squared(i) > 1e-250 && squared(i) < 1e250) continue;
    const double largest = J.largest_entry(i);
    if (!std::isfinite(largest))
      throw InputError("J: expected finite values, got NaN or infinity in row " +
                       std::to_string(i) + "; drop that sample or mend its gradient");
    scale(i) = power_of_two_scale(largest);
    any = any || largest > 0;
  }
  return any ? scale : Vector<double>();
}

// T of row_space.hpp, by one read of J.
template <class S>
Vector<double> row_scales(const JacobianBlocks<S>& J) {
  const Indices all = all_indices(J.rows());
  Vector<double> before, squared(J.rows());
  const auto pass = [&] {
    squared.setZero();
    J.for_each_panel(all, before, [&](const ConstRowMatrixRef<double>& panel, Index) {
      squared += panel.rowwise().squaredNorm();
    });
  };
  pass();
  before = rescue_scales(J, squared);
  if (before.size() > 0) pass();
  Vector<double> scale(J.rows());
  for (Index i = 0; i < J.rows(); ++i) scale(i) = power_of_two_scale(std::sqrt(squared(i)));
  if (before.size() > 0) scale.array() *= before.array();
  return scale;
}

// The triangle of panels that came one after the other, as a sum that panels are added to.
class PanelTree {
 public:
  explicit PanelTree(Index rows) : rows_(rows) {}

  void add(Matrix<double> panel) {
    nodes_.push_back({0, TriangularFactor<double>(rows_, 0.0)});
    nodes_.back().factor.accumulate(panel);
    while (nodes_.size() > 1 && nodes_[nodes_.size() - 2].level == nodes_.back().level)
      merge_last();
  }
  PanelTree& operator+=(PanelTree other) {
    if (other.nodes_.empty()) return *this;
    nodes_.push_back({0, other.root()});
    root();
    return *this;
  }
  const TriangularFactor<double>& root() {
    while (nodes_.size() > 1) merge_last();
    return nodes_.back().factor;
  }

 private:
  struct Node {
    int level;
    TriangularFactor<double> factor;
  };

  void merge_last() {
    Matrix<double> C = nodes_.back().factor.matrix();
    nodes_.pop_back();
    nodes_.back().factor.accumulate(C);
    ++nodes_.back().level;
  }

  Index rows_;
  std::vector<Node> nodes_;  // levels descend: a binary counter
};

// L (m, m) of the rows times `scale`, one entry a row. Threads share the columns.
template <class S>
TriangularFactor<double> qless_qr(const JacobianBlocks<S>& J, const Indices& rows,
                                  const Vector<double>& scale) {
  const Index m = static_cast<Index>(rows.size());
  PanelTree tree(m);
  PanelBuffer buffer;
  J.sum_over_panels(rows, scale, std::max<Index>(512, 4 * m), tree, buffer,
                    [](const ConstRowMatrixRef<double>& panel, Index, const auto&, PanelTree& own) {
                      own.add(panel);
                    });
  return tree.root();
}

// The row space of T J from a Q-less QR, rows chosen to `tolerance`.
template <class S>
RowSpace<double> row_space_by_qr(const JacobianBlocks<S>& J, const Vector<double>& scale,
                                 double tolerance) {
  const Indices all = all_indices(J.rows());
  TriangularFactor<double> L = qless_qr(J, all, scale);
  const Matrix<double> K = L.matrix();
  const Vector<double> lengths = K.rowwise().norm();
  const Matrix<double> unit = unit_rows(K);
  const double largest = largest_singular_value(unit);
  if (TriangularFactor<double>(unit).smallest_singular_value() > 2 * tolerance * largest)
    return RowSpace<double>(scale, all, {}, std::move(L), Matrix<double>(0, K.rows()), 0);
  return RowSpace<double>::choose(scale, K, lengths, tolerance, largest);
}

}  // namespace minnorm::detail
