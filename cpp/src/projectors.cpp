// The functions of minnorm.h on projectors. A projector reads J where the caller keeps it.
#include <cmath>

#include "buffers.hpp"
#include "handles.hpp"
#include "minnorm/jacobian_projector.hpp"

namespace minnorm::c {
namespace {

class AnyProjector {
 public:
  virtual ~AnyProjector() = default;
  virtual minnorm_projector_shape shape() const = 0;
  virtual void erase(const Indices& rows) = 0;
};

template <class S>
class Projector final : public AnyProjector {
 public:
  Projector(InputMap<S> J, ProjectorOptions options)
      : projector_(JacobianBlocks<S>::view(J), options) {}

  minnorm_projector_shape shape() const override {
    minnorm_projector_shape out{};
    out.rows = projector_.rows();
    out.cols = projector_.cols();
    out.rank = projector_.rank();
    out.factorization = static_cast<std::int32_t>(projector_.factorization());
    out.is_f32 = std::is_same_v<S, float>;
    return out;
  }
  void erase(const Indices& rows) override { projector_.erase(rows); }

  void append(InputMap<S> J) {
    if (J.cols() != projector_.cols())
      throw ShapeError("J: number of columns: " + detail::got(projector_.cols(), J.cols()));
    projector_.append({{J.cols(), {{const_cast<S*>(J.data()), J.rows(), J.outerStride(), {}}}}});
  }
  void project(InputMap<S> V, OutputMap<S> out, ProjectionReport* report) const {
    ProjectionWorkspace space;
    projector_.template project<S>(V, out, space, {}, report);
  }

 private:
  JacobianProjector<S> projector_;
};

// Never destroyed, like the models.
Handles<AnyProjector, minnorm_projector>& projectors() {
  static auto* handles = new Handles<AnyProjector, minnorm_projector>("projector");
  return *handles;
}

template <class S>
std::shared_ptr<Projector<S>> projector_of(const minnorm_projector* handle) {
  auto projector = std::dynamic_pointer_cast<Projector<S>>(projectors().find(handle));
  if (!projector) throw wrong_precision<S>("projector");
  return projector;
}

minnorm_projector_options defaults() { return {-1, 0, 0, MINNORM_PROJECTOR_AUTO}; }

ProjectorOptions from_c(const minnorm_projector_options& options) {
  constexpr JacobianFactorization choices[] = {
      JacobianFactorization::automatic, JacobianFactorization::cholesky,
      JacobianFactorization::seminormal, JacobianFactorization::qr};
  if (std::isnan(options.rtol)) throw InputError("rtol: expected a number, got NaN");
  ProjectorOptions out;
  out.rtol = options.rtol;
  out.damping = options.damping;
  out.damping_relative = enumerator(options.damping_relative, 1, "damping_relative") != 0;
  out.factorization =
      choices[enumerator(options.factorization, MINNORM_PROJECTOR_QR, "factorization")];
  return out;
}

void write(const ProjectionReport& from, minnorm_projection_report& to) {
  to = minnorm_projection_report{};
  to.rank = from.rank;
  to.rtol = from.rtol;
  to.orthogonality = from.orthogonality;
  to.norm_removed = from.norm_removed;
  to.passes = from.passes;
  to.reorthogonalised = from.reorthogonalised;
  to.factorization = static_cast<std::int32_t>(from.factorization);
}

template <class S>
minnorm_status create(std::int64_t m, std::int64_t p, const S* J, std::int64_t ldj,
                      const minnorm_projector_options* options, minnorm_projector** projector) {
  return guarded([&] {
    minnorm_projector*& out = required(projector, "projector");
    out = nullptr;
    const auto rows = input(J, m, p, ldj, "J");
    out = projectors().issue(
        std::make_shared<Projector<S>>(rows, from_c(options ? *options : defaults())));
  });
}

template <class S>
minnorm_status project(const minnorm_projector* projector, std::int64_t k, std::int64_t p,
                       const S* V, std::int64_t ldv, S* PV, std::int64_t ldpv,
                       minnorm_projection_report* report) {
  return guarded([&] {
    const auto held = projector_of<S>(projector);
    const auto vectors = input(V, k, p, ldv, "V");
    if (p != held->shape().cols)
      throw ShapeError("V: number of columns: " + detail::got(held->shape().cols, p));
    auto out = output(PV, k, p, ldpv, k, held->shape().cols, "PV");
    ProjectionReport measured;
    held->project(vectors, out, report ? &measured : nullptr);
    if (report) write(measured, *report);
  });
}

template <class S>
minnorm_status append(minnorm_projector* projector, std::int64_t m, std::int64_t p, const S* J,
                      std::int64_t ldj) {
  return guarded([&] { projector_of<S>(projector)->append(input(J, m, p, ldj, "J")); });
}

}  // namespace
}  // namespace minnorm::c

using namespace minnorm::c;

minnorm_status minnorm_projector_defaults(minnorm_projector_options* options) {
  return guarded([&] { required(options, "options") = defaults(); });
}
minnorm_status minnorm_projector_create_f64(int64_t m, int64_t p, const double* J, int64_t ldj,
                                            const minnorm_projector_options* options,
                                            minnorm_projector** projector) {
  return create(m, p, J, ldj, options, projector);
}
minnorm_status minnorm_projector_create_f32(int64_t m, int64_t p, const float* J, int64_t ldj,
                                            const minnorm_projector_options* options,
                                            minnorm_projector** projector) {
  return create(m, p, J, ldj, options, projector);
}
minnorm_status minnorm_projector_free(minnorm_projector* projector) {
  if (!projector) return MINNORM_OK;
  return guarded([&] { projectors().release(projector); });
}
minnorm_status minnorm_projector_get_shape(const minnorm_projector* projector,
                                           minnorm_projector_shape* shape) {
  return guarded([&] { required(shape, "shape") = projectors().find(projector)->shape(); });
}
minnorm_status minnorm_projector_project_f64(const minnorm_projector* projector, int64_t k,
                                             int64_t p, const double* V, int64_t ldv, double* PV,
                                             int64_t ldpv, minnorm_projection_report* report) {
  return project(projector, k, p, V, ldv, PV, ldpv, report);
}
minnorm_status minnorm_projector_project_f32(const minnorm_projector* projector, int64_t k,
                                             int64_t p, const float* V, int64_t ldv, float* PV,
                                             int64_t ldpv, minnorm_projection_report* report) {
  return project(projector, k, p, V, ldv, PV, ldpv, report);
}
minnorm_status minnorm_projector_erase(minnorm_projector* projector, int64_t count,
                                       const int64_t* rows) {
  return guarded([&] {
    const auto held = projectors().find(projector);
    if (count > held->shape().rows)
      throw minnorm::ShapeError("rows: expected at most the " + std::to_string(held->shape().rows) +
                                " rows held, got " + std::to_string(count));
    input(rows, count, 1, 1, "rows");
    held->erase(minnorm::Indices(rows, rows + count));
  });
}
minnorm_status minnorm_projector_append_f64(minnorm_projector* projector, int64_t m, int64_t p,
                                            const double* J, int64_t ldj) {
  return append(projector, m, p, J, ldj);
}
minnorm_status minnorm_projector_append_f32(minnorm_projector* projector, int64_t m, int64_t p,
                                            const float* J, int64_t ldj) {
  return append(projector, m, p, J, ldj);
}
