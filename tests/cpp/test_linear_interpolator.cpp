// LinearInterpolator: after any sequence of forget and learn the model is the one
// that its retained samples define, and the certificate contains the difference.
#include "minnorm/linear_interpolator.hpp"

#include <functional>

#include "asserts.hpp"
#include "reference.hpp"
#include "samplers.hpp"

namespace minnorm::test {
namespace {

template <class S>
RealMatrix real(const RowMatrix<S>& A) {
  return A.template cast<Real>();
}

// Distance to the reference, the largest over the outputs.
struct Distance {
  double coef = 0, intercept = 0, size = 0;
};
template <class S>
Distance distance(const LinearInterpolator<S>& model, const LinearReference& exact) {
  const RealMatrix coef = real<S>(model.coef()) - exact.coef;
  const RealMatrix intercept =
      model.intercept().template cast<Real>().transpose() - exact.intercept;
  return {double(coef.rowwise().norm().maxCoeff()), double(intercept.cwiseAbs().maxCoeff()),
          double(exact.coef.rowwise().norm().maxCoeff() + exact.intercept.cwiseAbs().maxCoeff())};
}

// The certificate contains the distance to the model refitted from its definition.
template <class S>
AssertionResult same_as_refit(const LinearInterpolator<S>& model, const Ledger<S>& ledger,
                              const LinearOptions& options) {
  const auto held = holds(model, ledger);
  if (!held) return held;
  const auto exact =
      linear_reference(real(ledger.X), real(ledger.Y), options.alpha, options.fit_intercept);
  const Distance error = distance(model, exact);
  const Certificate& c = model.certificate();
  // Where the library accepts a rank, the reference is not where doubt begins.
  const double reference = allowance(std::min(c.condition_bound, 1e12), error.size);
  if (!(error.coef <= c.parameter_error_bound + reference))
    return AssertionFailure() << c.method << ": coef is off by " << error.coef << ", bound "
                              << c.parameter_error_bound << ", condition " << c.condition_bound;
  if (!(error.intercept <= c.intercept_error_bound + reference))
    return AssertionFailure() << c.method << ": intercept is off by " << error.intercept
                              << ", bound " << c.intercept_error_bound;
  if (c.n_retained != ledger.X.rows() || c.rank != model.rank())
    return AssertionFailure() << "certificate counts " << c.n_retained << " samples";
  return AssertionSuccess();
}

// The bound is of the size that the condition number explains.
template <class S>
AssertionResult bound_is_sharp(const LinearInterpolator<S>& model) {
  const Certificate& c = model.certificate();
  const double size = double(model.coef().norm()) + double(model.samples().targets().norm()) /
                                                        (c.sigma_min_bound * c.condition_bound);
  return at_most(c.parameter_error_bound, 1e3 * eps<S>() * c.condition_bound * size, "bound");
}

template <class S>
AssertionResult interpolates(const LinearInterpolator<S>& model, const Ledger<S>& ledger) {
  if (!model.certificate().interpolates) return AssertionFailure() << "certificate: no";
  const RealMatrix theta = real<S>(model.coef());
  RealMatrix residual = real(ledger.Y) - real(ledger.X) * theta.transpose();
  residual.rowwise() -= model.intercept().template cast<Real>().transpose();
  const double size =
      double(ledger.X.norm() * model.coef().norm() + ledger.Y.norm() + model.intercept().norm());
  return at_most(double(residual.norm()), 200 * eps<S>() * size, "residual");
}

// theta = X^T a with a the public dual coefficients, 1^T a = 0 with intercept.
template <class S>
AssertionResult in_row_space(const LinearInterpolator<S>& model, const Ledger<S>& ledger,
                             bool intercept, double tolerance) {
  const RealMatrix a = real<S>(model.dual_coef()), theta = real<S>(model.coef());
  const double size = double(a.norm() * ledger.X.norm() + theta.norm());
  const auto same = at_most(double((real(ledger.X).transpose() * a - theta.transpose()).norm()),
                            tolerance * size, "|X^T a - theta|");
  if (!same || !intercept) return same;
  return at_most(double(a.colwise().sum().cwiseAbs().maxCoeff()),
                 tolerance * double(a.cwiseAbs().sum()), "1^T a");
}

template <class S>
void expect_equal(const LinearInterpolator<S>& model, const LinearInterpolator<S>& before) {
  EXPECT_TRUE(identical(model.coef(), before.coef()));
  EXPECT_TRUE(identical(model.intercept(), before.intercept()));
  EXPECT_TRUE(identical(model.dual_coef(), before.dual_coef()));
  EXPECT_TRUE(identical(model.samples().targets(), before.samples().targets()));
  EXPECT_TRUE(identical(model.system().factor().matrix(), before.system().factor().matrix()));
  EXPECT_EQ(model.samples().handles(), before.samples().handles());
  EXPECT_EQ(model.samples().next_handle(), before.samples().next_handle());
  EXPECT_EQ(model.rank(), before.rank());
  const Certificate &c = model.certificate(), &d = before.certificate();
  EXPECT_EQ(c.method, d.method);
  EXPECT_EQ(c.n_retained, d.n_retained);
  EXPECT_EQ(c.n_forgotten, d.n_forgotten);
  EXPECT_EQ(c.residual, d.residual);
  EXPECT_EQ(c.parameter_error_bound, d.parameter_error_bound);
  EXPECT_EQ(c.intercept_error_bound, d.intercept_error_bound);
  EXPECT_EQ(c.sigma_min_bound, d.sigma_min_bound);
  EXPECT_EQ(c.condition_bound, d.condition_bound);
}

const LinearOptions plain{0, false, FactorizationChoice::automatic};
const LinearOptions with_intercept{0, true, FactorizationChoice::automatic};

template <class S>
LinearInterpolator<S> fitted(const Ledger<S>& ledger, const LinearOptions& options) {
  LinearInterpolator<S> model(options);
  model.fit(ledger.X, ledger.Y);
  return model;
}

// Forgets one, a few, many, learns one and several, and again.
template <class S>
void expect_sequence_same_as_refit(Ledger<S> ledger, const LinearOptions& options, Sampler& sampler,
                                   std::function<RowMatrix<S>(Index)> fresh_rows, bool sharp) {
  LinearInterpolator<S> model = fitted(ledger, options);
  EXPECT_TRUE(same_as_refit(model, ledger, options)) << "fit";
  for (const Index k : {1, 3, 9, -2, 1, -1, 4}) {
    if (k > 0) {
      const Indices gone = sampler.subset(model.n_samples(), k);
      model.forget(ledger.handles_of(gone));
      ledger.forget(gone);
    } else {
      const RowMatrix<S> rows = fresh_rows(-k), targets = sampler.gaussian<S>(-k, ledger.Y.cols());
      ledger.learn(rows, targets, model.learn(rows, targets));
    }
    ASSERT_TRUE(same_as_refit(model, ledger, options)) << "after " << k;
    EXPECT_TRUE(is_clean_triangle(model.system().factor()));
    if (sharp) {
      EXPECT_TRUE(bound_is_sharp(model)) << "after " << k;
      EXPECT_TRUE(interpolates(model, ledger)) << "after " << k;
    }
    EXPECT_TRUE(in_row_space(model, ledger, options.fit_intercept, 500 * eps<S>())) << k;
  }
  EXPECT_EQ(model.certificate().n_forgotten, 18);
}

template <class S>
void expect_sequences(double condition, double scale) {
  Sampler sampler(1);
  for (const Index p : {60, 700})  // below and above the width of a panel
    for (const bool intercept : {false, true})
      for (const FactorizationChoice choice :
           {FactorizationChoice::automatic, FactorizationChoice::qr}) {
        SCOPED_TRACE("p " + std::to_string(p) + (intercept ? ", intercept" : "") +
                     (choice == FactorizationChoice::qr ? ", qr" : "") + ", condition " +
                     std::to_string(condition));
        const Ledger<S> ledger(sampler.conditioned<S>(40, p, condition, scale),
                               sampler.gaussian<S>(40, 2));
        const double length = double(ledger.X.rowwise().norm().mean()) / std::sqrt(double(p));
        expect_sequence_same_as_refit<S>(
            ledger, {0, intercept, choice}, sampler,
            [&](Index m) {
              return RowMatrix<S>(sampler.gaussian<S>(m, p) * static_cast<S>(length));
            },
            condition <= 1e3);
      }
}

TEST(LinearInterpolator, SequencesEqualRefit) { expect_sequences<double>(30, 1); }
TEST(LinearInterpolator, SequencesEqualRefitModerateCondition) { expect_sequences<double>(1e5, 1); }
TEST(LinearInterpolator, SequencesEqualRefitIllConditioned) { expect_sequences<double>(1e8, 1); }
TEST(LinearInterpolator, SequencesEqualRefitAtExtremeScales) {
  expect_sequences<double>(30, 1e150);
  expect_sequences<double>(30, 1e-150);
}
TEST(LinearInterpolator, SequencesEqualRefitInFloat) {
  expect_sequences<float>(30, 1);
  expect_sequences<float>(1e3, 1e-15);
}

TEST(LinearInterpolator, RidgeSequencesEqualRefit) {
  Sampler sampler(2);
  for (const bool intercept : {false, true})
    for (const double alpha : {1e-6, 1e-2, 1e3})
      for (const Index p : {8, 60}) {  // more samples than features as well
        SCOPED_TRACE("p " + std::to_string(p) + ", alpha " + std::to_string(alpha));
        const Ledger<double> ledger(sampler.gaussian(40, p), sampler.gaussian(40, 2));
        expect_sequence_same_as_refit<double>(
            ledger, {alpha, intercept, FactorizationChoice::automatic}, sampler,
            [&](Index m) { return sampler.gaussian(m, p); }, false);
      }
}

TEST(LinearInterpolator, RidgeBoundIsSharp) {
  Sampler sampler(3);
  const Ledger<double> ledger(sampler.gaussian(40, 60), sampler.gaussian(40, 1));
  const auto model = fitted(ledger, {0.5, true, FactorizationChoice::automatic});
  EXPECT_LT(model.certificate().parameter_error_bound, 1e-11 * model.coef().norm());
  EXPECT_FALSE(model.certificate().interpolates);
}

// Duplicates, zero rows and sums: the definition is the pseudoinverse.
template <class S>
void expect_dependent_sequences(Index n, Index p, Index rank) {
  Sampler sampler(4);
  for (const bool intercept : {false, true})
    for (const bool consistent : {true, false}) {
      SCOPED_TRACE(std::to_string(n) + " x " + std::to_string(p) +
                   (intercept ? ", intercept" : "") + (consistent ? ", consistent" : ""));
      const RowMatrix<S> X = sampler.deficient<S>(n, p, rank);
      RowMatrix<S> Y = sampler.gaussian<S>(n, 2);
      if (consistent) {  // integers, so that X w is exact
        RowMatrix<S> w(p, 2);
        for (Index j = 0; j < p; ++j)
          w.row(j) << static_cast<S>(sampler.below(9) - 4), static_cast<S>(sampler.below(9) - 4);
        Y = X * w;
      }
      Ledger<S> ledger(X, Y);
      const LinearOptions options{0, intercept, FactorizationChoice::automatic};
      auto model = fitted(ledger, options);
      EXPECT_TRUE(same_as_refit(model, ledger, options)) << "fit";
      if (!intercept) {
        EXPECT_EQ(model.rank(), rank);
      }
      while (ledger.X.rows() > 3) {
        const Index k = 1 + sampler.below(std::min<Index>(4, ledger.X.rows() - 2));
        const Indices gone = sampler.subset(ledger.X.rows(), k);
        model.forget(ledger.handles_of(gone));
        ledger.forget(gone);
        ASSERT_TRUE(same_as_refit(model, ledger, options)) << ledger.X.rows() << " left";
        EXPECT_LT(model.certificate().parameter_error_bound,
                  1e6 * eps<S>() * (1 + double(model.coef().norm())) *
                      std::pow(model.certificate().condition_bound, 2));
        if (consistent) {
          EXPECT_TRUE(interpolates(model, ledger)) << ledger.X.rows() << " left";
        }
        EXPECT_TRUE(is_clean_triangle(model.system().factor()));
      }
    }
}
TEST(LinearInterpolator, DependentRowsFewFeatures) { expect_dependent_sequences<double>(60, 9, 9); }
TEST(LinearInterpolator, DependentRowsManyFeatures) {
  expect_dependent_sequences<double>(40, 90, 25);
}
TEST(LinearInterpolator, DependentRowsInFloat) { expect_dependent_sequences<float>(30, 12, 10); }

TEST(LinearInterpolator, LearnsDuplicatesOfHeldRows) {
  Sampler sampler(5);
  for (const LinearOptions& options : {plain, with_intercept}) {
    Ledger<double> ledger(sampler.gaussian(20, 40), sampler.gaussian(20, 1));
    auto model = fitted(ledger, options);
    RowMatrix<double> rows(3, 40), targets(3, 1);
    rows << ledger.X.row(4), RowMatrix<double>::Zero(1, 40), ledger.X.row(11);
    targets << ledger.Y.row(4), 0, ledger.Y.row(11) + RowMatrix<double>::Ones(1, 1);
    ledger.learn(rows, targets, model.learn(rows, targets));
    EXPECT_TRUE(same_as_refit(model, ledger, options));
    EXPECT_EQ(model.rank(), options.fit_intercept ? 21 : 20);
    EXPECT_FALSE(model.certificate().interpolates);
    model.forget({4, 11});  // their duplicates step in
    ledger.forget({4, 11});
    EXPECT_TRUE(same_as_refit(model, ledger, options));
    EXPECT_TRUE(interpolates(model, ledger));
  }
}

TEST(LinearInterpolator, ZeroMatrixIsTheZeroModel) {
  for (const LinearOptions& options : {plain, with_intercept}) {
    Ledger<double> ledger(RowMatrix<double>::Zero(4, 3), RowMatrix<double>::Constant(4, 1, 2.5));
    auto model = fitted(ledger, options);
    model.forget({1});
    ledger.forget({1});
    EXPECT_TRUE(same_as_refit(model, ledger, options));
    EXPECT_EQ(model.coef().norm(), 0);
    EXPECT_EQ(model.intercept()(0), options.fit_intercept ? 2.5 : 0);
  }
}

// Rows x, x + e z and 100 z: without the last the smallest singular value is of
// order e, far below the one proved for the three.
TEST(LinearInterpolator, DependentRowThatStepsInLowersTheBoundOnSigma) {
  Sampler sampler(6);
  for (const double e : {0x1p-10, 0x1p-20}) {
    const RowMatrix<double> x = (sampler.gaussian(2, 6).array() * 0x1p10).round() * 0x1p-10;
    RowMatrix<double> X(3, 6);
    X << x.row(0), x.row(0) + e * x.row(1), 100 * x.row(1);
    RowMatrix<double> Y(3, 1);
    Y << 1, 2, 3;
    Ledger<double> ledger(X, Y);
    auto model = fitted(ledger, plain);
    EXPECT_EQ(model.rank(), 2);
    model.forget({2});
    ledger.forget({2});
    EXPECT_EQ(model.rank(), 2);
    const RealMatrix G = real(ledger.X) * real(ledger.X).transpose();
    EXPECT_LE(model.certificate().sigma_min_bound, std::sqrt(double(smallest_eigenvalue(G))));
    EXPECT_GT(model.certificate().sigma_min_bound, 1e-3 * e);
    EXPECT_TRUE(same_as_refit(model, ledger, plain));
    EXPECT_TRUE(interpolates(model, ledger));
  }
}

TEST(LinearInterpolator, LearningACloseRowLowersTheBoundOnSigma) {
  Sampler sampler(19);
  for (const double e : {1e-2, 1e-5}) {
    Ledger<double> ledger(sampler.gaussian(10, 20), sampler.gaussian(10, 1));
    auto model = fitted(ledger, plain);
    const RowMatrix<double> close_by = ledger.X.row(3) + e * sampler.gaussian(1, 20),
                            targets = sampler.gaussian(1, 1);
    ledger.learn(close_by, targets, model.learn(close_by, targets));
    const RealMatrix G = real(ledger.X) * real(ledger.X).transpose();
    EXPECT_LE(model.certificate().sigma_min_bound, std::sqrt(double(smallest_eigenvalue(G))));
    EXPECT_GT(model.certificate().sigma_min_bound, 1e-2 * e);
    EXPECT_TRUE(same_as_refit(model, ledger, plain));
  }
}

// Tiny rows are dependent beside large ones and count once those are gone: the rank is
// decided as a fresh fit of the retained samples decides it.
template <class S>
void expect_rank_follows_retained_rows(double tiny) {
  Sampler sampler(7);
  RowMatrix<S> X = sampler.gaussian<S>(8, 20), Y = sampler.gaussian<S>(8, 1);
  X.bottomRows(3) *= static_cast<S>(tiny);
  Y.bottomRows(3) *= static_cast<S>(tiny);
  Ledger<S> ledger(X, Y);
  auto model = fitted(ledger, plain);
  EXPECT_EQ(model.rank(), 5);
  model.forget({0, 1, 2, 3, 4});
  ledger.forget({0, 1, 2, 3, 4});
  EXPECT_EQ(model.rank(), 3);
  EXPECT_TRUE(same_as_refit(model, ledger, plain));
}
TEST(LinearInterpolator, RankFollowsRetainedRows) {
  expect_rank_follows_retained_rows<double>(1e-16);
  expect_rank_follows_retained_rows<float>(1e-7);
}

// With two nearly parallel rows the computed residual is often exactly zero, while the
// model is off by cond(X) eps: the rounding of the residual must be in the bound.
TEST(LinearInterpolator, BoundHoldsWhereTheComputedResidualVanishes) {
  Sampler sampler(20);
  int vanished = 0;
  for (int trial = 0; trial < 400; ++trial) {
    const LinearOptions options = trial % 2 ? with_intercept : plain;
    Ledger<double> ledger(sampler.conditioned(2, 2 + trial % 3, 1e5), sampler.gaussian(2, 1));
    const auto model = fitted(ledger, options);
    vanished += model.certificate().residual == 0;
    ASSERT_TRUE(same_as_refit(model, ledger, options)) << trial;
  }
  EXPECT_GT(vanished, 10);
}

TEST(LinearInterpolator, BoundOnSigmaHoldsAndIsInheritedByDeletion) {
  Sampler sampler(8);
  for (const double condition : {10.0, 1e4, 1e7}) {
    Ledger<double> ledger(sampler.conditioned(30, 50, condition), sampler.gaussian(30, 1));
    auto model = fitted(ledger, plain);
    double before = model.certificate().sigma_min_bound;
    EXPECT_GT(before, 0.01 / condition);
    for (int step = 0; step < 8; ++step) {
      const Indices gone = sampler.subset(ledger.X.rows(), 3);
      model.forget(ledger.handles_of(gone));
      ledger.forget(gone);
      const RealMatrix G = real(ledger.X) * real(ledger.X).transpose();
      const double bound = model.certificate().sigma_min_bound;
      EXPECT_LE(bound, std::sqrt(double(smallest_eigenvalue(G))) * (1 + 1e-5));
      EXPECT_GE(bound, before);
      EXPECT_GE(model.certificate().condition_bound * bound, double(ledger.X.norm()) * 0.999);
      before = bound;
    }
  }
}

TEST(LinearInterpolator, ACopyIsIndependent) {
  Sampler sampler(31);
  Ledger<double> ledger(sampler.gaussian(12, 20), sampler.gaussian(12, 2));
  const auto model = fitted(ledger, with_intercept);
  const RowMatrix<double> coef = model.coef();
  auto copy = model;
  copy.forget(ledger.handles_of({0, 5, 6}));
  copy.learn(sampler.gaussian(2, 20), sampler.gaussian(2, 2));
  EXPECT_TRUE(holds(model, ledger));
  for (Index i = 0; i < 12; ++i)
    EXPECT_EQ(RowMatrix<double>(model.rows().gathered().row(i)),
              RowMatrix<double>(ledger.X.row(i)));
  EXPECT_EQ(model.coef(), coef);
}

TEST(LinearInterpolator, PreviewIsForgetAndChangesNothing) {
  Sampler sampler(9);
  for (const Index rank : {15, 30})
    for (const LinearOptions& options : {plain, with_intercept}) {
      Ledger<double> ledger(rank == 30 ? sampler.gaussian(30, 50) : sampler.deficient(30, 50, rank),
                            sampler.gaussian(30, 2));
      auto model = fitted(ledger, options);
      const auto before = model;
      const RowMatrix<double> held = ledger.X;
      const Indices gone = sampler.subset(30, 5);
      const auto preview = model.preview(ledger.handles_of(gone));
      expect_equal(model, before);
      EXPECT_TRUE(holds(model, ledger));
      EXPECT_FALSE(preview.rows().owned());
      for (Index i = 0; i < preview.n_samples(); ++i) {  // no row is copied
        const Index original = preview.samples().handles()[static_cast<std::size_t>(i)];
        EXPECT_EQ(preview.rows().place(i).first, model.rows().place(original).first);
      }
      const auto handles = ledger.handles_of(gone);
      ledger.forget(gone);
      EXPECT_TRUE(same_as_refit(preview, ledger, options));
      const Certificate c = preview.certificate();
      const RowMatrix<double> coef = preview.coef();
      model.forget(handles);
      EXPECT_LE((coef - model.coef()).rowwise().norm().maxCoeff(),
                c.parameter_error_bound + model.certificate().parameter_error_bound);
      EXPECT_EQ(c.method, model.certificate().method);
      EXPECT_EQ(c.n_forgotten, model.certificate().n_forgotten);
    }
}

// Nothing of a forgotten row or target stays in the model's buffers, nor of rows
// that were learned; the freed places are zero.
TEST(LinearInterpolator, ForgottenRowsAreOverwrittenInOwnedBuffers) {
  Sampler sampler(10);
  for (const bool dependent : {false, true}) {
    Ledger<double> ledger(dependent ? sampler.deficient(20, 30, 8) : sampler.gaussian(20, 30),
                          sampler.gaussian(20, 1));
    // Distinct entries, so that a trace is recognised; duplicates stay duplicates.
    ledger.X *= 1 / 3.0;
    RowMatrix<double> buffer = ledger.X, more = sampler.gaussian(4, 30);
    LinearInterpolator<double> model(plain);
    model.fit(Rows<double>(Rows<double>::Block{buffer.data(), 20, 30, nullptr}, 30, true),
              ledger.Y);
    const RowMatrix<double> added = more, targets = sampler.gaussian(4, 1);
    ledger.learn(added, targets,
                 model.learn(Rows<double>::Block{more.data(), 4, 30, nullptr}, 30, targets));
    for (const Indices& gone :
         std::vector<Indices>{{0}, {3, 21}, {18, 19, 20}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}}) {
      RowMatrix<double> secret(static_cast<Index>(gone.size()), 30);
      for (std::size_t i = 0; i < gone.size(); ++i)
        secret.row(static_cast<Index>(i)) = ledger.X.row(gone[i]);
      model.forget(ledger.handles_of(gone));
      ledger.forget(gone);
      EXPECT_TRUE(holds(model, ledger));
      EXPECT_TRUE(same_as_refit(model, ledger, plain));
      if (!dependent) {
        EXPECT_TRUE(holds_none_of(buffer, secret));
        EXPECT_TRUE(holds_none_of(more, secret));
      }
      // Every place holds a retained row or zeros; a forgotten row may have duplicates.
      for (const RowMatrix<double>* block : {&buffer, &more})
        for (Index i = 0; i < block->rows(); ++i) {
          bool clean = block->row(i).isZero(0);
          for (Index j = 0; j < ledger.X.rows(); ++j)
            clean = clean || identical(block->row(i), ledger.X.row(j));
          EXPECT_TRUE(clean) << "place " << i;
        }
    }
  }
}

// The same of a model's own copy, which lies in panels.
TEST(LinearInterpolator, ForgottenRowsAreOverwrittenInPanels) {
  Sampler sampler(12);
  for (const Index p : {30, 100}) {
    Ledger<double> ledger(sampler.gaussian(20, p), sampler.gaussian(20, 1));
    LinearInterpolator<double> model(plain);
    model.fit(ledger.X, ledger.Y);
    EXPECT_TRUE(model.rows().in_panels());
    const RowMatrix<double> more = sampler.gaussian(4, p), targets = sampler.gaussian(4, 1);
    ledger.learn(more, targets, model.learn(more, targets));
    const auto blocks = model.rows().blocks();  // keeps the memory
    for (const Indices& gone : std::vector<Indices>{{0}, {3, 21}, {0, 1, 2, 3, 4, 5, 6, 7}}) {
      const RowMatrix<double> secret = rows_of<double>(ledger.X, gone);
      model.forget(ledger.handles_of(gone));
      ledger.forget(gone);
      EXPECT_TRUE(same_as_refit(model, ledger, plain));
      EXPECT_TRUE(identical(model.rows().gathered(), ledger.X));
      Index held = 0;
      for (const auto& block : blocks) {
        const Index panels = (p + Rows<double>::panel_width - 1) / Rows<double>::panel_width;
        const Eigen::Map<const RowMatrix<double>> memory(block.data, panels, block.panel);
        EXPECT_TRUE(holds_none_of<double>(memory, secret));
        held += (memory.array() != 0).count();
      }
      EXPECT_EQ(held, ledger.X.size());
    }
  }
}

TEST(LinearInterpolator, BorrowedRowsAreNeverWritten) {
  Sampler sampler(11);
  for (const Index rank : {9, 20}) {
    Ledger<float> ledger(
        rank == 20 ? sampler.gaussian<float>(20, 30) : sampler.deficient<float>(20, 30, rank),
        sampler.gaussian<float>(20, 1));
    // Rows of a wider array, so that the stride is not the number of columns.
    RowMatrix<float> wide = RowMatrix<float>::Constant(20, 37, 99);
    wide.leftCols(30) = ledger.X;
    const RowMatrix<float> before = wide;
    LinearInterpolator<float> model(with_intercept);
    model.fit(Rows<float>::view(wide.leftCols(30)), ledger.Y);
    EXPECT_EQ(model.rows().place(5).first, &wide(5, 0));
    for (const Index k : {1, 3, 6}) {
      const Indices gone = sampler.subset(ledger.X.rows(), k);
      model.forget(ledger.handles_of(gone));
      ledger.forget(gone);
      EXPECT_TRUE(same_as_refit(model, ledger, with_intercept));
    }
    EXPECT_TRUE(identical(wide, before));
  }
}

TEST(LinearInterpolator, SetTargetsEqualsFitWithThem) {
  Sampler sampler(12);
  Ledger<double> ledger(sampler.gaussian(20, 30), sampler.gaussian(20, 1));
  auto model = fitted(ledger, with_intercept);
  model.forget({2, 5});
  ledger.forget({2, 5});
  ledger.Y = sampler.gaussian(18, 3);  // more outputs than before
  model.set_targets(ledger.Y);
  EXPECT_TRUE(same_as_refit(model, ledger, with_intercept));
  EXPECT_TRUE(interpolates(model, ledger));
}

TEST(LinearInterpolator, HighLevelOfTargetsGoesToTheIntercept) {
  Sampler sampler(13);
  Ledger<double> ledger(sampler.gaussian(20, 30), sampler.gaussian(20, 1));
  ledger.Y = (ledger.Y.array() * 0x1p10).round() * 0x1p-10;
  auto model = fitted(ledger, with_intercept);
  Ledger<double> raised = ledger;
  raised.Y.array() += 0x1p30;
  auto high = fitted(raised, with_intercept);
  EXPECT_TRUE(same_as_refit(high, raised, with_intercept));
  EXPECT_TRUE(close(high.coef(), model.coef(), 1e-12));
}

TEST(LinearInterpolator, PredictIsTheAffineMap) {
  Sampler sampler(14);
  Ledger<double> ledger(sampler.gaussian(10, 30), sampler.gaussian(10, 2));
  const auto model = fitted(ledger, with_intercept);
  EXPECT_TRUE(close(model.predict(ledger.X), ledger.Y, 1e-13));
  const RowMatrix<double> Z = sampler.gaussian(4, 30);
  RowMatrix<double> expected = Z * model.coef().transpose();
  expected.rowwise() += model.intercept().transpose();
  EXPECT_TRUE(close(model.predict(Z), expected, 1e-14));
}

// Held-out residuals and influence against n refits.
void expect_leave_one_out(const Ledger<double>& ledger, const LinearOptions& options) {
  const auto model = fitted(ledger, options);
  const RowMatrix<double> held_out = model.leave_one_out();
  const Index n = ledger.X.rows();
  const auto moved = model.influence(all_indices(n));
  EXPECT_TRUE(identical(moved.intercept, model.influence_intercept(all_indices(n))));
  for (Index i = 0; i < n; ++i) {
    Ledger<double> rest = ledger;
    rest.forget({i});
    const auto exact =
        linear_reference(real(rest.X), real(rest.Y), options.alpha, options.fit_intercept);
    for (Index k = 0; k < ledger.Y.cols(); ++k) {
      const Real prediction =
          ledger.X.row(i).cast<Real>().dot(exact.coef.row(k)) + exact.intercept(0, k);
      EXPECT_NEAR(held_out(i, k), double(Real(ledger.Y(i, k)) - prediction), 1e-9) << i;
      const RealMatrix coef =
          (model.coef().row(k) - held_out(i, k) * moved.coef.row(i)).cast<Real>();
      EXPECT_LT(double((coef - exact.coef.row(k)).norm()), 1e-9) << i;
      EXPECT_NEAR(model.intercept()(k) - held_out(i, k) * moved.intercept(i),
                  double(exact.intercept(0, k)), 1e-9)
          << i;
    }
  }
}
TEST(LinearInterpolator, LeaveOneOutEqualsRefits) {
  Sampler sampler(15);
  for (const bool intercept : {false, true}) {
    SCOPED_TRACE(intercept ? "intercept" : "no intercept");
    const LinearOptions options{0, intercept, FactorizationChoice::automatic};
    const RowMatrix<double> Y = sampler.gaussian(16, 2);
    expect_leave_one_out({sampler.gaussian(16, 30), Y}, options);
    expect_leave_one_out({sampler.deficient(16, 30, 9), Y}, options);
    expect_leave_one_out({sampler.deficient(16, 5, 5), Y}, options);
    expect_leave_one_out({sampler.gaussian(16, 10), Y},
                         {0.3, intercept, FactorizationChoice::automatic});
  }
}

TEST(LinearInterpolator, StateRoundTrip) {
  Sampler sampler(16);
  for (const Index rank : {9, 24})
    for (const LinearOptions& options :
         {plain, with_intercept, LinearOptions{0.1, true, FactorizationChoice::qr}}) {
      Ledger<double> ledger(rank == 24 ? sampler.gaussian(24, 40) : sampler.deficient(24, 40, rank),
                            sampler.gaussian(24, 2));
      auto model = fitted(ledger, options);
      model.forget({1, 7, 20});
      ledger.forget({1, 7, 20});
      auto restored =
          LinearInterpolator<double>::from_state(model.state(), Rows<double>::copy(ledger.X));
      EXPECT_TRUE(same_as_refit(restored, ledger, options));
      EXPECT_EQ(restored.certificate().method, model.certificate().method);
      EXPECT_EQ(restored.certificate().n_forgotten, 3);
      EXPECT_EQ(restored.certificate().sigma_min_bound, model.certificate().sigma_min_bound);
      EXPECT_LE((restored.coef() - model.coef()).norm(),
                2 * (model.certificate().parameter_error_bound +
                     restored.certificate().parameter_error_bound));
      // It goes on as the original would.
      const RowMatrix<double> rows = sampler.gaussian(2, 40), targets = sampler.gaussian(2, 2);
      const auto issued = restored.learn(rows, targets);
      EXPECT_EQ(issued, (std::vector<Handle>{24, 25}));
      ledger.learn(rows, targets, issued);
      restored.forget({0, 24});
      ledger.forget({0, 21});
      EXPECT_TRUE(same_as_refit(restored, ledger, options));
    }
}

TEST(LinearInterpolator, HandlesAscendAndAreNeverReused) {
  Sampler sampler(17);
  Ledger<double> ledger(sampler.gaussian(5, 30), sampler.gaussian(5, 1));
  auto model = fitted(ledger, plain);
  model.forget({4});
  EXPECT_EQ(model.learn(sampler.gaussian(2, 30), sampler.gaussian(2, 1)),
            (std::vector<Handle>{5, 6}));
  model.forget({6, 0});
  EXPECT_EQ(model.samples().handles(), (std::vector<Handle>{1, 2, 3, 5}));
  EXPECT_EQ(model.learn(sampler.gaussian(1, 30), sampler.gaussian(1, 1)), (std::vector<Handle>{7}));
}

TEST(LinearInterpolator, ErrorsLeaveTheModelUnchanged) {
  Sampler sampler(18);
  const double nan = std::numeric_limits<double>::quiet_NaN(),
               infinity = std::numeric_limits<double>::infinity();
  for (const Index rank : {5, 12}) {
    Ledger<double> ledger(rank == 12 ? sampler.gaussian(12, 20) : sampler.deficient(12, 20, rank),
                          sampler.gaussian(12, 2));
    auto model = fitted(ledger, with_intercept);
    model.forget({3});
    ledger.forget({3});
    const auto before = model;
    const RowMatrix<double> X = sampler.gaussian(2, 20), Y = sampler.gaussian(2, 2);
    RowMatrix<double> X_nan = X, Y_infinite = Y;
    X_nan(1, 19) = nan;
    Y_infinite(0, 1) = infinity;

    EXPECT_THROW(model.forget({}), InputError);
    EXPECT_THROW(model.forget({0, 3}), UnknownSampleError);  // forgotten already
    EXPECT_THROW(model.forget({1, 12}), UnknownSampleError);
    EXPECT_THROW(model.forget({-1}), UnknownSampleError);
    EXPECT_THROW(model.forget({1, 2, 1}), InputError);
    EXPECT_THROW(model.forget(ledger.handles), InputError);
    EXPECT_THROW(model.preview({3}), UnknownSampleError);
    EXPECT_THROW(model.preview(ledger.handles), InputError);
    EXPECT_THROW(model.learn(sampler.gaussian(2, 19), Y), ShapeError);
    EXPECT_THROW(model.learn(X, sampler.gaussian(3, 2)), ShapeError);
    EXPECT_THROW(model.learn(X, sampler.gaussian(2, 1)), ShapeError);
    EXPECT_THROW(model.learn(X, RowMatrix<double>(2, 0)), ShapeError);
    EXPECT_THROW(model.learn(RowMatrix<double>(0, 20), RowMatrix<double>(0, 2)), ShapeError);
    EXPECT_THROW(model.learn(X_nan, Y), InputError);
    EXPECT_THROW(model.learn(X, Y_infinite), InputError);
    EXPECT_THROW(model.set_targets(sampler.gaussian(12, 2)), ShapeError);
    EXPECT_THROW(model.set_targets(RowMatrix<double>::Constant(11, 2, nan)), InputError);
    EXPECT_THROW(model.set_targets(RowMatrix<double>(11, 0)), ShapeError);
    EXPECT_THROW(model.fit(X_nan, Y), InputError);
    EXPECT_THROW(model.fit(X, Y_infinite), InputError);
    EXPECT_THROW(model.fit(X, sampler.gaussian(3, 2)), ShapeError);
    EXPECT_THROW(model.fit(RowMatrix<double>(0, 20), RowMatrix<double>(0, 2)), ShapeError);
    EXPECT_THROW(model.fit(RowMatrix<double>(2, 0), Y), ShapeError);
    EXPECT_THROW(model.predict(sampler.gaussian(2, 21)), ShapeError);
    EXPECT_THROW(model.influence({11}), UnknownSampleError);
    EXPECT_THROW(model.influence_intercept({-1}), UnknownSampleError);
    expect_equal(model, before);
    EXPECT_TRUE(holds(model, ledger));
    model.forget({0});  // and it still works
    ledger.forget({0});
    EXPECT_TRUE(same_as_refit(model, ledger, with_intercept));
  }
}

TEST(LinearInterpolator, OptionsAreChecked) {
  for (const double alpha :
       {-1.0, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()})
    EXPECT_THROW(LinearInterpolator<double>({alpha, true, FactorizationChoice::automatic}),
                 InputError);
}

}  // namespace
}  // namespace minnorm::test
