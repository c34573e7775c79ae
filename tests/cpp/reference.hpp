// The models by their definitions, in extended precision: what the library's answers
// and certificates are measured against.
//
// Errors of these references are of order Real's epsilon times the condition number,
// which `allowance` adds where a bound is tested; where long double has more digits
// than double it is far below every bound.
#pragma once

#include "minnorm/types.hpp"

namespace minnorm::test {

using Real = long double;
using RealMatrix = Matrix<Real>;

// A^+ Y; singular values below `cut` times the largest count as zero.
RealMatrix pseudo_inverse_times(const RealMatrix& A, const RealMatrix& Y, double cut = 1e-14);

struct LinearReference {
  RealMatrix coef;       // (t, p)
  RealMatrix intercept;  // (1, t), zero without intercept
};
// theta = X^+ y; centred with an intercept, which is its definition: b = mean(y - X theta)
// for every theta. Ridge: theta = X^T (X X^T + alpha I)^-1 y, centred likewise.
LinearReference linear_reference(const RealMatrix& X, const RealMatrix& Y, double alpha,
                                 bool intercept);

// (K + alpha I)^+ Y, (n, t).
RealMatrix kernel_reference(const RealMatrix& K, const RealMatrix& Y, double alpha);

// L with L L^T = X X^T and positive diagonal, by Householder QR: accurate to the last
// digits for any condition number.
Matrix<double> triangular_factor(const Matrix<double>& X);

Vector<double> singular_values(const Matrix<double>& A);

// Of a symmetric matrix.
Real smallest_eigenvalue(const RealMatrix& G);

inline double allowance(double condition, double size) {
  return 1e3 * static_cast<double>(std::numeric_limits<Real>::epsilon()) * condition * size;
}

}  // namespace minnorm::test
