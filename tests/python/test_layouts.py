"""Memory layout is not data: strided, Fortran, read-only, foreign byte order, broadcast, integers.

Whatever the layout, the arrays that reach a backend are the same, so the answers are compared bit
by bit with those of the C-ordered array.
"""

import numpy as np
import pytest

from _samplers import LAYOUTS, feature_points, generator, targets, with_condition
from minnorm import (
    KernelInterpolator,
    KernelInterpolatorClassifier,
    LinearInterpolator,
    LinearInterpolatorClassifier,
)

pytestmark = pytest.mark.filterwarnings("error")

X = with_condition(9, 14, 100.0, generator(1))
Y = targets(9, generator(2), outputs=2)
NEW = with_condition(3, 14, 10.0, generator(3))


def history(make, layout, x, y, new, targets_layout=None):
    """Every array argument of every method in the layout; all results in one list."""
    targets_layout = targets_layout or layout
    model = make().fit(layout(x), targets_layout(y))
    model.learn(layout(new), targets_layout(y[: len(new)]))
    model.forget(np.array([1, 10]))
    held_out = model.leave_one_out()
    return [model.predict(layout(x)), model.dual_coef_, held_out.predictions, held_out.residuals]


@pytest.mark.parametrize("copy", [True, False], ids=["copy", "no copy"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["double", "single"])
@pytest.mark.parametrize("name", LAYOUTS)
def test_linear_layouts(backend, name, dtype, copy):
    def make():
        return LinearInterpolator(backend=backend, copy_X=copy, dtype=dtype)

    arrays = [a.astype(dtype) for a in (X, Y, NEW)]
    expected = history(make, np.ascontiguousarray, *arrays)
    for got, want in zip(history(make, LAYOUTS[name], *arrays), expected, strict=True):
        assert got.dtype == dtype
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["double", "single"])
@pytest.mark.parametrize("name", LAYOUTS)
def test_kernel_layouts(backend, name, dtype):
    def make():
        return KernelInterpolator(kernel="laplacian", gamma=0.3, backend=backend, dtype=dtype)

    arrays = [a.astype(dtype) for a in (X, Y, NEW)]
    expected = history(make, np.ascontiguousarray, *arrays)
    for got, want in zip(history(make, LAYOUTS[name], *arrays), expected, strict=True):
        assert got.dtype == dtype
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("name", LAYOUTS)
def test_precomputed_layouts(backend, name):
    k = X @ X.T
    k = (k + k.T) / 2
    expected = KernelInterpolator(kernel="precomputed", backend=backend).fit(k, Y)
    model = KernelInterpolator(kernel="precomputed", backend=backend).fit(LAYOUTS[name](k), Y)
    np.testing.assert_array_equal(model.dual_coef_, expected.dual_coef_)
    np.testing.assert_array_equal(model.predict(LAYOUTS[name](k)), expected.predict(k))


@pytest.mark.parametrize("name", LAYOUTS)
def test_classifier_layouts(backend, name):
    y = np.array([0, 1, 2] * 3)
    for make in (LinearInterpolatorClassifier, KernelInterpolatorClassifier):
        expected = make(backend=backend).fit(X, y).decision_function(NEW)
        model = make(backend=backend).fit(LAYOUTS[name](X), LAYOUTS["strided"](y[:, None])[:, 0])
        np.testing.assert_array_equal(model.decision_function(LAYOUTS[name](NEW)), expected)


@pytest.mark.parametrize("copy", [True, False], ids=["copy", "no copy"])
def test_broadcast_rows(backend, copy):
    """Stride-0 arrays, read-only as numpy gives them: n times one row, and equal columns."""
    row = generator(4).standard_normal(6)
    rows = np.broadcast_to(row, (4, 6))
    y = np.broadcast_to(np.float64(3.0), 4)
    model = LinearInterpolator(fit_intercept=False, copy_X=copy, backend=backend).fit(rows, y)
    assert model.rank_ == 1
    np.testing.assert_allclose(model.coef_, 3 * row / (row @ row), rtol=1e-13)
    np.testing.assert_allclose(model.predict(rows), y, rtol=1e-13)
    columns = np.broadcast_to(generator(5).standard_normal((5, 1)), (5, 7))
    y = generator(6).standard_normal(5)
    model = LinearInterpolator(fit_intercept=False, copy_X=copy, backend=backend).fit(columns, y)
    expected = np.linalg.pinv(columns) @ y
    np.testing.assert_allclose(model.coef_, expected, rtol=1e-12)


