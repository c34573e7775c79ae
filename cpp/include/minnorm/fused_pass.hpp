// theta += X^T a and the residual r -= X theta in one read of X from memory.
//
// By strips of columns: theta is finished on a strip, then used on the same strip of X
// while that is in cache. Rows in panels are taken a panel at a time, 256 bytes a row in
// one piece of memory: it stays in second-level cache up to some thousand rows, and the
// pass takes 1.2 to 1.5 times as long as reading X (measured, 2000 x 8000). Of row-major
// rows a strip has 4 KB where that of all rows fits into second-level cache: narrower pieces
// are read slowly, and where they lie a multiple of a large power of two apart they share
// the sets of the cache. Of more rows it has 64 KB, for two reads of X in the order in which
// it lies: 2.1 times as long as one; by 4 KB, from the last level of cache, it was 2.9.
// Both sums are short trees, the same in every layout, and their depth is known, the number
// of roundings in sequence behind one result: the certificate needs it.
// Threads share the columns; each sums the residual of its own, and those are added in
// order. Shapes: X (n, p), A (m, t) for m chosen rows, theta (t, p), R (n, t). 4 n p t
// flops. Nothing overlaps X. Memory comes from a workspace. Throws nothing but
// std::bad_alloc.
#pragma once

#include <cmath>
#include <utility>

#include "row_passes.hpp"

namespace minnorm::detail {

// Columns of a span: the dot products of its pieces are summed before they are added to
// those of other spans. Rows by eights, in a tree, and eight eights to a partial sum. Lanes
// of a dot product.
inline constexpr Index span_columns = 512, group = 8, groups = 8, lanes = 16;
inline double combine_depth(Index n) {
  return 3.0 * group + std::ceil(static_cast<double>(n) / (group * groups)) + 2;
}
inline double residual_depth(Index p) {
  // A piece: at most 4 terms a lane and the sum of 16 lanes; then the pieces of a span, at
  // most 16. T threads, at most one a span, add up s / T spans each, then each other: at
  // most s / T + T <= s + 1 additions.
  return 8 + std::ceil(static_cast<double>(std::min(p, span_columns)) / 32) +
         std::ceil(static_cast<double>(p) / span_columns) + 4;
}

// Where the rows of samples lie, in the order of the samples. In that of the slots a pass
// over 2000 rows would be 6% faster once 200 have been forgotten, 13% after 1000 (measured),
// but the sums would depend on what was forgotten before.
template <class S>
struct Places {
  typename Rows<S>::Place* place;
  Index size;

  static std::size_t bytes(Index n) { return Workspace::bytes<typename Rows<S>::Place>(n); }
  // Of samples sample(0), ..., sample(n - 1).
  template <class F>
  Places(const Rows<S>& X, Index n, F sample, Workspace& space)
      : place(space.take<typename Rows<S>::Place>(n)), size(n) {
    for (Index i = 0; i < n; ++i) place[i] = X.place(sample(i));
  }
};

template <class S>
using Piece = Eigen::Array<S, static_cast<int>(Rows<S>::panel_width), 1>;

// Piece k of R rows, whole: where only `own` entries of it are in memory, a copy of those
// beside zeros.
template <class S, Index R>
class WholePieces {
 public:
  WholePieces(const typename Rows<S>::Place* rows, Index k, Index own) {
    for (Index r = 0; r < R; ++r) {
      x_[r] = rows[r].piece(k);
      if (own >= Rows<S>::panel_width) continue;
      copies_[r].setZero();
      x_[r] = std::copy_n(x_[r], own, copies_[r].data()) - own;
    }
  }
  Eigen::Map<const Piece<S>> operator[](Index r) const { return Eigen::Map<const Piece<S>>(x_[r]); }

 private:
  const S* x_[R];
  Piece<S> copies_[R];
};

// Columns that a pass takes together: `own` from `first` on, where a piece begins.
template <class S>
struct Strip {
  static constexpr Index width = Rows<S>::panel_width;
  Index first, own;
  bool in_panels;

