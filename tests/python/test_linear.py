"""Linear models: every option, shape and history gives the model that its definition asks for."""

import numpy as np
import pytest

import _exact
from _asserts import (
    STANDARD,
    assert_bound_holds_linear,
    assert_exact_linear,
    assert_same_as_refit,
    coefficients,
    epsilon,
    ridge_condition,
)
from _samplers import (
    combinations_of,
    degenerate_samples,
    drawn,
    generator,
    short_bits,
    targets,
    with_condition,
    without,
)
from minnorm import LinearInterpolator

pytestmark = pytest.mark.filterwarnings("error")


@pytest.mark.parametrize("factorization", ["auto", "qr", "cholesky"])
def test_every_factorization_gives_the_same_model(backend, factorization):
    n, p = 15, 30
    x, y = with_condition(n, p, 1e3, generator(9)), targets(n, generator(10))
    model = LinearInterpolator(factorization=factorization, backend=backend).fit(x, y)
    model.forget([3, 14, 0])
    kept = without(n, [3, 14, 0])
    assert_exact_linear(model, x[kept], y[kept])


def test_certificate_says_whether_the_model_interpolates(backend):
    x = np.array([[1.0, 2.0], [1.0, 2.0], [0.0, 1.0]])
    model = LinearInterpolator(fit_intercept=False, backend=backend)
    assert model.fit(x, [3.0, 3.0, 1.0]).certify().interpolates
    assert not model.fit(x, [3.0, 4.0, 1.0]).certify().interpolates
    assert model.forget([1]).interpolates


