// CarriedTargets: (L^-1 [F 1])^T, carried from one deletion to the next; F (n, t) the targets
// as they enter, the ones with an intercept only.
//
// The reflections that erase rows of L turn it into that of the targets that stay, so a
// deletion needs backward substitutions alone. Its error stays relative to the F of the
// start: where what is left of the targets is far smaller, it is formed anew.
// Invariant: where `held()`, it is that of the factor and of the samples whose reflections it
// went through, in the scaling of the start.
// Cost: n^2 (t + 1) to form, n t for a solution. Memory comes from a workspace, carry_bytes of
// it, and for the matrix itself from storage that stays. Throws nothing but std::bad_alloc.
#pragma once

#include "kept_storage.hpp"
#include "target_scaling.hpp"
#include "triangular_factor.hpp"

namespace minnorm {

template <class S>
class CarriedTargets {
 public:
  bool held() const { return carried_.size() > 0; }
  void drop() { carried_ = Matrix<S>(); }

  // Holds that of the targets Y (n, t) by `scaling` from now on, samples `basis` in the order
  // of the rows of L.
  void keep(const ConstRowMatrixRef<S>& Y, const TargetScaling<S>& scaling, View<Index> basis,
            const TriangularFactor<S>& factor, bool with_ones, Workspace& space) {
    const Workspace::Frame frame(space);
    const Index r = factor.size(), t = Y.cols();
    auto F = space.matrix<S>(r, t);
    for (Index k = 0; k < t; ++k)
      for (Index i = 0; i < r; ++i)
        F(i, k) = scaling.scaled(Y(basis[static_cast<std::size_t>(i)], k), k);
    auto size = space.vector<double>(t);
    size.setZero();
    if (r > 0) size = F.cwiseAbs().colwise().maxCoeff().transpose().template cast<double>();
    const double back = start_.scale / scaling.scale;
    if (held() && (16 * back * size.array() >= size_.array()).all()) return;

    auto ones = space.vector<S>(r);
    ones.setOnes();
    factor.forward(F);
    factor.forward(ones);
    carried_.set_zero(t + with_ones, r);
    carried_.view().topRows(t) = F.transpose();
    if (with_ones) carried_.view().bottomRows(1) = ones.transpose();
    start_ = scaling;
    size_ = size;
  }
  // Of the workspace, for t outputs of n samples.
  static std::size_t keep_bytes(Index n, Index t) {
    return Workspace::bytes<S>(n * t) + Workspace::bytes<double>(t) + Workspace::bytes<S>(n);
  }

  // For TriangularFactor::erase, which turns it; then the columns that are left.
  MatrixRef<S> turned() { return carried_.view(); }
  void keep_first(Index rank) { carried_.keep_first(rank); }

  // a (r, t) = L^-1 F for the targets that stay, as they enter by `scaling`.
  void half_solved(const TargetScaling<S>& scaling, MatrixRef<S> a) const {
    const auto carried = carried_.view();
    const S unit = static_cast<S>(scaling.scale / start_.scale);
    a = unit * carried.topRows(a.cols()).transpose();
    if (carried.rows() > a.cols())
      for (Index k = 0; k < a.cols(); ++k)
        a.col(k) -= (scaling.centre(k) - unit * start_.centre(k)) * half_solved_ones();
  }
  auto half_solved_ones() const { return carried_.view().bottomRows(1).transpose(); }

 private:
  KeptStorage<Matrix<S>> carried_;  // (t or t + 1, r)
  TargetScaling<S> start_;
  Vector<double> size_;  // (t) largest |F| of the start
};

}  // namespace minnorm
