// RowSpace: the span of rows J by a triangular factor on independent ones.
//
// Invariant: with t_i = scale()(i), a power of two that brings |t_i j_i| into
// [1, 2), T = diag(t), B = basis() in the order of the factor, D = dependents():
//   T J_B = L Q,  L lower triangular, diag(L) > 0,  Q (r, p) with orthonormal rows,
//   T J_D = W T J_B  to the tolerance,  so  T J = K Q,  K = coordinates().
// Q itself is not held: it is L^-1 T J_B, or stored by ThinQR.
// A row is dependent when its distance to the span of the rows chosen before it is
// at most tolerance * sigma_max, all rows scaled to unit length. Zero rows are.
// What T J_D lacks to W T J_B, relative to the length of the row, is at most slack().
// Erasing turns L by orthogonal transformations alone; where dependents had weight
// on an erased row, the basis is chosen anew from K: K' = L' Z, and Q' = Z Q. A row
// that joins the basis at a distance d from the rest, with slack s, leaves an L that is
// off by s / d, and what L^-1 makes of it by (s / d)^2.
// Shapes: m rows, rank r; L (r, r), W (m - r, r), K (m, r). Cost: erase 2 r^2 k,
// with dependents 4 m r^2; append r^2 c; Q follows at 2 r p k, or 2 r^2 p.
// Throws nothing but std::bad_alloc.
#pragma once

#include <optional>

#include "independent_rows.hpp"
#include "orthonormal_rows.hpp"
#include "triangular_factor.hpp"

namespace minnorm {

namespace detail {

// Largest singular value by power iteration: an estimate from below, to three digits,
// and at least the largest row norm. 4 m n flops a step, a dozen steps or so.
inline double largest_singular_value(const Matrix<double>& A) {
  if (A.size() == 0) return 0;
  const double scale = A.cwiseAbs().maxCoeff();
  if (!(scale > 0)) return 0;
  Vector<double> x = Vector<double>::LinSpaced(A.cols(), 1.0, 2.0), y;
  double sigma = 0;
  for (int step = 0; step < 100; ++step) {
    y.noalias() = A * (x / x.norm());
    y /= scale;
    const double before = sigma, length = y.norm();
    sigma = std::max(sigma, length);
    x.noalias() = A.transpose() * y;
    x /= scale;
    if (!(x.norm() > 0) || sigma <= before * (1 + 1e-5)) break;
  }
  return std::max(sigma * scale, A.rowwise().stableNorm().maxCoeff());
}

// Rows scaled to unit length; zero rows stay.
inline Matrix<double> unit_rows(Matrix<double> K) {
  for (Index i = 0; i < K.rows(); ++i) {
    const double length = K.row(i).norm();
    if (length > 0) K.row(i) /= length;
  }
  return K;
}

// Maximal independent set of the rows K (m, n), whose lengths before anything was
// projected away are `lengths`. `reference`: sigma_max to which the tolerance refers.
inline IndependentRows choose_rows(const Matrix<double>& K, const Vector<double>& lengths,
                                   double tolerance, double reference) {
  Vector<double> unit(K.rows());
  for (Index i = 0; i < K.rows(); ++i) unit(i) = lengths(i) > 0 ? 1 / lengths(i) : 1;
  const Matrix<double> A = (unit.asDiagonal() * K).transpose();
  IndependentRows out = independent_rows(A, tolerance * reference);
  restore_lengths(out, lengths);
  return out;
}

// What the rows that were not chosen lack to their combinations of the others,
// relative to their lengths; at least what rounding may hide.
inline double slack_of(const Matrix<double>& K, const Vector<double>& lengths,
                       const IndependentRows& chosen, double reference) {
  const auto middle = chosen.order.begin() + chosen.rank;
  const Indices in(chosen.order.begin(), middle), out(middle, chosen.order.end());
  double slack = static_cast<double>(std::max<Index>(K.rows(), 16)) *
                 std::numeric_limits<double>::epsilon() * reference;
  if (out.empty()) return slack;
  const Matrix<double> left = rows_of(K, out) - chosen.W * rows_of(K, in);
  for (Index i = 0; i < left.rows(); ++i) {
    const double length = lengths(out[static_cast<std::size_t>(i)]);
    if (length > 0) slack = std::max(slack, left.row(i).norm() / length);
  }
  return slack;
}

}  // namespace detail

template <class S>
class RowSpace {
 public:
  RowSpace() = default;
  RowSpace(Vector<double> scale, Indices basis, Indices dependents, TriangularFactor<S> factor,
           Matrix<S> weights, double slack, double missing = 0)
      : scale_(std::move(scale)),
        basis_(std::move(basis)),
        dependents_(std::move(dependents)),
        factor_(std::move(factor)),
        weights_(std::move(weights)),
        slack_(slack),
        missing_(missing) {
    if (dependents_.empty()) weights_.resize(0, rank());
  }
  // From coordinates K (m, n) of the rows T J on any orthonormal basis, all that is
  // known of the span; `lengths` (m) are those of the rows.
  static RowSpace choose(Vector<double> scale, const Matrix<double>& K,
                         const Vector<double>& lengths, double tolerance, double reference) {
    IndependentRows chosen = detail::choose_rows(K, lengths, tolerance, reference);
    const double slack = detail::slack_of(K, lengths, chosen, reference);
    const auto middle = chosen.order.begin() + chosen.rank;
    return RowSpace(std::move(scale), Indices(chosen.order.begin(), middle),
                    Indices(middle, chosen.order.end()),
                    TriangularFactor<S>(Matrix<S>(chosen.L.template cast<S>())),
                    chosen.W.template cast<S>(), slack);
  }

