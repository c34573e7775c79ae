// Every misuse of the C interface that can be told apart is answered by a status and a
// message that names what came, and leaves the model as it was.
#include "check.h"

enum { n = 12, p = 20, t = 2 };
static double X[n][p], Y[n][t], out[n * p];
static float Xf[n][p], Yf[n][t], outf[n * p];
static int64_t ids[n];
static minnorm_model *linear, *kernel;

static minnorm_status fit(int64_t rows, int64_t cols, int64_t outputs, const double* x, int64_t ldx,
                          const double* y, int64_t ldy) {
  minnorm_model* model = linear;
  const minnorm_status status =
      minnorm_linear_fit_f64(rows, cols, outputs, x, ldx, y, ldy, NULL, &model);
  CHECK(status == MINNORM_OK || model == NULL);
  if (status == MINNORM_OK) minnorm_free(model);
  return status;
}

static void refused_fits(void) {
  const double* x = &X[0][0];
  const double* y = &Y[0][0];
  REFUSED(MINNORM_INVALID_INPUT, "X: expected a pointer, got NULL", fit(n, p, t, NULL, p, y, t));
  REFUSED(MINNORM_INVALID_INPUT, "Y: expected a pointer, got NULL", fit(n, p, t, x, p, NULL, t));
  REFUSED(MINNORM_INVALID_INPUT, "model: expected a pointer, got NULL",
          minnorm_linear_fit_f64(n, p, t, x, p, y, t, NULL, NULL));
  REFUSED(MINNORM_WRONG_SHAPE, "got shape (0, 20)", fit(0, p, t, x, p, y, t));
  REFUSED(MINNORM_WRONG_SHAPE, "got shape (12, -1)", fit(n, -1, t, x, p, y, t));
  REFUSED(MINNORM_WRONG_SHAPE, "got shape (12, 0)", fit(n, p, 0, x, p, y, t));
  REFUSED(MINNORM_WRONG_SHAPE, "at least the number of columns, 20, got 19",
          fit(n, p, t, x, p - 1, y, t));
  REFUSED(MINNORM_WRONG_SHAPE, "fits the address space", fit(INT64_MAX, p, t, x, p, y, t));
  REFUSED(MINNORM_WRONG_SHAPE, "fits the address space", fit(n, p, t, x, INT64_MAX, y, t));

  const double kept = X[5][3];
  X[5][3] = NAN;
  REFUSED(MINNORM_INVALID_INPUT, "NaN or infinity in row 5", fit(n, p, t, x, p, y, t));
  X[5][3] = kept;
  Y[2][1] = INFINITY;
  REFUSED(MINNORM_INVALID_INPUT, "y: expected finite values", fit(n, p, t, x, p, y, t));
  Y[2][1] = 0.25;
}

static minnorm_status fit_linear(minnorm_linear_options options) {
  minnorm_model* model;
  return minnorm_linear_fit_f64(n, p, t, &X[0][0], p, &Y[0][0], t, &options, &model);
}
static minnorm_status fit_kernel(minnorm_kernel_options options) {
  minnorm_model* model;
  return minnorm_kernel_fit_f64(n, p, t, &X[0][0], p, &Y[0][0], t, &options, &model);
}

static void refused_options(void) {
  minnorm_linear_options a;
  minnorm_kernel_options b;
  REFUSED(MINNORM_INVALID_INPUT, "options", minnorm_linear_defaults(NULL));
  REFUSED(MINNORM_INVALID_INPUT, "options", minnorm_kernel_defaults(NULL));
  OK(minnorm_linear_defaults(&a));
  OK(minnorm_kernel_defaults(&b));
  minnorm_linear_options c = a, d = a, e = a;
  c.alpha = -1;
  d.alpha = NAN;
  e.factorization = 3;
  REFUSED(MINNORM_INVALID_INPUT, "alpha: expected a finite number >= 0", fit_linear(c));
  REFUSED(MINNORM_INVALID_INPUT, "alpha", fit_linear(d));
  REFUSED(MINNORM_INVALID_INPUT, "factorization: expected", fit_linear(e));
  a.fit_intercept = -7;
  REFUSED(MINNORM_INVALID_INPUT, "fit_intercept", fit_linear(a));
  minnorm_kernel_options f = b, g = b, h = b;
  f.kernel = 99;
  g.gamma = 0;
  h.kernel = MINNORM_KERNEL_PRECOMPUTED;  // of a matrix that is not square
  REFUSED(MINNORM_INVALID_INPUT, "kernel: expected an enumerator from 0 to 6, got 99",
          fit_kernel(f));
  REFUSED(MINNORM_INVALID_INPUT, "gamma", fit_kernel(g));
  REFUSED(MINNORM_WRONG_SHAPE, "expected a square matrix", fit_kernel(h));

  const double indefinite[4] = {1, 2, 2, 1};
  minnorm_model* model;
  REFUSED(MINNORM_NOT_POSITIVE_DEFINITE, "positive semidefinite",
          minnorm_kernel_fit_f64(2, 2, 1, indefinite, 2, &Y[0][0], t, &h, &model));
}

