// minnorm for C and for every language that calls C: the models and the projector of
// minnorm.hpp behind handles, as the shared library libminnorm.
//
// Handles. A model is a handle, obtained from a fit and returned to minnorm_free. It is
// a number and no address: the library looks it up, so one that was freed, never issued
// or made up is an error and not a crash. No handle is issued twice.
// Matrices. Row-major, given by a pointer and the leading dimension `ld`, the number of
// elements from one row to the next, at least the number of columns. Every buffer is the
// caller's: inputs are read during the call and copied where they are kept, results are
// written to buffers of the caller, which must not overlap the inputs.
// Precision. A model works in the precision of the data it was fitted to; functions that
// take data end in _f64 (double) or _f32 (float) and refuse a model of the other one.
// Samples are known by ids: 0 .. n-1 in the order of the rows at the fit, then upwards as
// samples are learned. An id is never used again.
// Errors. Every function returns a status and lets no exception out. When it is not
// MINNORM_OK, minnorm_message says what was expected, what came and what to do, the model
// is as it was before the call, and the result buffers hold nothing. After
// MINNORM_OUT_OF_MEMORY in a call that changes a model, free that model; a deletion that
// minnorm_reserve covers, as it says there, does not run out.
// Threads. Functions that take a `const minnorm_model*` may run on one model in several
// threads at once. One that takes a `minnorm_model*` needs that model for itself: hold a
// reader-writer lock of your own around the calls. Distinct models are independent.
// minnorm_free during another call on the model is safe; the memory goes with that call.
// All of this holds for projectors, but that they read J where it lies: see there.
#ifndef MINNORM_H
#define MINNORM_H

#include <stdint.h>

#if defined(_WIN32) && defined(MINNORM_BUILDING)
#define MINNORM_API __declspec(dllexport)
#elif defined(_WIN32)
#define MINNORM_API __declspec(dllimport)
#elif defined(__GNUC__)
#define MINNORM_API __attribute__((visibility("default")))
#else
#define MINNORM_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef int32_t minnorm_status;
enum {
  MINNORM_OK = 0,
  MINNORM_INVALID_INPUT = 1,  // null, NaN, a negative ridge, a repeated id
  MINNORM_WRONG_SHAPE = 2,    // sizes that do not fit each other
  MINNORM_UNKNOWN_SAMPLE = 3,
  MINNORM_NOT_POSITIVE_DEFINITE = 4,  // a kernel matrix
  MINNORM_BAD_HANDLE = 5,
  MINNORM_OUT_OF_MEMORY = 6,
  MINNORM_INTERNAL_ERROR = 7
};

// "major.minor.patch" of the library that runs.
MINNORM_API const char* minnorm_version(void);
// Why the last call that failed in this thread did; "" if none has. Holds until the next
// call fails in this thread.
MINNORM_API const char* minnorm_message(void);

typedef struct minnorm_model minnorm_model;

enum { MINNORM_FACTORIZATION_AUTO = 0, MINNORM_FACTORIZATION_CHOLESKY, MINNORM_FACTORIZATION_QR };
typedef struct minnorm_linear_options {
  double alpha;           // ridge; 0 interpolates
  int32_t fit_intercept;  // 0 or 1; not penalised
  int32_t factorization;
} minnorm_linear_options;

// The formulas are in minnorm/kernels.hpp.
enum {
  MINNORM_KERNEL_LINEAR = 0,
  MINNORM_KERNEL_RBF,
  MINNORM_KERNEL_LAPLACIAN,
  MINNORM_KERNEL_POLYNOMIAL,
  MINNORM_KERNEL_MATERN32,
  MINNORM_KERNEL_MATERN52,
  MINNORM_KERNEL_PRECOMPUTED
};
typedef struct minnorm_kernel_options {
  double gamma;
  double degree;
  double coef0;
  double alpha;  // ridge; 0 interpolates
  int32_t kernel;
} minnorm_kernel_options;

// Fill in the defaults: alpha 0, intercept, automatic; rbf, gamma 1, degree 3, coef0 1.
MINNORM_API minnorm_status minnorm_linear_defaults(minnorm_linear_options* options);
MINNORM_API minnorm_status minnorm_kernel_defaults(minnorm_kernel_options* options);

// What was done to a model and how far it provably is from the one retrained on the
// samples it retains; infinity where nothing could be proved. See certificate.hpp.
typedef struct minnorm_certificate {
  int64_t rank;
  int64_t n_retained;
  int64_t n_forgotten;           // since the fit
  double residual;               // |y - f(X)|_2
  double parameter_error_bound;  // 2-norm of the coefficients; Hilbert-space norm of f
  double intercept_error_bound;
  double prediction_error_bound;  // for an input of unit norm, k(x, x) = 1
  double sigma_min_bound;         // proved; kernels: lambda_min
  double condition_bound;
  int32_t interpolates;  // 0 or 1
  int32_t refinement_steps;
  char method[64];
} minnorm_certificate;

