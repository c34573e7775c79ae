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
// With a workspace a projection of a few vectors takes nothing from the heap after the
// first (on one thread: starting others takes some). The result does not overlap V.
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

  JacobianProjector(const JacobianProjector& other)
      : J_(other.J_),
        factor_(other.factor_),
        filter_(other.filter_),
        norm_(other.norm_),
        every_(other.every_) {
    view_basis();  // of the copy
  }
  JacobianProjector(JacobianProjector&&) = default;  // Q stays in its place
  JacobianProjector& operator=(const JacobianProjector& other) {
    return *this = JacobianProjector(other);
  }
  JacobianProjector& operator=(JacobianProjector&&) = default;

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
    ProjectionWorkspace space;
    check_vectors(V, cols());
    RowMatrix<T> out(V.rows(), V.cols());
    project<T>(V, out, space, strength, report, products);
    return out;
  }
  // The same into `out` (k, p), with the memory of `space`.
  template <class T>
  void project(ConstRowMatrixRef<T> V, RowMatrixRef<T> out, ProjectionWorkspace& space,
               std::optional<double> strength = {}, ProjectionReport* report = nullptr,
               const Matrix<double>* products = nullptr) const {
    check_vectors(V, cols());
    if (out.rows() != V.rows() || out.cols() != V.cols())
      throw ShapeError("out: shape: expected (" + std::to_string(V.rows()) + ", " +
                       std::to_string(V.cols()) + "), got (" + std::to_string(out.rows()) + ", " +
                       std::to_string(out.cols()) + ")");
    if (strength && !std::isfinite(*strength))
      throw InputError("strength: expected a finite number, got NaN or infinity");
    Removal<T> removal(V, out, space);
    solve(removal, products);
    if (factor_.thin() && report)  // J (P v) has not been looked at
      removal.run(J_, every_, this->space().scale(), Matrix<double>(), space.measured);
    if (report) *report = describe(removal);
    if (strength)
      out =
          (V.template cast<double>() - *strength * out.template cast<double>()).template cast<T>();
  }

  // a (k, m) with P v = v - J^T a, zero on dependent rows. The reads of project.
  template <class T>
  RowMatrix<double> coefficients(ConstRowMatrixRef<T> V) const {
    check_vectors(V, cols());
    ProjectionWorkspace space;
    RowMatrix<T> out(V.rows(), V.cols());
    RowMatrixRef<T> result(out);
    Removal<T> removal(V, result, space);
    solve(removal, nullptr);
    on_basis(space.z, space);
    return (this->space().scale().asDiagonal() * space.a * space.scale.cwiseInverse().asDiagonal())
        .transpose();
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

  // Leaves P V in the removal, and z (r, k), scaled, in its workspace.
  template <class T>
  void solve(Removal<T>& removal, const Matrix<double>* products) const {
    ProjectionWorkspace& room = removal.space;
    ++removal.passes;
    if (factor_.thin()) {
      const View<Index> all(every_.data(), static_cast<std::size_t>(space().rank()));
      detail::products_with(stored_basis_, all, Vector<double>(), removal.V, room, room.w);
      iterate(removal, [&] {
        removal.run(stored_basis_, all, Vector<double>(), room.delta, room.sums);
        removal.products().value(room.left);
      });
      return;
    }
    const Vector<double>& t = space().scale();
    if (!products) {
      detail::products_with(J_, every_, t, removal.V, room, room.products);
      products = &room.products;
    }
    to_basis(*products, room.w);
    iterate(removal, [&] {
      on_basis(room.delta, room);
      removal.run(J_, every_, t, room.a, room.sums);
      removal.products().value(room.products);
      to_basis(room.products, room.left);
    });
  }

  // z = F w is subtracted, then what rounding left, until it is of rounding size. `pass`
  // subtracts delta and measures what is left.
  template <class T, class Pass>
  void iterate(Removal<T>& removal, Pass pass) const {
    ProjectionWorkspace& room = removal.space;
    Matrix<double>&z = room.z, &delta = room.delta;
    const double eps = static_cast<double>(std::numeric_limits<T>::epsilon());
    const double enough = static_cast<double>(std::max<Index>(rows(), 4)) * eps;
    filter_.apply(room.w, z, room.filtered);
    delta = z;
    double before = std::numeric_limits<double>::infinity();
    for (int round = 0; round < 7; ++round) {
      pass();
      filter_.apply(room.left, delta, room.filtered);
      if (!filter_.identity()) {
        filter_.apply(z, room.left, room.filtered);
        delta -= z - room.left;
      }
      double worst = 0;
      for (Index k = 0; k < delta.cols(); ++k)
        if (removal.length(k) > 0) worst = std::max(worst, delta.col(k).norm() / removal.length(k));
      if (!(worst > enough) || !(worst < before / 2)) break;
      before = worst;
      z += delta;
    }
    removal.reorthogonalised = removal.rounds > 1;
  }

  template <class T>
  ProjectionReport describe(const Removal<T>& removal) const {
    ProjectionReport report;
    report.rank = rank();
    report.rtol = rtol();
    report.passes = removal.passes;
    report.reorthogonalised = removal.reorthogonalised;
    report.factorization = factor_.used();
    Matrix<double>& c = removal.space.products;
    removal.products().value(c);
    for (Index k = 0; k < c.cols(); ++k) {
      report.norm_removed =
          std::max(report.norm_removed, removal.removed(k) / removal.space.scale(k));
      if (!(norm_ > 0) || !(removal.length(k) > 0)) continue;
      for (Index i = 0; i < c.rows(); ++i) c(i, k) /= space().scale()(i) * norm_;
      report.orthogonality =
          std::max(report.orthogonality, c.col(k).stableNorm() / removal.length(k));
    }
    return report;
  }

  // w (r, k) = L^-1 c_B of c (m, k).
  void to_basis(const Matrix<double>& c, Matrix<double>& w) const {
    const Indices& basis = space().basis();
    w.resize(space().rank(), c.cols());
    for (Index k = 0; k < w.cols(); ++k)
      for (Index i = 0; i < w.rows(); ++i) w(i, k) = c(basis[static_cast<std::size_t>(i)], k);
    space().factor().forward(w);
  }
  // room.a (m, k) = L^-T z on the basis, 0 elsewhere.
  void on_basis(const Matrix<double>& z, ProjectionWorkspace& room) const {
    room.solved = z;
    space().factor().backward(room.solved);
    room.a.setZero(rows(), z.cols());
    set_rows(room.a, space().basis(), room.solved);
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
    every_ = all_indices(rows());
    view_basis();
  }
  void view_basis() {
    if (factor_.thin()) stored_basis_ = JacobianBlocks<double>::view(factor_.thin()->Q());
  }

  JacobianBlocks<S> J_;
  JacobianFactor<S> factor_;
  SpectralFilter filter_;
  double norm_ = 0;
  Indices every_;                        // 0, ..., m - 1
  JacobianBlocks<double> stored_basis_;  // Q in the factor, where it is stored
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
