// A step of training that leaves a model's outputs on chosen samples as they are, to first
// order: the update is projected on the orthogonal complement of their gradients.
//
// Gradients, update and parameters lie in buffers of the program. Eigen::Map lets the
// library read them there; the Jacobian is never copied, so it may fill the memory.
#include <cmath>
#include <cstdio>
#include <minnorm/jacobian_projector.hpp>
#include <vector>

int main() {
  using minnorm::RowMatrix;
  constexpr minnorm::Index samples = 24, parameters = 5000;
  std::vector<float> parameter(parameters, 1.0f), update(parameters), jacobian;
  for (minnorm::Index i = 0; i < samples * parameters; ++i)
    jacobian.push_back(static_cast<float>(std::sin(static_cast<double>(i * i % 7919))));
  for (std::size_t j = 0; j < update.size(); ++j)
    update[j] = static_cast<float>(std::cos(static_cast<double>(j * j % 6007)));

  const Eigen::Map<const RowMatrix<float>> J(jacobian.data(), samples, parameters);
  const Eigen::Map<const RowMatrix<float>> v(update.data(), 1, parameters);
  Eigen::Map<RowMatrix<float>> theta(parameter.data(), 1, parameters);

  const auto in_place = minnorm::JacobianBlocks<float>::view(J);
  const minnorm::JacobianProjector<float> projector(in_place);
  minnorm::ProjectionReport report;
  minnorm::ProjectionWorkspace workspace;  // kept over steps: the next ones allocate nothing
  RowMatrix<float> step(1, parameters);
  projector.project<float>(v, step, workspace, {}, &report);
  theta -= 0.1f * step;

  const double moved = (J.cast<double>() * (theta.cast<double>().array() - 1).matrix().transpose())
                           .cwiseAbs()
                           .maxCoeff();
  std::printf("rank %d, %d reads of J, |J P v| / (|J| |v|) = %.1e, outputs moved by %.1e\n",
              static_cast<int>(report.rank), report.passes, report.orthogonality, moved);
  return moved < 1e-4 ? 0 : 1;
}
