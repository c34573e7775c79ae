"""The certificate on samples made by hand: each is the smallest case of one way to be wrong."""

import dataclasses
import math

import numpy as np
import pytest

import _exact
from _asserts import (
    assert_bound_holds_linear,
    coefficients,
    condition,
    epsilon,
    size_of,
)
from _samplers import (
    generator,
    hidden_direction,
    with_condition,
)
from minnorm import Certificate, KernelInterpolator, LinearInterpolator

WITHIN = 1e3
pytestmark = pytest.mark.filterwarnings("error")


@pytest.mark.parametrize("fit_intercept", [False, True])
def test_targets_along_the_leading_direction(backend, fit_intercept):
    """Dual coefficients are small here, so the error is what the residual's own rounding hides.

    Two or three rows leave a computed residual of exactly zero now and then; the coefficients are
    off by eps cond all the same.
    """
    for number in range(300):
        rng = generator(3500, number)
        n = int(rng.integers(2, 4))
        x = with_condition(n, n + int(rng.integers(1, 4)), 10.0 ** rng.uniform(4, 11), rng)
        centred = x - x.mean(axis=0) if fit_intercept else x
        left, spectrum, _ = np.linalg.svd(centred, full_matrices=False)
        y = left[:, 0] * spectrum[0] * rng.uniform(1, 2)
        model = LinearInterpolator(fit_intercept=fit_intercept, backend=backend).fit(x, y)
        assert_bound_holds_linear(model, x, y)


@pytest.mark.parametrize("exponent", range(0, 13, 2))
def test_a_hidden_direction_appears(backend, exponent):
    """Rows x, x + e z, 100 z: interlacing over the three rows says nothing about the two left."""
    x = hidden_direction(10.0**-exponent, 6, generator(5000, exponent))
    y = np.array([1.0, -1.0, 3.0])
    model = LinearInterpolator(fit_intercept=False, backend=backend).fit(x, y)
    assert_bound_holds_linear(model, x, y)
    certificate = model.forget([2])
    true, bound = assert_bound_holds_linear(model, x[:2], y[:2])
    smallest = np.linalg.svd(x[:2], compute_uv=False)[-1]
    assert certificate.sigma_min_bound <= smallest * (1 + 1e-6) + 1e-15
    assert model.rank_ == 2
    if exponent <= 6:
        assert bound <= WITHIN * max(
            true, epsilon(model) * condition(x) * np.linalg.norm(model.coef_)
        )


@pytest.mark.parametrize("gap", [1e-14, 1e-15, 1e-16, 1e-18])
def test_at_the_rank_tolerance(backend, gap):
    """Whatever side of the tolerance a row falls on, the bound speaks of the rows it held."""
    rng = generator(6000)
    x = hidden_direction(gap, 6, rng)
    y = np.array([1.0, 1.0, 3.0])
    model = LinearInterpolator(fit_intercept=False, backend=backend).fit(x, y)
    model.forget([2])
    basis = [0, 1] if model.rank_ == 2 else [0]
    exact = _exact.linear(x[:2], y[:2], basis=basis)
    if model.rank_ == 2:
        assert_bound_holds_linear(model, x[:2], y[:2], exact)
    else:
        # Either row may stand for both; the two targets differ by rounding.
        other = _exact.linear(x[:2], y[:2], basis=[1])
        certificate = model.certify()
        distances = [_exact.distance(coefficients(model), e[0]) for e in (exact, other)]
        assert min(distances) <= certificate.parameter_error_bound


@pytest.mark.parametrize("scale", [1e-150, 1e-75, 1e75, 1e150])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_extreme_scales_of_rows_and_targets(backend, scale, fit_intercept):
    """Rows of size 1e-150 to 1e150 with targets of any size: finite bounds that hold."""
    x = with_condition(7, 12, 1e3, generator(7000), scale=scale)
    for size in (1e-120, 1.0, 1e120):
        y = generator(7001).standard_normal(7) * size
        if not 1e-290 < size / scale < 1e290:
            continue
        model = LinearInterpolator(fit_intercept=fit_intercept, backend=backend).fit(x, y)
        model.forget([1])
        held = np.array([0, 2, 3, 4, 5, 6])
        true, bound = assert_bound_holds_linear(model, x[held], y[held])
        assert math.isfinite(bound)
        assert bound <= 1e-6 * size_of(model)


def test_rows_of_mixed_scale(backend):
    """One row 1e12 times the others is ill-conditioned, not broken."""
    rng = generator(8000)
    x = rng.standard_normal((6, 10))
    x[3] *= 1e12
    y = rng.standard_normal(6)
    model = LinearInterpolator(fit_intercept=False, backend=backend).fit(x, y)
    assert_bound_holds_linear(model, x, y)
    model.forget([3])
    held = np.array([0, 1, 2, 4, 5])
    true, bound = assert_bound_holds_linear(model, x[held], y[held])
    assert bound <= 1e-10 * size_of(model)


def test_bound_after_learning(backend):
    """Appending a nearly dependent row lowers sigma_min; the bound follows."""
    rng = generator(9000)
    x = rng.standard_normal((5, 9))
    for exponent in (2, 6, 10):
        new = x[:1] + 10.0**-exponent * rng.standard_normal((1, 9))
        rows = np.vstack([x, new])
        y = rng.standard_normal(6)
        model = LinearInterpolator(fit_intercept=False, backend=backend).fit(x, y[:5])
        before = model.certify().sigma_min_bound
        model.learn(new, y[5:])
        assert_bound_holds_linear(model, rows, y)
        certificate = model.certify()
        assert certificate.sigma_min_bound <= np.linalg.svd(rows, compute_uv=False)[-1] * (1 + 1e-9)
        assert certificate.sigma_min_bound < before


