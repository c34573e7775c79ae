// DualSystem: the minimum-norm problem in its dual form, for linear and kernel
// models alike, with an unpenalised intercept and with dependent samples.
//
// Invariant: the samples 0 .. n-1 are split into a basis B, in the order of the
// rows of L, and dependents D with X_D = W X_B. L L^T = G_BB (+ alpha I).
//
// Intercept. With the constant column s appended to X, G holds s^2 1 1^T more.
// The bordered system [G 1; 1^T 0][a; b] = [f; 0] has 1^T a = 0, so s drops out:
// its solution is that of the unpenalised intercept for every s, and rows are
// dependent exactly when they are affinely dependent. With u = G^-1 1:
//   b = u^T f / 1^T u,   a = G^-1 f - b u.
// Dependents. X = [I; W] X_B, so X^+ y = X_B^+ f with f = [I; W]^+ y, the fitted
// values on the basis: f = y_B + W^T (I + W W^T)^-1 (y_D - W y_B). Consistent
// targets give f = y_B.
// Shapes: L (r, r), W (d, r), right-hand sides (n, t). Cost of a solve 2 r^2 t.
// Without dependents, `erase` and the solves with few right-hand sides take their memory
// from a workspace and none from the heap. Arguments are copied, solved in place or only
// read; they do not overlap. Throws nothing but std::bad_alloc.
#pragma once

#include <Eigen/Cholesky>
#include <cmath>
#include <utility>

#include "carried_targets.hpp"
#include "kept_storage.hpp"

namespace minnorm {

template <class S>
class DualSystem {
 public:
  using Bias = Eigen::Matrix<S, 1, Eigen::Dynamic>;
  struct Solution {
    Matrix<S> dual;  // (r, t) on the basis
    Bias bias;       // (t), zero without intercept
  };

  DualSystem() = default;
  DualSystem(TriangularFactor<S> factor, Indices basis, Indices dependents, Matrix<S> weights,
             bool bordered)
      : factor_(std::move(factor)),
        basis_(std::move(basis)),
        dependents_(std::move(dependents)),
        weights_(std::move(weights)),
        bordered_(bordered) {
    finish();
  }

  const TriangularFactor<S>& factor() const { return factor_; }
  const Indices& basis() const { return basis_; }
  const Indices& dependents() const { return dependents_; }
  const Matrix<S>& weights() const { return weights_; }
  Index rank() const { return static_cast<Index>(basis_.size()); }
  Index size() const { return rank() + static_cast<Index>(dependents_.size()); }
  bool full_rank() const { return dependents_.empty(); }

  // f (r, t) = [I; W]^+ R: least-squares values on the basis.
  void basis_values(const ConstMatrixRef<S>& R, MatrixRef<S> f) const {
    for (Index k = 0; k < f.cols(); ++k)
      for (Index i = 0; i < f.rows(); ++i) f(i, k) = R(basis_[static_cast<std::size_t>(i)], k);
    if (full_rank()) return;
    Matrix<S> gap(weights_.rows(), R.cols());
    for (Index d = 0; d < gap.rows(); ++d) gap.row(d) = R.row(dependents_[std::size_t(d)]);
    if (by_dependents()) {
      gap -= weights_ * f;
      f.noalias() += weights_.transpose() * normal_.solve(gap);
      return;
    }
    f.noalias() += weights_.transpose() * gap;
    f = normal_.solve(f).eval();
  }

  Solution solve(const Matrix<S>& R) const {
    Solution out{Matrix<S>(rank(), R.cols()), Bias(R.cols())};
    basis_values(R, out.dual);
    solve_basis(out.dual, out.bias);
    return out;
  }

  // In place: values f (r, t) on the basis become dual coefficients.
  void solve_basis(MatrixRef<S> f, Eigen::Ref<Bias> bias) const {
    factor_.solve(f);
    split_bias(f, bias);
  }

