// Rows: the feature rows of the retained samples, owned or borrowed.
//
// Invariant: row(i) is the row of the i-th retained sample in insertion order,
// wherever it lies. Owned rows fill their buffers without holes: a forgotten row
// is overwritten by the physically last one, whose old place is zeroed. Borrowed
// rows are only read; forgetting one drops its address.
// Shapes: (n, p), any number of row-major blocks. Cost: erase k p + n, append of a
// block that is handed over n. Throws std::bad_alloc, before anything changes.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <memory>
#include <utility>

#include "threads.hpp"
#include "workspace.hpp"

namespace minnorm {

template <class S>
class Rows {
 public:
  // A row-major buffer (n, p) with the object that keeps it alive.
  struct Block {
    S* data = nullptr;
    Index rows = 0;
    Index stride = 0;
    std::shared_ptr<const void> keep;
  };

  Rows() = default;
  // A copy of owned rows is a copy of the data; of borrowed rows, of addresses.
  Rows(const Rows& other) : Rows(other.owned_ ? other.gathered() : other.alias()) {}
  Rows(Rows&&) noexcept = default;
  Rows& operator=(Rows other) noexcept {
    std::swap(cols_, other.cols_);
    std::swap(owned_, other.owned_);
    blocks_.swap(other.blocks_);
    address_.swap(other.address_);
    slot_.swap(other.slot_);
    return *this;
  }
  Rows(Block block, Index cols, bool owned) : cols_(cols), owned_(owned) {
    append(std::move(block));
  }
  // A private copy of X.
  static Rows copy(ConstRowMatrixRef<S> X) { return Rows(copied(X), X.cols(), true); }
  static Block copied(ConstRowMatrixRef<S> X) {
    auto buffer = std::make_shared<RowMatrix<S>>(X);
    return Block{buffer->data(), X.rows(), X.cols(), buffer};
  }
  // X is read in place and must outlive the result.
  static Rows view(ConstRowMatrixRef<S> X) {
    return Rows(Block{const_cast<S*>(X.data()), X.rows(), X.outerStride(), nullptr}, X.cols(),
                false);
  }

  Index size() const { return static_cast<Index>(slot_.size()); }
  Index cols() const { return cols_; }
  bool owned() const { return owned_; }
  const S* row(Index i) const { return address_[slot(i)]; }

  // Physical places: 0 .. slots()-1, of which slot(i) holds sample i.
  std::size_t slot(Index i) const { return static_cast<std::size_t>(slot_[std::size_t(i)]); }
  Index slots() const { return static_cast<Index>(address_.size()); }
  const std::vector<Block>& blocks() const { return blocks_; }

  void append(Block block) {
    address_.reserve(address_.size() + static_cast<std::size_t>(block.rows));
    slot_.reserve(slot_.size() + static_cast<std::size_t>(block.rows));
    blocks_.reserve(blocks_.size() + 1);
    for (Index i = 0; i < block.rows; ++i) {
      slot_.push_back(slots());
      address_.push_back(block.data + i * block.stride);
    }
    blocks_.push_back(std::move(block));
  }

  // Forgets samples (ascending, distinct). `moved(from, to)` tells of each slot
  // whose content changed place, `freed(slot)` of each that is now empty.
  template <class Moved, class Freed>
  void erase(View<Index> samples, Workspace& space, Moved moved, Freed freed) {
    if (owned_) {
      const Workspace::Frame frame(space);
      Index* sample_of = space.take<Index>(slots());
      for (std::size_t i = 0; i < slot_.size(); ++i)
        sample_of[static_cast<std::size_t>(slot_[i])] = static_cast<Index>(i);
      for (const Index sample : samples) {
        const std::size_t hole = slot(sample), last = address_.size() - 1;
        if (hole != last) {
          std::copy_n(address_[last], cols_, address_[hole]);
          moved(static_cast<Index>(last), static_cast<Index>(hole));
          sample_of[hole] = sample_of[last];
          slot_[static_cast<std::size_t>(sample_of[hole])] = static_cast<Index>(hole);
        }
        std::fill_n(address_[last], cols_, S(0));
        freed(static_cast<Index>(last));
        address_.pop_back();
        if (--blocks_.back().rows == 0) blocks_.pop_back();
      }
    }
    slot_.resize(detail::close_ranks(
        slot_.size(), samples, [&](std::size_t from, std::size_t to) { slot_[to] = slot_[from]; }));
  }
  void erase(View<Index> samples, Workspace& space) {
    erase(samples, space, [](Index, Index) {}, [](Index) {});
  }
  void erase(View<Index> samples) {
    Workspace space;
    erase(samples, space);
  }

  // The same buffers under the same ownership: for a change that is made aside and
  // then takes the place of this object, which must not be used with it.
  Rows alias() const {
    Rows other;
    other.cols_ = cols_;
    other.owned_ = owned_;
    other.blocks_ = blocks_;
    other.address_ = address_;
    other.slot_ = slot_;
    return other;
  }
  // The same buffers, read only: for a preview.
  Rows borrowed() const {
    Rows other = alias();
    other.owned_ = false;
    return other;
  }

  // Largest absolute entry; 0 for no entries.
  S max_abs() const {
    Vector<S> most(size());
    detail::for_each_part(size(), reading_flops(), [&](detail::Range part) {
      for (Index i = part.first; i < part.last; ++i) most(i) = vector(i).cwiseAbs().maxCoeff();
    });
    return size() > 0 ? most.maxCoeff() : S(0);
  }
  // What threads are worth for a pass over all entries, in operations.
  double reading_flops() const { return 8 * static_cast<double>(size() * cols()); }
  // Euclidean norm of row i times `scale`, in double.
  double norm(Index i, double scale) const {
    return (vector(i).template cast<double>() * scale).norm();
  }

  Eigen::Map<const Eigen::Matrix<S, 1, Eigen::Dynamic>> vector(Index i) const {
    return {row(i), cols_};
  }

 private:
  Rows gathered() const {
    auto buffer = std::make_shared<RowMatrix<S>>(size(), cols_);
    for (Index i = 0; i < size(); ++i) buffer->row(i) = vector(i);
    return Rows(Block{buffer->data(), size(), cols_, buffer}, cols_, true);
  }

  Index cols_ = 0;
  bool owned_ = true;
  std::vector<Block> blocks_;
  std::vector<S*> address_;  // by slot
  Indices slot_;             // by sample
};

}  // namespace minnorm
