// JacobianProjector: P v = v - J^T (J J^T)^+ J v, the part of v orthogonal to every
// row of J (the gradients of a model's outputs): the step of arXiv 2505.22601,
// Algorithm 1, truncated or damped on request.
//
// State: where J lies, its row space T J = K Q (row_space.hpp) and the filter F of
// spectral_filter.hpp, so that P = I - Q^T F Q. With w = Q v = L^-1 T J_B v:
//   z = F w,  P v = v - (T J_B)^T L^-T z.
// "Twice is enough": the pass that subtracts also measures J (P v), while the panel
// is in cache. What is left along the span, w' = Q (P v), is corrected with
// delta = F w' - (I - F) z in a further pass, as often as rounding asks for.
// Factorizations. Let kappa = cond(J), rows scaled to unit length, u = 2^-53.
//   cholesky    of J J^T, one read; a pass leaves about kappa^2 u of w
//   seminormal  L from a Q-less QR, one more read; leaves about kappa u
//   qr          Q is stored, r p doubles; leaves u, whatever kappa.
// Automatic: the first whose first pass leaves 1e-8 (1e-3 for float rows, where that
// is below their own rounding) and that can tell dependent rows apart.
// Both sums of a pass, J^T a and J (P v), are compensated when J or v is double: their
// rounding would be amplified by kappa.
// Shapes: J (m, p), V (k, p) row-major. Memory m^2 + a panel, with qr r p more. Cost:
// m^2 p for the factor, 4 m p k a projection; two reads of J, by project_out in all.
// Throws InputError, ShapeError, UnknownSampleError, before anything changes.
#pragma once

#include <optional>

#include "compensated_dot.hpp"
#include "spectral_filter.hpp"
#include "streamed_rows.hpp"
#include "thin_qr.hpp"

namespace minnorm {

enum class JacobianFactorization { automatic, cholesky, seminormal, qr };

struct ProjectorOptions {
  // Tolerance on eigenvalues of the Gram matrix of unit rows, relative to the largest;
  // negative: the numerical rank, (max(m, 16) eps)^2.
  double rtol = -1;
  double damping = 0;             // mu of v - J^T (J J^T + mu I)^-1 J v
  bool damping_relative = false;  // mu as a fraction of the largest eigenvalue of J J^T
  JacobianFactorization factorization = JacobianFactorization::automatic;
};

// What a projection did and what was measured on its result; over several vectors,
// the largest.
struct ProjectionReport {
  Index rank = 0;
  double rtol = 0;
  double orthogonality = 0;  // |J P v| / (|J| |v|)
  double norm_removed = 0;   // |v - P v|
  int passes = 0;            // reads of J (with qr, of Q and of J)
  bool reorthogonalised = false;
  JacobianFactorization factorization = JacobianFactorization::cholesky;
};

template <class S>
class JacobianProjector {
 public:
  explicit JacobianProjector(JacobianBlocks<S> J, ProjectorOptions options = {})
      : J_(std::move(J)), options_(options) {
    Matrix<double> products;
    factorise<double>(nullptr, products);
  }
  // With the products of V for `project`, made in the read that forms the Gram
  // matrix: T J (V S)^T, S the scales of the vectors.
  template <class T>
  JacobianProjector(JacobianBlocks<S> J, ProjectorOptions options, ConstRowMatrixRef<T> V,
                    Matrix<double>& products)
      : J_(std::move(J)), options_(options) {
    check_vectors(V);
    factorise<T>(&V, products);
  }

  Index rows() const { return J_.rows(); }
  Index cols() const { return J_.cols(); }
  Index rank() const { return filter_.identity() ? space().rank() : filter_.rank(); }
  double rtol() const {
    const double t = detail::numerical_tolerance<S>(rows());
    return options_.rtol >= 0 ? options_.rtol : t * t;
  }
  JacobianFactorization factorization() const { return used_; }
  const RowSpace<double>& space() const { return thin_ ? thin_->space() : space_; }
  double norm() const { return norm_; }  // |J|_2, an estimate from below
  // Of the rows scaled to unit length, over the singular values kept.
  double condition() const {
    const Vector<double> eigenvalues = gram_eigenvalues(space());
    return rank() > 0 ? std::sqrt(eigenvalues(0) / eigenvalues(rank() - 1)) : 1;
  }