  Index size() const { return rank() + static_cast<Index>(dependents_.size()); }
  Index rank() const { return static_cast<Index>(basis_.size()); }
  const Vector<double>& scale() const { return scale_; }
  const Indices& basis() const { return basis_; }
  const Indices& dependents() const { return dependents_; }
  const TriangularFactor<S>& factor() const { return factor_; }
  const Matrix<S>& weights() const { return weights_; }
  double slack() const { return slack_; }
  // What L L^T lacks to T J_B J_B^T T, as a relative distance: 0 but for a basis that was
  // chosen from coordinates.
  double missing() const { return missing_; }

  // K (m, r), rows by position.
  Matrix<double> coordinates() const {
    Matrix<double> K = Matrix<double>::Zero(size(), rank());
    const Matrix<double> L = factor_.matrix().template cast<double>();
    set_rows(K, basis_, L);
    if (!dependents_.empty()) {
      const Matrix<double> below = weights_.template cast<double>() * L;
      set_rows(K, dependents_, below);
    }
    return K;
  }

  // cond_2 of the basis with rows scaled to unit length: an estimate from below,
  // infinity for a singular factor.
  double condition() const {
    if (rank() == 0) return 1;
    const TriangularFactor<double> unit(
        detail::unit_rows(factor_.matrix().template cast<double>()));
    const double smallest = unit.smallest_singular_value();
    return smallest > 0 ? unit.largest_singular_value() / smallest
                        : std::numeric_limits<double>::infinity();
  }

