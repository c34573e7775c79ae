// TargetScaling: how the targets enter a model, Y * scale - centre, column by column.
//
// scale is the power of two that brings the largest entry into [1/2, 1); centre is the mean
// with an intercept, else zero. A common level of the targets goes to the intercept whole, so
// it costs no digits; the subtraction is one rounding, exact when the level is high.
// Shapes: Y (n, t), centre (t). Cost n t. No memory from the heap where t stays.
#pragma once

#include <cmath>

#include "types.hpp"

namespace minnorm {

template <class S>
struct TargetScaling {
  double scale = 1;
  Eigen::Matrix<S, 1, Eigen::Dynamic> centre;

  template <class D>
  void fit(const Eigen::MatrixBase<D>& Y, bool centred) {
    const double largest = static_cast<double>(Y.cwiseAbs().maxCoeff());
    int exponent = 0;
    if (largest > 0) std::frexp(largest, &exponent);
    scale = std::ldexp(1.0, -exponent);
    centre.setZero(Y.cols());
    if (centred) centre = Y.colwise().mean() * static_cast<S>(scale);
  }
  S scaled(S y, Index k) const { return y * static_cast<S>(scale) - centre(k); }
};

}  // namespace minnorm
