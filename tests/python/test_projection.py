"""unlearn_linear: P theta for any interpolating theta, by Theorem 2, against ball arithmetic."""

import numpy as np
import pytest

import _exact
from _asserts import STANDARD, condition
from _samplers import (
    LAYOUTS,
    degenerate_samples,
    generator,
    hidden_direction,
    nearly_parallel,
    with_condition,
)
from minnorm import Certificate, InputError, LinearInterpolator, ShapeError, unlearn_linear

pytestmark = pytest.mark.filterwarnings("error")


def as_columns(theta, p):
    return np.asarray(theta).reshape(-1, p).T


@pytest.mark.parametrize("exponent", [0, 2, 4, 6, 8, 10, 12])
def test_projection_of_any_parameters(backend, exponent):
    """P is an orthogonal projection: its error is eps cond ||theta||, whatever theta."""
    x = with_condition(10, 22, 10.0**exponent, generator(1, exponent))
    theta = generator(2).standard_normal((3, 22))
    projected, certificate = unlearn_linear(theta, x, return_certificate=True, backend=backend)
    exact = _exact.row_space_projection(x, theta)
    true = _exact.distance(as_columns(projected, 22), exact)
    size = np.linalg.norm(theta, axis=1).max()
    assert true <= STANDARD * np.finfo(float).eps * condition(x) * size
    assert true <= certificate.parameter_error_bound
    removed = np.linalg.norm(theta - _exact.to_float(exact).T, axis=1).max()
    assert certificate.norm_removed == pytest.approx(removed, rel=1e-6 + 1e-14 * condition(x))
    assert isinstance(certificate, Certificate)


@pytest.mark.parametrize("sample", degenerate_samples()[::2], ids=str)
def test_rank_deficient_retained_rows(backend, sample):
    p = sample.x.shape[1]
    theta = generator(3).standard_normal(p)
    projected, certificate = unlearn_linear(
        theta, sample.x, return_certificate=True, backend=backend
    )
    assert projected.shape == (p,)
    exact = _exact.row_space_projection(sample.x, theta)
    true = _exact.distance(projected, exact)
    limit = STANDARD * np.finfo(float).eps * condition(sample.x) * np.linalg.norm(theta)
    assert true <= limit
    assert true <= certificate.parameter_error_bound
    again = unlearn_linear(projected, sample.x, backend=backend)
    assert np.linalg.norm(again - projected) <= limit


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["double", "single"])
def test_the_bound_holds_on_random_cases(backend, dtype):
    for number in range(150):
        rng = generator(4, number)
        n = int(rng.integers(1, 9))
        p = int(rng.integers(max(2, n), 19))
        exponent = rng.uniform(0, 12 if dtype is np.float64 else 4)
        x = (
            with_condition(n, p, 10.0**exponent, rng, dtype),
            nearly_parallel(n, p, 10.0**-exponent, rng, dtype),
            hidden_direction(10.0**-exponent, p, rng, dtype),
        )[number % 3]
        scale = 2.0 ** int(rng.integers(-400, 400)) if dtype is np.float64 else 1.0
        theta = (rng.standard_normal(p) * 10.0 ** rng.uniform(-3, 3)).astype(dtype)
        rows = (x * scale).astype(dtype)
        projected, certificate = unlearn_linear(
            theta, rows, return_certificate=True, backend=backend
        )
        true = _exact.distance(projected, _exact.row_space_projection(rows, theta))
        assert true <= certificate.parameter_error_bound, number


def test_theorem_2(backend):
    """Any interpolator of all data, minimum-norm or not, projects to the retained model."""
    rng = generator(5)
    x, y = rng.standard_normal((9, 20)), rng.standard_normal(9)
    least = LinearInterpolator(fit_intercept=False, backend=backend).fit(x, y).coef_
    null = rng.standard_normal(20)
    null -= np.linalg.pinv(x) @ (x @ null)
    exact, _ = _exact.linear(x[3:], y[3:])
    for theta in (least, least + 10 * null):
        projected = unlearn_linear(theta, x[3:], backend=backend)
        assert _exact.relative_error(projected, exact) <= 1e-13 * condition(x)


def test_theta_in_the_row_space_stays(backend):
    x = with_condition(6, 15, 100.0, generator(6))
    theta = generator(7).standard_normal(6) @ x
    projected, certificate = unlearn_linear(theta, x, return_certificate=True, backend=backend)
    np.testing.assert_allclose(projected, theta, rtol=0, atol=1e-12 * np.linalg.norm(theta))
    assert certificate.norm_removed <= 1e-12 * np.linalg.norm(theta)


def test_theta_orthogonal_to_every_row_vanishes(backend):
    x = np.eye(3, 8)
    theta = np.r_[np.zeros(3), np.ones(5)]
    projected, certificate = unlearn_linear(theta, x, return_certificate=True, backend=backend)
    np.testing.assert_array_equal(projected, np.zeros(8))
    assert certificate.norm_removed == pytest.approx(np.sqrt(5.0))


def test_shapes_dtypes_and_layouts(backend):
    x = with_condition(5, 9, 10.0, generator(8))
    theta = generator(9).standard_normal((2, 9))
    expected = unlearn_linear(theta, x, backend=backend)
    assert expected.shape == (2, 9)
    flat = unlearn_linear(theta[0], x, backend=backend)
    np.testing.assert_allclose(flat, expected[0], rtol=1e-13, atol=1e-15)
    for name, layout in LAYOUTS.items():
        got = unlearn_linear(layout(theta), layout(x), backend=backend)
        np.testing.assert_array_equal(got, expected, err_msg=name)
    single = unlearn_linear(theta.astype(np.float32), x.astype(np.float32), backend=backend)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, expected, atol=1e-5)


def test_nothing_is_written_to(backend):
    x, theta = with_condition(5, 9, 10.0, generator(10)), np.ones(9)
    before = x.copy()
    x.setflags(write=False)
    theta.setflags(write=False)
    unlearn_linear(theta, x, backend=backend)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(theta, np.ones(9))


@pytest.mark.parametrize(
    ("theta", "x", "error", "names"),
    [
        (np.ones(4), np.ones((2, 5)), ShapeError, ["5", "4"]),
        (np.ones((2, 4)), np.ones((2, 5)), ShapeError, ["5", "4"]),
        (np.ones((1, 1, 5)), np.ones((2, 5)), ShapeError, ["theta"]),
        (1.0, np.ones((2, 5)), ShapeError, ["theta"]),
        (np.full(5, np.nan), np.ones((2, 5)), InputError, ["theta", "NaN"]),
        (np.ones(5), np.full((2, 5), np.inf), InputError, ["X_retain", "infinity"]),
        (np.ones(5) * 1j, np.ones((2, 5)), InputError, ["omplex"]),
        (np.ones(5), np.ones(5), ShapeError, ["X_retain", "2D"]),
        (np.ones(5), np.ones((0, 5)), ShapeError, ["X_retain"]),
    ],
)
def test_bad_input(backend, theta, x, error, names):
    with pytest.raises(error) as caught:
        unlearn_linear(theta, x, backend=backend)
    for name in names:
        assert name in str(caught.value)


def test_bad_factorization(backend):
    with pytest.raises(InputError, match="factorization"):
        unlearn_linear(np.ones(5), np.ones((2, 5)), factorization="lu", backend=backend)
