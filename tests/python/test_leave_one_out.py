"""leave_one_out() is n refits without one sample each, for every kind of data the models take."""

import numpy as np
import pytest

import _exact
from _asserts import STANDARD, columns, condition, epsilon, sensitivity
from _samplers import (
    degenerate_samples,
    feature_points,
    generator,
    short_bits,
    targets,
    with_condition,
)
from minnorm import InputError, KernelInterpolator, LinearInterpolator

pytestmark = pytest.mark.filterwarnings("error")


def refits(x, y, **options):
    """Exact (theta (n, p, t), intercept (n, t), prediction (n, t)) without each sample."""
    n = len(x)
    thetas, intercepts, predictions = [], [], []
    for i in range(n):
        kept = np.delete(np.arange(n), i)
        theta, intercept = _exact.linear(x[kept], y[kept], **options)
        thetas.append(_exact.to_float(theta))
        intercepts.append(_exact.to_float(intercept)[0])
        predictions.append(_exact.to_float(_exact.values(x[i : i + 1], theta, intercept))[0])
    return np.array(thetas), np.array(intercepts), np.array(predictions)


def check_linear(model, x, y, factor=STANDARD):
    """Predictions, residuals, parameters and intercepts against the exact refits."""
    n = len(x)
    options = {"alpha": model.alpha, "fit_intercept": model.fit_intercept}
    thetas, intercepts, predictions = refits(x, y, **options)
    held_out = model.leave_one_out(parameters=True)
    assert list(held_out.ids) == list(model.ids_)
    assert np.shape(held_out.predictions) == np.shape(y) == np.shape(held_out.residuals)
    kappa = 1.0
    for i in range(n):
        kept = np.delete(np.arange(n), i)
        kappa = max(kappa, sensitivity(x[kept], y[kept], model.fit_intercept))
    kappa = max(kappa, sensitivity(x, y, model.fit_intercept))
    limit = factor * epsilon(model) * kappa
    # Both the model's solution and the correction enter, so the larger of them is the scale.
    size = np.abs(thetas).max() + np.abs(coefficient_rows(model)).max()
    reach = np.linalg.norm(x, axis=1).max()
    scale = np.sqrt(x.shape[1]) * size * reach + np.abs(y).max() + np.abs(intercepts).max()
    got = columns(held_out.predictions)
    np.testing.assert_allclose(got, predictions, rtol=0, atol=limit * scale)
    residuals = columns(y) - predictions
    np.testing.assert_allclose(columns(held_out.residuals), residuals, rtol=0, atol=limit * scale)
    rows = np.asarray(held_out.parameters)
    assert rows.shape == held_out.parameters.shape == (n, *np.shape(model.coef_))
    rows = rows.reshape(n, -1, x.shape[1])
    np.testing.assert_allclose(
        rows, thetas.transpose(0, 2, 1), rtol=0, atol=limit * np.sqrt(x.shape[1]) * size
    )
    np.testing.assert_allclose(columns(held_out.intercepts), intercepts, rtol=0, atol=limit * scale)


def coefficient_rows(model):
    return np.atleast_2d(model.coef_)


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("exponent", [1, 4, 7, 10])
def test_full_rank(backend, exponent, fit_intercept):
    x = with_condition(9, 16, 10.0**exponent, generator(1, exponent))
    y = targets(9, generator(2), outputs=2)
    check_linear(LinearInterpolator(fit_intercept=fit_intercept, backend=backend).fit(x, y), x, y)


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("sample", degenerate_samples(), ids=str)
def test_rank_deficient(backend, sample, fit_intercept):
    """Essential samples (no dependent row leans on them) and shared ones, mixed."""
    model = LinearInterpolator(fit_intercept=fit_intercept, backend=backend)
    check_linear(model.fit(sample.x, sample.y), sample.x, sample.y)


@pytest.mark.parametrize("alpha", [1e-3, 1.0])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_ridge(backend, alpha, fit_intercept):
    rng = generator(3)
    for x in (rng.standard_normal((8, 12)), rng.standard_normal((12, 4))):
        y = targets(len(x), rng)
        model = LinearInterpolator(alpha=alpha, fit_intercept=fit_intercept, backend=backend)
        check_linear(model.fit(x, y), x, y, factor=1e4)


@pytest.mark.parametrize("fit_intercept", [False, True])
def test_after_deletions_and_insertions(backend, fit_intercept):
    rng = generator(4)
    x, y = short_bits((12, 15), rng), targets(12, rng)
    x[7] = x[2]
    model = LinearInterpolator(fit_intercept=fit_intercept, backend=backend).fit(x[:8], y[:8])
    model.forget([0, 5])
    model.learn(x[8:], y[8:])
    model.forget([9])
    kept = [1, 2, 3, 4, 6, 7, 8, 10, 11]
    check_linear(model, x[kept], y[kept])