  // P V, or V - strength P V. `products`: as the constructor made them for this V.
  template <class T>
  RowMatrix<T> project(ConstRowMatrixRef<T> V, std::optional<double> strength = {},
                       ProjectionReport* report = nullptr,
                       const Matrix<double>* products = nullptr) const {
    check_vectors(V);
    if (strength && !std::isfinite(*strength))
      throw InputError("strength: expected a finite number, got NaN or infinity");
    Sweep<T> sweep(V, scales_of(V));
    solve(sweep, products);
    if (thin_ && report)  // J (P v) has not been looked at
      sweep.run(J_, positions(), space().scale(), Matrix<double>());
    if (report) *report = describe(sweep);
    if (strength)
      sweep.out = (V.template cast<double>() - *strength * sweep.out.template cast<double>())
                      .template cast<T>();
    return std::move(sweep.out);
  }

  // a (k, m) with P v = v - J^T a, zero on dependent rows. The reads of project.
  template <class T>
  RowMatrix<double> coefficients(ConstRowMatrixRef<T> V) const {
    check_vectors(V);
    Sweep<T> sweep(V, scales_of(V));
    Matrix<double> a = on_basis(solve(sweep, nullptr));
    a = space().scale().asDiagonal() * a;
    return (a * sweep.scale.cwiseInverse().asDiagonal()).transpose();
  }

  // Forgets rows by position (ascending). Reads J only where rounding hides whether a
  // row that depended on them is independent now.
  void erase(const Indices& gone) {
    ThinQR<S>::check_erasable(gone, rows());
    using Erased = typename RowSpace<double>::Erased;
    const Erased how = thin_ ? thin_->erase(gone) : space_.erase(gone, selection_tolerance(rows()));
    J_.erase(gone);
    if (how == Erased::turned || (how == Erased::chosen && (thin_ || is_good_enough(space_))))
      finish();
    else
      *this = JacobianProjector(std::move(J_), options_);
  }

  // More rows below those held.
  void append(const std::vector<typename JacobianBlocks<S>::ColumnBlock>& more) {
    const JacobianBlocks<S> added(more);
    JacobianBlocks<S> all = J_;
    all.append(more);
    detail::row_scales(added);  // what is not finite is named by its row in `more`
    if (thin_) {
      thin_->append(added);
      J_ = std::move(all);
      finish();
    } else if (used_ != JacobianFactorization::cholesky || !append_by_gram(all)) {
      *this = JacobianProjector(std::move(all), options_);
    }
  }

 private:
  using Choice = JacobianFactorization;
  // So many vectors cost less one by one, on rows in place, than by panels.
  static constexpr Index streamed_vectors = 4;

  // J X^T in twice the working precision where asked for, else in double.
  struct Products {
    Matrix<double> sum, error;
    bool compensated = false;

    void reset(Index m, Index k) {
      sum = Matrix<double>::Zero(m, k);
      error = Matrix<double>::Zero(m, k);
    }
    void add(const ConstRowMatrixRef<double>& panel, const RowMatrix<double>& x) {
      if (!compensated) return detail::add_tall_product(panel, x, sum);
      for (Index k = 0; k < x.rows(); ++k)
        for (Index i = 0; i < panel.rows(); ++i)
          detail::compensated_dot(panel.data() + i * panel.outerStride(), &x(k, 0), panel.cols(),
                                  sum(i, k), error(i, k));
    }
    Matrix<double> value() const { return sum + error; }
  };

