// Workspace: memory that is asked for once and used again, by computations that must not
// go to the heap.
//
// A stack of blocks. Within a Frame pieces are taken off the top; the end of the frame
// gives back all that was taken in it. What a frame asks for beyond the room that is
// left comes from the heap, in one new block, and goes back there at its end: memory
// that is handed out never moves, and only `reserve` makes the workspace keep more.
// What was written in a frame is overwritten at its end: it may be of a forgotten sample.
// Invariant: frames end in the reverse of the order in which they began.
// Pieces are aligned for Eigen and are not initialised. Cost of a piece: a few
// operations. Copies are empty. Throws std::bad_alloc, before anything changes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include "types.hpp"

namespace minnorm {

template <class S>
using MatrixMap = Eigen::Map<Matrix<S>, Eigen::AlignedMax>;
template <class S>
using RowMatrixMap = Eigen::Map<RowMatrix<S>, Eigen::AlignedMax>;
template <class S>
using VectorMap = Eigen::Map<Vector<S>, Eigen::AlignedMax>;

class Workspace {
 public:
  Workspace() = default;
  Workspace(const Workspace&) {}
  Workspace(Workspace&& other) noexcept { swap(other); }
  Workspace& operator=(Workspace other) noexcept {
    swap(other);
    return *this;
  }

  // What n entries of T take; the sum over its pieces is what a frame needs.
  template <class T>
  static std::size_t bytes(Index n) {
    return (static_cast<std::size_t>(n) * sizeof(T) + unit - 1) / unit * unit;
  }

  // Keeps room for `size` bytes from now on. Not within a frame.
  void reserve(std::size_t size) {
    if (!blocks_.empty() && blocks_.front().size >= size) return;
    std::vector<Block> grown;
    grown.push_back(Block(size));
    blocks_.swap(grown);
  }

  class Frame {
   public:
    // With room for `size` bytes: taking up to that many cannot throw.
    explicit Frame(Workspace& space, std::size_t size = 0)
        : space_(space),
          blocks_(space.blocks_.size()),
          used_(blocks_ > 0 ? space.blocks_.back().used : 0) {
      space_.make_room(size);
    }
    Frame(const Frame&) = delete;
    Frame& operator=(const Frame&) = delete;
    ~Frame() {
      while (space_.blocks_.size() > blocks_) {
        space_.blocks_.back().clear_from(0);
        space_.blocks_.pop_back();
      }
      if (blocks_ > 0) space_.blocks_.back().clear_from(used_);
    }

   private:
    Workspace& space_;
    std::size_t blocks_, used_;
  };

  template <class T>
  T* take(Index n) {
    static_assert(std::is_trivial_v<T>, "pieces are neither constructed nor destroyed");
    const std::size_t size = bytes<T>(n);
    if (size == 0) return nullptr;
    make_room(size);
    Block& top = blocks_.back();
    T* piece = reinterpret_cast<T*>(top.data.get() + top.used);
    top.used += size;
    return piece;
  }
  template <class S>
  MatrixMap<S> matrix(Index rows, Index cols) {
    return MatrixMap<S>(take<S>(rows * cols), rows, cols);
  }
  template <class S>
  RowMatrixMap<S> row_matrix(Index rows, Index cols) {
    return RowMatrixMap<S>(take<S>(rows * cols), rows, cols);
  }
  template <class S>
  VectorMap<S> vector(Index n) {
    return VectorMap<S>(take<S>(n), n);
  }

 private:
  static constexpr std::size_t unit = 64;

  struct Free {
    void operator()(std::byte* p) const { ::operator delete(p, std::align_val_t(unit)); }
  };
  struct Block {
    explicit Block(std::size_t bytes)
        : data(static_cast<std::byte*>(::operator new(bytes, std::align_val_t(unit)))),
          size(bytes) {}
    void clear_from(std::size_t kept) {
      std::memset(data.get() + kept, 0, used - kept);
      used = kept;
    }
    std::unique_ptr<std::byte, Free> data;
    std::size_t size, used = 0;
  };

  void make_room(std::size_t size) {
    if (size == 0 || (!blocks_.empty() && blocks_.back().size - blocks_.back().used >= size))
      return;
    blocks_.push_back(Block(std::max<std::size_t>(size, 4096)));
  }
  void swap(Workspace& other) noexcept { blocks_.swap(other.blocks_); }

  std::vector<Block> blocks_;  // the last one is in use
};

}  // namespace minnorm
