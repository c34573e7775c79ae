// One vector projected off a float Jacobian, from J to P v, against an orthogonal basis
// by Eigen's Householder QR in single precision and in double.
#include "minnorm/jacobian_projector.hpp"

#include <Eigen/QR>

#include "problems.hpp"

namespace minnorm::bench {
namespace {

double projection_flops(Index m, Index p) {
  const double rows = static_cast<double>(m);
  return (rows * (rows + 1) + 6 * rows) * static_cast<double>(p);
}

void ProjectOut(benchmark::State& state) {
  const Index m = state.range(0), p = state.range(1);
  const RowMatrix<float> J = gaussian<float>(m, p), v = gaussian<float>(1, p, 2);
  for (auto _ : state) {
    const RowMatrix<float> out =
        project_out<float, float>(JacobianBlocks<float>::view(J), ConstRowMatrixRef<float>(v));
    benchmark::DoNotOptimize(out.data());
  }
  rates(state, projection_flops(m, p), 2.0 * static_cast<double>(J.size()) * sizeof(float));
}
void ProjectAgain(benchmark::State& state) {
  const Index m = state.range(0), p = state.range(1);
  const RowMatrix<float> J = gaussian<float>(m, p), v = gaussian<float>(1, p, 2);
  const JacobianProjector<float> projector(JacobianBlocks<float>::view(J));
  for (auto _ : state) {
    const RowMatrix<float> out = projector.project<float>(ConstRowMatrixRef<float>(v));
    benchmark::DoNotOptimize(out.data());
  }
  rates(state, 6.0 * static_cast<double>(J.size()),
        2.0 * static_cast<double>(J.size()) * sizeof(float));
}
template <class S>
void HouseholderQR(benchmark::State& state) {
  const Index m = state.range(0), p = state.range(1);
  const RowMatrix<S> J = gaussian<S>(m, p), v = gaussian<S>(1, p, 2);
  for (auto _ : state) {
    const Eigen::HouseholderQR<Matrix<S>> qr(J.transpose());
    Vector<S> w = qr.householderQ().adjoint() * v.transpose();
    w.head(m).setZero();  // the coordinates along the rows of J
    const Vector<S> out = qr.householderQ() * w;
    benchmark::DoNotOptimize(out.data());
  }
  rates(state, 2.0 * static_cast<double>(m) * static_cast<double>(J.size()),
        static_cast<double>(J.size()) * sizeof(S));
}

constexpr auto ms = benchmark::kMillisecond;
BENCHMARK(ProjectOut)->Args({50, 1 << 19})->Unit(ms)->UseRealTime();
BENCHMARK(ProjectAgain)->Args({50, 1 << 19})->Unit(ms)->UseRealTime();
BENCHMARK(HouseholderQR<float>)->Args({50, 1 << 19})->Unit(ms);
BENCHMARK(HouseholderQR<double>)->Args({50, 1 << 19})->Unit(ms);

}  // namespace
}  // namespace minnorm::bench