  // The state of one projection: the vectors so far, and what a pass measures on them.
  template <class T>
  struct Sweep {
    ConstRowMatrixRef<T> V;
    Vector<double> scale;  // powers of two that bring the vectors to size 1
    RowMatrix<T> out;
    Products products;
    Vector<double> removed, length;  // |v - P v|, |v|, scaled
    int passes = 0, rounds = 0;
    bool reorthogonalised = false;

    Sweep(ConstRowMatrixRef<T> vectors, Vector<double> scales)
        : V(std::move(vectors)), scale(std::move(scales)) {
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
      removed = length = Vector<double>::Zero(k);
      if constexpr (std::is_same_v<R, float>) {
        if (!products.compensated && k <= streamed_vectors) {
          stream(rows, chosen, t, a, source.data(), source.outerStride());
          finish_pass();
          return;
        }
      }
      RowMatrix<double> x, before;
      const RowMatrix<double> coefficients = a.transpose();
      rows.for_each_panel(chosen, t, [&](const ConstRowMatrixRef<double>& panel, Index from) {
        const Index w = panel.cols();
        x = source.middleCols(from, w).template cast<double>();
        x.array().colwise() *= scale.array();
        if (first || subtract) {
          if (subtract) subtract_rows(panel, coefficients, products.compensated, x);
          // What is measured is what is stored.
          auto stored = out.middleCols(from, w);
          for (Index i = 0; i < k; ++i) stored.row(i) = (x.row(i) / scale(i)).template cast<T>();
          x = stored.template cast<double>();
          x.array().colwise() *= scale.array();
        }
        products.add(panel, x);
        before = V.middleCols(from, w).template cast<double>();
        before.array().colwise() *= scale.array();
        length += before.rowwise().squaredNorm();
        removed += (before - x).rowwise().squaredNorm();
      });
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
        detail::StreamedSums sums(m);
        rows.for_each_run(chosen, [&](const float* const* X, Index w, Index from) {
          detail::stream_rows<T>(X, m, w, a.size() > 0 ? weights.data() : nullptr,
                                 V.data() + k * V.outerStride() + from,
                                 source + k * source_stride + from, &out(k, from), scale(k), sums);
        });
        products.sum.col(k) = t.cwiseProduct(sums.products.colwise().sum().transpose());
        removed(k) = sums.removed;
        length(k) = sums.length;
      }
    }
  };

