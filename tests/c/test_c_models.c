// Models through the C interface: forgetting equals a fit of the rest, within what the
// certificates say, for both kinds of model, both precisions and any leading dimension.
#include "check.h"

enum { n = 30, p = 50, t = 2, ldx = 53, ldy = 3, gone = 4 };
static const int64_t ids[gone] = {29, 0, 7, 12};

static double X[n][ldx], Y[n][ldy], X_rest[n][p], Y_rest[n][t];
static float Xf[n][p], Yf[n][t];

static int is_gone(int i) {
  for (int k = 0; k < gone; ++k)
    if (ids[k] == i) return 1;
  return 0;
}

static void make_data(void) {
  int rest = 0;
  for (int i = 0; i < n; ++i) {
    for (int j = 0; j < ldx; ++j) X[i][j] = j < p ? entry((unsigned)(i * p + j)) : NAN;  // unread
    for (int k = 0; k < ldy; ++k) Y[i][k] = k < t ? entry((unsigned)(90000 + i * t + k)) : NAN;
    for (int j = 0; j < p; ++j) Xf[i][j] = (float)X[i][j];
    for (int k = 0; k < t; ++k) Yf[i][k] = (float)Y[i][k];
    if (is_gone(i)) continue;
    memcpy(X_rest[rest], X[i], sizeof X_rest[rest]);
    memcpy(Y_rest[rest], Y[i], sizeof Y_rest[rest]);
    ++rest;
  }
}

