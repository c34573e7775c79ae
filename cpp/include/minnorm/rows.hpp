// Rows: the feature rows of the retained samples, owned or borrowed.
//
// A row is cut into pieces of panel_width entries, 256 bytes; piece k lies `k step` after
// the first. In a row-major buffer step is panel_width: a row is one run. In panels it is
// the length of a panel, and panel k holds piece k of all rows, one after the other, the
// last one padded with zeros. A pass that finishes a few columns of all rows before it goes
// on then reads memory in order, and those columns stay in second-level cache.
// Invariant: place(i) is that of the i-th retained sample in insertion order. All buffers
// are in panels or none is. Owned rows fill their buffers without holes: a forgotten row
// is overwritten by the physically last one, whose old place is zeroed. Borrowed rows are
// only read; forgetting one drops its address.
// Shapes: (n, p), any number of buffers. Cost: erase k p + n, append of a block that is
// handed over n. Throws std::bad_alloc, before anything changes.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <memory>
#include <new>
#include <utility>

#include "large_pages.hpp"
#include "threads.hpp"
#include "workspace.hpp"

namespace minnorm {

template <class S>
class Rows {
 public:
  static constexpr Index panel_width = 256 / static_cast<Index>(sizeof(S));
  using Run = Eigen::Map<const Eigen::Matrix<S, 1, Eigen::Dynamic>>;

  // Where a row lies.
  struct Place {
    S* first;
    Index step;
    S* piece(Index k) const { return first + k * step; }
  };
  // A buffer (n, p), row i from data + i stride, with the object that keeps it alive.
  // `panel` is the length of a panel, 0 in a row-major buffer.
  struct Block {
    S* data = nullptr;
    Index rows = 0;
    Index stride = 0;
    std::shared_ptr<const void> keep;
    Index panel = 0;
  };

  Rows() = default;
  // A copy of owned rows is a copy of the data; of borrowed rows, of addresses.
  Rows(const Rows& other) : Rows(other.owned_ ? other.stored(other.in_panels_) : other.alias()) {}
  Rows(Rows&&) noexcept = default;
  Rows& operator=(Rows other) noexcept {
    std::swap(cols_, other.cols_);
    std::swap(owned_, other.owned_);
    std::swap(in_panels_, other.in_panels_);
    blocks_.swap(other.blocks_);
    place_.swap(other.place_);
    slot_.swap(other.slot_);
    return *this;
  }
  Rows(Block block, Index cols, bool owned)
      : cols_(cols), owned_(owned), in_panels_(block.panel > 0) {
    append(std::move(block));
  }
  // X is read in place and must outlive the result.
  static Rows view(ConstRowMatrixRef<S> X) {
    return Rows(Block{const_cast<S*>(X.data()), X.rows(), X.outerStride(), nullptr}, X.cols(),
                false);
  }
  // A private copy of X, row-major.
  static Rows copy(ConstRowMatrixRef<S> X) { return view(X).stored(false); }
  // A private copy of X in panels.
  static Rows panels(ConstRowMatrixRef<S> X) { return view(X).stored(true); }
  // A private copy of X in the layout of these rows, to append.
  Block copied(ConstRowMatrixRef<S> X) const { return view(X).block(in_panels_); }

  Index size() const { return static_cast<Index>(slot_.size()); }
  Index cols() const { return cols_; }
  bool owned() const { return owned_; }
  bool in_panels() const { return in_panels_; }
  Place place(Index i) const { return place_[slot(i)]; }
  // The whole row, where rows are not in panels.
  const S* row(Index i) const {
    eigen_assert(!in_panels_);
    return place(i).first;
  }
  Run vector(Index i) const { return {row(i), cols_}; }

  // Physical places: 0 .. slots()-1, of which slot(i) holds sample i.
  std::size_t slot(Index i) const { return static_cast<std::size_t>(slot_[std::size_t(i)]); }
  Index slots() const { return static_cast<Index>(place_.size()); }
  const std::vector<Block>& blocks() const { return blocks_; }

  // f(i, run, first): columns [first, first + run.size()) of sample i, for all columns of
  // the samples in a range, in the order in which they lie in memory.
  template <class F>
  void for_each_run(detail::Range samples, F f) const {
    const Index width = in_panels_ ? panel_width : std::max<Index>(cols_, 1);
    for (Index first = 0; first < cols_; first += width)
      for (Index i = samples.first; i < samples.last; ++i)
        f(i, Run(place(i).piece(first / panel_width), std::min(width, cols_ - first)), first);
  }
  // All rows as a new row-major matrix.
  RowMatrix<S> gathered() const {
    RowMatrix<S> out(size(), cols_);
    detail::for_each_part(size(), reading_flops(), [&](detail::Range part) {
      for_each_run(part, [&](Index i, const Run& run, Index first) {
        out.row(i).segment(first, run.size()) = run;
      });
    });
    return out;
  }

