// One pass of a projection: a combination of rows is subtracted from the vectors, and
// the products of the rows with what is left are measured while a panel is in cache.
//
// Invariant: what is measured is what is stored, rounded to the type of the vectors.
// Both sums are compensated where rows or vectors are double: their rounding would be
// amplified by the condition number of the rows.
// Threads share the columns; each has sums of its own (jacobian_blocks.hpp).
// Shapes: rows (m, p), V and out (k, p), a (m, k), products (m, k). One read of the
// rows, 4 m p k flops; for up to streamed_vectors vectors of floats, one read each.
#pragma once

#include "compensated_dot.hpp"
#include "qless_qr.hpp"
#include "streamed_rows.hpp"

namespace minnorm::detail {

// So many vectors cost less one by one, on rows in place, than by panels.
inline constexpr Index streamed_vectors = 4;

// Powers of two that bring the vectors to size 1.
template <class T>
Vector<double> scales_of(ConstRowMatrixRef<T> V) {
  Vector<double> scale(V.rows());
  for (Index k = 0; k < V.rows(); ++k)
    scale(k) = power_of_two_scale(static_cast<double>(V.row(k).cwiseAbs().maxCoeff()));
  return scale;
}
// x (k, w) = the columns [from, from + w) of V in double, row k times scale(k).
template <class T>
void load_scaled_columns(const ConstRowMatrixRef<T>& V, Index from, Index w,
                         const Vector<double>& scale, RowMatrix<double>& x) {
  x.resize(V.rows(), w);
  for (Index k = 0; k < V.rows(); ++k)
    x.row(k) = V.row(k).segment(from, w).template cast<double>() * scale(k);
}

// J X^T in twice the working precision where asked for, else in double.
struct SummedProducts {
  Matrix<double> sum, error;
  bool compensated = false;

  void reset(Index m, Index k) {
    sum = Matrix<double>::Zero(m, k);
    error = Matrix<double>::Zero(m, k);
  }
  void add(const ConstRowMatrixRef<double>& panel, const RowMatrix<double>& x) {
    if (!compensated) return add_tall_product(panel, x, sum);
    for (Index k = 0; k < x.rows(); ++k)
      for (Index i = 0; i < panel.rows(); ++i)
        compensated_dot(panel.data() + i * panel.outerStride(), &x(k, 0), panel.cols(), sum(i, k),
                        error(i, k));
  }
  Matrix<double> value() const { return sum + error; }
  SummedProducts& operator+=(const SummedProducts& other) {
    for (Index k = 0; k < sum.cols(); ++k)
      for (Index i = 0; i < sum.rows(); ++i)
        error(i, k) += other.error(i, k) + add_exactly(other.sum(i, k), sum(i, k));
    return *this;
  }
};

// What a pass by panels sums over the columns, and where it keeps a panel of vectors.
struct PassSums {
  SummedProducts products;
  Vector<double> removed, length;  // squares
  RowMatrix<double> x, before;

  PassSums& operator+=(const PassSums& other) {
    products += other.products;
    removed += other.removed;
    length += other.length;
    return *this;
  }
};

// x (k, w) -= a (k, m) panel (m, w). The coefficients grow like kappa and cancel:
// their sum is compensated, since what it leaves outside the span of the rows is
// beyond any correction.
inline void subtract_rows(const ConstRowMatrixRef<double>& panel, const RowMatrix<double>& a,
                          bool compensated, RowMatrix<double>& x) {
  for (Index k = 0; k < a.rows() && compensated; ++k)
    compensated_subtract(&a(k, 0), panel.data(), panel.outerStride(), panel.rows(), panel.cols(),
                         &x(k, 0));
  if (compensated) return;
  if (a.rows() > 4) {
    x.noalias() -= a * panel;
    return;
  }
  for (Index k = 0; k < a.rows(); ++k) {
    auto line = x.row(k).array();
    Index i = 0;
    for (; i + 4 <= panel.rows(); i += 4)
      line -= (a(k, i) * panel.row(i).array() + a(k, i + 1) * panel.row(i + 1).array()) +
              (a(k, i + 2) * panel.row(i + 2).array() + a(k, i + 3) * panel.row(i + 3).array());
    for (; i < panel.rows(); ++i) line -= a(k, i) * panel.row(i).array();
  }
}

// J (V S)^T, (m, k), in double: rows times t, vectors times `scale`. One read.
template <class R, class T>
Matrix<double> products_with(const JacobianBlocks<R>& rows, const Indices& chosen,
                             const Vector<double>& t, ConstRowMatrixRef<T> V,
                             const Vector<double>& scale) {
  Matrix<double> c = Matrix<double>::Zero(static_cast<Index>(chosen.size()), V.rows());
  if constexpr (std::is_same_v<R, float>) {
    if (V.rows() <= streamed_vectors) {
      for (Index k = 0; k < V.rows(); ++k) {
        StreamedSums sums(c.rows());
        const T* v = V.data() + k * V.outerStride();
        rows.sum_over_runs(
            chosen, sums, [&](const float* const* X, Index w, Index from, StreamedSums& own) {
              stream_rows<T>(X, c.rows(), w, nullptr, v + from, v + from, nullptr, scale(k), own);
            });
        c.col(k) = t.cwiseProduct(sums.products.colwise().sum().transpose());
      }
      return c;
    }
  }
  rows.sum_over_panels(
      chosen, t, c,
      [&](const ConstRowMatrixRef<double>& panel, Index from, Upcoming&, Matrix<double>& own) {
        RowMatrix<double> x;
        load_scaled_columns<T>(V, from, panel.cols(), scale, x);
        add_tall_product(panel, x, own);
      });
  return c;
}

// The vectors so far, and what the last pass measured on them. S: type of the rows.
template <class S, class T>
struct Removal {
  ConstRowMatrixRef<T> V;
  Vector<double> scale;  // powers of two that bring the vectors to size 1
  RowMatrix<T> out;
  SummedProducts products;
  Vector<double> removed, length;  // |v - P v|, |v|, scaled
  int passes = 0, rounds = 0;
  bool reorthogonalised = false;