static void refused_deletions(void) {
  minnorm_certificate before, after;
  OK(minnorm_certify(linear, &before));
  const int64_t unknown[2] = {3, 4000}, negative = -1, twice[3] = {5, 2, 5};
  REFUSED(MINNORM_UNKNOWN_SAMPLE, "sample 4000 was never held",
          minnorm_forget(linear, 2, unknown, NULL));
  REFUSED(MINNORM_UNKNOWN_SAMPLE, "sample -1", minnorm_forget(linear, 1, &negative, NULL));
  REFUSED(MINNORM_INVALID_INPUT, "got sample 5 twice", minnorm_forget(linear, 3, twice, NULL));
  REFUSED(MINNORM_INVALID_INPUT, "at least one sample to be retained",
          minnorm_forget(linear, n, ids, NULL));
  REFUSED(MINNORM_INVALID_INPUT, "ids: expected a pointer", minnorm_forget(linear, 1, NULL, NULL));
  REFUSED(MINNORM_WRONG_SHAPE, "ids: expected at least one", minnorm_forget(linear, 0, ids, NULL));
  REFUSED(MINNORM_WRONG_SHAPE, "ids", minnorm_forget(linear, -3, ids, NULL));
  REFUSED(MINNORM_WRONG_SHAPE, "count: expected 1 to", minnorm_reserve(linear, 0));
  REFUSED(MINNORM_WRONG_SHAPE, "count: expected 1 to", minnorm_reserve(linear, INT64_MAX));
  REFUSED(MINNORM_BAD_HANDLE, "NULL", minnorm_reserve(NULL, 1));
  REFUSED(MINNORM_WRONG_SHAPE, "expected at most the 12 samples held, got 13",
          minnorm_forget(linear, 13, ids, NULL));
  OK(minnorm_certify(linear, &after));
  CHECK(after.n_retained == n && after.n_forgotten == 0);
  CHECK(after.parameter_error_bound == before.parameter_error_bound);

  OK(minnorm_forget(linear, 1, ids + 3, NULL));
  REFUSED(MINNORM_UNKNOWN_SAMPLE, "sample 3 is forgotten already",
          minnorm_forget(linear, 1, ids + 3, NULL));
  OK(minnorm_learn_f64(linear, 1, p, t, X[3], p, Y[3], t, NULL));
}

static void refused_data(void) {
  const double* x = &X[0][0];
  REFUSED(MINNORM_WRONG_SHAPE, "number of features: expected 20, got 19",
          minnorm_learn_f64(linear, 1, p - 1, t, x, p, &Y[0][0], t, NULL));
  REFUSED(MINNORM_WRONG_SHAPE, "number of outputs: expected 2, got 1",
          minnorm_learn_f64(linear, 1, p, 1, x, p, &Y[0][0], t, NULL));
  REFUSED(MINNORM_WRONG_SHAPE, "number of features: expected 20, got 3",
          minnorm_predict_f64(linear, 1, 3, t, x, p, out, t));
  REFUSED(MINNORM_WRONG_SHAPE, "F: expected shape (1, 2), got (1, 3)",
          minnorm_predict_f64(linear, 1, p, 3, x, p, out, 3));
  REFUSED(MINNORM_INVALID_INPUT, "Z", minnorm_predict_f64(linear, 1, p, t, NULL, p, out, t));
  REFUSED(MINNORM_INVALID_INPUT, "F", minnorm_predict_f64(linear, 1, p, t, x, p, NULL, t));
  const double infinite[1][p] = {{1, 2, -INFINITY}};
  REFUSED(MINNORM_INVALID_INPUT, "Z: expected finite values",
          minnorm_predict_f64(linear, 1, p, t, &infinite[0][0], p, out, t));
  REFUSED(MINNORM_INVALID_INPUT, "X: expected finite values",
          minnorm_learn_f64(linear, 1, p, t, &infinite[0][0], p, &Y[0][0], t, NULL));
  REFUSED(MINNORM_WRONG_SHAPE, "W: expected shape (2, 20), got (20, 2)",
          minnorm_coef_f64(linear, p, t, out, t));
  REFUSED(MINNORM_WRONG_SHAPE, "b: expected shape (1, 2), got (1, 1)",
          minnorm_intercept_f64(linear, 1, out));
  REFUSED(MINNORM_WRONG_SHAPE, "A: expected shape (12, 2)",
          minnorm_dual_coef_f64(linear, n - 1, t, out, t));
  REFUSED(MINNORM_WRONG_SHAPE, "R: leading dimension",
          minnorm_leave_one_out_f64(linear, n, t, out, 1));
  REFUSED(MINNORM_WRONG_SHAPE, "ids: expected shape (12, 1)", minnorm_get_ids(linear, 3, ids));
  REFUSED(MINNORM_INVALID_INPUT, "shape: expected a pointer", minnorm_get_shape(linear, NULL));
  REFUSED(MINNORM_INVALID_INPUT, "certificate", minnorm_certify(linear, NULL));
  REFUSED(MINNORM_INVALID_INPUT, "use minnorm_dual_coef", minnorm_coef_f64(kernel, t, p, out, p));
  REFUSED(MINNORM_INVALID_INPUT, "expected a linear model", minnorm_intercept_f64(kernel, t, out));
}