  // x (k, w) -= a (k, m) panel (m, w). The coefficients grow like kappa and cancel:
  // their sum is compensated, since what it leaves outside the span of the rows is
  // beyond any correction.
  static void subtract_rows(const ConstRowMatrixRef<double>& panel, const RowMatrix<double>& a,
                            bool compensated, RowMatrix<double>& x) {
    for (Index k = 0; k < a.rows() && compensated; ++k)
      detail::compensated_subtract(&a(k, 0), panel.data(), panel.outerStride(), panel.rows(),
                                   panel.cols(), &x(k, 0));
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

  // z (r, k), scaled; leaves P V in the sweep.
  template <class T>
  Matrix<double> solve(Sweep<T>& sweep, const Matrix<double>* products) const {
    if (thin_) {
      const auto Q = JacobianBlocks<double>::view(thin_->Q());
      const Indices every = all_indices(thin_->rank());
      ++sweep.passes;
      return iterate(sweep, this->products(Q, every, {}, sweep.V, sweep.scale),
                     [&](const Matrix<double>& z) {
                       sweep.run(Q, every, {}, z);
                       return sweep.products.value();
                     });
    }
    const Vector<double>& t = space_.scale();
    ++sweep.passes;
    return iterate(
        sweep,
        to_basis(products ? *products : this->products(J_, positions(), t, sweep.V, sweep.scale)),
        [&](const Matrix<double>& z) {
          sweep.run(J_, positions(), t, on_basis(z));
          return to_basis(sweep.products.value());
        });
  }

  // z = F w is subtracted, then what rounding left, until it is of rounding size.
  template <class T, class Pass>
  Matrix<double> iterate(Sweep<T>& sweep, const Matrix<double>& w, Pass pass) const {
    const double eps = static_cast<double>(std::numeric_limits<T>::epsilon());
    const double enough = static_cast<double>(std::max<Index>(rows(), 4)) * eps;
    Matrix<double> z = filter_.apply(w), delta = z;
    double before = std::numeric_limits<double>::infinity();
    for (int round = 0; round < 7; ++round) {
      const Matrix<double> left = pass(delta);
      delta = filter_.apply(left);
      if (!filter_.identity()) delta -= z - filter_.apply(z);
      double worst = 0;
      for (Index k = 0; k < delta.cols(); ++k)
        if (sweep.length(k) > 0) worst = std::max(worst, delta.col(k).norm() / sweep.length(k));
      if (!(worst > enough) || !(worst < before / 2)) break;
      before = worst;
      z += delta;
    }
    sweep.reorthogonalised = sweep.rounds > 1;
    return z;
  }

  template <class T>
  ProjectionReport describe(const Sweep<T>& sweep) const {
    ProjectionReport report;
    report.rank = rank();
    report.rtol = rtol();
    report.passes = sweep.passes;
    report.reorthogonalised = sweep.reorthogonalised;
    report.factorization = used_;
    Matrix<double> c = sweep.products.value();
    for (Index k = 0; k < c.cols(); ++k) {
      report.norm_removed = std::max(report.norm_removed, sweep.removed(k) / sweep.scale(k));
      if (!(norm_ > 0) || !(sweep.length(k) > 0)) continue;
      for (Index i = 0; i < c.rows(); ++i) c(i, k) /= space().scale()(i) * norm_;
      report.orthogonality =
          std::max(report.orthogonality, c.col(k).stableNorm() / sweep.length(k));
    }
    return report;
  }

  Indices positions() const { return all_indices(rows()); }

  // L^-1 c_B (r, k) of c (m, k); and a (m, k) = L^-T z on the basis, 0 elsewhere.
  Matrix<double> to_basis(const Matrix<double>& c) const {
    Matrix<double> w = rows_of(c, space().basis());
    space().factor().forward(w);
    return w;
  }
  Matrix<double> on_basis(Matrix<double> z) const {
    space().factor().backward(z);
    Matrix<double> a = Matrix<double>::Zero(rows(), z.cols());
    set_rows(a, space().basis(), z);
    return a;
  }

  template <class R, class T>
  Matrix<double> products(const JacobianBlocks<R>& rows, const Indices& chosen,
                          const Vector<double>& t, ConstRowMatrixRef<T> V,
                          const Vector<double>& scale) const {
    Matrix<double> c = Matrix<double>::Zero(static_cast<Index>(chosen.size()), V.rows());
    if constexpr (std::is_same_v<R, float>) {
      if (V.rows() <= streamed_vectors) {
        for (Index k = 0; k < V.rows(); ++k) {
          detail::StreamedSums sums(c.rows());
          const T* v = V.data() + k * V.outerStride();
          rows.for_each_run(chosen, [&](const float* const* X, Index w, Index from) {
            detail::stream_rows<T>(X, c.rows(), w, nullptr, v + from, v + from, nullptr, scale(k),
                                   sums);
          });
          c.col(k) = t.cwiseProduct(sums.products.colwise().sum().transpose());
        }
        return c;
      }
    }
    RowMatrix<double> x;
    rows.for_each_panel(chosen, t, [&](const ConstRowMatrixRef<double>& panel, Index from) {
      x = V.middleCols(from, panel.cols()).template cast<double>();
      x.array().colwise() *= scale.array();
      detail::add_tall_product(panel, x, c);
    });
    return c;
  }

  template <class T>
  static Vector<double> scales_of(ConstRowMatrixRef<T> V) {
    Vector<double> scale(V.rows());
    for (Index k = 0; k < V.rows(); ++k)
      scale(k) = detail::power_of_two_scale(static_cast<double>(V.row(k).cwiseAbs().maxCoeff()));
    return scale;
  }
  template <class T>
  void check_vectors(const ConstRowMatrixRef<T>& V) const {
    if (V.cols() != cols())
      throw ShapeError("vector: number of entries, one per column of J: " +
                       detail::got(cols(), V.cols()));
    if (!V.allFinite()) throw InputError("vector: expected finite values, got NaN or infinity");
  }

  // ---- the factor

  // Distance below which a row is dependent: a user's rtol beyond the numerical rank
  // truncates the spectrum instead, and one below it asks for more rows.
  double selection_tolerance(Index m) const {
    const double numerical = detail::numerical_tolerance<S>(m);
    if (!(options_.rtol >= 0)) return numerical;
    // Below the rounding of double there is nothing to choose by.
    return std::clamp(std::sqrt(options_.rtol), detail::numerical_tolerance<double>(m), numerical);
  }
  static double largest_residue() { return std::is_same_v<S, float> ? 1e-3 : 1e-8; }
  // Whether one pass with this factor leaves little enough; what was asked for by name
  // need only converge.
  bool is_good_enough(const RowSpace<double>& space) const {
    const double cond = space.condition(), u = std::numeric_limits<double>::epsilon();
    const double limit = options_.factorization == Choice::automatic ? largest_residue() : 0.25;
    return (used_ == Choice::cholesky ? cond * cond : cond) * u <= limit;
  }

  template <class T>
  void factorise(const ConstRowMatrixRef<T>* V, Matrix<double>& products) {
    if (rows() < 1)
      throw InputError(
          "J: expected at least one row, got none; with no gradients there is nothing to be "
          "orthogonal to, and every vector would pass unchanged");
    if (!(options_.damping >= 0) || !std::isfinite(options_.damping))
      throw InputError("damping: expected a finite number >= 0, got " +
                       std::to_string(options_.damping));
    Matrix<double> G;
    Vector<double> scale = gram_pass<T>(V, G, products);
    const double tolerance = selection_tolerance(rows());
    used_ = options_.factorization;
    if (used_ == Choice::automatic || used_ == Choice::cholesky) {
      if (space_by_gram(std::move(G), scale, tolerance, used_ == Choice::cholesky)) {
        used_ = Choice::cholesky;
        return finish();
      }
    }
    space_ = detail::row_space_by_qr(J_, scale, tolerance);
    if (used_ == Choice::automatic)
      used_ = space_.condition() * std::numeric_limits<double>::epsilon() <= 1e-8
                  ? Choice::seminormal
                  : Choice::qr;
    if (used_ == Choice::qr) {
      thin_.emplace(J_, space_, tolerance);
      space_ = RowSpace<double>();
    }
    finish();
  }

  // G = T J J^T T (lower triangle) and T J (V S)^T; returns T.
  template <class T>
  Vector<double> gram_pass(const ConstRowMatrixRef<T>* V, Matrix<double>& G,
                           Matrix<double>& products) const {
    const Index m = rows();
    const Vector<double> vector_scale = V ? scales_of<T>(*V) : Vector<double>();
    Vector<double> before;
    RowMatrix<double> x;
    const auto pass = [&] {
      G = Matrix<double>::Zero(m, m);
      if (V) products = Matrix<double>::Zero(m, V->rows());
      J_.for_each_panel(positions(), before,
                        [&](const ConstRowMatrixRef<double>& panel, Index from, Upcoming& next) {
                          detail::add_gram(panel, G, next);
                          if (!V) return;
                          x = V->middleCols(from, panel.cols()).template cast<double>();
                          x.array().colwise() *= vector_scale.array();
                          detail::add_tall_product(panel, x, products);
                        });
    };
    pass();
    before = detail::rescue_scales(J_, G.diagonal());
    if (before.size() > 0) pass();
    Vector<double> scale(m);
    for (Index i = 0; i < m; ++i) scale(i) = detail::power_of_two_scale(std::sqrt(G(i, i)));
    for (Index j = 0; j < m; ++j)
      for (Index i = j; i < m; ++i) G(i, j) *= scale(i) * scale(j);
    if (V) products = scale.asDiagonal() * products;
    if (before.size() > 0) scale.array() *= before.array();
    return scale;
  }

  // False where the Gram matrix cannot tell the rank, or is too ill-conditioned.
  bool space_by_gram(Matrix<double> G, const Vector<double>& scale, double tolerance, bool forced) {
    const Index m = rows();
    const double eps = std::numeric_limits<double>::epsilon();
    // Schur complements of unit rows carry an error of about m u.
    const double visible = 16 * static_cast<double>(m) * eps;
    Indices rows, zeros;
    for (Index i = 0; i < m; ++i) (G(i, i) > 0 ? rows : zeros).push_back(i);
    const Index n = static_cast<Index>(rows.size());
    Matrix<double> unit = block_of(G, rows, rows);
    const Vector<double> lengths = unit.diagonal().cwiseSqrt();
    for (Index j = 0; j < n; ++j)
      for (Index i = j; i < n; ++i) unit(i, j) /= lengths(i) * lengths(j);
    unit.template triangularView<Eigen::StrictlyUpper>() = unit.transpose();
    const double squared =
        tolerance * tolerance * std::max(1.0, detail::largest_singular_value(unit));

    IndependentRows chosen;
    TriangularFactor<double> factor;
    const double limit = forced ? 0.25 : largest_residue();
    bool full = TriangularFactor<double>::from_gram(unit, factor);
    if (full) {
      const double largest = factor.largest_singular_value();
      const double smallest = factor.smallest_singular_value();
      full = smallest * smallest > std::max(4 * squared, visible) &&
             largest * largest * eps <= limit * smallest * smallest;
    }
    if (full) {
      chosen.order = all_indices(n);
      chosen.rank = n;
      chosen.L = factor.matrix();
      chosen.W.resize(0, n);
    } else {
      if (squared < visible && !forced) return false;
      chosen = independent_rows_of_gram(unit, std::max(squared, visible));
    }
    for (Index j = 0; j < chosen.rank; ++j)
      chosen.L.row(j) *= lengths(chosen.order[static_cast<std::size_t>(j)]);
    for (Index i = 0; i < chosen.W.rows(); ++i)
      for (Index j = 0; j < chosen.rank; ++j)
        chosen.W(i, j) *= lengths(chosen.order[static_cast<std::size_t>(chosen.rank + i)]) /
                          lengths(chosen.order[static_cast<std::size_t>(j)]);
    Indices basis, dependents;
    for (Index k = 0; k < n; ++k)
      (k < chosen.rank ? basis : dependents)
          .push_back(rows[static_cast<std::size_t>(chosen.order[static_cast<std::size_t>(k)])]);
    Matrix<double> W =
        Matrix<double>::Zero(chosen.W.rows() + static_cast<Index>(zeros.size()), chosen.rank);
    W.topRows(chosen.W.rows()) = chosen.W;
    dependents.insert(dependents.end(), zeros.begin(), zeros.end());
    RowSpace<double> space(scale, std::move(basis), std::move(dependents),
                           TriangularFactor<double>(std::move(chosen.L)), std::move(W),
                           std::sqrt(std::max(chosen.defect, visible)));
    if (!full && !forced) {
      const double condition = space.condition();
      if (!(condition * condition * eps <= limit)) return false;
    }
    space_ = std::move(space);
    return true;
  }

  // The rows behind the first size() of `all` join by their products with the basis.
  // False where the Gram matrix is not enough; nothing has changed then.
  bool append_by_gram(const JacobianBlocks<S>& all) {
    const Index m = rows(), c = all.rows() - m, r = space_.rank();
    Indices chosen = space_.basis();
    Vector<double> t = Vector<double>::Ones(r + c);
    for (Index k = 0; k < r; ++k) t(k) = space_.scale()(chosen[static_cast<std::size_t>(k)]);
    for (Index i = 0; i < c; ++i) chosen.push_back(m + i);
    Matrix<double> G = Matrix<double>::Zero(c, r + c);
    all.for_each_panel(chosen, t, [&](const ConstRowMatrixRef<double>& panel, Index) {
      detail::add_tall_product(panel.bottomRows(c), panel, G);
    });
    const Vector<double> diagonal = G.rightCols(c).diagonal();
    // Zeros, overflow and NaN: a fresh factor deals with them, or says why not.
    if (!(diagonal.array() > 1e-250).all() || !(diagonal.array() < 1e250).all()) return false;
    Vector<double> scale(c), lengths(c);
    for (Index i = 0; i < c; ++i) {
      scale(i) = detail::power_of_two_scale(std::sqrt(diagonal(i)));
      lengths(i) = std::sqrt(diagonal(i)) * scale(i);
    }
    G = scale.asDiagonal() * G;
    G.rightCols(c) = G.rightCols(c) * scale.asDiagonal();
    Matrix<double> C = G.leftCols(r).transpose();
    space_.factor().forward(C);
    Matrix<double> schur = G.rightCols(c) - C.transpose() * C;
    const Vector<double> unit = lengths.cwiseInverse();
    schur = unit.asDiagonal() * schur * unit.asDiagonal();
    const double eps = std::numeric_limits<double>::epsilon();
    const double visible = 16 * static_cast<double>(m + c) * eps;
    const double tolerance = selection_tolerance(m + c);
    const double largest = detail::largest_singular_value(detail::unit_rows(space_.coordinates()));
    const double squared = tolerance * tolerance * std::max(1.0, largest * largest);
    if (squared < visible && schur.diagonal().minCoeff() < 1e3 * visible) return false;
    IndependentRows rest = independent_rows_of_gram(schur, std::max(squared, visible));
    if (squared < visible && rest.rank < c) return false;
    for (Index j = 0; j < rest.rank; ++j) {
      if (!space_.is_far(rest.L(j, j), 1)) return false;
      rest.L.row(j) *= lengths(rest.order[static_cast<std::size_t>(j)]);
    }
    for (Index i = 0; i < rest.W.rows(); ++i)
      for (Index j = 0; j < rest.rank; ++j)
        rest.W(i, j) *= lengths(rest.order[static_cast<std::size_t>(rest.rank + i)]) /
                        lengths(rest.order[static_cast<std::size_t>(j)]);
    RowSpace<double> space = space_;
    space.append(scale, C.transpose(), rest, std::sqrt(std::max(rest.defect, visible)));
    if (!is_good_enough(space)) return false;
    J_ = all;
    space_ = std::move(space);
    finish();
    return true;
  }

  // What follows from the row space.
  void finish() {
    const double t = detail::numerical_tolerance<S>(rows());
    const double truncation = options_.rtol > t * t ? options_.rtol : 0;
    filter_ = SpectralFilter(space(), truncation, options_.damping, options_.damping_relative);
    norm_ = spectral_norm(space());
  }

  JacobianBlocks<S> J_;
  ProjectorOptions options_;
  RowSpace<double> space_;
  std::optional<ThinQR<double>> thin_;  // holds the row space in its place
  SpectralFilter filter_;
  JacobianFactorization used_ = Choice::automatic;
  double norm_ = 0;
};

// P V, or V - strength P V, in two reads of J where J is well conditioned.
template <class S, class T>
RowMatrix<T> project_out(JacobianBlocks<S> J, ConstRowMatrixRef<T> V, ProjectorOptions options = {},
                         std::optional<double> strength = {}, ProjectionReport* report = nullptr) {
  Matrix<double> products;
  const JacobianProjector<S> projector(std::move(J), options, V, products);
  return projector.project(V, strength, report, &products);
}

}  // namespace minnorm