  explicit Removal(ConstRowMatrixRef<T> vectors) : V(std::move(vectors)), scale(scales_of<T>(V)) {
    products.compensated = std::is_same_v<S, double> || std::is_same_v<T, double>;
  }

  // out <- (out or V) - a^T rows, and products <- rows out^T. No `a`: measures alone.
  template <class R>
  void run(const JacobianBlocks<R>& rows, const Indices& chosen, const Vector<double>& t,
           const Matrix<double>& a) {
    const Index k = V.rows();
    const bool first = rounds == 0, subtract = a.size() > 0;
    if (first) out.resize(k, V.cols());
    const ConstRowMatrixRef<T> source = first ? V : ConstRowMatrixRef<T>(out);
    products.reset(static_cast<Index>(chosen.size()), k);
    if constexpr (std::is_same_v<R, float>) {
      if (!products.compensated && k <= streamed_vectors) {
        removed = length = Vector<double>::Zero(k);
        stream(rows, chosen, t, a, source.data(), source.outerStride());
        finish_pass();
        return;
      }
    }
    const Vector<double> none = Vector<double>::Zero(k);
    PassSums sums{std::move(products), none, none, {}, {}};
    const RowMatrix<double> coefficients = a.transpose();
    const auto pass = [&](const ConstRowMatrixRef<double>& panel, Index from, Upcoming&,
                          PassSums& own) {
      const Index w = panel.cols();
      RowMatrix<double>& x = own.x;
      load_scaled_columns<T>(source, from, w, scale, x);
      if (first || subtract) {
        if (subtract) subtract_rows(panel, coefficients, own.products.compensated, x);
        // What is measured is what is stored.
        auto stored = out.middleCols(from, w);
        for (Index i = 0; i < k; ++i) stored.row(i) = (x.row(i) / scale(i)).template cast<T>();
        load_scaled_columns<T>(out, from, w, scale, x);
      }
      own.products.add(panel, x);
      load_scaled_columns<T>(V, from, w, scale, own.before);
      own.length += own.before.rowwise().squaredNorm();
      own.removed += (own.before - x).rowwise().squaredNorm();
    };
    rows.sum_over_panels(chosen, t, sums, pass);
    products = std::move(sums.products);
    removed = std::move(sums.removed);
    length = std::move(sums.length);
    finish_pass();
  }
  void finish_pass() {
    length = length.cwiseSqrt();
    removed = removed.cwiseSqrt();
    ++passes;
    ++rounds;
  }

  // The same on rows read in place, vector by vector: each reads them from memory.
  void stream(const JacobianBlocks<float>& rows, const Indices& chosen, const Vector<double>& t,
              const Matrix<double>& a, const T* source, Index source_stride) {
    const Index m = static_cast<Index>(chosen.size());
    for (Index k = 0; k < V.rows(); ++k) {
      Vector<double> weights;
      if (a.size() > 0) weights = a.col(k).cwiseProduct(t);
      StreamedSums sums(m);
      rows.sum_over_runs(
          chosen, sums, [&](const float* const* X, Index w, Index from, StreamedSums& own) {
            stream_rows<T>(X, m, w, a.size() > 0 ? weights.data() : nullptr,
                           V.data() + k * V.outerStride() + from, source + k * source_stride + from,
                           &out(k, from), scale(k), own);
          });
      products.sum.col(k) = t.cwiseProduct(sums.products.colwise().sum().transpose());
      removed(k) = sums.removed;
      length(k) = sums.length;
    }
  }
};

}  // namespace minnorm::detail