@pytest.mark.parametrize(
    "dtype", [np.int8, np.uint16, np.int32, np.int64, np.bool_, ">i4", np.longdouble, object]
)
def test_other_real_dtypes_become_double(backend, dtype):
    rng = generator(7)
    x = (rng.integers(0, 2, (5, 9)) if dtype is np.bool_ else rng.integers(0, 9, (5, 9))).astype(
        dtype
    )
    y = rng.integers(0, 9, 5).astype(dtype if dtype is not np.bool_ else np.int64)
    expected = LinearInterpolator(backend=backend).fit(x.astype(np.float64), y.astype(np.float64))
    model = LinearInterpolator(backend=backend).fit(x, y)
    assert model.coef_.dtype == np.float64
    np.testing.assert_array_equal(model.coef_, expected.coef_)
    np.testing.assert_array_equal(model.predict(x), expected.predict(x.astype(np.float64)))
    kernel = KernelInterpolator(kernel="laplacian", backend=backend).fit(x, y)
    assert kernel.dual_coef_.dtype == np.float64


def test_single_precision_stays_single_end_to_end(backend):
    x, y, new = (a.astype(np.float32) for a in (X, Y, NEW))
    model = LinearInterpolator(backend=backend).fit(x, y)
    model.learn(new, y[:3])
    model.forget([0, 10])
    seen = model.preview([5])
    held_out = model.leave_one_out(parameters=True)
    results = [
        model.coef_,
        model.intercept_,
        model.dual_coef_,
        model.predict(x),
        seen.coef_,
        seen.predict(x),
        held_out.predictions,
        held_out.residuals,
        held_out.intercepts,
        held_out.parameters[0],
    ]
    for result in results:
        assert result.dtype == np.float32
    # Double targets and queries do not promote a single-precision model.
    mixed = LinearInterpolator(backend=backend).fit(x, y.astype(np.float64))
    assert mixed.coef_.dtype == np.float32
    assert mixed.predict(X).dtype == np.float32


def test_dtype_parameter(backend):
    single = LinearInterpolator(backend=backend, dtype="float32").fit(X, Y)
    assert single.coef_.dtype == np.float32
    direct = LinearInterpolator(backend=backend).fit(X.astype(np.float32), Y.astype(np.float32))
    np.testing.assert_array_equal(single.coef_, direct.coef_)
    double = LinearInterpolator(backend=backend, dtype=np.float64).fit(X.astype(np.float32), Y)
    assert double.coef_.dtype == np.float64


@pytest.mark.parametrize("copy", [True, False], ids=["copy", "no copy"])
@pytest.mark.parametrize("kind", ["linear", "rbf", "precomputed"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["double", "single"])
def test_the_callers_arrays_are_never_written(backend, kind, copy, dtype):
    """Read-only and writable arrays alike, through every method that changes the model."""
    x = feature_points(8, 12, generator(8), dtype)
    rows = (x @ x.T).astype(dtype) if kind == "precomputed" else x
    rows = (rows + rows.T) / 2 if kind == "precomputed" else rows
    y = targets(8, generator(9), dtype, outputs=2)
    fitted = np.ascontiguousarray(rows[:6, :6] if kind == "precomputed" else rows[:6])
    if kind == "linear":
        model = LinearInterpolator(copy_X=copy, backend=backend)
    else:
        model = KernelInterpolator(kernel=kind, copy_X=copy, backend=backend)
    new_y = y[6:].copy()
    first_y = y[:6].copy()
    before = fitted.copy()
    model.fit(fitted, first_y)
    model.forget([0, 3])
    held = [1, 2, 4, 5]
    new = rows[6:].copy() if kind != "precomputed" else rows[6:][:, [*held, 6, 7]].copy()
    new_before = new.copy()
    model.learn(new, new_y)
    model.preview([6])
    model.leave_one_out()
    model.forget([1, 7])
    model.certify()
    np.testing.assert_array_equal(fitted, before)
    np.testing.assert_array_equal(new, new_before)
    np.testing.assert_array_equal(first_y, y[:6])
    np.testing.assert_array_equal(new_y, y[6:])


def test_a_copied_model_does_not_follow_the_callers_array(backend):
    x, y = X.copy(), Y.copy()
    model = LinearInterpolator(backend=backend).fit(x, y)
    expected = LinearInterpolator(backend=backend).fit(X, Y)
    x[:] = 7.0
    y[:] = -1.0
    model.forget([2])
    expected.forget([2])
    np.testing.assert_array_equal(model.coef_, expected.coef_)
    new = NEW.copy()
    model.learn(new, Y[:3])
    expected.learn(NEW, Y[:3])
    new[:] = 3.0
    model.forget([9])
    expected.forget([9])
    np.testing.assert_array_equal(model.coef_, expected.coef_)


def test_results_do_not_expose_the_models_state(backend):
    """Writing into a returned array changes no later answer of the core."""
    model = LinearInterpolator(backend=backend).fit(X, Y)
    expected = LinearInterpolator(backend=backend).fit(X, Y)
    model.coef_[:] = 0.0
    model.dual_coef_[:] = 0.0
    model.leave_one_out().residuals[:] = 0.0
    model.forget([4])
    expected.forget([4])
    np.testing.assert_array_equal(model.coef_, expected.coef_)
    np.testing.assert_array_equal(model.dual_coef_, expected.dual_coef_)
