// KernelInterpolator: after any sequence of forget and learn the function is the one
// that the retained samples define, and the certificate contains the difference in
// the norm of the kernel's Hilbert space.
#include "minnorm/kernel_interpolator.hpp"

#include "asserts.hpp"
#include "reference.hpp"
#include "samplers.hpp"

namespace minnorm::test {
namespace {

const KernelOptions rbf{{KernelType::rbf, 0.1, 3, 1}, 0};
const KernelOptions precomputed{{KernelType::precomputed, 1, 3, 1}, 0};

template <class S>
KernelInterpolator<S> fitted(const Ledger<S>& ledger, const KernelOptions& options) {
  KernelInterpolator<S> model(options);
  if (model.precomputed())
    model.fit_precomputed(ledger.X, ledger.Y);
  else
    model.fit(ledger.X, ledger.Y);
  return model;
}

// |f - f*|^2 = d^T K d with d = a - a*, K as the model evaluated it; the largest over
// the outputs.
template <class S>
AssertionResult same_as_refit(const KernelInterpolator<S>& model, const Ledger<S>& ledger) {
  if (!model.precomputed()) {
    const auto held = holds(model, ledger);
    if (!held) return held;
  } else if (model.samples().handles() != ledger.handles) {
    return AssertionFailure() << "handles differ";
  }
  const auto state = model.state();
  const RealMatrix K = state.K.template cast<Real>();
  const RealMatrix exact = kernel_reference(K, ledger.Y.template cast<Real>(), state.options.alpha);
  const RealMatrix gap = model.dual_coef().template cast<Real>() - exact;
  const Certificate& c = model.certificate();
  const RealMatrix energy = exact.transpose() * K * exact;
  const double size = std::sqrt(double(energy.diagonal().cwiseAbs().maxCoeff()));
  // The public coefficients of dependent samples are spread by W, one more rounding.
  const double spread = model.system().full_rank()
                            ? 0
                            : 100 * eps<S>() * std::sqrt(double(K.trace())) * double(exact.norm());
  for (Index k = 0; k < gap.cols(); ++k) {
    const double squared = double((gap.col(k).transpose() * K * gap.col(k))(0, 0));
    const double error = std::sqrt(std::max(0.0, squared));
    // A distance below the rounding of K d itself cannot be told from zero.
    const double rounding = allowance(std::min(c.condition_bound, 1e13), size) + spread;
    if (!(error <= c.parameter_error_bound + rounding))
      return AssertionFailure() << c.method << ": f is off by " << error << ", bound "
                                << c.parameter_error_bound << ", condition " << c.condition_bound;
  }
  if (c.n_retained != ledger.Y.rows() || c.rank != model.rank())
    return AssertionFailure() << "certificate counts " << c.n_retained << " samples";
  return AssertionSuccess();
}

// Nobody's bound would pass the others without this: finite, and of the size that
// sqrt(cond(K)) explains.
template <class S>
AssertionResult bound_is_sharp(const KernelInterpolator<S>& model) {
  const Certificate& c = model.certificate();
  const double size = double(model.samples().targets().norm()) / std::sqrt(c.sigma_min_bound);
  return at_most(c.parameter_error_bound, 1e3 * eps<S>() * c.condition_bound * size, "bound");
}

template <class S>
AssertionResult interpolates(const KernelInterpolator<S>& model, const Ledger<S>& ledger,
                             double tolerance) {
  if (!model.certificate().interpolates) return AssertionFailure() << "certificate: no";
  return close(model.predict(ledger.X), ledger.Y, tolerance);
}

// K of the state is the kernel function of the rows held, whatever came and went.
template <class S>
AssertionResult gram_is_direct(const KernelInterpolator<S>& model, const Ledger<S>& ledger,
                               const KernelOptions& options) {
  Matrix<S> K(ledger.X.rows(), ledger.X.rows());
  evaluate_symmetric<S>(options.kernel, ledger.X, K);
  const Matrix<S> held = model.state().K;
  const auto symmetric = identical(held, held.transpose());
  return symmetric ? close(held, K, 50 * eps<S>()) : symmetric;
}

void expect_equal(const KernelInterpolator<double>& model,
                  const KernelInterpolator<double>& before) {
  EXPECT_TRUE(identical(model.dual_coef(), before.dual_coef()));
  EXPECT_TRUE(identical(model.samples().targets(), before.samples().targets()));
  EXPECT_TRUE(identical(model.state().K, before.state().K));
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
  EXPECT_EQ(c.sigma_min_bound, d.sigma_min_bound);
}

template <class S>
void expect_sequence_same_as_refit(const KernelOptions& options, Index p) {
  Sampler sampler(1);
  Ledger<S> ledger(sampler.gaussian<S>(36, p), sampler.gaussian<S>(36, 2));
  auto model = fitted(ledger, options);
  EXPECT_TRUE(same_as_refit(model, ledger)) << "fit";
  EXPECT_TRUE(interpolates(model, ledger, 1e4 * eps<S>()) || options.alpha > 0);
  for (const Index k : {1, 3, 9, -2, 1, -1, 4}) {
    if (k > 0) {
      const Indices gone = sampler.subset(model.n_samples(), k);
      model.forget(ledger.handles_of(gone));
      ledger.forget(gone);
    } else {
      const RowMatrix<S> rows = sampler.gaussian<S>(-k, p), targets = sampler.gaussian<S>(-k, 2);
      ledger.learn(rows, targets, model.learn(rows, targets));
    }
    ASSERT_TRUE(same_as_refit(model, ledger)) << "after " << k;
    EXPECT_TRUE(gram_is_direct(model, ledger, options)) << "after " << k;
    EXPECT_TRUE(is_clean_triangle(model.system().factor()));
    EXPECT_TRUE(bound_is_sharp(model)) << "after " << k;
    if (options.alpha == 0) {
      EXPECT_TRUE(interpolates(model, ledger, 1e4 * eps<S>())) << "after " << k;
    }
  }
  EXPECT_EQ(model.certificate().n_forgotten, 18);
}

TEST(KernelInterpolator, SequencesEqualRefit) {
  for (const KernelType type : {KernelType::rbf, KernelType::laplacian, KernelType::matern32,
                                KernelType::matern52, KernelType::polynomial}) {
    SCOPED_TRACE("type " + std::to_string(static_cast<int>(type)));
    expect_sequence_same_as_refit<double>({{type, 0.1, 3, 1}, 0}, 8);
  }
  expect_sequence_same_as_refit<double>({{KernelType::linear, 1, 3, 1}, 0}, 60);
}
TEST(KernelInterpolator, SequencesEqualRefitInFloat) {
  expect_sequence_same_as_refit<float>({{KernelType::rbf, 0.3, 3, 1}, 0}, 8);
}
TEST(KernelInterpolator, RidgeSequencesEqualRefit) {
  for (const double alpha : {1e-4, 1.0})
    expect_sequence_same_as_refit<double>({{KernelType::rbf, 0.1, 3, 1}, alpha}, 8);
}

// A linear kernel gives the linear model: f(z) = z . X^+ y.
TEST(KernelInterpolator, LinearKernelIsTheLinearModel) {
  Sampler sampler(2);
  for (const Index p : {6, 40}) {
    Ledger<double> ledger(p == 6 ? sampler.deficient(20, p, 6) : sampler.gaussian(20, p),
                          sampler.gaussian(20, 1));
    auto model = fitted(ledger, {{KernelType::linear, 1, 3, 1}, 0});
    model.forget({0, 7, 19});
    ledger.forget({0, 7, 19});
    const auto exact = linear_reference(ledger.X.cast<Real>(), ledger.Y.cast<Real>(), 0, false);
    const RowMatrix<double> Z = sampler.gaussian(5, p);
    const RowMatrix<double> expected = (Z.cast<Real>() * exact.coef.transpose()).cast<double>();
    EXPECT_TRUE(close(model.predict(Z), expected, 1e-11));
  }
}

TEST(KernelInterpolator, IllConditionedKernelStaysWithinItsBound) {
  Sampler sampler(3);
  for (const double gamma : {1e-2, 1e-3}) {  // the flatter, the closer to singular
    const KernelOptions options{{KernelType::rbf, gamma, 3, 1}, 0};
    Ledger<double> ledger(sampler.gaussian(20, 6), sampler.gaussian(20, 1));
    auto model = fitted(ledger, options);
    EXPECT_GT(model.certificate().condition_bound, 1e3);
    for (int step = 0; step < 6; ++step) {
      EXPECT_TRUE(same_as_refit(model, ledger)) << gamma;
      const Indices gone = sampler.subset(ledger.X.rows(), 3);
      model.forget(ledger.handles_of(gone));
      ledger.forget(gone);
    }
  }
}

TEST(KernelInterpolator, BoundOnLambdaHoldsAndIsInheritedByDeletion) {
  Sampler sampler(4);
  for (const double gamma : {0.1, 0.01}) {
    Ledger<double> ledger(sampler.gaussian(25, 5), sampler.gaussian(25, 1));
    auto model = fitted(ledger, {{KernelType::rbf, gamma, 3, 1}, 0});
    double before = model.certificate().sigma_min_bound;
    EXPECT_GT(before, 0);
    for (int step = 0; step < 6; ++step) {
      const Indices gone = sampler.subset(ledger.X.rows(), 3);
      model.forget(ledger.handles_of(gone));
      ledger.forget(gone);
      const double lambda = double(smallest_eigenvalue(model.state().K.cast<Real>()));
      EXPECT_LE(model.certificate().sigma_min_bound, lambda * (1 + 1e-6));
      EXPECT_GE(model.certificate().sigma_min_bound, before);
      before = model.certificate().sigma_min_bound;
    }
  }
}

// A sample close to a held one, learned or stepping in for one that leaves, brings an
// eigenvalue far below the one proved before.
TEST(KernelInterpolator, CloseSampleLowersTheBoundOnLambda) {
  Sampler sampler(18);
  const auto expect_bound = [](const KernelInterpolator<double>& model) {
    const double lambda = double(smallest_eigenvalue(model.state().K.cast<Real>()));
    EXPECT_LE(model.certificate().sigma_min_bound, lambda * (1 + 1e-6));
    EXPECT_GT(model.certificate().sigma_min_bound, 1e-4 * lambda);
  };
  for (const double e : {1e-1, 1e-2, 1e-3}) {
    Ledger<double> ledger(sampler.gaussian(10, 5), sampler.gaussian(10, 1));
    auto model = fitted(ledger, rbf);
    const RowMatrix<double> close_by = ledger.X.row(3) + e * sampler.gaussian(1, 5),
                            targets = sampler.gaussian(1, 1);
    ledger.learn(close_by, targets, model.learn(close_by, targets));
    expect_bound(model);
    EXPECT_TRUE(same_as_refit(model, ledger));
  }
  for (const double e : {0x1p-6, 0x1p-10}) {  // linear kernel of x, x + e z and 100 z
    const RowMatrix<double> x = (sampler.gaussian(2, 6).array() * 0x1p4).round() * 0x1p-4;
    RowMatrix<double> X(3, 6);
    X << x.row(0), x.row(0) + e * x.row(1), 100 * x.row(1);
    Ledger<double> ledger(X, sampler.gaussian(3, 1));
    auto model = fitted(ledger, {{KernelType::linear, 1, 3, 1}, 0});
    EXPECT_EQ(model.rank(), 2);
    model.forget({2});
    EXPECT_EQ(model.rank(), 2);
    expect_bound(model);
  }
}

// Duplicates: consistent ones interpolate, others have the least-squares solution
// K^+ y, the same function whichever of them carries the coefficient.
TEST(KernelInterpolator, DuplicateSamplesAreThePseudoinverse) {
  Sampler sampler(5);
  for (const KernelType type : {KernelType::rbf, KernelType::matern32, KernelType::laplacian})
    for (const bool consistent : {true, false}) {
      const KernelOptions options{{type, 0.3, 3, 1}, 0};
      const RowMatrix<double> unique = sampler.gaussian(12, 5), values = sampler.gaussian(12, 2);
      RowMatrix<double> X(24, 5), Y = sampler.gaussian(24, 2);
      const Indices order = sampler.permutation(24);
      for (Index i = 0; i < 24; ++i) {
        X.row(order[std::size_t(i)]) = unique.row(i % 12);
        if (consistent) Y.row(order[std::size_t(i)]) = values.row(i % 12);
      }
      Ledger<double> ledger(X, Y);
      auto model = fitted(ledger, options);
      EXPECT_EQ(model.rank(), 12);
      while (ledger.X.rows() > 4) {
        SCOPED_TRACE(std::to_string(ledger.X.rows()) + " left");
        ASSERT_TRUE(same_as_refit(model, ledger));
        EXPECT_LT(model.certificate().parameter_error_bound, 1e-10);
        if (consistent) {
          EXPECT_TRUE(interpolates(model, ledger, 1e-12));
        }
        const RowMatrix<double> Z = sampler.gaussian(6, 5);
        Matrix<double> cross(6, ledger.X.rows());
        evaluate<double>(options.kernel, Z, ledger.X, cross);
        const RealMatrix a =
            kernel_reference(model.state().K.cast<Real>(), ledger.Y.cast<Real>(), 0);
        const RowMatrix<double> expected = (cross.cast<Real>() * a).cast<double>();
        EXPECT_TRUE(close(model.predict(Z), expected, 1e-11));
        const Indices gone = sampler.subset(ledger.X.rows(), 1 + sampler.below(3));
        model.forget(ledger.handles_of(gone));
        ledger.forget(gone);
      }
    }
}

TEST(KernelInterpolator, LearnsDuplicatesOfHeldSamples) {
  Sampler sampler(6);
  Ledger<double> ledger(sampler.gaussian(15, 5), sampler.gaussian(15, 1));
  auto model = fitted(ledger, rbf);
  RowMatrix<double> rows(2, 5), targets(2, 1);
  rows << ledger.X.row(3), ledger.X.row(8);
  targets << ledger.Y.row(3), ledger.Y.row(8) + RowMatrix<double>::Ones(1, 1);
  ledger.learn(rows, targets, model.learn(rows, targets));
  EXPECT_EQ(model.rank(), 15);
  EXPECT_FALSE(model.certificate().interpolates);
  EXPECT_TRUE(same_as_refit(model, ledger));
  model.forget({3, 8});  // their duplicates step in
  ledger.forget({3, 8});
  EXPECT_EQ(model.rank(), 15);
  EXPECT_TRUE(same_as_refit(model, ledger));
  EXPECT_TRUE(interpolates(model, ledger, 1e-10));
}

TEST(KernelInterpolator, PrecomputedIsTheModelOfItsFeatures) {
  Sampler sampler(7);
  Ledger<double> ledger(sampler.gaussian(20, 5), sampler.gaussian(20, 2));
  auto by_rows = fitted(ledger, rbf);
  Ledger<double> gram(RowMatrix<double>(by_rows.state().K), ledger.Y);
  auto by_gram = fitted(gram, precomputed);
  const auto kernel = [](const RowMatrix<double>& A, const RowMatrix<double>& B) {
    Matrix<double> K(A.rows(), B.rows());
    evaluate<double>(rbf.kernel, A, B, K);
    return RowMatrix<double>(K);
  };
  const auto forget = [&](const Indices& gone) {
    const auto handles = ledger.handles_of(gone);
    by_rows.forget(handles);
    by_gram.forget(handles);
    ledger.forget(gone);
  };
  const auto learn = [&](Index m) {
    const RowMatrix<double> rows = sampler.gaussian(m, 5), targets = sampler.gaussian(m, 2);
    RowMatrix<double> values(m, ledger.X.rows() + m);
    values << kernel(rows, ledger.X), kernel(rows, rows);
    const auto issued = by_rows.learn(rows, targets);
    EXPECT_EQ(by_gram.learn(values, targets), issued);
    ledger.learn(rows, targets, issued);
  };
  const auto expect_same = [&] {
    EXPECT_EQ(by_gram.samples().handles(), ledger.handles);
    EXPECT_TRUE(close(by_gram.state().K, by_rows.state().K, 1e-14));
    EXPECT_TRUE(same_as_refit(by_gram, ledger));
    EXPECT_TRUE(close(by_gram.dual_coef(), by_rows.dual_coef(), 1e-10));
    const RowMatrix<double> Z = sampler.gaussian(3, 5);
    EXPECT_TRUE(close(by_gram.predict(kernel(Z, ledger.X)), by_rows.predict(Z), 1e-10));
    EXPECT_TRUE(close(by_gram.leave_one_out(), by_rows.leave_one_out(), 1e-9));
  };
  expect_same();
  forget({0, 5, 6});
  expect_same();
  learn(2);
  expect_same();
  forget({1, 17});
  expect_same();
  learn(30);  // more than an update is worth
  expect_same();
  forget({0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20});
  expect_same();
}

TEST(KernelInterpolator, IndefiniteMatrixIsRefused) {
  Sampler sampler(8);
  Ledger<double> ledger(sampler.gaussian(10, 4), sampler.gaussian(10, 1));
  const RowMatrix<double> K = fitted(ledger, rbf).state().K;
  RowMatrix<double> negative = K, hidden = RowMatrix<double>::Zero(10, 10);
  negative(4, 4) = -0.5;
  hidden(0, 9) = hidden(9, 0) = 1;  // zero diagonal, eigenvalues 1 and -1
  for (const RowMatrix<double>& bad : {negative, hidden}) {
    KernelInterpolator<double> model(precomputed);
    model.fit_precomputed(K, ledger.Y);
    const auto before = model;
    EXPECT_THROW(model.fit_precomputed(bad, ledger.Y), NotPositiveDefiniteError);
    expect_equal(model, before);
    KernelInterpolator<double> ridge({precomputed.kernel, 1e-3});
    EXPECT_THROW(ridge.fit_precomputed(bad, ledger.Y), NotPositiveDefiniteError);
  }
  KernelInterpolator<double> ridge({precomputed.kernel, 2});
  EXPECT_NO_THROW(ridge.fit_precomputed(hidden, ledger.Y));  // K + 2 I is definite
}

TEST(KernelInterpolator, LearningWhatMakesItIndefiniteIsRefused) {
  Sampler sampler(9);
  Ledger<double> ledger(sampler.gaussian(10, 4), sampler.gaussian(10, 1));
  for (const bool duplicate : {false, true}) {
    if (duplicate) ledger.X.row(9) = ledger.X.row(0);
    Ledger<double> gram(RowMatrix<double>(fitted(ledger, rbf).state().K), ledger.Y);
    auto model = fitted(gram, precomputed);
    const auto before = model;
    RowMatrix<double> values = RowMatrix<double>::Zero(1, 11);
    values(0, 2) = 5;
    values(0, 10) = 1;  // |k(x, z)| > sqrt(k(x, x) k(z, z))
    EXPECT_THROW(model.learn(values, sampler.gaussian(1, 1)), NotPositiveDefiniteError);
    expect_equal(model, before);
  }
}

TEST(KernelInterpolator, ACopyIsIndependent) {
  Sampler sampler(32);
  Ledger<double> ledger(sampler.gaussian(12, 4), sampler.gaussian(12, 2));
  const auto model = fitted(ledger, rbf);
  const auto before = model.state();
  auto copy = model;
  copy.forget(ledger.handles_of({0, 5, 6}));
  copy.learn(sampler.gaussian(2, 4), sampler.gaussian(2, 2));
  EXPECT_TRUE(holds(model, ledger));
  EXPECT_TRUE(identical(model.state().K, before.K));
  for (Index i = 0; i < 12; ++i)
    EXPECT_EQ(RowMatrix<double>(model.rows().vector(i)), RowMatrix<double>(ledger.X.row(i)));
}

TEST(KernelInterpolator, PreviewIsForgetAndChangesNothing) {
  Sampler sampler(10);
  for (const bool duplicates : {false, true}) {
    Ledger<double> ledger(sampler.gaussian(20, 5), sampler.gaussian(20, 2));
    if (duplicates) ledger.X.bottomRows(8) = ledger.X.topRows(8);
    auto model = fitted(ledger, rbf);
    const auto before = model.state();
    const RowMatrix<double> dual = model.dual_coef();
    const Indices gone = sampler.subset(20, 5);
    const auto handles = ledger.handles_of(gone);
    const auto preview = model.preview(handles);
    EXPECT_TRUE(identical(model.state().K, before.K));
    EXPECT_TRUE(identical(model.state().L, before.L));
    EXPECT_TRUE(identical(model.dual_coef(), dual));
    EXPECT_TRUE(holds(model, ledger));
    const RowMatrix<double> Z = sampler.gaussian(4, 5);
    const RowMatrix<double> previewed = preview.predict(Z);
    ledger.forget(gone);
    EXPECT_TRUE(same_as_refit(preview, ledger));
    const Certificate c = preview.certificate();
    model.forget(handles);
    EXPECT_TRUE(same_as_refit(model, ledger));
    EXPECT_TRUE(close(model.predict(Z), previewed, 1e-9));
    EXPECT_EQ(c.method, model.certificate().method);
    EXPECT_EQ(c.n_forgotten, model.certificate().n_forgotten);
  }
}

TEST(KernelInterpolator, ForgottenRowsAreOverwrittenAndBorrowedOnesAreNot) {
  Sampler sampler(11);
  for (const bool duplicates : {false, true})
    for (const bool owned : {false, true}) {
      Ledger<double> ledger(sampler.gaussian(16, 5), sampler.gaussian(16, 1));
      if (duplicates) ledger.X.topRows(4) = ledger.X.middleRows(4, 4);
      RowMatrix<double> buffer = ledger.X;
      const RowMatrix<double> all = ledger.X;
      KernelInterpolator<double> model(rbf);
      model.fit(Rows<double>(Rows<double>::Block{buffer.data(), 16, 5, nullptr}, 5, owned),
                ledger.Y);
      const Indices gone = {2, 6, 11, 15};  // 2 and 6 are the same point, if any
      model.forget(ledger.handles_of(gone));
      ledger.forget(gone);
      EXPECT_TRUE(same_as_refit(model, ledger));
      if (owned) {
        EXPECT_TRUE(holds_none_of(buffer, RowMatrix<double>(all(gone, Eigen::all))));
        EXPECT_TRUE(buffer.bottomRows(4).isZero(0));
      } else {
        EXPECT_TRUE(identical(buffer, all));
      }
    }
}

TEST(KernelInterpolator, LeaveOneOutEqualsRefits) {
  Sampler sampler(12);
  for (const bool duplicates : {false, true})
    for (const double alpha : {0.0, 0.2}) {
      Ledger<double> ledger(sampler.gaussian(14, 4), sampler.gaussian(14, 2));
      if (duplicates) ledger.X.bottomRows(5) = ledger.X.topRows(5);
      const KernelOptions options{{KernelType::rbf, 0.3, 3, 1}, alpha};
      const auto model = fitted(ledger, options);
      const RowMatrix<double> held_out = model.leave_one_out();
      const RealMatrix K = model.state().K.cast<Real>();
      for (Index i = 0; i < 14; ++i) {
        Indices rest;
        for (Index j = 0; j < 14; ++j)
          if (j != i) rest.push_back(j);
        const RealMatrix Y = ledger.Y.cast<Real>();
        const RealMatrix a = kernel_reference(K(rest, rest), Y(rest, Eigen::all), alpha);
        const RealMatrix expected = Y.row(i) - K(Indices{i}, rest) * a;
        EXPECT_LT((held_out.row(i) - expected.row(0).cast<double>()).norm(), 1e-9) << i;
      }
    }
}

TEST(KernelInterpolator, StateRoundTrip) {
  Sampler sampler(13);
  for (const bool duplicates : {false, true}) {
    Ledger<double> ledger(sampler.gaussian(20, 5), sampler.gaussian(20, 2));
    if (duplicates) ledger.X.bottomRows(8) = ledger.X.topRows(8);
    auto model = fitted(ledger, rbf);
    model.forget({1, 9, 13});
    ledger.forget({1, 9, 13});
    auto restored =
        KernelInterpolator<double>::from_state(model.state(), Rows<double>::copy(ledger.X));
    EXPECT_TRUE(same_as_refit(restored, ledger));
    EXPECT_TRUE(identical(restored.state().K, model.state().K));
    EXPECT_EQ(restored.certificate().method, model.certificate().method);
    EXPECT_EQ(restored.certificate().sigma_min_bound, model.certificate().sigma_min_bound);
    EXPECT_EQ(restored.certificate().n_forgotten, 3);
    const RowMatrix<double> rows = sampler.gaussian(2, 5), targets = sampler.gaussian(2, 2);
    const auto issued = restored.learn(rows, targets);
    EXPECT_EQ(issued, (std::vector<Handle>{20, 21}));
    ledger.learn(rows, targets, issued);
    restored.forget({0, 20});
    ledger.forget({0, 17});
    EXPECT_TRUE(same_as_refit(restored, ledger));
    EXPECT_TRUE(gram_is_direct(restored, ledger, rbf));
  }
}

TEST(KernelInterpolator, SetTargetsEqualsFitWithThem) {
  Sampler sampler(14);
  Ledger<double> ledger(sampler.gaussian(12, 5), sampler.gaussian(12, 1));
  auto model = fitted(ledger, rbf);
  ledger.Y = sampler.gaussian(12, 3);
  model.set_targets(ledger.Y);
  EXPECT_TRUE(same_as_refit(model, ledger));
  EXPECT_TRUE(interpolates(model, ledger, 1e-11));
}

// A power of two times K and another times y: exact, however large.
TEST(KernelInterpolator, ScalesOfKernelAndTargetsDoNotMatter) {
  Sampler sampler(15);
  Ledger<double> ledger(sampler.gaussian(12, 5), sampler.gaussian(12, 1));
  Ledger<double> gram(RowMatrix<double>(fitted(ledger, rbf).state().K), ledger.Y);
  const RowMatrix<double> plain = fitted(gram, precomputed).dual_coef();
  for (const double k : {0x1p-400, 0x1p400})
    for (const double y : {0x1p-300, 0x1p300}) {
      Ledger<double> scaled(gram.X * k, gram.Y * y);
      auto model = fitted(scaled, precomputed);
      EXPECT_TRUE(close(model.dual_coef() * k / y, plain, 1e-13));
      EXPECT_TRUE(std::isfinite(model.certificate().parameter_error_bound));
      EXPECT_TRUE(bound_is_sharp(model));
    }
}

TEST(KernelInterpolator, ErrorsLeaveTheModelUnchanged) {
  Sampler sampler(16);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const bool duplicates : {false, true}) {
    Ledger<double> ledger(sampler.gaussian(12, 5), sampler.gaussian(12, 2));
    if (duplicates) ledger.X.bottomRows(4) = ledger.X.topRows(4);
    auto model = fitted(ledger, rbf);
    model.forget({3});
    ledger.forget({3});
    const auto before = model;
    const RowMatrix<double> X = sampler.gaussian(2, 5), Y = sampler.gaussian(2, 2);
    RowMatrix<double> X_nan = X;
    X_nan(1, 4) = nan;

    EXPECT_THROW(model.forget({}), InputError);
    EXPECT_THROW(model.forget({0, 3}), UnknownSampleError);
    EXPECT_THROW(model.forget({12}), UnknownSampleError);
    EXPECT_THROW(model.forget({1, 1}), InputError);
    EXPECT_THROW(model.forget(ledger.handles), InputError);
    EXPECT_THROW(model.preview({3}), UnknownSampleError);
    EXPECT_THROW(model.learn(sampler.gaussian(2, 4), Y), ShapeError);
    EXPECT_THROW(model.learn(X, sampler.gaussian(3, 2)), ShapeError);
    EXPECT_THROW(model.learn(X, sampler.gaussian(2, 1)), ShapeError);
    EXPECT_THROW(model.learn(RowMatrix<double>(0, X.cols()), RowMatrix<double>(0, 2)), ShapeError);
    EXPECT_THROW(model.learn(X_nan, Y), InputError);
    EXPECT_THROW(model.learn(X, RowMatrix<double>::Constant(2, 2, nan)), InputError);
    EXPECT_THROW(model.learn_precomputed(sampler.gaussian(2, 13), Y), InputError);
    EXPECT_THROW(model.set_targets(sampler.gaussian(12, 2)), ShapeError);
    EXPECT_THROW(model.fit(X_nan, Y), InputError);
    EXPECT_THROW(model.fit(X, sampler.gaussian(3, 2)), ShapeError);
    EXPECT_THROW(model.fit(RowMatrix<double>(0, 5), RowMatrix<double>(0, 2)), ShapeError);
    EXPECT_THROW(model.predict(sampler.gaussian(2, 6)), ShapeError);
    expect_equal(model, before);
    EXPECT_TRUE(holds(model, ledger));
    model.forget({0});  // and it still works
    ledger.forget({0});
    EXPECT_TRUE(same_as_refit(model, ledger));
  }
}

TEST(KernelInterpolator, PrecomputedErrors) {
  Sampler sampler(17);
  Ledger<double> ledger(sampler.gaussian(8, 4), sampler.gaussian(8, 1));
  Ledger<double> gram(RowMatrix<double>(fitted(ledger, rbf).state().K), ledger.Y);
  auto model = fitted(gram, precomputed);
  const auto before = model;
  RowMatrix<double> K_nan = gram.X;
  K_nan(2, 3) = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(model.fit_precomputed(gram.X.topRows(7), ledger.Y.topRows(7)), ShapeError);
  EXPECT_THROW(model.fit_precomputed(gram.X, ledger.Y.topRows(7)), ShapeError);
  EXPECT_THROW(model.fit_precomputed(K_nan, ledger.Y), InputError);
  EXPECT_THROW(model.learn(sampler.gaussian(1, 8), sampler.gaussian(1, 1)), ShapeError);
  EXPECT_THROW(model.learn(K_nan.row(2).replicate(1, 2).leftCols(9), sampler.gaussian(1, 1)),
               InputError);
  EXPECT_THROW(model.predict(sampler.gaussian(1, 9)), ShapeError);
  expect_equal(model, before);
}

TEST(KernelInterpolator, OptionsAreChecked) {
  EXPECT_THROW(KernelInterpolator<double>({rbf.kernel, -1}), InputError);
  EXPECT_THROW(KernelInterpolator<double>({{KernelType::rbf, 0, 3, 1}, 0}), InputError);
  const KernelOptions steep{{KernelType::polynomial, 1, 1e6, 1}, 0};
  KernelInterpolator<double> model(steep);  // overflows
  EXPECT_THROW(model.fit(RowMatrix<double>::Constant(2, 2, 3), RowMatrix<double>::Ones(2, 1)),
               InputError);
}

}  // namespace
}  // namespace minnorm::test