  // Carries the targets Y (n, t) from now on, so that a deletion needs backward substitutions
  // alone; with dependents nothing is carried.
  void keep_carried(const ConstRowMatrixRef<S>& Y, const TargetScaling<S>& scaling,
                    Workspace& space) {
    if (full_rank()) carried_.keep(Y, scaling, basis_, factor_, bordered_, space);
  }
  bool carries() const { return carried_.held(); }
  void drop_carried() { carried_.drop(); }
  // The solution for the targets that stay as they enter by `scaling`; where `carries()`.
  void solve_carried(const TargetScaling<S>& scaling, MatrixRef<S> a, Eigen::Ref<Bias> bias) const {
    carried_.half_solved(scaling, a);
    factor_.backward(a);
    split_bias(a, bias);
  }

  // ([I; W]^+)^T a: the least-norm dual coefficients of all n samples.
  Matrix<S> spread(const Matrix<S>& a) const {
    Matrix<S> all(size(), a.cols());
    if (full_rank()) {
      set_rows(all, basis_, a);
      return all;
    }
    Matrix<S> on_dependents, on_basis = a;
    if (by_dependents()) {
      on_dependents = normal_.solve(weights_ * a);
      on_basis.noalias() -= weights_.transpose() * on_dependents;
    } else {
      on_basis = normal_.solve(a);
      on_dependents = weights_ * on_basis;
    }
    set_rows(all, basis_, on_basis);
    set_rows(all, dependents_, on_dependents);
    return all;
  }

  // N e_i on the basis for each chosen sample, N the solution operator of
  // `solve`: the direction in which leaving out sample i moves the model.
  Solution influence(const Indices& samples) const {
    Matrix<S> unit = Matrix<S>::Zero(size(), static_cast<Index>(samples.size()));
    for (std::size_t j = 0; j < samples.size(); ++j) unit(samples[j], static_cast<Index>(j)) = 1;
    return solve(unit);
  }

  // Held-out residuals y_i - f_{-i}(x_i), from dual coefficients (r, t) and
  // residuals R (n, t). Without i, theta moves by -e_i X^T N e_i: for a sample
  // that no other can replace e_i = a_i / N_ii (Greville); for one with hat value
  // h_i < 1, e_i = r_i / (1 - h_i). Cost r^3 / 3 + n r^2 with dependents.
  Matrix<S> leave_one_out(const Matrix<S>& dual, const Matrix<S>& R) const {
    const Index r = rank();
    Matrix<S> held_out(size(), dual.cols());
    Vector<S> diagonal = factor_.inverse().colwise().squaredNorm();
    if (bordered_) diagonal -= ones_.view().cwiseAbs2() / ones_sum_;
    Vector<S> reach = Vector<S>::Zero(r);
    if (!full_rank()) reach = weights_.cwiseAbs().colwise().maxCoeff();
    const S negligible = std::max(weight_tolerance(), weight_noise_);
    Vector<S> gap;  // 1 - h of every sample
    if (!full_rank()) gap = unit_minus_hat();
    for (Index k = 0; k < r; ++k) {
      const Index i = basis_[static_cast<std::size_t>(k)];
      if (reach(k) <= negligible)
        held_out.row(i) = dual.row(k) / diagonal(k);
      else
        held_out.row(i) = R.row(i) / gap(i);
    }
    for (const Index i : dependents_) held_out.row(i) = R.row(i) / gap(i);
    return held_out;
  }

