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

namespace minnorm {
namespace detail {

// So many vectors cost less one by one, on rows in place, than by panels.
inline constexpr Index streamed_vectors = 4;

// Powers of two that bring the vectors to size 1.
template <class T>
void scales_of(const ConstRowMatrixRef<T>& V, Vector<double>& scale) {
  scale.resize(V.rows());
  for (Index k = 0; k < V.rows(); ++k)
    scale(k) = power_of_two_scale(static_cast<double>(V.row(k).cwiseAbs().maxCoeff()));
}
// x (k, w) = the columns [from, from + w) of V in double, row k times scale(k).
template <class T>
void load_scaled_columns(const ConstRowMatrixRef<T>& V, Index from, const Vector<double>& scale,
                         RowMatrixRef<double> x) {
  for (Index k = 0; k < V.rows(); ++k)
    x.row(k) = V.row(k).segment(from, x.cols()).template cast<double>() * scale(k);
}

// J X^T in twice the working precision where asked for, else in double.
struct SummedProducts {
  Matrix<double> sum, error;
  bool compensated = false;

  void reset(Index m, Index k, bool twice) {
    compensated = twice;
    sum.setZero(m, k);
    error.setZero(m, k);
  }
  void add(const ConstRowMatrixRef<double>& panel, const ConstRowMatrixRef<double>& x) {
    if (!compensated) return add_tall_product(panel, x, sum);
    for (Index k = 0; k < x.rows(); ++k)
      for (Index i = 0; i < panel.rows(); ++i)
        compensated_dot(panel.data() + i * panel.outerStride(), x.data() + k * x.outerStride(),
                        panel.cols(), sum(i, k), error(i, k));
  }
  void value(Matrix<double>& out) const { out = sum + error; }
  SummedProducts& operator+=(const SummedProducts& other) {
    for (Index k = 0; k < sum.cols(); ++k)
      for (Index i = 0; i < sum.rows(); ++i)
        error(i, k) += other.error(i, k) + add_exactly(other.sum(i, k), sum(i, k));
    return *this;
  }
};

// What a pass by panels sums over the columns, and where it keeps panels of vectors.
struct PassSums {
  SummedProducts products;
  Vector<double> removed, length;  // squares
  RowMatrix<double> x, before;

  void reset(Index m, Index k, bool compensated) {
    products.reset(m, k, compensated);
    removed.setZero(k);
    length.setZero(k);
  }
  PassSums& operator+=(const PassSums& other) {
    products += other.products;
    removed += other.removed;
    length += other.length;
    return *this;
  }
  // (k, w) of a panel, which is only ever enlarged.
  static RowMatrixRef<double> columns(RowMatrix<double>& panel, Index k, Index w) {
    enlarge(panel, k, w);
    return panel.topLeftCorner(k, w);
  }
};

// x (k, w) -= a (k, m) panel (m, w). The coefficients grow like kappa and cancel:
// their sum is compensated, since what it leaves outside the span of the rows is
// beyond any correction.
inline void subtract_rows(const ConstRowMatrixRef<double>& panel, const RowMatrix<double>& a,
                          bool compensated, RowMatrixRef<double> x) {
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

}  // namespace detail

// What projections work with. Kept between calls, it is only enlarged: a projection of as
// many vectors as before takes nothing from the heap.
struct ProjectionWorkspace {
  Vector<double> scale;             // of the vectors: powers of two that bring them to size 1
  detail::PassSums sums, measured;  // of the passes, and of a last one that only looks
  detail::StreamedSums streamed;
  PanelBuffer panel;
  RowMatrix<double> coefficients;
  Vector<double> weights;
  // w = Q v, its filtered part z, a correction, what is left; a (m, k), and products.
  Matrix<double> w, z, delta, left, a, products, solved, filtered;
};

namespace detail {

// products (m, k) = J (V S)^T in double: rows times t, vectors times space.scale. One read.
template <class R, class T>
void products_with(const JacobianBlocks<R>& rows, View<Index> chosen, const Vector<double>& t,
                   const ConstRowMatrixRef<T>& V, ProjectionWorkspace& space,
                   Matrix<double>& products) {
  const Index m = static_cast<Index>(chosen.size()), k = V.rows();
  if constexpr (std::is_same_v<R, float>) {
    if (k <= streamed_vectors) {
      products.resize(m, k);
      for (Index j = 0; j < k; ++j) {
        const T* v = V.data() + j * V.outerStride();
        space.streamed.reset(m);
        rows.sum_over_runs(chosen, space.streamed, space.panel,
                           [&](const float* const* X, Index w, Index from, StreamedSums& own) {
                             stream_rows<T>(X, m, w, nullptr, v + from, v + from, nullptr,
                                            space.scale(j), own);
                           });
        products.col(j) = t.cwiseProduct(space.streamed.products.colwise().sum().transpose());
      }
      return;
    }
  }
  space.sums.reset(m, k, false);
  rows.sum_over_panels(
      chosen, t, space.sums, space.panel,
      [&](const ConstRowMatrixRef<double>& panel, Index from, Upcoming&, PassSums& own) {
        const RowMatrixRef<double> x = PassSums::columns(own.x, k, panel.cols());
        load_scaled_columns<T>(V, from, space.scale, x);
        own.products.add(panel, x);
      });
  space.sums.products.value(products);
}

// The vectors so far, in `out`, and what the last pass measured on them. S: type of the
// rows. V and out do not overlap.
template <class S, class T>
struct Removal {
  const ConstRowMatrixRef<T>& V;
  RowMatrixRef<T>& out;
  ProjectionWorkspace& space;
  PassSums* last = nullptr;  // of the last pass
  int passes = 0, rounds = 0;
  bool reorthogonalised = false;

