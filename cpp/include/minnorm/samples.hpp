// Samples: who is retained, under which handle, with which targets.
//
// Invariant: handles ascend; position i in every public array is the i-th retained
// sample in the order of arrival. A handle is never issued twice. Targets of
// forgotten samples are overwritten.
// Shapes: targets (n, t), copied. Cost: look-up log n, erase n t, in place.
// Throws ShapeError, InputError, UnknownSampleError, before anything changes.
#pragma once

#include <algorithm>
#include <string>
#include <utility>

#include "errors.hpp"
#include "kept_storage.hpp"
#include "rows.hpp"

namespace minnorm {

template <class S>
class Samples {
 public:
  Samples() = default;
  Samples(std::vector<Handle> handles, const RowMatrix<S>& targets, Handle next, Index n_forgotten)
      : handles_(std::move(handles)), targets_(targets), next_(next), n_forgotten_(n_forgotten) {}

  Index size() const { return static_cast<Index>(handles_.size()); }
  const std::vector<Handle>& handles() const { return handles_; }
  typename KeptStorage<RowMatrix<S>>::ConstMap targets() const { return targets_.view(); }
  Handle next_handle() const { return next_; }
  Index n_forgotten() const { return n_forgotten_; }  // since the fit

  // Issues handles for m new samples with targets Y (m, t).
  std::vector<Handle> append(ConstRowMatrixRef<S> Y, Index m) {
    if (m < 1) throw ShapeError("X: expected at least one sample, got none");
    if (Y.rows() != m) throw ShapeError("y: number of samples: " + detail::got(m, Y.rows()));
    if (Y.cols() < 1) throw ShapeError("y: expected at least one output, got none");
    if (size() > 0 && Y.cols() != targets_.cols())
      throw ShapeError("y: number of outputs: " + detail::got(targets_.cols(), Y.cols()));
    if (!Y.allFinite()) throw InputError("y: expected finite values, got NaN or infinity");
    std::vector<Handle> issued(static_cast<std::size_t>(m));
    for (Handle& h : issued) h = next_++;
    RowMatrix<S> all(size() + m, Y.cols());
    if (size() > 0) all.topRows(size()) = targets();
    all.bottomRows(m) = Y;
    targets_ = all;
    handles_.insert(handles_.end(), issued.begin(), issued.end());
    return issued;
  }

  void set_targets(ConstRowMatrixRef<S> Y) {
    if (Y.rows() != size())
      throw ShapeError("y: number of samples: " + detail::got(size(), Y.rows()));
    if (Y.cols() < 1) throw ShapeError("y: expected at least one output, got none");
    if (!Y.allFinite()) throw InputError("y: expected finite values, got NaN or infinity");
    targets_ = Y;
  }

  // Positions, ascending, of samples that may all be forgotten together; in `space`.
  View<Index> positions_to_forget(View<Handle> handles, Workspace& space) const {
    if (handles.empty()) throw InputError("forget: expected at least one sample, got none");
    Index* positions = space.take<Index>(static_cast<Index>(handles.size()));
    Index* end = positions;
    for (const Handle h : handles) {
      const auto found = std::lower_bound(handles_.begin(), handles_.end(), h);
      if (found == handles_.end() || *found != h)
        throw UnknownSampleError(
            "sample " + std::to_string(h) +
            (h >= 0 && h < next_ ? " is forgotten already" : " was never held") +
            "; nothing was forgotten");
      *end++ = found - handles_.begin();
    }
    std::sort(positions, end);
    const Index* twice = std::adjacent_find(positions, end);
    if (twice != end)
      throw InputError("forget: expected distinct samples, got sample " +
                       std::to_string(handles_[static_cast<std::size_t>(*twice)]) +
                       " twice; nothing was forgotten");
    if (end - positions >= size())
      throw InputError("forget: expected at least one sample to be retained, got all " +
                       std::to_string(size()) + "; delete the model instead");
    return {positions, handles.size()};
  }

  void erase(View<Index> positions) {
    auto targets = targets_.view();
    const std::size_t kept =
        detail::close_ranks(handles_.size(), positions, [&](std::size_t from, std::size_t to) {
          targets.row(static_cast<Index>(to)) = targets.row(static_cast<Index>(from));
          handles_[to] = handles_[from];
        });
    targets_.keep_first(static_cast<Index>(kept));
    handles_.resize(kept);
    n_forgotten_ += static_cast<Index>(positions.size());
  }

 private:
  std::vector<Handle> handles_;
  KeptStorage<RowMatrix<S>> targets_;
  Handle next_ = 0;
  Index n_forgotten_ = 0;
};

namespace detail {

// Drops entries by position (ascending).
inline void erase_entries(KeptStorage<Vector<double>>& values, View<Index> gone) {
  auto v = values.view();
  values.keep_first(static_cast<Index>(
      close_ranks(static_cast<std::size_t>(v.size()), gone,
                  [&](std::size_t from, std::size_t to) { v(Index(to)) = v(Index(from)); })));
}

}  // namespace detail
}  // namespace minnorm