static double distance(const double* a, const double* b, int size) {
  double sum = 0;
  for (int i = 0; i < size; ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sqrt(sum);
}

static void linear_forget_equals_refit(void) {
  minnorm_model *model, *rest;
  minnorm_certificate c, d;
  OK(minnorm_linear_fit_f64(n, p, t, &X[0][0], ldx, &Y[0][0], ldy, NULL, &model));
  OK(minnorm_linear_fit_f64(n - gone, p, t, &X_rest[0][0], p, &Y_rest[0][0], t, NULL, &rest));
  OK(minnorm_reserve(model, gone));
  OK(minnorm_forget(model, gone, ids, &c));
  OK(minnorm_certify(rest, &d));
  CHECK(c.n_retained == n - gone && c.n_forgotten == gone && c.rank == n - gone);
  CHECK(c.interpolates == 1 && d.interpolates == 1);
  CHECK(strcmp(c.method, "cholesky+rotations") == 0);

  double W[t][p + 2], V[t][p], b[t], e[t];
  W[0][p] = W[1][p + 1] = 77;  // beyond the columns: not ours to write
  OK(minnorm_coef_f64(model, t, p, &W[0][0], p + 2));
  OK(minnorm_coef_f64(rest, t, p, &V[0][0], p));
  OK(minnorm_intercept_f64(model, t, b));
  OK(minnorm_intercept_f64(rest, t, e));
  CHECK(W[0][p] == 77 && W[1][p + 1] == 77);
  for (int k = 0; k < t; ++k) {
    CHECK(distance(W[k], V[k], p) <= c.parameter_error_bound + d.parameter_error_bound);
    CHECK(fabs(b[k] - e[k]) <= c.intercept_error_bound + d.intercept_error_bound);
  }
  CHECK(c.parameter_error_bound < 1e-10);

  double F[n][t];
  OK(minnorm_predict_f64(model, n, p, t, &X[0][0], ldx, &F[0][0], t));
  for (int i = 0; i < n; ++i)
    for (int k = 0; k < t; ++k) CHECK(is_gone(i) || fabs(F[i][k] - Y[i][k]) < 1e-10);

  double A[n - gone][t], Z[p] = {0};
  OK(minnorm_dual_coef_f64(model, n - gone, t, &A[0][0], t));
  for (int i = 0; i < n - gone; ++i)
    for (int j = 0; j < p; ++j) Z[j] += A[i][0] * X_rest[i][j];
  CHECK(distance(Z, W[0], p) < 1e-10);
  OK(minnorm_free(model));
  OK(minnorm_free(rest));
}

static void learning_gives_new_ids(void) {
  minnorm_model* model;
  minnorm_certificate c;
  minnorm_shape shape;
  int64_t held[n], fresh[2] = {-1, -1};
  OK(minnorm_linear_fit_f64(n - 2, p, t, &X[0][0], ldx, &Y[0][0], ldy, NULL, &model));
  OK(minnorm_forget(model, 1, ids + 2, NULL));
  OK(minnorm_learn_f64(model, 2, p, t, X[n - 2], ldx, Y[n - 2], ldy, fresh));
  CHECK(fresh[0] == n - 2 && fresh[1] == n - 1);
  OK(minnorm_get_shape(model, &shape));
  CHECK(shape.n_samples == n - 1 && shape.n_features == p && shape.n_outputs == t);
  CHECK(shape.rank == n - 1 && shape.is_kernel == 0 && shape.is_f32 == 0);
  OK(minnorm_get_ids(model, n - 1, held));
  for (int i = 0; i < n - 1; ++i) CHECK(held[i] == i + (i >= ids[2]));
  OK(minnorm_certify(model, &c));
  CHECK(c.interpolates && c.parameter_error_bound < 1e-9);
  OK(minnorm_free(model));
}

// Residuals of leaving each out against leaving it out.
static void leave_one_out_by_a_copy(void) {
  minnorm_linear_options options;
  OK(minnorm_linear_defaults(&options));
  CHECK(options.alpha == 0 && options.fit_intercept == 1);
  options.alpha = 0.5;
  options.fit_intercept = 0;
  minnorm_model *model, *without;
  double R[n][t], F[t];
  OK(minnorm_linear_fit_f64(n, p, t, &X[0][0], ldx, &Y[0][0], ldy, &options, &model));
  OK(minnorm_leave_one_out_f64(model, n, t, &R[0][0], t));
  OK(minnorm_copy(model, &without));
  OK(minnorm_forget(without, 1, ids + 2, NULL));
  OK(minnorm_predict_f64(without, 1, p, t, X[7], p, F, t));
  for (int k = 0; k < t; ++k) CHECK(fabs(Y[7][k] - F[k] - R[7][k]) < 1e-12);
  minnorm_certificate c;
  OK(minnorm_certify(model, &c));
  CHECK(c.n_forgotten == 0 && c.interpolates == 0);  // the copy was another model
  OK(minnorm_free(model));
  OK(minnorm_free(without));
}

static void kernel_forget_equals_refit(void) {
  minnorm_kernel_options options;
  OK(minnorm_kernel_defaults(&options));
  CHECK(options.kernel == MINNORM_KERNEL_RBF && options.gamma == 1);
  options.kernel = MINNORM_KERNEL_MATERN32;
  options.gamma = 0.02;
  minnorm_model *model, *rest;
  minnorm_certificate c, d;
  minnorm_shape shape;
  double F[n][t], G[n][t];
  OK(minnorm_kernel_fit_f64(n, p, t, &X[0][0], ldx, &Y[0][0], ldy, &options, &model));
  OK(minnorm_kernel_fit_f64(n - gone, p, t, &X_rest[0][0], p, &Y_rest[0][0], t, &options, &rest));
  OK(minnorm_forget(model, gone, ids, &c));
  OK(minnorm_certify(rest, &d));
  OK(minnorm_get_shape(model, &shape));
  CHECK(shape.is_kernel == 1 && shape.n_features == p && shape.n_samples == n - gone);
  OK(minnorm_predict_f64(model, n, p, t, &X[0][0], ldx, &F[0][0], t));
  OK(minnorm_predict_f64(rest, n, p, t, &X[0][0], ldx, &G[0][0], t));
  for (int i = 0; i < n; ++i)  // k(x, x) = 1; the evaluation of either rounds as well
    for (int k = 0; k < t; ++k)
      CHECK(fabs(F[i][k] - G[i][k]) <= c.prediction_error_bound + d.prediction_error_bound + 1e-13);
  OK(minnorm_free(model));
  OK(minnorm_free(rest));
}

// The linear kernel from its matrix: the predictions of the linear model without intercept.
static void precomputed_kernel(void) {
  static double K[n][n];
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < n; ++j) {
      K[i][j] = 0;
      for (int f = 0; f < p; ++f) K[i][j] += X[i][f] * X[j][f];
    }
  minnorm_kernel_options options;
  OK(minnorm_kernel_defaults(&options));
  options.kernel = MINNORM_KERNEL_PRECOMPUTED;
  minnorm_model* model;
  double F[1][t], values[n - 1];
  const int64_t last = n - 2;
  OK(minnorm_kernel_fit_f64(n - 1, n - 1, t, &K[0][0], n, &Y[0][0], ldy, &options, &model));
  OK(minnorm_learn_f64(model, 1, n, t, K[n - 1], n, Y[n - 1], ldy, NULL));
  OK(minnorm_forget(model, 1, &last, NULL));
  memcpy(values, K[3], sizeof values);
  values[n - 2] = K[3][n - 1];
  OK(minnorm_predict_f64(model, 1, n - 1, t, values, n - 1, &F[0][0], t));
  for (int k = 0; k < t; ++k) CHECK(fabs(F[0][k] - Y[3][k]) < 1e-10);
  OK(minnorm_free(model));
}

