// threads.hpp and what uses it, compiled with OpenMP: results for one, two and three
// threads agree to rounding, or entirely where every entry is the same sum.
#include "minnorm/threads.hpp"

#include <mutex>
#include <set>

#include "asserts.hpp"
#include "minnorm/minnorm.hpp"
#include "reference.hpp"
#include "samplers.hpp"

namespace minnorm::test {
namespace {

// Sets the number of threads while it lives.
class Threads {
 public:
  explicit Threads(int count) { omp_set_num_threads(count); }
  ~Threads() { omp_set_num_threads(before_); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  int before_ = omp_get_max_threads();
};

// f() by one thread, by two and by three.
template <class F>
auto by_counts(F f) {
  std::vector<decltype(f())> results;
  for (const int count : {1, 2, 3}) {
    const Threads threads(count);
    results.push_back(f());
  }
  return results;
}

constexpr double large = 1e12;  // flops enough for any number of threads

TEST(ThreadCounts, EveryTaskOnceByNoMoreThreadsThanAsked) {
  for (const int count : {1, 2, 3}) {
    const Threads threads(count);
    EXPECT_EQ(detail::thread_count(large), count);
    EXPECT_EQ(detail::thread_count(1), 1);
    std::mutex lock;
    std::set<std::thread::id> seen;
    std::vector<int> done(100, 0);
    detail::for_each_task(100, detail::thread_count(large), [&](Index i) {
      const std::lock_guard guard(lock);
      seen.insert(std::this_thread::get_id());
      ++done[static_cast<std::size_t>(i)];
    });
    EXPECT_EQ(done, std::vector<int>(100, 1));
    EXPECT_LE(seen.size(), static_cast<std::size_t>(count));
  }
}

TEST(ThreadCounts, TasksStartNoThreads) {
  const Threads threads(3);
  std::vector<Index> inside(8, 0);
  std::vector<int> of_eigen(8, 0);  // its products ask OpenMP for threads of their own
  detail::for_each_task(8, 3, [&](Index i) {
    inside[static_cast<std::size_t>(i)] = detail::thread_count(large);
    of_eigen[static_cast<std::size_t>(i)] = Eigen::nbThreads();
  });
  EXPECT_EQ(inside, std::vector<Index>(8, 1));
  EXPECT_EQ(of_eigen, std::vector<int>(8, 1));
  EXPECT_EQ(detail::thread_count(large), 3);
}

TEST(ThreadCounts, NorDoesACallFromAParallelRegion) {
  const Threads threads(3);
  Index inside[2] = {0, 0};
#pragma omp parallel num_threads(2)
  inside[omp_get_thread_num()] = detail::thread_count(large);
  if (inside[1] > 0) {  // the runtime gave two threads
    EXPECT_EQ(inside[0], 1);
    EXPECT_EQ(inside[1], 1);
  }
}

TEST(ThreadCounts, TheFirstFailureIsThrownWhenAllAreDone) {
  for (const Index count : {1, 2, 3}) {
    std::atomic<int> done{0};
    try {
      detail::for_each_task(20, count, [&](Index i) {
        if (i == 5 || i == 12) throw InputError("task " + std::to_string(i));
        ++done;
      });
      ADD_FAILURE() << "expected an error";
    } catch (const InputError& error) {
      EXPECT_STREQ(error.what(), "task 5");
    }
    EXPECT_EQ(done, count == 1 ? 5 : 18);  // one thread ends at the failure
  }
}

TEST(ThreadCounts, PartsCoverTheWhole) {
  for (const Index count : {0, 1, 63, 64, 65, 1000, 4097})
    for (const Index parts : {1, 2, 3, 7}) {
      Index at = 0;
      for (Index i = 0; i < parts; ++i) {
        const auto part = detail::part_of(count, i, parts, 64);
        EXPECT_EQ(part.first, at);
        EXPECT_GE(part.last, part.first);
        EXPECT_TRUE(part.last % 64 == 0 || part.last == count);
        at = part.last;
      }
      EXPECT_EQ(at, count);
    }
}

TEST(ThreadCounts, CholeskyAndOuterProducts) {
  Sampler sampler(1);
  const RowMatrix<double> X = sampler.gaussian(700, 800);
  const auto factors = by_counts([&] {
    Matrix<double> G = Matrix<double>::Zero(700, 700);
    detail::add_outer_product<double>(X, 0.5, G);
    const Matrix<double> product = G;
    EXPECT_TRUE(detail::cholesky_in_place<double>(G));
    const Matrix<double> L = G.triangularView<Eigen::Lower>();
    const Matrix<double> gap = L * L.transpose() - product;
    EXPECT_LE(gap.triangularView<Eigen::Lower>().toDenseMatrix().norm(),
              700 * eps<double>() * product.norm());
    const Matrix<double> expected = 0.5 * X * X.transpose() - product;
    EXPECT_LE(expected.triangularView<Eigen::Lower>().toDenseMatrix().norm(),
              100 * eps<double>() * product.norm());
    return L;
  });
  for (const auto& L : factors)
    EXPECT_LE((L - factors[0]).norm(), 1e4 * eps<double>() * factors[0].norm());
}

TEST(ThreadCounts, CholeskyThatBreaksDown) {
  for (const Index negative : {0, 100, 300, 699}) {
    const auto factored = by_counts([&] {
      Matrix<double> G = Matrix<double>::Identity(700, 700);
      G(negative, negative) = -1;
      return detail::cholesky_in_place<double>(G);
    });
    EXPECT_EQ(factored, std::vector<bool>(3, false)) << negative;
  }
}

TEST(ThreadCounts, TriangularInverse) {
  Sampler sampler(8);
  const Matrix<double> L = triangular_factor(sampler.conditioned(700, 800, 30));
  const auto inverses = by_counts([&] {
    Matrix<double> V = L;
    detail::invert_triangle<double>(V);
    EXPECT_TRUE(V.triangularView<Eigen::StrictlyUpper>().toDenseMatrix().isZero(0));
    EXPECT_LE((V * L - Matrix<double>::Identity(700, 700)).norm(),
              700 * eps<double>() * V.norm() * L.norm());
    return V;
  });
  for (const auto& V : inverses)
    EXPECT_LE((V - inverses[0]).norm(), 1e4 * eps<double>() * inverses[0].norm());
}

TEST(ThreadCounts, KernelMatrices) {
  Sampler sampler(2);
  const RowMatrix<double> X = sampler.gaussian(700, 60), Z = sampler.gaussian(600, 60);
  const Kernel kernel{KernelType::rbf, 0.01, 3, 1};
  const auto symmetric = by_counts([&] {
    Matrix<double> K(700, 700);
    evaluate_symmetric<double>(kernel, X, K);
    EXPECT_EQ(K, K.transpose());
    return K;
  });
  const auto cross = by_counts([&] {
    Matrix<double> K(700, 600);
    evaluate<double>(kernel, X, Z, K);
    return K;
  });
  for (std::size_t c : {1u, 2u}) {
    EXPECT_EQ(symmetric[c], symmetric[0]);
    EXPECT_EQ(cross[c], cross[0]);
  }
  const Threads threads(2);
  Matrix<double> K(700, 600);
  EXPECT_THROW(evaluate<double>({KernelType::precomputed, 1, 3, 1}, X, Z, K), InputError);
}

TEST(ThreadCounts, FusedPass) {
  Sampler sampler(6);
  const Index n = 300, p = 6000, outputs = 2;
  const RowMatrix<double> X = sampler.gaussian(n, p);
  const Matrix<double> A = sampler.gaussian(n - 20, outputs), Y = sampler.gaussian(n, outputs);
  Indices chosen = all_indices(n);
  chosen.resize(n - 20);
  const auto rows = Rows<double>::view(X);
  const auto passed = by_counts([&] {
    Workspace space;
    RowMatrix<double> theta = RowMatrix<double>::Zero(outputs, p);
    Matrix<double> R = Y;
    detail::fused_pass<double>(rows, chosen, A, 0.5, theta, R, space);
    const RowMatrix<double> reference = 0.5 * A.transpose() * X.topRows(n - 20);
    EXPECT_LE((theta - reference).norm(), 1e3 * eps<double>() * reference.norm());
    const Matrix<double> residual = Y - 0.5 * X * theta.transpose();
    EXPECT_LE((R - residual).norm(), 1e3 * eps<double>() * residual.norm());
    return theta;
  });
  for (const auto& theta : passed) EXPECT_EQ(theta, passed[0]);
}

TEST(ThreadCounts, TheFirstRowThatIsNotFiniteIsNamed) {
  Sampler sampler(7);
  RowMatrix<double> X = sampler.gaussian(400, 20000);
  const RowMatrix<double> Y = sampler.gaussian(400, 1);
  X(390, 3) = X(201, 0) = X(17, 19999) = std::numeric_limits<double>::quiet_NaN();
  const auto named = by_counts([&] {
    try {
      LinearInterpolator<double>().fit(Rows<double>::view(X), Y);
    } catch (const InputError& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  });
  for (const std::string& text : named)
    EXPECT_NE(text.find("in row 17;"), std::string::npos) << text;
}

template <class Model>
void expect_same_model(Model model, Index n, Index p) {
  Sampler sampler(3);
  const RowMatrix<double> X = sampler.gaussian(n, p), Y = sampler.gaussian(n, 2);
  const auto fitted = by_counts([&] {
    model.fit(X, Y);
    model.forget({5, 17});
    return model;
  });
  for (const Model& other : fitted) {
    EXPECT_GT(other.certificate().sigma_min_bound, 0);
    const double distance = (other.dual_coef() - fitted[0].dual_coef()).norm();
    EXPECT_LE(distance, 1e-10 * fitted[0].dual_coef().norm());
  }
}
TEST(ThreadCounts, LinearInterpolator) {
  expect_same_model(LinearInterpolator<double>(), 600, 900);
}
TEST(ThreadCounts, KernelInterpolator) {
  KernelOptions options;
  options.kernel.gamma = 0.02;
  expect_same_model(KernelInterpolator<double>(options), 600, 40);
}

// Any types of rows and vectors; columns in two blocks; every pass gives every column back
// once.
template <class S, class T>
void expect_same_projection(Index vectors) {
  Sampler sampler(4);
  const Index m = 20, p = 90000, cut = 31000;
  const RowMatrix<S> J = sampler.gaussian<S>(m, p);
  const RowMatrix<T> V = sampler.gaussian<T>(vectors, p);
  using Blocks = JacobianBlocks<S>;
  const auto column = [&](Index first, Index w) {
    return typename Blocks::ColumnBlock{
        w, {{const_cast<S*>(J.data()) + first, m, J.outerStride(), nullptr}}};
  };
  std::mutex lock;
  std::vector<int> released;
  const auto projected = by_counts([&] {
    released.assign(p, 0);
    const Blocks blocks({column(0, cut), column(cut, p - cut)}, [&](Index first, Index last) {
      const std::lock_guard guard(lock);
      for (Index j = first; j < last; ++j) ++released[static_cast<std::size_t>(j)];
    });
    ProjectionReport report;
    const RowMatrix<T> out = project_out<S, T>(blocks, ConstRowMatrixRef<T>(V), {}, {}, &report);
    EXPECT_LE(report.orthogonality, 100 * eps<T>());
    EXPECT_GE(released[0], 2);
    EXPECT_EQ(released, std::vector<int>(p, released[0]));
    return out;
  });
  for (const auto& out : projected)
    EXPECT_LE((out - projected[0]).norm(), 10 * eps<T>() * V.norm());
}
TEST(ThreadCounts, Projector) {
  expect_same_projection<float, float>(1);
  expect_same_projection<float, float>(6);
  expect_same_projection<float, double>(2);
  expect_same_projection<double, double>(1);
}

TEST(ThreadCounts, QlessQR) {
  Sampler sampler(9);
  const RowMatrix<double> J = sampler.gaussian(30, 90000);
  const Indices all = all_indices(30);
  const Matrix<double> expected = triangular_factor(J);
  const auto factors = by_counts([&] {
    return Matrix<double>(
        detail::qless_qr(JacobianBlocks<double>::view(J), all, Vector<double>()).matrix());
  });
  for (const auto& L : factors)
    EXPECT_LE((L - expected).norm(), 1e3 * eps<double>() * expected.norm());
}

TEST(ThreadCounts, ProjectorGrows) {
  Sampler sampler(5);
  const RowMatrix<float> J = sampler.gaussian<float>(24, 90000),
                         v = sampler.gaussian<float>(1, 90000);
  const auto projected = by_counts([&] {
    JacobianProjector<float> projector(JacobianBlocks<float>::view(J.topRows(16)));
    projector.append({{J.cols(), {{const_cast<float*>(J.row(16).data()), 8, J.cols(), nullptr}}}});
    projector.erase({3});
    ProjectionReport report;
    const RowMatrix<float> out = projector.project<float>(ConstRowMatrixRef<float>(v), {}, &report);
    EXPECT_EQ(report.rank, 23);
    EXPECT_LE(report.orthogonality, 100 * eps<float>());
    return out;
  });
  for (const auto& out : projected)
    EXPECT_LE((out - projected[0]).norm(), 10 * eps<float>() * v.norm());
}

}  // namespace
}  // namespace minnorm::test