typedef struct minnorm_shape {
  int64_t n_samples;
  int64_t n_features;  // of a precomputed kernel: n_samples
  int64_t n_outputs;
  int64_t rank;
  int32_t is_kernel;  // 0 linear, 1 kernel
  int32_t is_f32;     // 0 double, 1 float
} minnorm_shape;

// Fit X (n, p), Y (n, t); `options` may be null. A precomputed kernel takes the kernel
// matrix as X (n, n). Costs n^2 p + 2 n^3 / 3 flops; memory n p + n^2, kernels n p + 2 n^2.
MINNORM_API minnorm_status minnorm_linear_fit_f64(int64_t n, int64_t p, int64_t t, const double* X,
                                                  int64_t ldx, const double* Y, int64_t ldy,
                                                  const minnorm_linear_options* options,
                                                  minnorm_model** model);
MINNORM_API minnorm_status minnorm_linear_fit_f32(int64_t n, int64_t p, int64_t t, const float* X,
                                                  int64_t ldx, const float* Y, int64_t ldy,
                                                  const minnorm_linear_options* options,
                                                  minnorm_model** model);
MINNORM_API minnorm_status minnorm_kernel_fit_f64(int64_t n, int64_t p, int64_t t, const double* X,
                                                  int64_t ldx, const double* Y, int64_t ldy,
                                                  const minnorm_kernel_options* options,
                                                  minnorm_model** model);
MINNORM_API minnorm_status minnorm_kernel_fit_f32(int64_t n, int64_t p, int64_t t, const float* X,
                                                  int64_t ldx, const float* Y, int64_t ldy,
                                                  const minnorm_kernel_options* options,
                                                  minnorm_model** model);

// An independent model: forget from a copy to see what a deletion would give.
MINNORM_API minnorm_status minnorm_copy(const minnorm_model* model, minnorm_model** copy);
// Null is accepted and nothing is done.
MINNORM_API minnorm_status minnorm_free(minnorm_model* model);

MINNORM_API minnorm_status minnorm_get_shape(const minnorm_model* model, minnorm_shape* shape);
// The ids of the `count` = n_samples samples, in the order of every result below.
MINNORM_API minnorm_status minnorm_get_ids(const minnorm_model* model, int64_t count, int64_t* ids);
MINNORM_API minnorm_status minnorm_certify(const minnorm_model* model,
                                           minnorm_certificate* certificate);

// Keeps the memory of deletions: from now on minnorm_forget of up to `count` samples takes
// none from the heap, where the samples are independent and `count` and the number of
// outputs are at most 8. A copy starts without.
MINNORM_API minnorm_status minnorm_reserve(minnorm_model* model, int64_t count);
// Deletes the samples with these ids, in any order. `certificate` may be null. Costs
// 2 n^2 count + 4 n p t flops, kernels 2 n^2 count + 3 n^2.
MINNORM_API minnorm_status minnorm_forget(minnorm_model* model, int64_t count, const int64_t* ids,
                                          minnorm_certificate* certificate);

// Adds X (m, p) with targets Y (m, t). `ids` (m) receives their ids and may be null. A
// precomputed kernel takes the values against the retained and the new samples (m, n + m).
MINNORM_API minnorm_status minnorm_learn_f64(minnorm_model* model, int64_t m, int64_t p, int64_t t,
                                             const double* X, int64_t ldx, const double* Y,
                                             int64_t ldy, int64_t* ids);
MINNORM_API minnorm_status minnorm_learn_f32(minnorm_model* model, int64_t m, int64_t p, int64_t t,
                                             const float* X, int64_t ldx, const float* Y,
                                             int64_t ldy, int64_t* ids);

// F (m, t) = f(Z), Z (m, p). A precomputed kernel takes the values against the retained
// samples (m, n).
MINNORM_API minnorm_status minnorm_predict_f64(const minnorm_model* model, int64_t m, int64_t p,
                                               int64_t t, const double* Z, int64_t ldz, double* F,
                                               int64_t ldf);
MINNORM_API minnorm_status minnorm_predict_f32(const minnorm_model* model, int64_t m, int64_t p,
                                               int64_t t, const float* Z, int64_t ldz, float* F,
                                               int64_t ldf);

// Linear models: coefficients W (t, p) and intercept b (t), f(x) = W x + b.
MINNORM_API minnorm_status minnorm_coef_f64(const minnorm_model* model, int64_t t, int64_t p,
                                            double* W, int64_t ldw);
MINNORM_API minnorm_status minnorm_coef_f32(const minnorm_model* model, int64_t t, int64_t p,
                                            float* W, int64_t ldw);
MINNORM_API minnorm_status minnorm_intercept_f64(const minnorm_model* model, int64_t t, double* b);
MINNORM_API minnorm_status minnorm_intercept_f32(const minnorm_model* model, int64_t t, float* b);