// A buffer of the wrong precision would be read beyond its end.
static void refused_precisions(void) {
  REFUSED(MINNORM_INVALID_INPUT, "call the function that ends in _f64",
          minnorm_predict_f32(linear, 1, p, t, &Xf[0][0], p, outf, t));
  REFUSED(MINNORM_INVALID_INPUT, "_f64", minnorm_coef_f32(linear, t, p, outf, p));
  minnorm_model* single;
  OK(minnorm_linear_fit_f32(n, p, t, &Xf[0][0], p, &Yf[0][0], t, NULL, &single));
  REFUSED(MINNORM_INVALID_INPUT, "call the function that ends in _f32",
          minnorm_learn_f64(single, 1, p, t, &X[0][0], p, &Y[0][0], t, NULL));
  OK(minnorm_free(single));
}

static void refused_handles(void) {
  minnorm_model *freed, *other;
  minnorm_shape shape;
  int local = 0;
  OK(minnorm_copy(linear, &freed));
  OK(minnorm_free(freed));
  REFUSED(MINNORM_BAD_HANDLE, "freed", minnorm_free(freed));
  REFUSED(MINNORM_BAD_HANDLE, "freed", minnorm_get_shape(freed, &shape));
  REFUSED(MINNORM_BAD_HANDLE, "freed", minnorm_forget(freed, 1, ids, NULL));
  REFUSED(MINNORM_BAD_HANDLE, "freed", minnorm_predict_f64(freed, 1, p, t, &X[0][0], p, out, t));
  OK(minnorm_copy(linear, &other));  // no new handle takes the number of an old one
  REFUSED(MINNORM_BAD_HANDLE, "freed", minnorm_get_ids(freed, n, ids));
  OK(minnorm_free(other));

  REFUSED(MINNORM_BAD_HANDLE, "got NULL", minnorm_certify(NULL, NULL));
  REFUSED(MINNORM_BAD_HANDLE, "got NULL", minnorm_copy(NULL, &other));
  CHECK(other == NULL);
  REFUSED(MINNORM_INVALID_INPUT, "copy: expected a pointer", minnorm_copy(linear, NULL));
  REFUSED(MINNORM_BAD_HANDLE, "never issued",
          minnorm_get_shape((const minnorm_model*)(void*)&local, &shape));
  REFUSED(MINNORM_BAD_HANDLE, "never issued",
          minnorm_get_shape((const minnorm_model*)(uintptr_t)(UINTPTR_MAX - 15), &shape));
  OK(minnorm_free(NULL));
}

int main(void) {
  for (unsigned i = 0; i < n; ++i) {
    ids[i] = i;
    for (unsigned j = 0; j < p; ++j) Xf[i][j] = (float)(X[i][j] = entry(i * p + j));
    for (unsigned k = 0; k < t; ++k) Yf[i][k] = (float)(Y[i][k] = entry(70000 + i * t + k));
  }
  CHECK(strcmp(minnorm_message(), "") == 0);
  OK(minnorm_linear_fit_f64(n, p, t, &X[0][0], p, &Y[0][0], t, NULL, &linear));
  OK(minnorm_kernel_fit_f64(n, p, t, &X[0][0], p, &Y[0][0], t, NULL, &kernel));
  refused_fits();
  refused_options();
  refused_deletions();
  refused_data();
  refused_precisions();
  refused_handles();
  OK(minnorm_free(linear));
  OK(minnorm_free(kernel));
  printf("%d checks failed\n", failures);
  return failures != 0;
}