  void append(Block block) {
    if ((block.panel > 0) != in_panels_)
      block = Rows(std::move(block), cols_, false).block(in_panels_);
    place_.reserve(place_.size() + static_cast<std::size_t>(block.rows));
    slot_.reserve(slot_.size() + static_cast<std::size_t>(block.rows));
    blocks_.reserve(blocks_.size() + 1);
    for (Index i = 0; i < block.rows; ++i) {
      slot_.push_back(slots());
      place_.push_back({block.data + i * block.stride, in_panels_ ? block.panel : panel_width});
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
        const std::size_t hole = slot(sample), last = place_.size() - 1;
        const Place from = place_[last], to = place_[hole];
        if (hole != last) {
          for_each_piece([&](Index k, Index w) { std::copy_n(from.piece(k), w, to.piece(k)); });
          moved(static_cast<Index>(last), static_cast<Index>(hole));
          sample_of[hole] = sample_of[last];
          slot_[static_cast<std::size_t>(sample_of[hole])] = static_cast<Index>(hole);
        }
        for_each_piece([&](Index k, Index w) { std::fill_n(from.piece(k), w, S(0)); });
        freed(static_cast<Index>(last));
        place_.pop_back();
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
    other.in_panels_ = in_panels_;
    other.blocks_ = blocks_;
    other.place_ = place_;
    other.slot_ = slot_;
    return other;
  }
  // The same buffers, read only: for a preview.
  Rows borrowed() const {
    Rows other = alias();
    other.owned_ = false;
    return other;
  }

  // What threads are worth for a pass over all entries, in operations.
  double reading_flops() const { return 8 * static_cast<double>(size() * cols()); }

 private:
  struct Free {
    void operator()(S* p) const { ::operator delete(p, std::align_val_t(256)); }
  };

  // f(k, w) for the pieces of a row.
  template <class F>
  void for_each_piece(F f) const {
    for (Index k = 0; k * panel_width < cols_; ++k)
      f(k, std::min(panel_width, cols_ - k * panel_width));
  }

  Rows stored(bool in_panels) const { return Rows(block(in_panels), cols_, true); }

  // A new buffer with these rows, whose pieces begin at multiples of 256 bytes if in panels.
  Block block(bool in_panels) const {
    const Index n = size(), whole = (cols_ + panel_width - 1) / panel_width * panel_width;
    const Index entries = n * (in_panels ? whole : cols_);
    const std::shared_ptr<S> buffer(
        static_cast<S*>(
            ::operator new(static_cast<std::size_t>(entries) * sizeof(S), std::align_val_t(256))),
        Free());
    detail::prefer_large_pages(buffer.get(), static_cast<std::size_t>(entries));
    const Block out{buffer.get(), n, in_panels ? panel_width : cols_, buffer,
                    in_panels ? std::max<Index>(n, 1) * panel_width : 0};
    const Index step = in_panels ? out.panel : panel_width;
    // By tiles: neither side is read or written far from where it was a moment ago.
    constexpr Index tall = 8, wide = 16 * panel_width;
    const auto copy_piece = [&](Index i, Index k) {
      const Index w = std::min(panel_width, cols_ - k * panel_width);
      S* to = out.data + i * out.stride + k * step;
      std::copy_n(place(i).piece(k), w, to);
      if (in_panels) std::fill_n(to + w, panel_width - w, S(0));
    };
    detail::for_each_part(n, reading_flops(), [&](detail::Range part) {
      for (Index top = part.first; top < part.last; top += tall)
        for (Index left = 0; left < cols_; left += wide)
          for (Index k = left / panel_width; k * panel_width < std::min(cols_, left + wide); ++k)
            for (Index i = top; i < std::min(part.last, top + tall); ++i) copy_piece(i, k);
    });
    return out;
  }

  Index cols_ = 0;
  bool owned_ = true, in_panels_ = false;
  std::vector<Block> blocks_;
  std::vector<Place> place_;  // by slot
  Indices slot_;              // by sample
};

}  // namespace minnorm
