// Samples: who is retained, under which handle, with which targets.
//
// Invariant: handles ascend; position i in every public array is the i-th retained
// sample in the order of arrival. A handle is never issued twice. Targets of
// forgotten samples are overwritten.
// Shapes: targets (n, t), copied. Cost: look-up log n, erase n t.
// Throws ShapeError, InputError, UnknownSampleError, before anything changes.
#pragma once

#include <algorithm>
#include <string>
#include <utility>

#include "errors.hpp"
#include "rows.hpp"

namespace minnorm {

template <class S>
class Samples {
 public:
  Samples() = default;
  Samples(std::vector<Handle> handles, RowMatrix<S> targets, Handle next, Index n_forgotten)
      : handles_(std::move(handles)),
        targets_(std::move(targets)),
        next_(next),
        n_forgotten_(n_forgotten) {}

  Index size() const { return static_cast<Index>(handles_.size()); }
  const std::vector<Handle>& handles() const { return handles_; }
  const RowMatrix<S>& targets() const { return targets_; }
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
    if (size() > 0) all.topRows(size()) = targets_;
    all.bottomRows(m) = Y;
    targets_.swap(all);
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

  // Positions, ascending, of samples that may all be forgotten together.
  Indices positions_to_forget(const std::vector<Handle>& handles) const {
    if (handles.empty()) throw InputError("forget: expected at least one sample, got none");
    Indices positions;
    positions.reserve(handles.size());
    for (const Handle h : handles) {
      const auto found = std::lower_bound(handles_.begin(), handles_.end(), h);
      if (found == handles_.end() || *found != h)
        throw UnknownSampleError(
            "sample " + std::to_string(h) +
            (h >= 0 && h < next_ ? " is forgotten already" : " was never held") +
            "; nothing was forgotten");
      positions.push_back(found - handles_.begin());
    }
    std::sort(positions.begin(), positions.end());
    const auto twice = std::adjacent_find(positions.begin(), positions.end());
    if (twice != positions.end())
      throw InputError("forget: expected distinct samples, got sample " +
                       std::to_string(handles_[static_cast<std::size_t>(*twice)]) +
                       " twice; nothing was forgotten");
    if (static_cast<Index>(positions.size()) == size())
      throw InputError("forget: expected at least one sample to be retained, got all " +
                       std::to_string(size()) + "; delete the model instead");
    return positions;
  }

  void erase(const Indices& positions) {
    RowMatrix<S> targets(size() - static_cast<Index>(positions.size()), targets_.cols());
    std::vector<Handle> handles;
    handles.reserve(static_cast<std::size_t>(targets.rows()));
    std::size_t f = 0;
    Index next = 0;
    for (Index i = 0; i < size(); ++i) {
      if (f < positions.size() && positions[f] == i) {
        ++f;
        continue;
      }
      targets.row(next++) = targets_.row(i);
      handles.push_back(handles_[static_cast<std::size_t>(i)]);
    }
    targets_.setZero();  // the freed memory keeps no target
    targets_.swap(targets);
    handles_.swap(handles);
    n_forgotten_ += static_cast<Index>(positions.size());
  }

 private:
  std::vector<Handle> handles_;
  RowMatrix<S> targets_;
  Handle next_ = 0;
  Index n_forgotten_ = 0;
};

namespace detail {

template <class S>
void require_finite(const Rows<S>& rows, Index from) {
  for (Index i = from; i < rows.size(); ++i)
    if (!rows.vector(i).allFinite())
      throw InputError("X: expected finite values, got NaN or infinity in row " +
                       std::to_string(i - from) + "; impute or drop it");
}

// Norms of the scaled rows; the first known.size() are taken from `known`.
template <class S>
Vector<double> row_norms(const Rows<S>& rows, double scale, const Vector<double>& known) {
  Vector<double> norms(rows.size());
  norms.head(known.size()) = known;
  for (Index i = known.size(); i < rows.size(); ++i) norms(i) = rows.norm(i, scale);
  return norms;
}

inline Vector<double> without(const Vector<double>& values, const Indices& gone) {
  Vector<double> kept(values.size() - static_cast<Index>(gone.size()));
  std::size_t f = 0;
  Index next = 0;
  for (Index i = 0; i < values.size(); ++i) {
    if (f < gone.size() && gone[f] == i)
      ++f;
    else
      kept(next++) = values(i);
  }
  return kept;
}

// Power of two that brings the largest entry of Y into [1/2, 1).
template <class S>
double unit_scale(const RowMatrix<S>& Y) {
  const double largest = static_cast<double>(Y.cwiseAbs().maxCoeff());
  int exponent = 0;
  if (largest > 0) std::frexp(largest, &exponent);
  return std::ldexp(1.0, -exponent);
}

}  // namespace detail
}  // namespace minnorm
