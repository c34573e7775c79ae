// JacobianProjector: P v = v - J^T (J J^T)^+ J v, the part of v orthogonal to every
// row of J (the gradients of a model's outputs): the step of arXiv 2505.22601,
// Algorithm 1, truncated or damped on request.
//
// State: where J lies, its factor with the row space T J = K Q (jacobian_factor.hpp),
// and the filter F of spectral_filter.hpp, so that P = I - Q^T F Q. With w = Q v = L^-1 T J_B v:
//   z = F w,  P v = v - (T J_B)^T L^-T z.
// "Twice is enough": the pass that subtracts also measures J (P v), while the panel
// is in cache. What is left along the span, w' = Q (P v), is corrected with
// delta = F w' - (I - F) z in a further pass, as often as rounding asks for.
// Shapes: J (m, p), V (k, p) row-major. Memory m^2 + a panel, with qr r p more. Cost:
// m^2 p for the factor, 4 m p k a projection; two reads of J, by project_out in all.
// Throws InputError, ShapeError, UnknownSampleError, before anything changes.
#pragma once

#include "jacobian_factor.hpp"
#include "spectral_filter.hpp"

namespace minnorm {

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
      : JacobianProjector(std::move(J), options, static_cast<Vectors<double>*>(nullptr), nullptr) {}
  // With the products of V for `project`, made in the read that forms the Gram
  // matrix: T J (V S)^T, S the scales of the vectors.
  template <class T>
  JacobianProjector(JacobianBlocks<S> J, ProjectorOptions options, ConstRowMatrixRef<T> V,
                    Matrix<double>& products)
      : JacobianProjector(std::move(J), options, &V, &products) {}