static void single_precision(void) {
  minnorm_model *linear, *kernel;
  minnorm_certificate c;
  float W[t][p], b[t], F[n][t], A[n - gone][t], R[n - gone][t];
  OK(minnorm_linear_fit_f32(n, p, t, &Xf[0][0], p, &Yf[0][0], t, NULL, &linear));
  OK(minnorm_forget(linear, gone, ids, &c));
  CHECK(c.interpolates && c.parameter_error_bound > 0 && c.parameter_error_bound < 1e-2);
  OK(minnorm_coef_f32(linear, t, p, &W[0][0], p));
  OK(minnorm_intercept_f32(linear, t, b));
  OK(minnorm_predict_f32(linear, n, p, t, &Xf[0][0], p, &F[0][0], t));
  for (int i = 0; i < n; ++i) {
    float f = b[1];
    for (int j = 0; j < p; ++j) f += W[1][j] * Xf[i][j];
    CHECK(fabsf(F[i][1] - f) < 1e-4f && (is_gone(i) || fabsf(F[i][1] - Yf[i][1]) < 1e-4f));
  }
  OK(minnorm_dual_coef_f32(linear, n - gone, t, &A[0][0], t));
  OK(minnorm_leave_one_out_f32(linear, n - gone, t, &R[0][0], t));
  OK(minnorm_learn_f32(linear, 1, p, t, Xf[7], p, Yf[7], t, NULL));
  OK(minnorm_free(linear));

  OK(minnorm_kernel_fit_f32(n, p, t, &Xf[0][0], p, &Yf[0][0], t, NULL, &kernel));
  OK(minnorm_forget(kernel, gone, ids, &c));
  OK(minnorm_predict_f32(kernel, n, p, t, &Xf[0][0], p, &F[0][0], t));
  for (int i = 0; i < n; ++i) CHECK(is_gone(i) || fabsf(F[i][0] - Yf[i][0]) < 1e-4f);
  OK(minnorm_free(kernel));
}

int main(void) {
  make_data();
  CHECK(strlen(minnorm_version()) >= 5);
  linear_forget_equals_refit();
  learning_gives_new_ids();
  leave_one_out_by_a_copy();
  kernel_forget_equals_refit();
  precomputed_kernel();
  single_precision();
  printf("%d checks failed\n", failures);
  return failures != 0;
}