  Removal(const ConstRowMatrixRef<T>& vectors, RowMatrixRef<T>& result, ProjectionWorkspace& room)
      : V(vectors), out(result), space(room) {
    scales_of<T>(V, space.scale);
  }

  const SummedProducts& products() const { return last->products; }
  double removed(Index k) const { return std::sqrt(last->removed(k)); }  // |v - P v|, scaled
  double length(Index k) const { return std::sqrt(last->length(k)); }    // |v|, scaled

  // out <- (out or V) - a^T rows, and products <- rows out^T, summed in `sums`. No `a`:
  // measures alone.
  template <class R>
  void run(const JacobianBlocks<R>& rows, View<Index> chosen, const Vector<double>& t,
           const Matrix<double>& a, PassSums& sums) {
    last = &sums;
    const Index k = V.rows();
    const bool first = rounds == 0, subtract = a.size() > 0;
    const bool compensated = std::is_same_v<S, double> || std::is_same_v<T, double>;
    sums.reset(static_cast<Index>(chosen.size()), k, compensated);
    const T* source = first ? V.data() : out.data();
    const Index stride = first ? V.outerStride() : out.outerStride();
    if constexpr (std::is_same_v<R, float>) {
      if (!compensated && k <= streamed_vectors) {
        stream(rows, chosen, t, a, source, stride);
        finish_pass();
        return;
      }
    }
    const Eigen::Map<const RowMatrix<T>, 0, Eigen::OuterStride<>> start(
        source, k, V.cols(), Eigen::OuterStride<>(stride));
    const ConstRowMatrixRef<T> so_far(start), written(out);
    if (subtract) space.coefficients = a.transpose();
    const auto pass = [&](const ConstRowMatrixRef<double>& panel, Index from, Upcoming&,
                          PassSums& own) {
      const Index w = panel.cols();
      const RowMatrixRef<double> x = PassSums::columns(own.x, k, w);
      const RowMatrixRef<double> before = PassSums::columns(own.before, k, w);
      load_scaled_columns<T>(so_far, from, space.scale, x);
      if (first || subtract) {
        if (subtract) subtract_rows(panel, space.coefficients, compensated, x);
        // What is measured is what is stored.
        auto stored = out.middleCols(from, w);
        for (Index i = 0; i < k; ++i)
          stored.row(i) = (x.row(i) / space.scale(i)).template cast<T>();
        load_scaled_columns<T>(written, from, space.scale, x);
      }
      own.products.add(panel, x);
      load_scaled_columns<T>(V, from, space.scale, before);
      own.length += before.rowwise().squaredNorm();
      own.removed += (before - x).rowwise().squaredNorm();
    };
    rows.sum_over_panels(chosen, t, sums, space.panel, pass);
    finish_pass();
  }
  void finish_pass() {
    ++passes;
    ++rounds;
  }

  // The same on rows read in place, vector by vector: each reads them from memory.
  void stream(const JacobianBlocks<float>& rows, View<Index> chosen, const Vector<double>& t,
              const Matrix<double>& a, const T* source, Index source_stride) {
    const Index m = static_cast<Index>(chosen.size());
    for (Index k = 0; k < V.rows(); ++k) {
      if (a.size() > 0) space.weights = a.col(k).cwiseProduct(t);
      StreamedSums& sums = space.streamed;
      sums.reset(m);
      rows.sum_over_runs(chosen, sums, space.panel,
                         [&](const float* const* X, Index w, Index from, StreamedSums& own) {
                           stream_rows<T>(X, m, w, a.size() > 0 ? space.weights.data() : nullptr,
                                          V.data() + k * V.outerStride() + from,
                                          source + k * source_stride + from, &out(k, from),
                                          space.scale(k), own);
                         });
      last->products.sum.col(k) = t.cwiseProduct(sums.products.colwise().sum().transpose());
      last->removed(k) = sums.removed;
      last->length(k) = sums.length;
    }
  }
};

}  // namespace detail
}  // namespace minnorm