  // Erases samples (ascending). Basis rows leave the factor; dependents that need
  // them leave the system and are returned, named by their new positions, to be
  // examined again. So do all dependents if `recheck`, or where W carries the
  // rounding of an ill-conditioned basis, which the smaller one may not have.
  struct Erased {
    Erasure how = Erasure::none;
    Indices loose;
  };
  Erased erase(View<Index> samples, bool gram_is_accurate, bool recheck, Workspace& space) {
    const Workspace::Frame frame(space);
    Index* renamed = space.take<Index>(size());  // -1 for a sample that leaves
    {
      Index next = 0;
      std::size_t f = 0;
      for (Index i = 0; i < size(); ++i) {
        const bool gone = f < samples.size() && samples[f] == i;
        renamed[i] = gone ? -1 : next++;
        f += gone;
      }
    }
    const auto leaves = [&](Index sample) { return renamed[sample] < 0; };
    Index* positions = space.take<Index>(static_cast<Index>(samples.size()));
    std::size_t leaving = 0;
    for (std::size_t k = 0; k < basis_.size(); ++k)
      if (leaves(basis_[k])) positions[leaving++] = static_cast<Index>(k);
    const View<Index> rows(positions, leaving);

    Erased out;
    if (!full_rank()) out.loose = erase_dependents(rows, renamed, recheck);
    basis_.resize(detail::close_ranks(
        basis_.size(), rows, [&](std::size_t from, std::size_t to) { basis_[to] = basis_[from]; }));
    for (Index& sample : basis_) sample = renamed[sample];
    MatrixRef<S> carried = carried_.turned();
    out.how = factor_.erase(rows, gram_is_accurate, carries() ? &carried : nullptr, space);
    if (out.how == Erasure::refactored)
      drop_carried();
    else if (carries())
      carried_.keep_first(rank());
    return out;  // the caller calls finish()
  }
  // Of the workspace, to erase k of n samples with t outputs carried, and an intercept.
  static std::size_t erase_bytes(Index n, Index k, Index t) {
    return Workspace::bytes<Index>(n) + Workspace::bytes<Index>(k) +
           TriangularFactor<S>::erase_bytes(n, k, t + 1);
  }

  // Candidates that were examined: `samples` join the basis with the new rows
  // [L21 L22] of L, `dependents` do not, with weights on the grown basis.
  struct Growth {
    Indices samples, dependents;
    Matrix<S> L21, L22, weights;
  };
  void grow(const Growth& growth) {
    const Index m = static_cast<Index>(growth.samples.size()), d = weights_.rows();
    const Index more = static_cast<Index>(growth.dependents.size());
    Matrix<S> weights = Matrix<S>::Zero(d + more, rank() + m);
    weights.topLeftCorner(d, rank()) = weights_;
    weights.bottomRows(more) = growth.weights;
    if (m > 0) factor_.append(growth.L21, growth.L22);
    drop_carried();
    basis_.insert(basis_.end(), growth.samples.begin(), growth.samples.end());
    dependents_.insert(dependents_.end(), growth.dependents.begin(), growth.dependents.end());
    weights_.swap(weights);
    finish();
  }

  // Recomputes what is derived from L and W; call after `erase`.
  void finish() {
    if (weights_.cols() != rank()) weights_.resize(0, rank());
    if (bordered_) {
      ones_.set_zero(rank(), 1);
      auto ones = ones_.view();
      ones.setOnes();
      if (carries()) {
        ones = carried_.half_solved_ones();
        factor_.backward(ones);
      } else {
        factor_.solve(ones);
      }
      ones_sum_ = ones.sum();
    }
    if (full_rank()) return;
    const Index k = by_dependents() ? weights_.rows() : weights_.cols();
    Matrix<S> N = Matrix<S>::Identity(k, k);
    if (by_dependents())
      N.noalias() += weights_ * weights_.transpose();
    else
      N.noalias() += weights_.transpose() * weights_;
    normal_.compute(N);
    // W comes from solves with L: its rounding is of order eps cond(L).
    const double cond = factor_.largest_singular_value() / factor_.smallest_singular_value();
    const double noise = 64 * std::numeric_limits<S>::epsilon() * cond;
    weight_noise_ = static_cast<S>(noise < 0.1 ? noise : 0.1);
  }

 private:
  static constexpr S noise_to_renew = 64000 * std::numeric_limits<S>::epsilon();

