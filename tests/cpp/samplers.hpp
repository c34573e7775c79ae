// Matrices by shape, rank, condition number and scale, for the property tests.
//
// Every sampler draws from its own generator: the same seed gives the same matrices
// on every platform. What is called exact holds without rounding in float and double.
#pragma once

#include <Eigen/QR>
#include <cmath>
#include <random>

#include "minnorm/types.hpp"

namespace minnorm::test {

class Sampler {
 public:
  explicit Sampler(unsigned seed) : bits_(seed) {}

  double uniform() { return static_cast<double>(bits_() >> 11) * 0x1p-53; }
  Index below(Index n) { return static_cast<Index>(bits_() % static_cast<std::uint64_t>(n)); }
  double normal() {  // Box and Muller; 1 - u is never zero
    const double radius = std::sqrt(-2 * std::log(1 - uniform()));
    return radius * std::cos(6.283185307179586 * uniform());
  }

  // (n, p), independent standard normal entries.
  template <class S = double>
  RowMatrix<S> gaussian(Index n, Index p) {
    RowMatrix<S> A(n, p);
    for (Index i = 0; i < n; ++i)
      for (Index j = 0; j < p; ++j) A(i, j) = static_cast<S>(normal());
    return A;
  }

  // (n, p), n <= p, singular values falling geometrically from `scale` to
  // scale / condition.
  template <class S = double>
  RowMatrix<S> conditioned(Index n, Index p, double condition, double scale = 1) {
    const Matrix<double> U = orthonormal(n, n), V = orthonormal(p, n);
    Vector<double> sigma(n);
    for (Index i = 0; i < n; ++i)
      sigma(i) = scale * std::pow(condition, n > 1 ? -double(i) / double(n - 1) : 0.0);
    return (U * sigma.asDiagonal() * V.transpose()).template cast<S>();
  }

  // (n, p) of the given rank, exactly: the dependent rows are zero, duplicates, sums
  // and differences of others, in random places. Small integers over 8.
  template <class S = double>
  RowMatrix<S> deficient(Index n, Index p, Index rank) {
    Matrix<double> A = Matrix<double>::Zero(n, p);
    for (Index i = 0; i < rank; ++i)
      for (Index j = 0; j < p; ++j) A(i, j) = static_cast<double>(below(33) - 16) / 8;
    for (Index i = rank; i < n && rank > 0; ++i) {
      const Index a = below(rank), b = below(rank);
      const Index kind = (i - rank) % 4;
      if (kind == 0) A.row(i) = A.row(a);
      if (kind == 1) A.row(i) = A.row(a) + A.row(b);
      if (kind == 2) A.row(i) = A.row(a) - A.row(b);
    }
    RowMatrix<S> shuffled(n, p);
    const Indices places = permutation(n);
    for (Index i = 0; i < n; ++i)
      shuffled.row(places[static_cast<std::size_t>(i)]) = A.row(i).cast<S>();
    return shuffled;
  }

  Indices permutation(Index n) {
    Indices order(static_cast<std::size_t>(n));
    for (Index i = 0; i < n; ++i) order[static_cast<std::size_t>(i)] = i;
    for (Index i = n - 1; i > 0; --i)
      std::swap(order[static_cast<std::size_t>(i)], order[static_cast<std::size_t>(below(i + 1))]);
    return order;
  }

  // k of 0 .. n-1, ascending.
  Indices subset(Index n, Index k) {
    Indices chosen = permutation(n);
    chosen.resize(static_cast<std::size_t>(k));
    std::sort(chosen.begin(), chosen.end());
    return chosen;
  }

 private:
  Matrix<double> orthonormal(Index rows, Index columns) {
    const Matrix<double> A = gaussian(rows, columns);
    return Eigen::HouseholderQR<Matrix<double>>(A).householderQ() *
           Matrix<double>::Identity(rows, columns);
  }

  std::mt19937_64 bits_;
};

}  // namespace minnorm::test