  // What an erasure did to the basis: lost some of its rows, was chosen anew, or was
  // chosen anew by distances that K, with its slack, hardly shows.
  enum class Erased { turned, chosen, uncertain };
  // Forgets rows (ascending, distinct). Q^T (p, r), if given, is turned along.
  Erased erase(const Indices& positions, double tolerance, Matrix<S>* Qt = nullptr) {
    std::vector<char> gone(static_cast<std::size_t>(size()), 0);
    for (const Index i : positions) gone[static_cast<std::size_t>(i)] = 1;
    Indices rows, kept, renamed;
    for (Index i = 0, next = 0; i < size(); ++i) {
      const bool stays = !gone[static_cast<std::size_t>(i)];
      renamed.push_back(stays ? next++ : -1);
      if (stays) kept.push_back(i);
    }
    for (std::size_t k = 0; k < basis_.size(); ++k)
      if (gone[static_cast<std::size_t>(basis_[k])]) rows.push_back(static_cast<Index>(k));
    Vector<double> scale(static_cast<Index>(kept.size()));
    for (std::size_t i = 0; i < kept.size(); ++i) scale(static_cast<Index>(i)) = scale_(kept[i]);

    Indices held, dependents;  // rows of W that stay
    bool loose = false;
    for (std::size_t d = 0; d < dependents_.size(); ++d) {
      if (gone[static_cast<std::size_t>(dependents_[d])]) continue;
      held.push_back(static_cast<Index>(d));
      dependents.push_back(renamed[static_cast<std::size_t>(dependents_[d])]);
      for (const Index k : rows)
        loose = loose || std::abs(weights_(static_cast<Index>(d), k)) >
                             16 * std::numeric_limits<S>::epsilon();
    }
    if (loose) {
      const Matrix<double> K = rows_of(coordinates(), kept);
      const Vector<double> lengths = K.rowwise().norm();
      const double largest = detail::largest_singular_value(detail::unit_rows(K));
      RowSpace chosen = choose(std::move(scale), K, lengths, tolerance, largest);
      chosen.slack_ = chosen.missing_ = std::hypot(slack_, chosen.slack_);
      bool certain = true;
      for (Index k = 0; k < chosen.rank(); ++k) {
        const double length = lengths(chosen.basis_[static_cast<std::size_t>(k)]);
        certain =
            certain && chosen.is_far(static_cast<double>(chosen.factor_.matrix()(k, k)), length);
      }
      if (Qt) {
        Matrix<double> Z = rows_of(K, chosen.basis_);
        TriangularFactor<double>(Matrix<double>(chosen.factor_.matrix().template cast<double>()))
            .forward(Z);
        Matrix<double> Zt = Z.transpose();
        chosen.multiply_factor(detail::orthonormalise(Zt));
        *Qt = *Qt * Zt.template cast<S>();
      }
      *this = std::move(chosen);
      return certain ? Erased::chosen : Erased::uncertain;
    }
    Indices basis, columns;
    for (std::size_t k = 0; k < basis_.size(); ++k) {
      const Index to = renamed[static_cast<std::size_t>(basis_[k])];
      if (to < 0) continue;
      basis.push_back(to);
      columns.push_back(static_cast<Index>(k));
    }
    weights_ = dependents.empty() ? Matrix<S>(0, static_cast<Index>(basis.size()))
                                  : block_of(weights_, held, columns);
    if (Qt && !rows.empty()) {
      Workspace space;
      MatrixRef<S> turned(*Qt);
      factor_.erase(rows, false, &turned, space);
      Qt->conservativeResize(Eigen::NoChange, factor_.size());
    } else {
      factor_.erase(rows);
    }
    scale_.swap(scale);
    basis_.swap(basis);
    dependents_.swap(dependents);
    return Erased::turned;
  }

  // A distance so far above what is missing that (s / d)^2 <= 1e-6: every correction of
  // a projection gains six digits.
  bool is_far(double distance, double length) const { return distance >= 1e3 * missing_ * length; }

  // New rows behind the old ones: coordinates on Q are C (c, r), the rest of each
  // has the factor and the choice `rest`, which refer to the new rows and leave `slack`.
  void append(const Vector<double>& scale, const Matrix<double>& C, const IndependentRows& rest,
              double slack) {
    const Index m = size(), r = rank(), more = rest.rank, c = C.rows();
    const Indices in(rest.order.begin(), rest.order.begin() + more);
    const Indices out(rest.order.begin() + more, rest.order.end());
    Matrix<S> weights = Matrix<S>::Zero(weights_.rows() + static_cast<Index>(out.size()), r + more);
    weights.topLeftCorner(weights_.rows(), r) = weights_;
    if (!out.empty()) {
      // K_out = [C_out, W' L22] = V [L 0; C_in L22], V = [(C_out - W' C_in) L^-1, W'].
      Matrix<double> old = (rows_of(C, out) - rest.W * rows_of(C, in)).transpose();
      TriangularFactor<double> L(Matrix<double>(factor_.matrix().template cast<double>()));
      L.backward(old);
      weights.bottomLeftCorner(static_cast<Index>(out.size()), r) =
          old.transpose().template cast<S>();
      weights.bottomRightCorner(static_cast<Index>(out.size()), more) = rest.W.template cast<S>();
    }
    if (more > 0) factor_.append(rows_of(C, in).template cast<S>(), rest.L.template cast<S>());
    for (const Index i : in) basis_.push_back(m + i);
    for (const Index i : out) dependents_.push_back(m + i);
    weights_.swap(weights);
    slack_ = std::hypot(slack_, slack);
    Vector<double> all(m + c);
    all << scale_, scale;
    scale_.swap(all);
  }

  // L <- L U for lower-triangular U: the basis Q was made orthonormal, Q <- U^-1 Q.
  void multiply_factor(const Matrix<double>& U) {
    const Matrix<double> L = factor_.matrix().template cast<double>();
    const Matrix<double> product = L.triangularView<Eigen::Lower>() * U;
    factor_ = TriangularFactor<S>(Matrix<S>(product.template cast<S>()));
  }

 private:
  Vector<double> scale_;
  Indices basis_, dependents_;
  TriangularFactor<S> factor_;
  Matrix<S> weights_;
  double slack_ = 0, missing_ = 0;
};

}  // namespace minnorm
