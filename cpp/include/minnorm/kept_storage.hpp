// KeptStorage: a matrix in storage that stays when the matrix becomes smaller, so that a
// model from which samples leave never goes to the heap for what it holds.
//
// Invariant: what lies beyond the matrix in its storage is zero: nothing of a sample that
// has left stays behind.
// M: Matrix<S>, RowMatrix<S> or Vector<S>. Cost of a change of size: the entries.
// Throws std::bad_alloc where it grows, before anything changes.
#pragma once

#include <Eigen/Core>
#include <utility>

#include "types.hpp"

namespace minnorm {

template <class M>
class KeptStorage {
 public:
  using Scalar = typename M::Scalar;
  using Map = Eigen::Map<M, Eigen::AlignedMax>;
  using ConstMap = Eigen::Map<const M, Eigen::AlignedMax>;

  KeptStorage() = default;
  KeptStorage(const M& values) : KeptStorage() { *this = values; }
  KeptStorage& operator=(const M& values) {
    set_zero(values.rows(), values.cols());
    view() = values;
    return *this;
  }
  KeptStorage(const KeptStorage& other) : KeptStorage(M(other.view())) {}
  KeptStorage& operator=(const KeptStorage& other) {
    if (this != &other) *this = M(other.view());
    return *this;
  }
  KeptStorage(KeptStorage&& other) noexcept { swap(other); }
  KeptStorage& operator=(KeptStorage&& other) noexcept {
    swap(other);
    return *this;
  }

  Index rows() const { return rows_; }
  Index cols() const { return cols_; }
  Index size() const { return rows_ * cols_; }
  Map view() { return Map(storage_.data(), rows_, cols_); }
  ConstMap view() const { return ConstMap(storage_.data(), rows_, cols_); }

  // All entries zero, of this shape.
  void set_zero(Index rows, Index cols) {
    if (rows * cols > storage_.size()) storage_.resize(rows * cols);
    storage_.setZero();
    rows_ = rows;
    cols_ = cols;
  }
  // Drops the last slices of storage: columns of a Matrix, rows of a RowMatrix or Vector.
  void keep_first(Index slices) {
    (M::IsRowMajor || M::ColsAtCompileTime == 1 ? rows_ : cols_) = slices;
    storage_.tail(storage_.size() - size()).setZero();
  }
  void swap(KeptStorage& other) noexcept {
    storage_.swap(other.storage_);
    std::swap(rows_, other.rows_);
    std::swap(cols_, other.cols_);
  }

 private:
  Vector<Scalar> storage_;
  Index rows_ = 0, cols_ = M::ColsAtCompileTime == 1 ? 1 : 0;
};

}  // namespace minnorm
