// Certificate: what was done to a model and how far it provably is from the model
// retrained from scratch on the samples it retains.
//
// Invariant: `parameter_error_bound` is an upper bound in exact arithmetic,
// rounding included; infinity where none could be proved, never a guess. All
// figures are in the units of the data; over several outputs, the largest.
//
// The bounds, for theta in the row space and r = y - X theta:
//   interpolation  |theta - theta*| <= |r| / sigma_min(X)
//   least squares  |theta - theta*| <= |X^T r| / sigma_min(X)^2, nonzero sigma
//   ridge          |theta - theta*| <= |s| / (2 sqrt(alpha)), s = r - alpha a
//   kernel         the same in the norm of the kernel's Hilbert space.
// Throws nothing but std::bad_alloc, for the name of the method.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "types.hpp"

namespace minnorm {

struct Certificate {
  std::string method;
  Index rank = 0;
  Index n_retained = 0;
  Index n_forgotten = 0;             // since the fit
  double residual = 0;               // |y - f(X)|_2
  double parameter_error_bound = 0;  // 2-norm of theta; Hilbert-space norm of f
  double intercept_error_bound = 0;
  double prediction_error_bound = 0;  // for an input of unit norm, k(x, x) = 1
  double sigma_min_bound = 0;         // proved; kernels: lambda_min
  double condition_bound = 0;
  bool interpolates = false;
  int refinement_steps = 0;

  // As constructed, but for the name, whose memory stays.
  void clear_figures() {
    std::string name = std::move(method);
    *this = Certificate();
    method = std::move(name);
  }
};

namespace detail {

// The name of a method is that of the factorisation with what was last done to it behind
// a plus sign. Names have their room from the start, so that a deletion never needs more.
inline void reserve_name(std::string& name) { name.reserve(48); }
inline void set_suffix(std::string& name, const char* suffix) {
  name.resize(std::min(name.size(), name.find('+')));
  name += suffix;
}

// Factor on |s| in the ridge bound. |X^T (G + alpha I)^-1 s| is at most the
// largest sigma / (sigma^2 + alpha) over sigma^2 >= lambda - alpha.
inline double ridge_amplification(double lambda, double alpha) {
  const double everywhere = 1 / (2 * std::sqrt(alpha));
  const double squared = lambda - alpha;
  if (squared >= alpha) return std::min(everywhere, std::sqrt(squared) / lambda);
  return everywhere;
}

inline double divided(double numerator, double denominator) {
  return denominator > 0 ? numerator / denominator : std::numeric_limits<double>::infinity();
}

}  // namespace detail
}  // namespace minnorm
