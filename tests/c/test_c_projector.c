// The projector through the C interface: what is projected is orthogonal to every row of
// J, rows leave and join, and misuse is answered by a status.
#include "check.h"

enum { m = 8, p = 60, ldj = 64, k = 2 };
static double J[m][ldj], V[k][p], P[k][p];
static float Jf[m][p], Vf[k][p], Pf[k][p];

static double along(const double* row, const double* v) {
  double sum = 0;
  for (int j = 0; j < p; ++j) sum += row[j] * v[j];
  return sum;
}

static void projects_and_follows_the_rows(void) {
  minnorm_projector* projector;
  minnorm_projector_shape shape;
  minnorm_projection_report report;
  OK(minnorm_projector_create_f64(m - 1, p, &J[0][0], ldj, NULL, &projector));
  OK(minnorm_projector_get_shape(projector, &shape));
  CHECK(shape.rows == m - 1 && shape.cols == p && shape.rank == m - 1 && shape.is_f32 == 0);
  CHECK(shape.factorization == MINNORM_PROJECTOR_CHOLESKY);
  OK(minnorm_projector_project_f64(projector, k, p, &V[0][0], p, &P[0][0], p, &report));
  CHECK(report.rank == m - 1 && report.orthogonality < 1e-14 && report.norm_removed > 0);
  for (int i = 0; i < m - 1; ++i) CHECK(fabs(along(J[i], P[1])) < 1e-12);
  CHECK(fabs(along(J[m - 1], P[1])) > 1e-3);

  const int64_t gone[2] = {0, 3};
  OK(minnorm_projector_append_f64(projector, 1, p, J[m - 1], ldj));
  OK(minnorm_projector_erase(projector, 2, gone));
  memcpy(P, V, sizeof P);  // in place
  OK(minnorm_projector_project_f64(projector, k, p, &P[0][0], p, &P[0][0], p, NULL));
  for (int i = 0; i < m; ++i)
    CHECK((fabs(along(J[i], P[0])) < 1e-12) == (i != gone[0] && i != gone[1]));

  minnorm_projector_options options;
  OK(minnorm_projector_defaults(&options));
  CHECK(options.rtol < 0 && options.damping == 0);
  options.damping = 1e300;  // then nothing is removed
  minnorm_projector* damped;
  OK(minnorm_projector_create_f64(m, p, &J[0][0], ldj, &options, &damped));
  OK(minnorm_projector_project_f64(damped, k, p, &V[0][0], p, &P[0][0], p, NULL));
  for (int j = 0; j < p; ++j) CHECK(fabs(P[0][j] - V[0][j]) < 1e-12);
  OK(minnorm_projector_free(projector));
  OK(minnorm_projector_free(damped));
}

static void single_precision(void) {
  minnorm_projector* projector;
  minnorm_projection_report report;
  OK(minnorm_projector_create_f32(m - 1, p, &Jf[0][0], p, NULL, &projector));
  OK(minnorm_projector_append_f32(projector, 1, p, Jf[m - 1], p));
  OK(minnorm_projector_project_f32(projector, k, p, &Vf[0][0], p, &Pf[0][0], p, &report));
  CHECK(report.rank == m && report.orthogonality < 1e-6);
  REFUSED(MINNORM_INVALID_INPUT, "call the function that ends in _f32",
          minnorm_projector_project_f64(projector, k, p, &V[0][0], p, &P[0][0], p, NULL));
  OK(minnorm_projector_free(projector));
}

static minnorm_status create(minnorm_projector_options options) {
  minnorm_projector* projector;
  return minnorm_projector_create_f64(m, p, &J[0][0], ldj, &options, &projector);
}

static void refused_creations(void) {
  minnorm_projector* projector;
  REFUSED(MINNORM_INVALID_INPUT, "J: expected a pointer",
          minnorm_projector_create_f64(m, p, NULL, p, NULL, &projector));
  CHECK(projector == NULL);
  REFUSED(MINNORM_INVALID_INPUT, "projector: expected a pointer",
          minnorm_projector_create_f64(m, p, &J[0][0], ldj, NULL, NULL));
  REFUSED(MINNORM_WRONG_SHAPE, "got shape (0, 60)",
          minnorm_projector_create_f64(0, p, &J[0][0], ldj, NULL, &projector));
  REFUSED(MINNORM_WRONG_SHAPE, "leading dimension",
          minnorm_projector_create_f64(m, p, &J[0][0], p - 1, NULL, &projector));
  minnorm_projector_options options;
  REFUSED(MINNORM_INVALID_INPUT, "options", minnorm_projector_defaults(NULL));
  OK(minnorm_projector_defaults(&options));
  minnorm_projector_options a = options, b = options, c = options, d = options;
  a.rtol = NAN;
  b.damping = -1;
  c.factorization = 17;
  d.damping_relative = 2;
  REFUSED(MINNORM_INVALID_INPUT, "rtol", create(a));
  REFUSED(MINNORM_INVALID_INPUT, "damping", create(b));
  REFUSED(MINNORM_INVALID_INPUT, "factorization: expected an enumerator", create(c));
  REFUSED(MINNORM_INVALID_INPUT, "damping_relative", create(d));
  J[2][5] = NAN;
  REFUSED(MINNORM_INVALID_INPUT, "J", create(options));
  J[2][5] = 0.5;
}