  Index rows() const { return J_.rows(); }
  Index cols() const { return J_.cols(); }
  Index rank() const { return filter_.identity() ? space().rank() : filter_.rank(); }
  double rtol() const { return factor_.rtol(); }
  JacobianFactorization factorization() const { return factor_.used(); }
  const RowSpace<double>& space() const { return factor_.space(); }
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
    check_vectors(V, cols());
    if (strength && !std::isfinite(*strength))
      throw InputError("strength: expected a finite number, got NaN or infinity");
    Removal<T> removal(V);
    solve(removal, products);
    if (factor_.thin() && report)  // J (P v) has not been looked at
      removal.run(J_, positions(), space().scale(), Matrix<double>());
    if (report) *report = describe(removal);
    if (strength)
      removal.out = (V.template cast<double>() - *strength * removal.out.template cast<double>())
                        .template cast<T>();
    return std::move(removal.out);
  }

  // a (k, m) with P v = v - J^T a, zero on dependent rows. The reads of project.
  template <class T>
  RowMatrix<double> coefficients(ConstRowMatrixRef<T> V) const {
    check_vectors(V, cols());
    Removal<T> removal(V);
    Matrix<double> a = on_basis(solve(removal, nullptr));
    a = space().scale().asDiagonal() * a;
    return (a * removal.scale.cwiseInverse().asDiagonal()).transpose();
  }

  // Forgets rows by position (ascending). Reads J only where rounding hides whether a
  // row that depended on them is independent now.
  void erase(const Indices& gone) {
    ThinQR<S>::check_erasable(gone, rows());
    const bool done = factor_.erase(gone);
    J_.erase(gone);
    renew(done);
  }

  // More rows below those held.
  void append(const std::vector<typename JacobianBlocks<S>::ColumnBlock>& more) {
    const JacobianBlocks<S> added(more);
    JacobianBlocks<S> all = J_;
    all.append(more);
    detail::row_scales(added);  // what is not finite is named by its row in `more`
    const bool done = factor_.append(all, added);
    J_ = std::move(all);
    renew(done);
  }

 private:
  template <class T>
  using Vectors = const ConstRowMatrixRef<T>;
  template <class T>
  using Removal = detail::Removal<S, T>;

  template <class T>
  JacobianProjector(JacobianBlocks<S> J, ProjectorOptions options, Vectors<T>* V,
                    Matrix<double>* products)
      : J_(std::move(J)), factor_(factor_of(J_, options, V, products)) {
    finish();
  }
  template <class T>
  static JacobianFactor<S> factor_of(const JacobianBlocks<S>& J, ProjectorOptions options,
                                     Vectors<T>* V, Matrix<double>* products) {
    if (V) check_vectors(*V, J.cols());
    Matrix<double> unused;
    return JacobianFactor<S>(J, options, V, products ? *products : unused);
  }

  // z (r, k), scaled; leaves P V in the removal.
  template <class T>
  Matrix<double> solve(Removal<T>& removal, const Matrix<double>* products) const {
    if (factor_.thin()) {
      const auto Q = JacobianBlocks<double>::view(factor_.thin()->Q());
      const Indices every = all_indices(space().rank());
      ++removal.passes;
      return iterate(removal, detail::products_with(Q, every, {}, removal.V, removal.scale),
                     [&](const Matrix<double>& z) {
                       removal.run(Q, every, {}, z);
                       return removal.products.value();
                     });
    }
    const Vector<double>& t = space().scale();
    ++removal.passes;
    return iterate(
        removal,
        to_basis(products ? *products
                          : detail::products_with(J_, positions(), t, removal.V, removal.scale)),
        [&](const Matrix<double>& z) {
          removal.run(J_, positions(), t, on_basis(z));
          return to_basis(removal.products.value());
        });
  }

  // z = F w is subtracted, then what rounding left, until it is of rounding size.
  template <class T, class Pass>
  Matrix<double> iterate(Removal<T>& removal, const Matrix<double>& w, Pass pass) const {
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
        if (removal.length(k) > 0) worst = std::max(worst, delta.col(k).norm() / removal.length(k));
      if (!(worst > enough) || !(worst < before / 2)) break;
      before = worst;
      z += delta;
    }
    removal.reorthogonalised = removal.rounds > 1;
    return z;
  }

  template <class T>
  ProjectionReport describe(const Removal<T>& removal) const {
    ProjectionReport report;
    report.rank = rank();
    report.rtol = rtol();
    report.passes = removal.passes;
    report.reorthogonalised = removal.reorthogonalised;
    report.factorization = factor_.used();
    Matrix<double> c = removal.products.value();
    for (Index k = 0; k < c.cols(); ++k) {
      report.norm_removed = std::max(report.norm_removed, removal.removed(k) / removal.scale(k));
      if (!(norm_ > 0) || !(removal.length(k) > 0)) continue;
      for (Index i = 0; i < c.rows(); ++i) c(i, k) /= space().scale()(i) * norm_;
      report.orthogonality =
          std::max(report.orthogonality, c.col(k).stableNorm() / removal.length(k));
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

  template <class T>
  static void check_vectors(const ConstRowMatrixRef<T>& V, Index cols) {
    if (V.cols() != cols)
      throw ShapeError("vector: number of entries, one per column of J: " +
                       detail::got(cols, V.cols()));
    // 0 times a number is 0, times anything else NaN; unlike allFinite it is vectorised.
    for (Index k = 0; k < V.rows(); ++k)
      if (!((V.row(k).array() * T(0)).sum() == T(0)))
        throw InputError("vector: expected finite values, got NaN or infinity");
  }

  void renew(bool factored) {
    if (factored)
      finish();
    else
      *this = JacobianProjector(std::move(J_), factor_.options());
  }
  // What follows from the row space.
  void finish() {
    const ProjectorOptions& options = factor_.options();
    filter_ =
        SpectralFilter(space(), factor_.truncation(), options.damping, options.damping_relative);
    norm_ = spectral_norm(space());
  }

  JacobianBlocks<S> J_;
  JacobianFactor<S> factor_;
  SpectralFilter filter_;
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