// Dual coefficients A (n, t): W = A^T X, or f = sum_i a_i k(x_i, .).
MINNORM_API minnorm_status minnorm_dual_coef_f64(const minnorm_model* model, int64_t n, int64_t t,
                                                 double* A, int64_t lda);
MINNORM_API minnorm_status minnorm_dual_coef_f32(const minnorm_model* model, int64_t n, int64_t t,
                                                 float* A, int64_t lda);

// R (n, t): residual of every sample under the model that has not seen it. Costs n^3 / 3
// flops, with dependent samples n^2 times their number more.
MINNORM_API minnorm_status minnorm_leave_one_out_f64(const minnorm_model* model, int64_t n,
                                                     int64_t t, double* R, int64_t ldr);
MINNORM_API minnorm_status minnorm_leave_one_out_f32(const minnorm_model* model, int64_t n,
                                                     int64_t t, float* R, int64_t ldr);

// P v = v - J^T (J J^T)^+ J v, the part of v orthogonal to every row of J (m, p): to the
// gradients of a model's outputs, say. J is not copied: it must stay where it is and as it
// is until the projector is freed. Formulas and costs are in minnorm/jacobian_projector.hpp.
typedef struct minnorm_projector minnorm_projector;

enum {
  MINNORM_PROJECTOR_AUTO = 0,
  MINNORM_PROJECTOR_CHOLESKY,
  MINNORM_PROJECTOR_SEMINORMAL,
  MINNORM_PROJECTOR_QR
};
typedef struct minnorm_projector_options {
  double rtol;     // on eigenvalues of J J^T, rows of unit length; negative: numerical rank
  double damping;  // mu of v - J^T (J J^T + mu I)^-1 J v
  int32_t damping_relative;  // 0 or 1; mu as a fraction of the largest eigenvalue of J J^T
  int32_t factorization;
} minnorm_projector_options;
// Fills in the defaults: numerical rank, no damping, automatic.
MINNORM_API minnorm_status minnorm_projector_defaults(minnorm_projector_options* options);

typedef struct minnorm_projector_shape {
  int64_t rows;
  int64_t cols;
  int64_t rank;
  int32_t factorization;  // that was chosen
  int32_t is_f32;         // 0 double, 1 float
} minnorm_projector_shape;

typedef struct minnorm_projection_report {
  int64_t rank;
  double rtol;
  double orthogonality;  // |J P v| / (|J| |v|), measured; over several vectors, the largest
  double norm_removed;   // |v - P v|
  int32_t passes;        // reads of J
  int32_t reorthogonalised;
  int32_t factorization;
} minnorm_projection_report;

// `options` may be null. Costs m^2 p flops; memory m^2, with qr r p more.
MINNORM_API minnorm_status minnorm_projector_create_f64(int64_t m, int64_t p, const double* J,
                                                        int64_t ldj,
                                                        const minnorm_projector_options* options,
                                                        minnorm_projector** projector);
MINNORM_API minnorm_status minnorm_projector_create_f32(int64_t m, int64_t p, const float* J,
                                                        int64_t ldj,
                                                        const minnorm_projector_options* options,
                                                        minnorm_projector** projector);
// Null is accepted and nothing is done.
MINNORM_API minnorm_status minnorm_projector_free(minnorm_projector* projector);
MINNORM_API minnorm_status minnorm_projector_get_shape(const minnorm_projector* projector,
                                                       minnorm_projector_shape* shape);

// PV (k, p) = P V for the rows of V (k, p); PV may be V. `report` may be null. Costs
// 4 m p k flops and two reads of J.
MINNORM_API minnorm_status minnorm_projector_project_f64(const minnorm_projector* projector,
                                                         int64_t k, int64_t p, const double* V,
                                                         int64_t ldv, double* PV, int64_t ldpv,
                                                         minnorm_projection_report* report);
MINNORM_API minnorm_status minnorm_projector_project_f32(const minnorm_projector* projector,
                                                         int64_t k, int64_t p, const float* V,
                                                         int64_t ldv, float* PV, int64_t ldpv,
                                                         minnorm_projection_report* report);

// Forgets rows of J by position, ascending; those behind them move up.
MINNORM_API minnorm_status minnorm_projector_erase(minnorm_projector* projector, int64_t count,
                                                   const int64_t* rows);
// More rows, J (m, p), below those held; not copied either.
MINNORM_API minnorm_status minnorm_projector_append_f64(minnorm_projector* projector, int64_t m,
                                                        int64_t p, const double* J, int64_t ldj);
MINNORM_API minnorm_status minnorm_projector_append_f32(minnorm_projector* projector, int64_t m,
                                                        int64_t p, const float* J, int64_t ldj);

#ifdef __cplusplus
}
#endif

#endif
