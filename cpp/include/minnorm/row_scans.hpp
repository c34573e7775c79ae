// What one read of the rows tells of each: whether it is finite, how large, how long.
//
// Threads share the samples; each reads its own in the order in which they lie. Shapes:
// X (n, p). Cost n p. Throws InputError, std::bad_alloc.
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
                   [&](Index i, const auto& run, Index) { f(i, run); });
  });
}

// Of the samples from `from` on; an error names the first row that is not finite.
template <class S>
void require_finite(const Rows<S>& X, Index from) {
  std::vector<char> finite(static_cast<std::size_t>(X.size() - from), 1);
  scan_rows(X, from, [&](Index i, const auto& run) {
    // 0 x is 0 for finite x, else NaN; as a sum it takes one read (allFinite takes two and a half).
    if (!((run * S(0)).sum() == S(0))) finite[static_cast<std::size_t>(i - from)] = 0;
  });
  const auto bad = std::find(finite.begin(), finite.end(), 0);
  if (bad != finite.end())
    throw InputError("X: expected finite values, got NaN or infinity in row " +
                     std::to_string(bad - finite.begin()) + "; impute or drop it");
}

// Largest absolute entry of the samples from `from` on; 0 for no entries.
template <class S>
S largest_entry(const Rows<S>& X, Index from = 0) {
  Vector<S> most = Vector<S>::Zero(X.size() - from);
  scan_rows(X, from, [&](Index i, const auto& run) {
    most(i - from) = std::max(most(i - from), run.cwiseAbs().maxCoeff());
  });
  return most.size() > 0 ? most.maxCoeff() : S(0);
}

// Norms of the scaled rows, in double; the first known.size() are taken from `known`.
template <class S>
Vector<double> row_norms(const Rows<S>& X, double scale,
                         const KeptStorage<Vector<double>>& known = {}) {
  Vector<double> norms = Vector<double>::Zero(X.size());
  norms.head(known.size()) = known.view();
  const Index first = known.size();
  scan_rows(X, first, [&](Index i, const auto& run) {
    norms(i) += (run.template cast<double>() * scale).squaredNorm();
  });
  norms.tail(X.size() - first) = norms.tail(X.size() - first).cwiseSqrt();
  return norms;
}

}  // namespace minnorm::detail