def test_bound_after_a_dependent_row_is_promoted(backend):
    """Deleting from rows x, x', 100 z with x' nearly x: the held sigma_min drops, and is seen."""
    x, near, far = hidden_direction(1e-7, 8, generator(9001))
    rows = np.array([far, x, x, near])
    y = np.array([1.0, 2.0, 2.0, 3.0])
    for gone in ([0], [1], [0, 2], [2, 1]):
        model = LinearInterpolator(fit_intercept=False, backend=backend).fit(rows, y)
        model.forget(gone)
        held = np.setdiff1d(np.arange(4), gone)
        assert_bound_holds_linear(model, rows[held], y[held])


@pytest.mark.parametrize("kind", ["rbf", "laplacian", "matern52", "polynomial"])
def test_prediction_bound_of_kernels(backend, core, kind):
    """|f(x) - f*(x)| <= bound sqrt(k(x, x)), for the exact f* of the Gram matrix as evaluated."""
    rng = generator(9002)
    parameters = {"gamma": 0.2, "degree": 2, "coef0": 1.0}
    x, y = rng.standard_normal((10, 6)), rng.standard_normal(10)
    model = KernelInterpolator(kernel=kind, backend=backend, **parameters).fit(x, y)
    model.forget([9])
    bound = model.certify().prediction_error_bound
    k = core.kernel_matrix(x, x, kind, **parameters)
    exact = _exact.kernel((k + k.T)[:9, :9] / 2, y[:9])
    # The prediction at a sample as a member of the space: its column of K, in exact arithmetic.
    difference = model.dual_coef_ - _exact.to_float(exact)[:, 0]
    error = np.abs(k[:, :9] @ difference) / np.sqrt(np.diag(k))
    assert np.all(error <= bound * (1 + 1e-6))


@pytest.mark.parametrize("fit_intercept", [False, True])
def test_prediction_bound_of_linear_models(backend, fit_intercept):
    """|f(x) - f*(x)| <= prediction_error_bound for every x of norm 1."""
    rng = generator(9003)
    x = with_condition(8, 14, 1e6, rng)
    y = rng.standard_normal(8)
    model = LinearInterpolator(fit_intercept=fit_intercept, backend=backend).fit(x, y)
    theta, intercept = _exact.linear(x, y, fit_intercept=fit_intercept)
    z = rng.standard_normal((50, 14))
    z /= np.linalg.norm(z, axis=1)[:, None] * (1 + 1e-15)
    with _exact.precision(512):
        own = _exact.ball_matrix(coefficients(model))
        offset = _exact.ball_matrix(np.atleast_1d(model.intercept_))
        gap = _exact.values(z, own - theta, offset - intercept)
    error = np.abs(_exact.to_float(gap))
    assert np.all(error <= model.certify().prediction_error_bound)


def test_fields_and_text(backend):
    x, y = np.eye(4, 6) * [[1.0], [2.0], [3.0], [4.0]], np.arange(4.0)
    model = LinearInterpolator(fit_intercept=False, backend=backend).fit(x, y)
    certificate = model.forget([2])
    assert isinstance(certificate, Certificate)
    assert certificate == model.certificate_
    fields = certificate.to_dict()
    expected = {
        "parameter_error_bound",
        "prediction_error_bound",
        "residual",
        "rank",
        "n_retained",
        "n_forgotten",
        "method",
        "backend",
    }
    assert expected <= set(fields)
    assert fields["backend"] == backend
    assert (fields["rank"], fields["n_retained"], fields["n_forgotten"]) == (3, 3, 1)
    assert fields["prediction_error_bound"] >= fields["parameter_error_bound"]
    assert all(v is None or isinstance(v, bool | int | float | str) for v in fields.values())
    text = str(certificate)
    assert len(text.splitlines()) == 3
    assert "3" in text and "interpolates" in text
    with pytest.raises(dataclasses.FrozenInstanceError):
        certificate.rank = 7


def test_sums_of_forgotten_and_retained(backend):
    x, y = with_condition(9, 12, 10.0, generator(9004)), np.arange(9.0)
    model = LinearInterpolator(backend=backend).fit(x, y)
    assert model.forget([0, 1]).n_forgotten == 2
    assert model.forget([5]).n_forgotten == 3
    model.learn(x[:1], y[:1])
    certificate = model.certify()
    assert (certificate.n_forgotten, certificate.n_retained) == (3, 7)
    assert model.fit(x, y).certify().n_forgotten == 0


def test_residual_is_measured_in_user_units(backend):
    """Inconsistent targets 3 and 5 for one row leave a residual of sqrt(2), at any scale."""
    for scale in (1e-100, 1.0, 1e100):
        x = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]) * scale
        y = np.array([3.0, 5.0, 1.0]) * scale
        model = LinearInterpolator(fit_intercept=False, backend=backend).fit(x, y)
        certificate = model.certify()
        assert certificate.residual == pytest.approx(math.sqrt(2.0) * scale, rel=1e-12)
        assert not certificate.interpolates
        assert certificate.sigma_min_bound <= scale * (1 + 1e-15)
        assert certificate.sigma_min_bound >= 0.5 * scale
        assert certificate.condition_bound >= math.sqrt(2.0) * (1 - 1e-12)