def test_rows_are_lazy_and_indexable(backend):
    x = with_condition(6, 10, 10.0, generator(5))
    y = targets(6, generator(6))
    model = LinearInterpolator(backend=backend).fit(x, y)
    rows = model.leave_one_out(parameters=True).parameters
    assert len(rows) == 6
    full = np.asarray(rows)
    np.testing.assert_allclose(rows[2], full[2], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(rows[-1], full[5], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(rows[1:4], full[1:4], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(rows[[4, 0]], full[[4, 0]], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(list(rows), full, rtol=1e-12, atol=1e-15)
    with pytest.raises(IndexError):
        rows[6]
    model.forget([0])
    with pytest.raises(InputError, match="changed"):
        rows[0]


@pytest.mark.parametrize("alpha", [0.0, 0.1])
@pytest.mark.parametrize("name", ["rbf", "laplacian", "linear", "precomputed"])
def test_kernels(backend, name, alpha):
    rng = generator(7)
    x, y = feature_points(10, 12, rng), targets(10, rng, outputs=2)
    z = x @ x.T if name == "precomputed" else x
    options = {"kernel": name, "gamma": 0.2, "alpha": alpha, "backend": backend}
    held_out = KernelInterpolator(**options).fit(z, y).leave_one_out()
    for i in range(10):
        kept = np.delete(np.arange(10), i)
        block = z[np.ix_(kept, kept)] if name == "precomputed" else z[kept]
        row = z[[i]][:, kept] if name == "precomputed" else z[[i]]
        fresh = KernelInterpolator(**options).fit(block, y[kept])
        np.testing.assert_allclose(held_out.predictions[i], fresh.predict(row)[0], rtol=1e-8)
        np.testing.assert_allclose(
            held_out.residuals[i], y[i] - fresh.predict(row)[0], rtol=1e-8, atol=1e-9
        )


@pytest.mark.parametrize("consistent", [True, False])
def test_kernels_with_duplicates(backend, consistent):
    """A held-out duplicate is predicted by its copies; a unique point by the rest."""
    rng = generator(8)
    owner = [0, 1, 2, 3, 1, 3, 3, 4]
    x = short_bits((5, 7), rng)[owner]
    y = targets(5, rng)[owner] if consistent else targets(8, rng)
    options = {"kernel": "laplacian", "gamma": 0.3, "backend": backend}
    held_out = KernelInterpolator(**options).fit(x, y).leave_one_out()
    for i in range(8):
        kept = np.delete(np.arange(8), i)
        fresh = KernelInterpolator(**options).fit(x[kept], y[kept])
        expected = fresh.predict(x[[i]])[0]
        assert held_out.predictions[i] == pytest.approx(expected, rel=1e-8, abs=1e-8)


def test_single_precision_stays_single(backend):
    x = with_condition(8, 12, 10.0, generator(9), np.float32)
    y = targets(8, generator(10), np.float32)
    held_out = LinearInterpolator(backend=backend).fit(x, y).leave_one_out(parameters=True)
    assert held_out.predictions.dtype == held_out.residuals.dtype == np.float32
    assert np.asarray(held_out.parameters).dtype == np.float32
    _, _, expected = refits(x, y, fit_intercept=True)
    limit = 1e3 * np.finfo(np.float32).eps * condition(x, True)
    np.testing.assert_allclose(held_out.predictions, expected[:, 0], rtol=0, atol=limit)


def test_preview_offers_it_too(backend):
    x = with_condition(9, 16, 10.0, generator(11))
    y = targets(9, generator(12))
    model = LinearInterpolator(backend=backend).fit(x, y)
    seen = model.preview([2, 6]).leave_one_out().predictions
    kept = np.delete(np.arange(9), [2, 6])
    np.testing.assert_allclose(
        seen, refits(x[kept], y[kept], fit_intercept=True)[2][:, 0], rtol=1e-9
    )


def test_changes_nothing(backend):
    x = with_condition(9, 16, 1e3, generator(13))
    y = targets(9, generator(14))
    model = LinearInterpolator(backend=backend).fit(x, y)
    coef, certificate = model.coef_.copy(), model.certify()
    first = model.leave_one_out(parameters=True)
    np.asarray(first.parameters)
    np.testing.assert_array_equal(model.coef_, coef)
    assert model.certify() == certificate
    np.testing.assert_array_equal(model.leave_one_out().predictions, first.predictions)
