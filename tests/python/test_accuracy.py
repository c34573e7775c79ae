"""After any deletions the coefficients are those of the retained rows, to 100 eps cond.

The reference is ball arithmetic. Where the targets cannot be interpolated the classical
cond^2 ||r|| / (||X|| ||theta||) of least squares is added to cond.
"""

import functools

import numpy as np
import pytest

import _exact
from _asserts import (
    STANDARD,
    assert_bound_holds_linear,
    assert_exact_linear,
    assert_in_the_span_of_the_dual,
    assert_interpolates,
    assert_minimum_norm,
    assert_same_as_refit,
    coefficients,
    condition,
    epsilon,
    sensitivity,
)
from _samplers import (
    degenerate_samples,
    drawn,
    generator,
    graded_rows,
    hidden_direction,
    nearly_parallel,
    targets,
    vandermonde,
    with_condition,
    without,
)
from minnorm import LinearInterpolator

pytestmark = pytest.mark.filterwarnings("error")

EXPONENTS = range(1, 13)


def forget(model, gone, at_once):
    if at_once:
        model.forget(gone)
    else:
        for i in gone:
            model.forget([i])


@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "one by one"])
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("exponent", EXPONENTS)
def test_accuracy_after_deletion(backend, exponent, fit_intercept, at_once):
    """1, 3 and half of the rows; the error standard is that of the rows before deletion."""
    n, p = 20, 44
    x = with_condition(n, p, 10.0**exponent, generator(1, exponent))
    y = targets(n, generator(2, exponent))
    kappa = condition(x, fit_intercept)
    for count in (0, 1, 3, n // 2):
        model = LinearInterpolator(fit_intercept=fit_intercept, backend=backend).fit(x, y)
        gone = drawn(n, count, 3, exponent, count)
        if count:
            forget(model, gone, at_once)
        kept = without(n, gone)
        theta, _ = _exact.linear(x[kept], y[kept], fit_intercept=fit_intercept)
        error = _exact.relative_error(coefficients(model), theta)
        assert error <= STANDARD * epsilon(model) * kappa, (count, error)
        assert_bound_holds_linear(model, x[kept], y[kept])
        assert model.rank_ == n - count


@pytest.mark.parametrize("exponent", [1, 5, 7, 11])
def test_accuracy_on_the_measured_shape(backend, exponent):
    """40 x 120 with 3 rows deleted, the table of the numerical notes."""
    n, p = 40, 120
    x = with_condition(n, p, 10.0**exponent, generator(4, exponent))
    y = targets(n, generator(5, exponent), outputs=2)
    model = LinearInterpolator(fit_intercept=False, backend=backend).fit(x, y)
    model.forget([39, 0, 17])
    kept = without(n, [39, 0, 17])
    theta, _ = _exact.linear(x[kept], y[kept])
    limit = STANDARD * epsilon(model) * condition(x)
    assert _exact.relative_error(coefficients(model), theta) <= limit


@pytest.mark.parametrize("exponent", [1, 2, 3, 4])
def test_accuracy_in_single_precision(backend, exponent):
    n, p = 16, 40
    x = with_condition(n, p, 10.0**exponent, generator(6, exponent), np.float32)
    y = targets(n, generator(7, exponent), np.float32)
    for count in (1, 3, n // 2):
        gone = drawn(n, count, 8, exponent)
        model = LinearInterpolator(fit_intercept=False, backend=backend).fit(x, y)
        model.forget(gone)
        kept = without(n, gone)
        assert model.coef_.dtype == np.float32
        theta, _ = _exact.linear(x[kept], y[kept])
        limit = STANDARD * np.finfo(np.float32).eps * condition(x)
        assert _exact.relative_error(coefficients(model), theta) <= limit


@pytest.mark.parametrize(
    "x",
    [
        graded_rows(12, 24, 1e12, generator(11)),
        nearly_parallel(12, 24, 1e-8, generator(12)),
        hidden_direction(1e-9, 8, generator(13)),
        vandermonde(9, 18, generator(14)),
    ],
    ids=["graded", "parallel", "hidden direction", "vandermonde"],
)
def test_accuracy_on_adversarial_rows(backend, x):
    """The last row goes first: it hides a small singular value in the hidden-direction sample."""
    y = targets(len(x), generator(15))
    model = LinearInterpolator(fit_intercept=False, backend=backend).fit(x, y)
    assert_exact_linear(model, x, y)
    model.forget([len(x) - 1])
    theta, _ = _exact.linear(x[:-1], y[:-1])
    limit = STANDARD * epsilon(model) * max(condition(x), condition(x[:-1]))
    assert _exact.relative_error(coefficients(model), theta) <= limit


@pytest.mark.parametrize("far", [1e6, 1e30, 1e120])
@pytest.mark.parametrize("alpha", [0.0, 0.3])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_targets_that_leave_take_their_rounding_along(backend, fit_intercept, alpha, far):
    """What is carried from one deletion to the next was rounded beside targets that were large."""
    x = with_condition(12, 30, 50.0, generator(21))
    y = targets(12, generator(22), outputs=2)
    y[[3, 8], 0] = far, -far / 2
    y[8, 1] = far
    model = LinearInterpolator(alpha=alpha, fit_intercept=fit_intercept, backend=backend).fit(x, y)
    held = list(range(12))
    for i in (3, 8, 0, 11):
        model.forget([i])
        held.remove(i)
    assert_exact_linear(model, x[held], y[held])


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["double", "single"])
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("sample", degenerate_samples(), ids=str)
def test_rank_deficient_data(backend, sample, fit_intercept, dtype):
    """pinv(X_r) y_r after each of a random sequence of deletions down to a single sample."""
    x, y = sample.x.astype(dtype), sample.y.astype(dtype)
    n = len(x)
    model = LinearInterpolator(fit_intercept=fit_intercept, backend=backend).fit(x, y)
    assert_exact_linear(model, x, y)
    order = drawn(n, n - 1, 16, n)
    for step, i in enumerate(order):
        model.forget([i])
        kept = without(n, order[: step + 1])
        assert list(model.ids_) == list(kept)
        assert_exact_linear(model, x[kept], y[kept])
        assert_bound_holds_linear(model, x[kept], y[kept])


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("sample", degenerate_samples(), ids=str)
def test_rank_deficient_data_at_once(backend, sample, fit_intercept):
    """Half of the samples in one request, then the properties one by one."""
    x, y = sample.x, sample.y
    n = len(x)
    gone = drawn(n, n // 2, 17, n)
    model = LinearInterpolator(fit_intercept=fit_intercept, backend=backend).fit(x, y)
    certificate = model.forget(gone)
    kept = without(n, gone)
    assert_exact_linear(model, x[kept], y[kept])
    assert_minimum_norm(model, x[kept])
    assert_in_the_span_of_the_dual(model, x[kept])
    assert_same_as_refit(model, x[kept], y[kept])
    # With an intercept the rank counts affinely independent samples.
    rank = len(_exact.independent_rows(x[kept], centre=fit_intercept)) + fit_intercept
    assert model.rank_ == rank
    consistent = sensitivity(x[kept], y[kept], fit_intercept) == condition(x[kept], fit_intercept)
    if consistent:
        assert_interpolates(model, x[kept], y[kept])
    assert certificate.n_retained == len(kept)
    assert certificate.n_forgotten == n // 2


@functools.cache
def long_history():
    """1,500 rows of condition 1e4, 1,000 of them to be deleted, and the exact model of the rest."""
    n, p = 1500, 1520
    rng = generator(28)
    x = rng.standard_normal((n, p)) / np.sqrt(p)
    x += rng.standard_normal(p) * rng.standard_normal((n, 1))
    y = targets(n, rng)
    gone = drawn(n, 1000, 29)
    kept = without(n, gone)
    return x, y, gone, kept, _exact.linear(x[kept], y[kept], basis=list(range(500)))[0]


def test_a_thousand_deletions_one_at_a_time(backend):
    """Rotations never break down: the end is within 10x of a fresh fit's error (eps at least)."""
    x, y, gone, kept, exact = long_history()
    model = LinearInterpolator(fit_intercept=False, backend=backend, copy_X=False).fit(x, y)
    for i in gone:
        model.forget([i])
    fresh = LinearInterpolator(fit_intercept=False, backend=backend).fit(x[kept], y[kept])
    error = _exact.relative_error(coefficients(model), exact)
    reference = _exact.relative_error(coefficients(fresh), exact)
    assert error <= 10 * max(reference, np.finfo(float).eps), (error, reference)
    assert model.certify().n_forgotten == 1000


@pytest.mark.parametrize("exponent", [2, 6, 10])
def test_two_hundred_deletions_of_ill_conditioned_rows(backend, exponent):
    n, p = 240, 250
    x = with_condition(n, p, 10.0**exponent, generator(30, exponent))
    y = targets(n, generator(31))
    gone = drawn(n, 200, 32)
    kept = without(n, gone)
    model = LinearInterpolator(fit_intercept=False, backend=backend).fit(x, y)
    for i in gone:
        model.forget([i])
    exact, _ = _exact.linear(x[kept], y[kept])
    fresh = LinearInterpolator(fit_intercept=False, backend=backend).fit(x[kept], y[kept])
    error = _exact.relative_error(coefficients(model), exact)
    reference = _exact.relative_error(coefficients(fresh), exact)
    assert error <= 10 * max(reference, epsilon(model) * condition(x[kept])), (error, reference)
