// Fits a linear model, forgets two samples, prints the certificate.
#include <minnorm.h>
#include <stdio.h>

enum { n = 40, p = 100 };

static int report(minnorm_status status) {
  if (status != MINNORM_OK) fprintf(stderr, "minnorm: %s\n", minnorm_message());
  return status != MINNORM_OK;
}

int main(void) {
  static double X[n][p], y[n];
  for (int i = 0; i < n; ++i) {
    for (int j = 0; j < p; ++j) X[i][j] = (i * i * 31 + j * j * 17 + i * j * 7) % 101 / 101.0;
    y[i] = i % 7;
  }
  minnorm_model* model;
  if (report(minnorm_linear_fit_f64(n, p, 1, &X[0][0], p, y, 1, NULL, &model))) return 1;

  const int64_t ids[] = {3, 17};
  minnorm_certificate certificate;
  if (report(minnorm_forget(model, 2, ids, &certificate))) return 1;
  printf("%s: %d retained, %d forgotten, interpolates: %s\n", certificate.method,
         (int)certificate.n_retained, (int)certificate.n_forgotten,
         certificate.interpolates ? "yes" : "no");
  printf("within %.1e of the model that never saw them (proved)\n",
         certificate.parameter_error_bound);
  return report(minnorm_free(model));
}