@pytest.mark.parametrize("alpha", [1e-8, 1e-2, 1.0, 1e6])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_ridge(backend, alpha, fit_intercept):
    """alpha > 0 is ridge regression on the retained rows, rank-deficient or not."""
    for number, sample in enumerate(degenerate_samples()[:8]):
        x, y = sample.x, sample.y
        gone = drawn(len(x), len(x) // 3, 18, number)
        model = LinearInterpolator(alpha=alpha, fit_intercept=fit_intercept, backend=backend)
        model.fit(x, y).forget(gone)
        kept = without(len(x), gone)
        theta, _ = _exact.linear(x[kept], y[kept], alpha=alpha, fit_intercept=fit_intercept)
        limit = STANDARD * epsilon(model) * ridge_condition(x[kept], alpha, fit_intercept)
        assert _exact.relative_error(coefficients(model), theta) <= limit
        assert_bound_holds_linear(model, x[kept], y[kept])
        assert_same_as_refit(model, x[kept], y[kept])


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_learning_equals_fitting_everything(backend, alpha, fit_intercept):
    rng = generator(19)
    x, y = rng.standard_normal((14, 30)), rng.standard_normal((14, 2))
    model = LinearInterpolator(alpha=alpha, fit_intercept=fit_intercept, backend=backend)
    model.fit(x[:6], y[:6])
    model.learn(x[6:7], y[6:7])
    model.learn(x[7:], y[7:])
    assert list(model.ids_) == list(range(14))
    assert_exact_linear(model, x, y)
    model.forget([13, 2, 7])
    kept = without(14, [13, 2, 7])
    assert_exact_linear(model, x[kept], y[kept])
    assert_same_as_refit(model, x[kept], y[kept])


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("sample", degenerate_samples()[::2], ids=str)
def test_learning_dependent_rows(backend, sample, fit_intercept):
    """New rows that lie in the span of the old ones, in part or in full, one at a time."""
    x, y = sample.x, sample.y
    model = LinearInterpolator(fit_intercept=fit_intercept, backend=backend).fit(x[:1], y[:1])
    for i in range(1, len(x)):
        model.learn(x[i : i + 1], y[i : i + 1])
        assert_exact_linear(model, x[: i + 1], y[: i + 1])
        assert_bound_holds_linear(model, x[: i + 1], y[: i + 1])


def test_deleting_a_basis_row_promotes_a_dependent_one(backend):
    """Either copy of a duplicated row can go, in any order, and the other one takes over."""
    rng = generator(20)
    distinct = short_bits((5, 9), rng)
    x = np.vstack([distinct, distinct])
    y = np.tile(targets(5, rng), 2)
    for first in range(5):
        model = LinearInterpolator(fit_intercept=False, backend=backend).fit(x, y)
        model.forget([first])
        assert model.rank_ == 5
        assert_exact_linear(model, distinct, y[:5])
        model.forget([first + 5])
        assert model.rank_ == 4
        kept = without(5, [first])
        assert_exact_linear(model, distinct[kept], y[kept])


@pytest.mark.parametrize("count", [1, 2, 5])
def test_shapes_follow_the_targets(backend, count):
    x = with_condition(6, 11, 10.0, generator(21))
    y = targets(6, generator(22), outputs=count)
    flat = LinearInterpolator(backend=backend).fit(x, y[:, 0])
    assert flat.coef_.shape == (11,)
    assert np.ndim(flat.intercept_) == 0
    assert flat.dual_coef_.shape == (6,)
    assert flat.predict(x[:4]).shape == (4,)
    matrix = LinearInterpolator(backend=backend).fit(x, y)
    assert matrix.coef_.shape == (count, 11)
    assert np.shape(matrix.intercept_) == (count,)
    assert matrix.dual_coef_.shape == (6, count)
    assert matrix.predict(x[:4]).shape == (4, count)
    np.testing.assert_allclose(matrix.coef_[0], flat.coef_, rtol=1e-12, atol=1e-14)


def test_score_is_the_coefficient_of_determination(backend):
    rng = generator(23)
    x, y = rng.standard_normal((9, 3)), rng.standard_normal(9)
    model = LinearInterpolator(backend=backend).fit(x, y)
    residual = np.sum((y - model.predict(x)) ** 2)
    expected = 1 - residual / np.sum((y - y.mean()) ** 2)
    assert model.score(x, y) == pytest.approx(expected, rel=1e-12)
    assert 0 < expected < 1


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("exponent", [-500, -40, 40, 500])
def test_powers_of_two_scale_the_model_exactly(backend, exponent, fit_intercept):
    """X -> 2^k X and y -> 2^-k y change no rounding: the coefficients scale bit by bit."""
    rng = generator(24)
    x, y = rng.standard_normal((8, 13)), rng.standard_normal(8)
    fitted = []
    for factor in (1.0, 2.0**exponent):
        model = LinearInterpolator(fit_intercept=fit_intercept, backend=backend)
        model.fit(x * factor, y)
        model.forget([2, 5])
        fitted.append((model.coef_ * factor, model.intercept_))
    np.testing.assert_array_equal(fitted[0][0], fitted[1][0])
    np.testing.assert_array_equal(fitted[0][1], fitted[1][1])


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("p", [1, 3])
def test_smallest_shapes(backend, n, p, fit_intercept):
    rng = generator(25, n, p)
    x, y = rng.standard_normal((n, p)), rng.standard_normal(n)
    model = LinearInterpolator(fit_intercept=fit_intercept, backend=backend).fit(x, y)
    assert_exact_linear(model, x, y)
    if n == 2:
        model.forget([0])
        assert_exact_linear(model, x[1:], y[1:])


def test_outputs_of_which_one_is_orthogonal_to_the_rows(backend):
    """theta = 0 exactly for one output, beside one with theta != 0, among dependent samples."""
    x = np.array([[3.0, 6, 6, -2, 2, 3], [0] * 6, [0] * 6])
    y = np.array([[1.0, -3], [2, -4], [0, 0]])
    model = LinearInterpolator(backend=backend).fit(x, y)
    assert_exact_linear(model, x, y)
    assert np.abs(model.coef_[1]).max() > 0


def test_features_without_information(backend):
    """All-zero rows and constant columns: the intercept alone, or zero coefficients."""
    y = np.array([1.0, 2.0, 6.0])
    for x in (np.zeros((3, 4)), np.full((3, 4), 7.0)):
        model = LinearInterpolator(backend=backend).fit(x, y)
        np.testing.assert_allclose(model.coef_, 0.0, atol=1e-14)
        assert model.intercept_ == pytest.approx(3.0, rel=1e-14)
        model.forget([2])
        assert model.intercept_ == pytest.approx(1.5, rel=1e-14)
    model = LinearInterpolator(fit_intercept=False, backend=backend).fit(np.zeros((3, 4)), y)
    np.testing.assert_array_equal(model.coef_, np.zeros(4))
    assert model.rank_ == 0
    model.learn(np.ones((1, 4)), [2.0])
    np.testing.assert_allclose(model.coef_, 0.5, rtol=1e-14)


def test_zero_targets(backend):
    x = with_condition(5, 9, 1e3, generator(26))
    model = LinearInterpolator(backend=backend).fit(x, np.zeros(5))
    np.testing.assert_array_equal(model.coef_, np.zeros(9))
    assert model.intercept_ == 0.0
    assert model.certify().interpolates


def test_preview_is_forget_without_the_change(backend):
    """For regular and for rank-deficient rows, and twice in a row."""
    rng = generator(27)
    base = short_bits((6, 10), rng)
    x = np.vstack([base, combinations_of(base, 4, rng)])
    y = rng.standard_normal(10)
    model = LinearInterpolator(backend=backend).fit(x, y)
    coef = model.coef_.copy()
    for gone in ([0], [9, 1, 4], list(range(7))):
        seen = model.preview(gone)
        kept = without(10, gone)
        assert_exact_linear(seen, x[kept], y[kept], like=model)
        np.testing.assert_array_equal(model.coef_, coef)
        assert list(model.ids_) == list(range(10))
        forgotten = LinearInterpolator(backend=backend).fit(x, y)
        forgotten.forget(gone)
        gap = np.linalg.norm(seen.coef_ - forgotten.coef_)
        slack = seen.certify().parameter_error_bound + forgotten.certify().parameter_error_bound
        assert gap <= slack
        np.testing.assert_allclose(seen.predict(x), forgotten.predict(x), rtol=1e-9, atol=1e-9)
    model.forget([3])
    kept = without(10, [3])
    assert_exact_linear(model, x[kept], y[kept])
