// What one read of the rows tells of each: whether it is finite, how large, how long.
//
// Threads share the samples; each reads its own in the order in which they lie. Norms are
// those of the rows times a power of two. Squares are summed unscaled, which that power
// commutes with, unless they could leave the range of a double: then rows are read again.
// Shapes: X (n, p). Cost n p. Throws InputError, std::bad_alloc.
#pragma once

#include "errors.hpp"
#include "kept_storage.hpp"
#include "rows.hpp"

namespace minnorm::detail {

// f(i, run) for the samples from `from` on, (i, run) as in Rows::for_each_run.
template <class S, class F>
void scan_rows(const Rows<S>& X, Index from, F f) {
  for_each_part(X.size() - from, X.reading_flops(), [&](Range part) {
    X.for_each_run({from + part.first, from + part.last},
                   [&](Index i, const auto& run, Index) { f(i - from, run); });
  });
}

// Of the samples from `from` on; an error names the first row that is not finite.
template <class S>
void require_finite(const Rows<S>& X, Index from) {
  std::vector<char> finite(static_cast<std::size_t>(X.size() - from), 1);
  scan_rows(X, from, [&](Index i, const auto& run) {
    // 0 x is 0 for finite x, else NaN; as a sum it takes one read (allFinite takes two and a half).
    if (!((run * S(0)).sum() == S(0))) finite[static_cast<std::size_t>(i)] = 0;
  });
  const auto bad = std::find(finite.begin(), finite.end(), 0);
  if (bad != finite.end())
    throw InputError("X: expected finite values, got NaN or infinity in row " +
                     std::to_string(bad - finite.begin()) + "; impute or drop it");
}

// The samples from `from` on, all finite: throws otherwise. X must outlive the scan.
template <class S>
class RowScan {
 public:
  explicit RowScan(const Rows<S>& X, Index from = 0)
      : X_(X), from_(from), squares_(Vector<double>::Zero(X.size() - from)) {
    Vector<S> most = Vector<S>::Zero(squares_.size());
    scan_rows(X, from, [&](Index i, const auto& run) {
      most(i) = std::max(most(i), run.cwiseAbs().maxCoeff());
      squares_(i) += run.template cast<double>().squaredNorm();
    });
    if (!squares_.allFinite()) require_finite(X, from);  // else the squares are too large
    if (most.size() > 0) largest_ = static_cast<double>(most.maxCoeff());
  }

  double largest() const { return largest_; }  // absolute entry; 0 for no entries
  // Of the rows times `scale`, a power of two.
  Vector<double> norms(double scale) const {
    if (largest_ == 0 || (largest_ > 0x1p-100 && largest_ < 0x1p400))
      return squares_.cwiseSqrt() * scale;
    Vector<double> squares = Vector<double>::Zero(squares_.size());
    scan_rows(X_, from_, [&](Index i, const auto& run) {
      squares(i) += (run.template cast<double>() * scale).squaredNorm();
    });
    return squares.cwiseSqrt();
  }

 private:
  const Rows<S>& X_;
  Index from_;
  Vector<double> squares_;
  double largest_ = 0;
};

}  // namespace minnorm::detail
