// JacobianBlocks: J (m, p) where it lies, as a grid of row-major blocks: column
// blocks (the layers of a model), each of row blocks (batches of samples).
//
// Invariant: J is only read and never copied as a whole; every column block holds
// the same m rows in the same order. Work goes by panels of columns, converted to
// double in a buffer that stays in cache. Sums over the columns are shared out between
// threads by contiguous ranges of columns, and added in the order of the ranges.
// Shapes: panel (rows, w), w <= panel_columns(rows). Cost of a pass: one read.
// Throws ShapeError where blocks do not fit each other, before anything changes.
#pragma once

#include <functional>
#include <string>
#include <type_traits>
#include <utility>

#include "errors.hpp"
#include "rows.hpp"
#include "tall_products.hpp"
#include "threads.hpp"

namespace minnorm {

// The memory of the panel that comes next, asked for line by line while this one is
// worked on: a call a step hides most of the time of reading it.
class Upcoming {
 public:
  void operator()() {
    if (row_ == rows_.size()) return;
    detail::prefetch(rows_[row_] + at_);
    at_ += 64;
    if (at_ < bytes_) return;
    at_ = 0;
    ++row_;
  }

 private:
  template <class S>
  friend class JacobianBlocks;

  std::vector<const char*> rows_;
  std::size_t row_ = 0;
  Index bytes_ = 0, at_ = 0;
};

namespace detail {
// At least (rows, cols): what only grows is soon as large as it will be.
inline void enlarge(RowMatrix<double>& A, Index rows, Index cols) {
  if (A.rows() < rows || A.cols() < cols)
    A.resize(std::max(A.rows(), rows), std::max(A.cols(), cols));
}
}  // namespace detail

// Where a pass keeps its panel; used again by the next pass, it is not allocated again.
class PanelBuffer {
 private:
  template <class S>
  friend class JacobianBlocks;

  RowMatrix<double> panel;
  Upcoming upcoming;
  std::vector<const float*> addresses;
};

template <class S>
class JacobianBlocks {
 public:
  using Block = typename Rows<S>::Block;
  // Called in a pass after the columns [first, last) have been read, about every
  // release_bytes; a reader of mapped files gives the pages back there. Threads of one
  // pass may call it at the same time, each for columns of its own.
  using Release = std::function<void(Index first, Index last)>;
  static constexpr Index release_bytes = Index(1) << 26;

  struct ColumnBlock {
    Index cols = 0;
    std::vector<Block> blocks;
  };

  JacobianBlocks() = default;
  explicit JacobianBlocks(std::vector<ColumnBlock> columns, Release release = {})
      : release_(std::move(release)) {
    if (columns.empty()) throw ShapeError("J: expected at least one block, got none");
    for (ColumnBlock& column : columns) {
      if (column.cols < 1) throw ShapeError("J: expected at least one column in a block, got none");
      if (column.blocks.empty()) throw ShapeError("J: expected at least one row, got none");
      Rows<S> rows(std::move(column.blocks.front()), column.cols, false);
      for (std::size_t b = 1; b < column.blocks.size(); ++b)
        rows.append(std::move(column.blocks[b]));
      if (!columns_.empty() && rows.size() != columns_.front().size())
        throw ShapeError("J: number of rows of a column block: " +
                         detail::got(columns_.front().size(), rows.size()));
      first_.push_back(cols_);
      cols_ += column.cols;
      columns_.push_back(std::move(rows));
    }
  }
  // J is read in place and must outlive the result.
  static JacobianBlocks view(ConstRowMatrixRef<S> J) {
    ColumnBlock all{J.cols(), {Block{const_cast<S*>(J.data()), J.rows(), J.outerStride(), {}}}};
    return JacobianBlocks({std::move(all)});
  }

  Index rows() const { return columns_.empty() ? 0 : columns_.front().size(); }
  Index cols() const { return cols_; }

