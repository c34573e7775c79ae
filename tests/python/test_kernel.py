"""Kernel models: the kernels are their definitions, and the dual coefficients are those of the
retained samples to 100 eps cond(K) against ball arithmetic.
"""

import flint
import numpy as np
import pytest
from sklearn.gaussian_process.kernels import Matern
from sklearn.kernel_ridge import KernelRidge

import _exact
from _asserts import (
    STANDARD,
    assert_bound_holds_kernel,
    assert_interpolates,
    assert_same_as_refit,
    columns,
    epsilon,
)
from _samplers import (
    degenerate_samples,
    feature_points,
    generator,
    orthonormal,
    short_bits,
    targets,
    without,
)
from minnorm import KernelInterpolator

pytestmark = pytest.mark.filterwarnings("error")

KERNELS = {
    "linear": {},
    "rbf": {"gamma": 0.3},
    "laplacian": {"gamma": 0.2},
    "polynomial": {"gamma": 0.5, "degree": 3, "coef0": 1.0},
    "matern32": {"gamma": 0.3},
    "matern52": {"gamma": 0.3},
}
EXPONENTS = range(1, 13)


def with_spectrum(n, condition, rng, dtype=np.float64):
    """A symmetric positive definite matrix with logarithmically spaced eigenvalues."""
    q = orthonormal(n, n, rng)
    k = (q.T * np.logspace(0, -np.log10(condition), n)) @ q
    return ((k + k.T) / 2).astype(dtype)


def exact_kernel(name, x, z, *, gamma=1.0, degree=3, coef0=1.0):
    """k(x, z) of two rows in ball arithmetic, straight from the definition."""
    x, z = [[flint.arb(float(v)) for v in row] for row in (x, z)]
    gamma, coef0 = flint.arb(float(gamma)), flint.arb(float(coef0))
    inner = sum((a * b for a, b in zip(x, z, strict=True)), flint.arb(0))
    squared = sum(((a - b) ** 2 for a, b in zip(x, z, strict=True)), flint.arb(0))
    if name == "linear":
        return inner
    if name == "polynomial":
        return (gamma * inner + coef0) ** degree
    if name == "rbf":
        return (-gamma * squared).exp()
    if name == "laplacian":
        return (-gamma * sum((abs(a - b) for a, b in zip(x, z, strict=True)), flint.arb(0))).exp()
    if name == "matern32":
        a = (6 * gamma * squared).sqrt()
        return (1 + a) * (-a).exp()
    assert name == "matern52"
    a = (10 * gamma * squared).sqrt()
    return (1 + a + a * a / 3) * (-a).exp()


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["double", "single"])
@pytest.mark.parametrize("name", KERNELS)
def test_kernels_are_their_definitions(core, name, dtype):
    """Entries to eps times what the inner products and distances lose, in any block shape."""
    rng = generator(1)
    parameters = {"gamma": 1.0, "degree": 3, "coef0": 1.0} | KERNELS[name]
    eps = np.finfo(dtype).eps
    for n, m, p in ((7, 5, 3), (1, 9, 1), (70, 3, 65)):
        x, z = (
            feature_points(n, p, rng, dtype) / dtype(np.sqrt(p)),
            feature_points(m, p, rng, dtype),
        )
        k = core.kernel_matrix(x, z, name, **parameters)
        assert k.shape == (n, m)
        assert k.dtype == dtype
        size = np.abs(x).astype(float) @ np.abs(z).astype(float).T
        size += np.sum(x * x, axis=1)[:, None] + np.sum(z * z, axis=1)[None, :]
        with _exact.precision(256):
            for i in range(0, n, 11):
                for j in range(m):
                    exact = float(exact_kernel(name, x[i], z[j], **parameters).mid())
                    loss = (p + 20) * eps * (1 + size[i, j])
                    scale = 3 * (1 + size[i, j]) ** 3 if name == "polynomial" else 1.0
                    # A square root near zero turns an error of d^2 into its root; these points
                    # are well apart, so the first-order loss is the right measure.
                    assert abs(float(k[i, j]) - exact) <= 4 * loss * scale


@pytest.mark.parametrize("name", KERNELS)
def test_kernel_matrices_are_symmetric_with_an_exact_diagonal(core, name):
    x = feature_points(40, 6, generator(2)) + 100.0
    parameters = {"gamma": 1.0, "degree": 3, "coef0": 1.0} | KERNELS[name]
    k = core.kernel_matrix(x, x, name, **parameters)
    if name not in ("linear", "polynomial"):
        assert np.all(k <= 1.0)
        np.testing.assert_allclose(np.diag(k), 1.0, rtol=1e-6)
    np.testing.assert_allclose(k, k.T, rtol=1e-6)


