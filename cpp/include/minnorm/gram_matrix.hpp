// GramMatrix: the kernel values of the retained samples among themselves.
//
// Invariant: symmetric; sample i has row and column slot(i). Owned, the slots in
// use are 0 .. size()-1 and everything beyond is zero: a forgotten sample's row and
// column are overwritten by those of the last slot, in O(n), and nothing is moved
// otherwise. Shared (for a preview), the matrix is only read and slots are skipped.
// Shapes: (n, n), with spare capacity. Cost: erase n k, append n^2 when it grows,
// times n^2 t, with one read of a triangle for each of a few outputs.
// Results are new or written where the caller says. Throws nothing but std::bad_alloc.
#pragma once

#include <memory>
#include <utility>

#include "symmetric_product.hpp"
#include "workspace.hpp"

namespace minnorm {

template <class S>
class GramMatrix {
 public:
  GramMatrix() = default;
  explicit GramMatrix(Matrix<S> K) : K_(std::make_shared<Matrix<S>>(std::move(K))) {
    for (Index i = 0; i < K_->rows(); ++i) slot_.push_back(i);
    slots_ = K_->rows();
  }

  // A copy of an owned matrix is a copy of the data.
  GramMatrix(const GramMatrix& other) : GramMatrix(other.alias()) {
    if (!shared_) K_ = std::make_shared<Matrix<S>>(*K_);
  }
  GramMatrix(GramMatrix&&) noexcept = default;
  GramMatrix& operator=(GramMatrix other) noexcept {
    K_.swap(other.K_);
    slot_.swap(other.slot_);
    std::swap(slots_, other.slots_);
    std::swap(shared_, other.shared_);
    return *this;
  }

  Index size() const { return static_cast<Index>(slot_.size()); }
  Index slots() const { return slots_; }

  // (n, n) in the order of the samples; chosen rows and columns.
  Matrix<S> ordered() const { return block_of(*K_, slot_, slot_); }
  Matrix<S> block(const Indices& rows, const Indices& columns) const {
    return block_of(*K_, places(rows), places(columns));
  }
  Vector<double> diagonal() const {
    Vector<double> d(size());
    for (Index i = 0; i < size(); ++i) d(i) = diagonal(i);
    return d;
  }
  double diagonal(Index i) const {
    const Index s = slot_[static_cast<std::size_t>(i)];
    return static_cast<double>((*K_)(s, s));
  }
  double trace() const {
    double sum = 0;
    for (Index i = 0; i < size(); ++i) sum += diagonal(i);
    return sum;
  }

  // Roundings in sequence behind an entry of `times` for t outputs.
  double depth(Index t) const {
    return t <= few_outputs ? detail::symmetric_product_depth(slots_) : static_cast<double>(slots_);
  }

  // product (n, t) = K_(all, samples) a. Few outputs go one by one, each by one read of a
  // triangle, with times_bytes of the workspace; for more K is multiplied as a whole.
  void times(View<Index> samples, const ConstMatrixRef<S>& a, MatrixRef<S> product,
             Workspace& space) const {
    if (a.cols() > few_outputs) {
      Matrix<S> placed = Matrix<S>::Zero(slots_, a.cols());
      for (std::size_t k = 0; k < samples.size(); ++k)
        placed.row(slot_[static_cast<std::size_t>(samples[k])]) = a.row(static_cast<Index>(k));
      product = rows_of<S>(K_->topLeftCorner(slots_, slots_) * placed, slot_);
      return;
    }
    const Workspace::Frame frame(space);
    auto placed = space.vector<S>(slots_), image = space.vector<S>(slots_);
    for (Index j = 0; j < a.cols(); ++j) {
      placed.setZero();
      for (std::size_t k = 0; k < samples.size(); ++k)
        placed(slot_[static_cast<std::size_t>(samples[k])]) = a(static_cast<Index>(k), j);
      detail::symmetric_product<S>(K_->data(), K_->rows(), slots_, placed.data(), image.data());
      for (Index i = 0; i < size(); ++i) product(i, j) = image(slot_[static_cast<std::size_t>(i)]);
    }
  }
  static std::size_t times_bytes(Index slots) { return 2 * Workspace::bytes<S>(slots); }

  // cross (m, n): values against the retained samples; own (m, m).
  void append(const Matrix<S>& cross, const Matrix<S>& own) {
    const Index m = own.rows(), n = slots_ + m;
    auto target = K_;
    if (n > K_->rows() || shared_) {
      const Index capacity = std::max(n, slots_ + slots_ / 8);
      target = std::make_shared<Matrix<S>>(Matrix<S>::Zero(capacity, capacity));
      target->topLeftCorner(slots_, slots_) = K_->topLeftCorner(slots_, slots_);
    }
    for (Index i = 0; i < size(); ++i) {
      const Index s = slot_[static_cast<std::size_t>(i)];
      target->block(slots_, s, m, 1) = cross.col(i);
      target->block(s, slots_, 1, m) = cross.col(i).transpose();
    }
    target->block(slots_, slots_, m, m) = own;
    for (Index i = 0; i < m; ++i) slot_.push_back(slots_ + i);
    K_ = std::move(target);
    slots_ = n;
    shared_ = false;
  }

  // Forgets samples (ascending, distinct).
  void erase(View<Index> samples, Workspace& space) {
    if (!shared_) {
      const Workspace::Frame frame(space);
      Index* sample_of = space.take<Index>(slots_);
      for (std::size_t i = 0; i < slot_.size(); ++i) sample_of[slot_[i]] = static_cast<Index>(i);
      Matrix<S>& K = *K_;
      for (const Index sample : samples) {
        const Index hole = slot_[static_cast<std::size_t>(sample)], last = --slots_;
        if (hole != last) {
          K.col(hole).head(last + 1) = K.col(last).head(last + 1);
          K.row(hole).head(last + 1) = K.row(last).head(last + 1);
          K(hole, hole) = K(last, last);
          const Index moved = sample_of[last];
          sample_of[hole] = moved;
          slot_[static_cast<std::size_t>(moved)] = hole;
        }
        K.col(last).head(last + 1).setZero();
        K.row(last).head(last + 1).setZero();
      }
    }
    slot_.resize(detail::close_ranks(
        slot_.size(), samples, [&](std::size_t from, std::size_t to) { slot_[to] = slot_[from]; }));
  }
  static std::size_t erase_bytes(Index slots) { return Workspace::bytes<Index>(slots); }

  // The same matrix, read only.
  GramMatrix borrowed() const {
    GramMatrix other = alias();
    other.shared_ = true;
    return other;
  }

 private:
  // Eight triangles take as long as one product of Eigen with eight columns.
  static constexpr Index few_outputs = 8;

  GramMatrix alias() const {
    GramMatrix other;
    other.K_ = K_;
    other.slot_ = slot_;
    other.slots_ = slots_;
    other.shared_ = shared_;
    return other;
  }

  Indices places(const Indices& samples) const {
    Indices out;
    out.reserve(samples.size());
    for (const Index i : samples) out.push_back(slot_[static_cast<std::size_t>(i)]);
    return out;
  }

  std::shared_ptr<Matrix<S>> K_ = std::make_shared<Matrix<S>>();
  Indices slot_;
  Index slots_ = 0;
  bool shared_ = false;
};

}  // namespace minnorm
