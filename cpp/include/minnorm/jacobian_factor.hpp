// The factor of a Jacobian: its row space, and for ill-conditioned rows an orthonormal
// basis of it.
//
// Let kappa = cond(J), rows scaled to unit length, u = 2^-52.
//   cholesky    of J J^T, one read; a pass of a projection leaves about kappa^2 u of w
//   seminormal  L from a Q-less QR, one more read; leaves about kappa u
//   qr          Q is stored, r p doubles; leaves u, whatever kappa
// Automatic: the first whose first pass leaves 1e-8 (1e-3 for float rows, where that
// is below their own rounding) and that can tell dependent rows apart.
// Shapes: J (m, p), read and not kept. Memory m^2, with qr r p more.
// Throws InputError before anything changes.
#pragma once

#include <optional>
#include <string>

#include "gram_row_space.hpp"
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

template <class S>
class JacobianFactor {
 public:
  // `products` receives T J (V S)^T where vectors are given: see removal.hpp.
  template <class T>
  JacobianFactor(const JacobianBlocks<S>& J, ProjectorOptions options,
                 const ConstRowMatrixRef<T>* V, Matrix<double>& products)
      : options_(options), used_(options.factorization) {
    if (J.rows() < 1)
      throw InputError(
          "J: expected at least one row, got none; with no gradients there is nothing to be "
          "orthogonal to, and every vector would pass unchanged");
    if (!(options_.damping >= 0) || !std::isfinite(options_.damping))
      throw InputError("damping: expected a finite number >= 0, got " +
                       std::to_string(options_.damping));
    Matrix<double> G;
    const Vector<double> scale = detail::scaled_gram<S, T>(J, V, G, products);
    const double tolerance = selection_tolerance(J.rows());
    if (used_ == Choice::automatic || used_ == Choice::cholesky) {
      const bool forced = used_ == Choice::cholesky;
      auto by_gram = detail::row_space_by_gram(G, scale, tolerance, limit(), forced);
      if (by_gram) {
        used_ = Choice::cholesky;
        space_ = std::move(*by_gram);
        return;
      }
    }
    space_ = detail::row_space_by_qr(J, scale, tolerance);
    if (used_ == Choice::automatic) {
      used_ = Choice::seminormal;
      if (!(space_.condition() * unit <= 1e-8)) used_ = Choice::qr;
    }
    if (used_ == Choice::qr) {
      thin_.emplace(J, space_, tolerance);
      space_ = RowSpace<double>();
    }
  }

  const ProjectorOptions& options() const { return options_; }
  JacobianFactorization used() const { return used_; }
  const RowSpace<double>& space() const { return thin_ ? thin_->space() : space_; }
  const std::optional<ThinQR<double>>& thin() const { return thin_; }

  double rtol() const {
    const double t = detail::numerical_tolerance<S>(space().size());
    return options_.rtol >= 0 ? options_.rtol : t * t;
  }
  // A tolerance beyond the numerical rank truncates the spectrum; 0: all of it is kept.
  double truncation() const {
    const double t = detail::numerical_tolerance<S>(space().size());
    return options_.rtol > t * t ? options_.rtol : 0;
  }

  // Forgets rows (ascending, distinct). False where J has to be factored anew, since
  // rounding hides whether a row that depended on them is independent now.
  bool erase(const Indices& gone) {
    using Erased = typename RowSpace<double>::Erased;
    const Erased how =
        thin_ ? thin_->erase(gone) : space_.erase(gone, selection_tolerance(space_.size()));
    if (how == Erased::turned) return true;
    return how == Erased::chosen && (thin_ || is_good_enough(space_));
  }

  // The rows `added` join, the last of `all`. False where all have to be factored anew;
  // nothing has changed then.
  bool append(const JacobianBlocks<S>& all, const JacobianBlocks<S>& added) {
    if (thin_) {
      thin_->append(added);
      return true;
    }
    if (used_ != Choice::cholesky) return false;
    auto grown = detail::appended_by_gram(space_, all, selection_tolerance(all.rows()));
    if (!grown || !is_good_enough(*grown)) return false;
    space_ = std::move(*grown);
    return true;
  }

 private:
  using Choice = JacobianFactorization;
  static constexpr double unit = std::numeric_limits<double>::epsilon();

  // Distance below which a row is dependent: a user's rtol beyond the numerical rank
  // truncates the spectrum instead, and one below it asks for more rows.
  double selection_tolerance(Index m) const {
    const double numerical = detail::numerical_tolerance<S>(m);
    if (!(options_.rtol >= 0)) return numerical;
    // Below the rounding of double there is nothing to choose by.
    return std::clamp(std::sqrt(options_.rtol), detail::numerical_tolerance<double>(m), numerical);
  }
  // What one pass may leave; of a factorization asked for by name, what still converges.
  double limit() const {
    if (options_.factorization != Choice::automatic) return 0.25;
    return std::is_same_v<S, float> ? 1e-3 : 1e-8;
  }
  bool is_good_enough(const RowSpace<double>& space) const {
    const double kappa = space.condition();
    return (used_ == Choice::cholesky ? kappa * kappa : kappa) * unit <= limit();
  }

  ProjectorOptions options_;
  JacobianFactorization used_ = Choice::automatic;
  RowSpace<double> space_;
  std::optional<ThinQR<double>> thin_;  // holds the row space in its place
};

}  // namespace minnorm