  // Those that need none of the leaving rows of the basis stay; the others are returned.
  Indices erase_dependents(View<Index> rows, const Index* renamed, bool recheck) {
    Indices loose, kept_rows, kept, dependents;
    for (std::size_t d = 0; d < dependents_.size(); ++d) {
      const Index to = renamed[dependents_[d]];
      if (to < 0) continue;
      bool is_loose = recheck || (!rows.empty() && weight_noise_ > noise_to_renew);
      for (const Index k : rows)
        is_loose = is_loose || std::abs(weights_(static_cast<Index>(d), k)) > weight_tolerance();
      if (is_loose) {
        loose.push_back(to);
      } else {
        kept.push_back(static_cast<Index>(d));
        dependents.push_back(to);
      }
    }
    for (std::size_t k = 0; k < basis_.size(); ++k)
      if (renamed[basis_[k]] >= 0) kept_rows.push_back(static_cast<Index>(k));
    Matrix<S> weights = block_of(weights_, kept, kept_rows);
    dependents_.swap(dependents);
    weights_.swap(weights);
    return loose;
  }

  // Of G^-1 f, in place: the bias, and the dual coefficients with 1^T a = 0.
  void split_bias(MatrixRef<S> f, Eigen::Ref<Bias> bias) const {
    bias.setZero();
    if (!bordered_ || rank() == 0) return;
    const auto ones = ones_.view();
    for (Index k = 0; k < f.cols(); ++k) {
      bias(k) = f.col(k).sum() / ones_sum_;
      f.col(k) -= bias(k) * ones;
      f.col(k).array() -= f.col(k).mean();  // 1^T a = 0, to its last roundings
    }
  }

  bool by_dependents() const { return weights_.rows() <= weights_.cols(); }
  // Below this an entry of W is surely rounding; above it a row is examined again.
  S weight_tolerance() const { return std::sqrt(std::numeric_limits<S>::epsilon()) * S(1e-2); }

  // 1 - h_i, h the diagonal of [I; W] [I; W]^+, without cancellation for
  // dependents: 1 - h_D is the diagonal of (I + W W^T)^-1; on the basis
  // 1 - h_B is that of W^T (I + W W^T)^-1 W.
  Vector<S> unit_minus_hat() const {
    Vector<S> gap(size());
    const Index r = rank();
    Matrix<S> on_basis, on_dependents;
    if (by_dependents()) {
      Matrix<S> half = weights_;
      normal_.matrixL().solveInPlace(half);
      const Vector<S> basis_gap = half.colwise().squaredNorm();
      Matrix<S> identity = Matrix<S>::Identity(weights_.rows(), weights_.rows());
      normal_.matrixL().solveInPlace(identity);
      const Vector<S> dependent_gap = identity.colwise().squaredNorm();
      for (Index k = 0; k < r; ++k) gap(basis_[std::size_t(k)]) = basis_gap(k);
      for (std::size_t d = 0; d < dependents_.size(); ++d)
        gap(dependents_[d]) = dependent_gap(Index(d));
      return gap;
    }
    Matrix<S> half = Matrix<S>::Identity(r, r);
    normal_.matrixL().solveInPlace(half);
    const Vector<S> hat_basis = half.colwise().squaredNorm();
    const Matrix<S> image = half * weights_.transpose();
    for (Index k = 0; k < r; ++k) gap(basis_[std::size_t(k)]) = 1 - hat_basis(k);
    for (std::size_t d = 0; d < dependents_.size(); ++d)
      gap(dependents_[d]) = 1 - image.col(Index(d)).squaredNorm();
    return gap;
  }

  TriangularFactor<S> factor_;
  Indices basis_, dependents_;
  Matrix<S> weights_;
  bool bordered_ = false;
  KeptStorage<Vector<S>> ones_;
  S ones_sum_ = 1, weight_noise_ = 0;
  Eigen::LLT<Matrix<S>> normal_;
  CarriedTargets<S> carried_;
};

}  // namespace minnorm