  // More rows below, split into the same column blocks.
  void append(const std::vector<ColumnBlock>& more) {
    if (more.size() != columns_.size())
      throw ShapeError("J: number of column blocks: " +
                       detail::got(static_cast<long long>(columns_.size()),
                                   static_cast<long long>(more.size())));
    Index added = -1;
    for (std::size_t c = 0; c < more.size(); ++c) {
      if (more[c].cols != columns_[c].cols())
        throw ShapeError("J: number of columns of block " + std::to_string(c) + ": " +
                         detail::got(columns_[c].cols(), more[c].cols));
      Index count = 0;
      for (const Block& block : more[c].blocks) count += block.rows;
      if (added >= 0 && count != added)
        throw ShapeError("J: number of rows of a column block: " + detail::got(added, count));
      added = count;
    }
    for (std::size_t c = 0; c < more.size(); ++c)
      for (const Block& block : more[c].blocks) columns_[c].append(block);
  }
  void erase(View<Index> rows) {  // ascending, distinct
    for (Rows<S>& column : columns_) column.erase(rows);
  }

  // Wide enough that a row is read in runs of kilobytes, narrow enough that the
  // panel stays in the second-level cache.
  static Index panel_columns(Index rows) {
    return std::clamp<Index>((Index(1) << 15) / std::max<Index>(rows, 1), 256, 512) & ~Index(63);
  }

  // f(panel, first) or f(panel, first, upcoming): panel (rows.size(), w), double, holds
  // the columns from `first` on of the chosen rows, row k times scale(k) (empty: as it is).
  template <class F>
  void for_each_panel(View<Index> rows, const Vector<double>& scale, Index width, F f) const {
    PanelBuffer buffer;
    panels_of({0, cols_}, release_bytes, rows, scale, width, buffer, std::move(f));
  }
  template <class F>
  void for_each_panel(View<Index> rows, const Vector<double>& scale, F f) const {
    for_each_panel(rows, scale, panel_columns(static_cast<Index>(rows.size())), std::move(f));
  }

  // f(panel, first, upcoming, sums): what the panels add to `sums`, which are zero before.
  // A thread adds to a copy of its own, and copies are added by `sums += copy`; the
  // caller's keeps its panel in `buffer`.
  template <class Sums, class F>
  void sum_over_panels(View<Index> rows, const Vector<double>& scale, Index width, Sums& sums,
                       PanelBuffer& buffer, F f) const {
    const Index m = static_cast<Index>(rows.size());
    sum_over_ranges(m * (m + 8), sums, buffer,
                    [&](detail::Range range, Index limit, Sums& own, PanelBuffer& own_buffer) {
                      panels_of(range, limit, rows, scale, width, own_buffer,
                                [&](const ConstRowMatrixRef<double>& panel, Index first,
                                    Upcoming& next) { f(panel, first, next, own); });
                    });
  }
  template <class Sums, class F>
  void sum_over_panels(View<Index> rows, const Vector<double>& scale, Sums& sums,
                       PanelBuffer& buffer, F f) const {
    sum_over_panels(rows, scale, panel_columns(static_cast<Index>(rows.size())), sums, buffer,
                    std::move(f));
  }
  template <class Sums, class F>
  void sum_over_panels(View<Index> rows, const Vector<double>& scale, Sums& sums, F f) const {
    PanelBuffer buffer;
    sum_over_panels(rows, scale, sums, buffer, std::move(f));
  }

  // f(addresses, w, first, sums): the addresses of w columns of the chosen rows, from
  // `first` on, for a pass that reads them in place.
  template <class Sums, class F>
  void sum_over_runs(View<Index> rows, Sums& sums, PanelBuffer& buffer, F f) const {
    static_assert(std::is_same_v<S, float>, "a pass in place reads floats");
    const Index m = static_cast<Index>(rows.size());
    sum_over_ranges(8 * m, sums, buffer,
                    [&](detail::Range range, Index limit, Sums& own, PanelBuffer& own_buffer) {
                      auto& addresses = own_buffer.addresses;
                      addresses.resize(rows.size());
                      pieces_of(
                          range, limit, 4096, m,
                          [&](const Rows<S>& column, Index from, Index w, Index, Index first) {
                            for (std::size_t k = 0; k < rows.size(); ++k)
                              addresses[k] = column.row(rows[k]) + from;
                            f(addresses.data(), w, first, own);
                          });
                    });
  }