def test_length_scale_convention_of_matern(core):
    """gamma = 1 / (2 l^2), as for rbf; scikit-learn's Matern is the reference."""
    x, length = feature_points(9, 4, generator(3)), 1.7
    for name, nu in (("matern32", 1.5), ("matern52", 2.5)):
        k = core.kernel_matrix(x, x, name, gamma=1 / (2 * length**2), degree=3, coef0=1.0)
        np.testing.assert_allclose(k, Matern(length_scale=length, nu=nu)(x), rtol=1e-7)


@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "one by one"])
@pytest.mark.parametrize("exponent", EXPONENTS)
def test_accuracy_after_deletion(backend, exponent, at_once):
    """Precomputed Gram matrices of condition 1e1 to 1e12; 1, 3 and half of the samples."""
    n = 20
    k = with_spectrum(n, 10.0**exponent, generator(4, exponent))
    y = targets(n, generator(5, exponent), outputs=2)
    for count in (0, 1, 3, n // 2):
        gone = generator(6, exponent, count).choice(n, count, replace=False)
        kept = without(n, gone)
        model = KernelInterpolator(kernel="precomputed", backend=backend).fit(k, y)
        if at_once and count:
            model.forget(gone)
        elif count:
            for i in gone:
                model.forget([i])
        exact = _exact.kernel(k[np.ix_(kept, kept)], y[kept])
        limit = STANDARD * epsilon(model) * 10.0**exponent
        assert _exact.relative_error(model.dual_coef_, exact) <= limit
        assert_bound_holds_kernel(model, k[np.ix_(kept, kept)], y[kept])
        assert model.rank_ == len(kept)


@pytest.mark.parametrize("name", KERNELS)
def test_feature_kernels_agree_with_their_gram_matrix(backend, core, name):
    """A model on points and one on the precomputed matrix of those points are the same model."""
    rng = generator(7)
    x, z = feature_points(12, 15, rng), feature_points(5, 15, rng)
    y = targets(12, rng, outputs=2)
    points = KernelInterpolator(kernel=name, backend=backend, **KERNELS[name]).fit(x, y)
    parameters = {"gamma": 1.0, "degree": 3, "coef0": 1.0} | KERNELS[name]
    k = core.kernel_matrix(x, x, name, **parameters)
    across = core.kernel_matrix(z, x, name, **parameters)
    gram = KernelInterpolator(kernel="precomputed", backend=backend).fit((k + k.T) / 2, y)
    assert_interpolates(points, x, y, factor=1e3 * np.linalg.cond(k))
    for gone in ([0], [11, 4, 7]):
        points.forget(gone)
        gram.forget(gone)
        kept = list(points.ids_)
        predicted = points.predict(z)
        expected = gram.predict(across[:, kept])
        limit = 1e3 * epsilon(points) * np.linalg.cond(k) * np.abs(expected).max()
        np.testing.assert_allclose(predicted, expected, rtol=0, atol=limit)
        assert_same_as_refit(points, x[kept], y[kept])


@pytest.mark.parametrize("name", ["linear", "rbf", "laplacian", "polynomial"])
@pytest.mark.parametrize("gamma", [None, 0.7])
def test_parameters_mean_what_they_mean_in_kernel_ridge(backend, name, gamma):
    rng = generator(8)
    x, z, y = feature_points(15, 4, rng), feature_points(6, 4, rng), targets(15, rng)
    parameters = {"alpha": 0.3, "kernel": name, "gamma": gamma, "degree": 2, "coef0": 0.5}
    expected = KernelRidge(**parameters).fit(x, y).predict(z)
    model = KernelInterpolator(backend=backend, **parameters).fit(x, y)
    np.testing.assert_allclose(model.predict(z), expected, rtol=1e-10, atol=1e-12)


def test_callable_kernels_take_their_parameters(backend):
    """A callable of two rows, as in KernelRidge, through every method that evaluates it."""

    def tempered(a, b, width):
        return float(np.exp(-np.sum((a - b) ** 2) / width))

    rng = generator(9)
    x, z, y = feature_points(9, 3, rng), feature_points(4, 3, rng), targets(9, rng)
    model = KernelInterpolator(kernel=tempered, kernel_params={"width": 2.0}, backend=backend)
    reference = KernelInterpolator(kernel="rbf", gamma=0.5, backend=backend)
    for m in (model, reference):
        m.fit(x[:7], y[:7])
        m.learn(x[7:], y[7:])
        m.forget([0, 8])
    np.testing.assert_allclose(model.predict(z), reference.predict(z), rtol=1e-9, atol=1e-9)
    held_out = [m.leave_one_out().predictions for m in (model, reference)]
    np.testing.assert_allclose(*held_out, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", ["linear", "rbf", "laplacian", "matern32"])
@pytest.mark.parametrize("consistent", [True, False])
def test_duplicate_points(backend, name, consistent):
    """Repeated points keep the function of the distinct ones with their targets averaged."""
    rng = generator(10)
    distinct = short_bits((6, 8), rng)
    owner = np.array([0, 1, 2, 3, 4, 5, 1, 3, 3])
    x = distinct[owner]
    y = targets(6, rng)[owner] if consistent else targets(9, rng)
    model = KernelInterpolator(kernel=name, backend=backend, **KERNELS[name]).fit(x, y)
    z = feature_points(5, 8, rng)
    kept = np.arange(9)
    for gone in ([], [1], [8, 3], [0]):
        if gone:
            model.forget(gone)
        kept = np.setdiff1d(kept, gone)
        groups = np.unique(owner[kept])
        counts = np.array([np.sum(owner[kept] == g) for g in groups])
        means = np.array([y[kept][owner[kept] == g].mean() for g in groups])
        # Weighted least squares on distinct points that can be interpolated returns the means,
        # whatever the weights.
        assert counts.sum() == len(kept)
        reference = KernelInterpolator(kernel=name, backend=backend, **KERNELS[name])
        reference.fit(distinct[groups], means)
        assert model.rank_ == len(groups)
        np.testing.assert_allclose(model.predict(z), reference.predict(z), rtol=1e-8, atol=1e-8)
        assert model.certify().interpolates == bool(
            consistent or np.array_equal(means[np.searchsorted(groups, owner[kept])], y[kept])
        )


@pytest.mark.parametrize("sample", degenerate_samples(), ids=str)
def test_rank_deficient_gram_matrices(backend, sample):
    """Integer Gram matrices X X^T are exact, so their rank is; K pinv(K) y after deletions."""
    k = sample.x @ sample.x.T
    n = len(k)
    order = generator(11, n).choice(n, n - 1, replace=False)
    model = KernelInterpolator(kernel="precomputed", backend=backend).fit(k, sample.y)
    for step in range(n):
        if step:
            model.forget([order[step - 1]])
        kept = without(n, order[:step])
        gram = k[np.ix_(kept, kept)]
        basis = _exact.independent_rows(gram)
        assert model.rank_ == len(basis)
        if not basis:
            np.testing.assert_array_equal(model.predict(gram), np.zeros((len(kept), 2)))
            continue
        spectrum = np.linalg.svd(gram, compute_uv=False)
        kappa = spectrum[0] / spectrum[len(basis) - 1]
        exact = _exact.kernel(gram, sample.y[kept])
        true = _exact.rkhs_distance(gram, model.dual_coef_, exact)
        size = np.abs(sample.y).max() * np.sqrt(n) / np.sqrt(spectrum[len(basis) - 1])
        assert true <= STANDARD * epsilon(model) * kappa * size
        assert_bound_holds_kernel(model, gram, sample.y[kept])


@pytest.mark.parametrize("alpha", [1e-3, 10.0])
def test_ridge(backend, alpha):
    """alpha > 0 gives kernel ridge regression on the retained samples, singular K included."""
    rng = generator(12)
    singular = short_bits((10, 4), rng)
    for k in (with_spectrum(10, 1e6, rng), singular @ singular.T):
        y = targets(10, rng, outputs=2)
        model = KernelInterpolator(kernel="precomputed", alpha=alpha, backend=backend).fit(k, y)
        model.forget([9, 4])
        kept = without(10, [9, 4])
        gram = k[np.ix_(kept, kept)]
        exact = _exact.kernel(gram, y[kept], alpha=alpha)
        limit = STANDARD * epsilon(model) * np.linalg.cond(gram + alpha * np.eye(8))
        assert _exact.relative_error(model.dual_coef_, exact) <= limit
        assert_bound_holds_kernel(model, gram, y[kept])


def test_precomputed_learning_and_prediction_follow_the_retained_order(backend):
    """learn takes [K(new, retained) | K(new, new)]; predict takes columns in the order of ids_."""
    k = with_spectrum(12, 1e3, generator(13))
    y = targets(12, generator(14))
    model = KernelInterpolator(kernel="precomputed", backend=backend).fit(k[:8, :8], y[:8])
    model.forget([2, 5])
    held = [0, 1, 3, 4, 6, 7]
    new = [8, 9, 10, 11]
    model.learn(k[np.ix_(new, held + new)], y[new])
    model.forget([9])
    order = [0, 1, 3, 4, 6, 7, 8, 10, 11]
    assert list(model.ids_) == order
    gram = k[np.ix_(order, order)]
    exact = _exact.kernel(gram, y[order])
    limit = STANDARD * epsilon(model) * 1e3
    assert _exact.relative_error(model.dual_coef_, exact) <= limit
    expected = k[[2, 5]][:, order] @ np.linalg.solve(gram, y[order])
    np.testing.assert_allclose(model.predict(k[[2, 5]][:, order]), expected, rtol=1e-9)


@pytest.mark.parametrize("name", KERNELS)
def test_learning_equals_fitting_everything(backend, name):
    rng = generator(15)
    x, z, y = feature_points(13, 16, rng), feature_points(4, 16, rng), targets(13, rng, outputs=2)
    model = KernelInterpolator(kernel=name, backend=backend, **KERNELS[name])
    model.fit(x[:5], y[:5]).learn(x[5:6], y[5:6])
    model.learn(x[6:], y[6:])
    fresh = assert_same_as_refit(model, x, y)
    np.testing.assert_allclose(model.predict(z), fresh.predict(z), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", KERNELS)
def test_single_precision_stays_single(backend, name):
    rng = generator(16)
    x, y = feature_points(10, 12, rng, np.float32), targets(10, rng, np.float32)
    model = KernelInterpolator(kernel=name, backend=backend, **KERNELS[name]).fit(x, y)
    model.forget([3])
    assert model.dual_coef_.dtype == np.float32
    assert model.predict(x).dtype == np.float32
    kept = without(10, [3])
    double = KernelInterpolator(kernel=name, backend=backend, **KERNELS[name])
    double.fit(x[kept].astype(float), y[kept].astype(float))
    np.testing.assert_allclose(model.predict(x), double.predict(x.astype(float)), atol=2e-3)


@pytest.mark.parametrize("exponent", [-460, -33, 33, 460])
def test_powers_of_two_scale_the_model_exactly(backend, exponent):
    """K -> 2^k K: predictions from scaled columns are the same bit by bit."""
    k = with_spectrum(9, 1e4, generator(17))
    y = targets(9, generator(18))
    predictions = []
    for factor in (1.0, 2.0**exponent):
        model = KernelInterpolator(kernel="precomputed", backend=backend).fit(k * factor, y)
        model.forget([0, 4])
        kept = without(9, [0, 4])
        predictions.append(model.predict(k[[0, 4]][:, kept] * factor))
    np.testing.assert_array_equal(*predictions)


def test_dual_coefficients_of_dependent_samples_have_minimum_norm(backend):
    """dual_coef_ = pinv(K) y: a duplicated sample shares its weight equally with its copy."""
    base = short_bits((4, 6), generator(19))
    x = base[[0, 1, 2, 3, 1]]
    y = targets(4, generator(20))[[0, 1, 2, 3, 1]]
    model = KernelInterpolator(kernel="linear", backend=backend).fit(x, y)
    expected = np.linalg.pinv(x @ x.T) @ y
    np.testing.assert_allclose(columns(model.dual_coef_)[:, 0], expected, rtol=1e-10, atol=1e-12)
    assert model.dual_coef_[1] == pytest.approx(model.dual_coef_[4], rel=1e-12)


def test_preview_is_forget_without_the_change(backend):
    rng = generator(21)
    x, z, y = feature_points(11, 5, rng), feature_points(4, 5, rng), targets(11, rng)
    model = KernelInterpolator(kernel="laplacian", gamma=0.4, backend=backend).fit(x, y)
    before = model.predict(z)
    for gone in ([10], [0, 5, 7]):
        seen = model.preview(gone)
        fresh = KernelInterpolator(kernel="laplacian", gamma=0.4, backend=backend)
        kept = without(11, gone)
        fresh.fit(x[kept], y[kept])
        np.testing.assert_allclose(seen.predict(z), fresh.predict(z), rtol=1e-10, atol=1e-12)
        np.testing.assert_array_equal(model.predict(z), before)