  Index whole() const { return (own + width - 1) / width * width; }
  // Row-major rows go eight at a time through the pieces, as so many streams from memory.
  Index rows_in_turn(Index all) const { return in_panels ? all : group; }
  // f(j, k, held): piece k of the rows has columns first + j on; `held` entries are in memory.
  template <class F>
  void for_each_piece(F f) const {
    for (Index j = 0; j < own; j += width)
      f(j, (first + j) / width, in_panels ? width : std::min(width, own - j));
  }
  // f(j, part) for the columns from first + j on that are in one span.
  template <class F>
  void for_each_span(F f) const {
    for (Index j = 0; j < own; j += span_columns)
      f(j, Strip{first + j, std::min(span_columns, own - j), in_panels});
  }
};

// Columns of a strip of n row-major rows with t outputs: whole spans.
template <class S>
Index strip_of_rows(Index n, Index p, Index t) {
  constexpr Index size = sizeof(S), second_level = 1 << 20, run = 64 << 10;
  const Index spans = n * span_columns * size <= second_level ? 1 : run / (span_columns * size * t);
  return std::clamp<Index>((p + span_columns - 1) / span_columns, 1, std::max<Index>(spans, 1)) *
         span_columns;
}

// f(strip) for the strips of a range: panels one by one, row-major rows by whole spans.
template <class S, class F>
void for_each_strip(const Rows<S>& X, Index t, Range columns, F f) {
  const Index step = X.in_panels() ? Rows<S>::panel_width : strip_of_rows<S>(X.size(), X.cols(), t);
  for (Index first = columns.first; first < columns.last; first += step)
    f(Strip<S>{first, std::min(step, columns.last - first), X.in_panels()});
}

// out (whole, t) = X^T A for the columns of a strip, padded with zeros; parts is as large.
template <class S>
void combine_strip(const Places<S>& rows, const Strip<S>& strip, const ConstMatrixRef<S>& A,
                   S* parts, S* out) {
  const Index length = strip.whole(), t = A.cols();
  const auto piece_of = [](S* y, Index j) { return Eigen::Map<Piece<S>>(y + j); };
  std::fill_n(out, length * t, S(0));
  for (Index block = 0; block < rows.size; block += group * groups) {
    const Index end = std::min(rows.size, block + group * groups);
    const Index some = strip.rows_in_turn(group * groups);
    std::fill_n(parts, length * t, S(0));
    for (Index top = block; top < end; top += some)
      for (Index o = 0; o < t; ++o)
        strip.for_each_piece([&](Index j, Index k, Index held) {
          const Index bottom = std::min(end, top + some);
          const S* a = A.col(o).data();
          Piece<S> part = piece_of(parts + o * length, j);
          Index r = top;
          for (; r + group <= bottom; r += group) {
            const WholePieces<S, group> x(rows.place + r, k, held);
            part += ((a[r] * x[0] + a[r + 1] * x[1]) + (a[r + 2] * x[2] + a[r + 3] * x[3])) +
                    ((a[r + 4] * x[4] + a[r + 5] * x[5]) + (a[r + 6] * x[6] + a[r + 7] * x[7]));
          }
          for (; r < bottom; ++r) part += a[r] * WholePieces<S, 1>(rows.place + r, k, held)[0];
          piece_of(parts + o * length, j) = part;
        });
    for (Index j = 0; j < length * t; j += strip.width) piece_of(out, j) += piece_of(parts, j);
  }
}

// x . y, by lanes.
template <class X, class Y, std::size_t... J>
typename Y::Scalar dot_of_piece(const X& x, const Y& y, std::index_sequence<J...>) {
  const Eigen::Array<typename Y::Scalar, lanes, 1> sum =
      ((x.template segment<lanes>(Index(J) * lanes) * y.template segment<lanes>(Index(J) * lanes)) +
       ...);
  return sum.sum();
}

// out(i) += x_i . y for the pieces of a strip that some rows have, y (whole) padded with zeros.
template <class S>
void add_dots(const Places<S>& rows, Range some, const Strip<S>& strip, const S* y, S* out,
              Index stride) {
  constexpr std::make_index_sequence<std::size_t(Rows<S>::panel_width / lanes)> all;
  const Index step = strip.rows_in_turn(std::max<Index>(some.last - some.first, 1));
  for (Index top = some.first; top < some.last; top += step)
    strip.for_each_piece([&](Index j, Index k, Index held) {
      const Piece<S> own = Eigen::Map<const Piece<S>>(y + j);
      for (Index i = top; i < std::min(some.last, top + step); ++i)
        out[i * stride] += dot_of_piece(WholePieces<S, 1>(rows.place + i, k, held)[0], own, all);
    });
}

inline Index threads_of_pass(Index n, Index p) {
  const double entries = static_cast<double>(n) * static_cast<double>(p);
  return std::min((p + span_columns - 1) / span_columns,
                  thread_count(flops_an_entry_read * entries));
}
// Of the workspace, for a pass over X (n, p) with t outputs.
template <class S>
std::size_t pass_bytes(Index n, Index p, Index t) {
  const Index threads = threads_of_pass(n, p), strip = strip_of_rows<S>(n, p, t) * t;
  return 2 * Places<S>::bytes(n) + 2 * Workspace::bytes<S>(n * t * threads) +
         2 * Workspace::bytes<S>(strip * threads);
}

// theta += scale A^T X, A for the rows `combined`; R -= scale X theta, on all rows.
template <class S>
void fused_pass(const Rows<S>& X, View<Index> combined, const ConstMatrixRef<S>& A, double scale,
                RowMatrix<S>& theta, MatrixRef<S> R, Workspace& space) {
  const Workspace::Frame frame(space);
  const Index n = X.size(), p = X.cols(), m = static_cast<Index>(combined.size()), t = A.cols();
  const Index parts = threads_of_pass(n, p), widest = strip_of_rows<S>(n, p, t) * t;
  const S s = static_cast<S>(scale);
  const Places<S> in(X, m, [&](Index i) { return combined[static_cast<std::size_t>(i)]; }, space);
  const Places<S> all(X, n, [](Index i) { return i; }, space);
  // X theta (t, n) of each part, and of a span of its columns.
  auto products = space.matrix<S>(t * n, parts), sums = space.matrix<S>(t * n, parts);
  auto strips = space.matrix<S>(widest, parts), partial = space.matrix<S>(widest, parts);
  products.setZero();

  // y (whole, t): theta on a strip, once it is finished there.
  const auto finish = [&](const Strip<S>& strip, S* parts_of_y, S* y) {
    combine_strip<S>(in, strip, A, parts_of_y, y);
    for (Index k = 0; k < t; ++k) {
      S* of_output = y + k * strip.whole();
      Eigen::Map<Eigen::Matrix<S, 1, Eigen::Dynamic>> held(of_output, strip.own);
      auto own = theta.row(k).segment(strip.first, strip.own);
      own += s * held;
      held = own;
    }
  };
  // Strips within a span meet all rows; their sums wait for the other strips of the span.
  const auto pass_over_span = [&](Range span, Index part) {
    S* sum = sums.col(part).data();
    sums.col(part).setZero();
    for_each_strip(X, t, span, [&](const Strip<S>& strip) {
      S* y = strips.col(part).data();
      finish(strip, partial.col(part).data(), y);
      for (Index k = 0; k < t; ++k)
        add_dots<S>(all, {0, n}, strip, y + k * strip.whole(), sum + k, t);
    });
    products.col(part) += sums.col(part);
  };
  // Rows meet all spans of a wide strip, eight at a time.
  const auto pass_over_strip = [&](const Strip<S>& strip, Index part) {
    S* y = strips.col(part).data();
    S* sum = sums.col(part).data();
    finish(strip, partial.col(part).data(), y);
    for (Index top = 0; top < n; top += group) {
      const Range some{top, std::min(n, top + group)};
      const Index first = t * some.first, entries = t * (some.last - some.first);
      strip.for_each_span([&](Index j, const Strip<S>& span) {
        std::fill_n(sum + first, entries, S(0));
        for (Index k = 0; k < t; ++k)
          add_dots<S>(all, some, span, y + k * strip.whole() + j, sum + k, t);
        products.col(part).segment(first, entries) += sums.col(part).segment(first, entries);
      });
    }
  };
  for_each_task(parts, parts, [&](Index part) {
    const Range columns = part_of(p, part, parts, span_columns);
    if (!X.in_panels() && widest > span_columns * t)
      return for_each_strip(X, t, columns, [&](const Strip<S>& s) { pass_over_strip(s, part); });
    for (Index first = columns.first; first < columns.last; first += span_columns)
      pass_over_span({first, std::min(columns.last, first + span_columns)}, part);
  });
  for (Index part = 0; part < parts; ++part)
    for (Index i = 0; i < n; ++i)
      for (Index k = 0; k < t; ++k) R(i, k) -= s * products(i * t + k, part);
}

// C (t, p) = scale A^T X for the rows `combined`: the first half of the fused pass alone.
template <class S>
RowMatrix<S> combine_rows(const Rows<S>& X, View<Index> combined, const Matrix<S>& A,
                          double scale) {
  Workspace space;
  const Index p = X.cols(), m = static_cast<Index>(combined.size()), t = A.cols();
  const Index parts = threads_of_pass(m, p), widest = strip_of_rows<S>(X.size(), p, t) * t;
  const Places<S> in(X, m, [&](Index i) { return combined[static_cast<std::size_t>(i)]; }, space);
  auto strips = space.matrix<S>(widest, parts), partial = space.matrix<S>(widest, parts);
  RowMatrix<S> C(t, p);
  for_each_task(parts, parts, [&](Index part) {
    S* y = strips.col(part).data();
    for_each_strip(X, t, part_of(p, part, parts, span_columns), [&](const Strip<S>& strip) {
      combine_strip<S>(in, strip, A, partial.col(part).data(), y);
      for (Index k = 0; k < t; ++k)
        std::copy_n(y + k * strip.whole(), strip.own, &C(k, strip.first));
    });
  });
  return C * static_cast<S>(scale);
}

}  // namespace minnorm::detail