  // Largest absolute entry of row i; NaN or infinity if it holds one.
  double largest_entry(Index i) const {
    double largest = 0;
    for (const Rows<S>& column : columns_) {
      const auto row = column.vector(i);
      if (!row.allFinite()) return std::numeric_limits<double>::quiet_NaN();
      largest = std::max(largest, static_cast<double>(row.cwiseAbs().maxCoeff()));
    }
    return largest;
  }

 private:
  // g(range, release limit, sums, buffer) for as many ranges of columns as there are threads.
  template <class Sums, class G>
  void sum_over_ranges(Index flops_a_column, Sums& sums, PanelBuffer& buffer, G g) const {
    const Index parts =
        detail::thread_count(static_cast<double>(flops_a_column) * static_cast<double>(cols_));
    std::vector<Sums> others(static_cast<std::size_t>(parts - 1), sums);
    detail::for_each_task(parts, parts, [&](Index i) {
      const detail::Range range = detail::part_of(cols_, i, parts, 4096);
      if (i == 0) return g(range, release_bytes / parts, sums, buffer);
      PanelBuffer own;
      g(range, release_bytes / parts, others[static_cast<std::size_t>(i - 1)], own);
    });
    for (const Sums& own : others) sums += own;
  }

  // g(column block, from, w, left, first): the pieces of a range of columns in order, at
  // most `width` columns each; `left` of the block's columns in the range come behind.
  template <class G>
  void pieces_of(detail::Range range, Index limit, Index width, Index m, G g) const {
    Index released = range.first;
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      const Index end = std::min(columns_[c].cols(), range.last - first_[c]);
      for (Index from = std::max<Index>(0, range.first - first_[c]); from < end; from += width) {
        const Index w = std::min(width, end - from), first = first_[c] + from;
        g(columns_[c], from, w, end - from - w, first);
        released = release_after(released, first + w, m, limit);
      }
    }
    if (release_ && released < range.last) release_(released, range.last);
  }

  template <class F>
  void panels_of(detail::Range range, Index limit, View<Index> rows, const Vector<double>& scale,
                 Index width, PanelBuffer& kept, F f) const {
    const Index m = static_cast<Index>(rows.size());
    // The rows of the buffer must not lie a power of two apart: they would share
    // the sets of the first-level cache.
    RowMatrix<double>& buffer = kept.panel;
    Upcoming& upcoming = kept.upcoming;
    detail::enlarge(buffer, m, width + 8);
    upcoming.rows_.resize(static_cast<std::size_t>(m));
    pieces_of(range, limit, width, m,
              [&](const Rows<S>& column, Index from, Index w, Index left, Index first) {
                for (Index k = 0; k < m; ++k) {
                  const S* entries = column.row(rows[static_cast<std::size_t>(k)]) + from;
                  auto line = buffer.row(k).head(w);
                  line = Eigen::Map<const Eigen::Matrix<S, 1, Eigen::Dynamic>>(entries, w)
                             .template cast<double>();
                  if (scale.size() > 0 && scale(k) != 1) line *= scale(k);
                }
                const ConstRowMatrixRef<double> panel(buffer.topLeftCorner(m, w));
                if constexpr (std::is_invocable_v<F, decltype(panel), Index, Upcoming&>) {
                  left = std::min(width, left);
                  upcoming.row_ = left > 0 ? 0 : upcoming.rows_.size();
                  upcoming.at_ = 0;
                  upcoming.bytes_ = left * static_cast<Index>(sizeof(S));
                  for (std::size_t k = 0; k < rows.size(); ++k)
                    upcoming.rows_[k] =
                        reinterpret_cast<const char*>(column.row(rows[k]) + from + w);
                  f(panel, first, upcoming);
                } else {
                  f(panel, first);
                }
              });
  }

  // Gives [released, end) back once it is large enough; the new end of what was given.
  Index release_after(Index released, Index end, Index rows, Index limit) const {
    if (!release_ || (end - released) * rows * static_cast<Index>(sizeof(S)) < limit)
      return released;
    release_(released, end);
    return end;
  }

  std::vector<Rows<S>> columns_;
  Indices first_;
  Index cols_ = 0;
  Release release_;
};

}  // namespace minnorm