static void refused_calls(void) {
  minnorm_projector *projector, *freed;
  minnorm_projector_shape shape;
  OK(minnorm_projector_create_f64(m, p, &J[0][0], ldj, NULL, &projector));
  REFUSED(MINNORM_WRONG_SHAPE, "expected 60, got 59",
          minnorm_projector_project_f64(projector, k, p - 1, &V[0][0], p, &P[0][0], p - 1, NULL));
  REFUSED(MINNORM_INVALID_INPUT, "V: expected a pointer",
          minnorm_projector_project_f64(projector, k, p, NULL, p, &P[0][0], p, NULL));
  REFUSED(MINNORM_INVALID_INPUT, "PV: expected a pointer",
          minnorm_projector_project_f64(projector, k, p, &V[0][0], p, NULL, p, NULL));
  V[1][4] = INFINITY;
  REFUSED(MINNORM_INVALID_INPUT, "vector: expected finite",
          minnorm_projector_project_f64(projector, k, p, &V[0][0], p, &P[0][0], p, NULL));
  V[1][4] = 1;
  const int64_t beyond = m, descending[2] = {3, 1}, negative = -1;
  CHECK(minnorm_projector_erase(projector, 1, &beyond) != MINNORM_OK);
  CHECK(minnorm_projector_erase(projector, 1, &negative) != MINNORM_OK);
  CHECK(minnorm_projector_erase(projector, 2, descending) != MINNORM_OK);
  REFUSED(MINNORM_INVALID_INPUT, "rows: expected a pointer",
          minnorm_projector_erase(projector, 1, NULL));
  REFUSED(MINNORM_WRONG_SHAPE, "rows", minnorm_projector_erase(projector, 0, &beyond));
  REFUSED(MINNORM_WRONG_SHAPE, "rows", minnorm_projector_erase(projector, m + 1, &beyond));
  REFUSED(MINNORM_WRONG_SHAPE, "J: number of columns: expected 60, got 3",
          minnorm_projector_append_f64(projector, 1, 3, &J[0][0], ldj));
  OK(minnorm_projector_get_shape(projector, &shape));
  CHECK(shape.rows == m && shape.rank == m);

  OK(minnorm_projector_create_f64(m, p, &J[0][0], ldj, NULL, &freed));
  OK(minnorm_projector_free(freed));
  REFUSED(MINNORM_BAD_HANDLE, "projector: expected a handle in use, got one that was freed",
          minnorm_projector_get_shape(freed, &shape));
  REFUSED(MINNORM_BAD_HANDLE, "freed", minnorm_projector_free(freed));
  REFUSED(MINNORM_BAD_HANDLE, "got NULL", minnorm_projector_erase(NULL, 1, &beyond));
  minnorm_shape other;
  REFUSED(MINNORM_BAD_HANDLE, "of another kind",
          minnorm_get_shape((const minnorm_model*)(const void*)projector, &other));
  OK(minnorm_projector_free(projector));
  OK(minnorm_projector_free(NULL));
}

int main(void) {
  for (unsigned i = 0; i < m; ++i)
    for (unsigned j = 0; j < ldj; ++j) J[i][j] = j < p ? entry(i * p + j) : NAN;
  for (unsigned i = 0; i < k; ++i)
    for (unsigned j = 0; j < p; ++j) Vf[i][j] = (float)(V[i][j] = entry(9000 + i * p + j));
  for (unsigned i = 0; i < m; ++i)
    for (unsigned j = 0; j < p; ++j) Jf[i][j] = (float)J[i][j];
  projects_and_follows_the_rows();
  single_precision();
  refused_creations();
  refused_calls();
  printf("%d checks failed\n", failures);
  return failures != 0;
}
