"""LinearNetwork: Lemma 1 and Theorems 3 and 4, against ball arithmetic."""

import copy
import pickle

import flint
import numpy as np
import pytest

import _exact
from _asserts import STANDARD, condition
from _samplers import LAYOUTS, degenerate_samples, generator, with_condition
from minnorm import (
    InputError,
    LinearInterpolator,
    LinearNetwork,
    NetworkCertificate,
    RankError,
    ShapeError,
    unlearn_linear,
)

pytestmark = pytest.mark.filterwarnings("error")

EPS = np.finfo(float).eps


def random_weights(rng, depth, p, outputs=None, widths=None):
    """Gaussian layers with outputs of size 1; `outputs` None for a vector c."""
    if widths is None:
        widths = rng.integers(1, 12, depth - 1)
    sizes = [p, *widths]
    layers = [rng.standard_normal((sizes[i + 1], sizes[i])) for i in range(depth - 1)]
    last = sizes[-1] if outputs is None else (outputs, sizes[-1])
    return [layer / np.sqrt(layer.shape[1]) for layer in layers] + [rng.standard_normal(last)]


def exact_product(layers):
    """Enclose the product of the layers, transposed: (columns of the first, outputs)."""
    with _exact.precision(4 * _exact.FIRST_PRECISION):
        product = _exact.ball_matrix(layers[-1])
        for layer in reversed(layers[:-1]):
            product = product * _exact.ball_matrix(layer)
        return product.transpose()


def exact_projection(x, w):
    """Enclose P w for an enclosed w (p, t), P the projection onto the rows of x."""
    basis = _exact.independent_rows(x)
    if not basis:
        return flint.arb_mat(w.nrows(), w.ncols())

    def compute():
        rows = _exact.ball_matrix(np.asarray(x)[basis])
        return (rows.transpose() * (rows * rows.transpose()).solve(rows * w),)

    return _exact._adaptively(compute)[0]


def size_of_product(layers):
    """The scale of rounding in the product: the Frobenius norm of |c| |A_(L-1)| ... |A_1|."""
    product = np.abs(np.atleast_2d(layers[-1]))
    for layer in reversed(layers[:-1]):
        product = product @ np.abs(layer)
    return np.linalg.norm(product)


def assert_projected(network, unlearned, x, bound=None):
    """w(theta + Delta) is P w(theta): both products exact, of the stored numbers."""
    exact = exact_projection(x, exact_product(network.weights))
    with _exact.precision(4 * _exact.FIRST_PRECISION):
        gap = exact_product(unlearned.weights) - exact
        error = _exact._largest_root(_exact._sum_of_squares(gap, j) for j in range(gap.ncols()))
    if bound is None:
        bound = STANDARD * EPS * condition(x) * size_of_product(network.weights)
    assert error <= bound, (error, bound)
    return error, _exact.norm(exact)


def assert_orthogonal_to_model_gradients(network, unlearned, x):
    """<Delta, grad f_j(theta, x_i)> = 0 over *all* blocks, with gradients by their own formula."""
    weights = [np.atleast_2d(layer) for layer in network.weights]
    change = [
        np.atleast_2d(after) - before
        for after, before in zip(unlearned.weights, weights, strict=True)
    ]
    length = np.sqrt(sum(np.sum(block**2) for block in change))
    size = np.sqrt(sum(np.sum(layer**2) for layer in weights))
    for row in x:
        inputs = [row]
        for layer in weights[:-1]:
            inputs.append(layer @ inputs[-1])
        for j in range(len(weights[-1])):
            # d f_j / d A_l is the product of what comes after A_l, times its input.
            after = np.eye(len(weights[-1]))[j]
            product = squares = 0.0
            for layer, value, block in zip(
                reversed(weights), reversed(inputs), reversed(change), strict=True
            ):
                product += after @ block @ value
                squares += (after @ after) * (value @ value)
                after = after @ layer
            # Delta is the difference of stored numbers, each of which was rounded.
            assert abs(product) <= STANDARD * EPS * np.sqrt(squares) * (length + size), product


@pytest.mark.parametrize("depth", [2, 3, 4, 5])
@pytest.mark.parametrize("outputs", [None, 1, 3])
def test_lemma_1(backend, depth, outputs):
    """Any depth, any widths, narrower or wider than the outputs: the predictor is projected."""
    for number in range(4):
        rng = generator(1, depth, outputs or 0, number)
        n, p = rng.integers(1, 8), rng.integers(8, 25)
        x = with_condition(n, p, 10.0, rng)
        network = LinearNetwork(random_weights(rng, depth, p, outputs), backend=backend)
        unlearned, certificate = network.unlearn(x)
        assert_projected(network, unlearned, x)
        assert_orthogonal_to_model_gradients(network, unlearned, x)
        assert certificate.gradient_orthogonality <= 1e-12
        assert certificate.interpolates
        assert certificate.rank == n
        for before, after in zip(network.weights[1:], unlearned.weights[1:], strict=True):
            np.testing.assert_array_equal(before, after)
        assert np.shape(unlearned.predictor()) == np.shape(network.predictor())


@pytest.mark.parametrize("depth", [2, 3, 4, 5])
def test_lemma_1_to_a_part_in_1e12(backend, depth):
    """Relative to the projected predictor itself, at the shapes of a real network."""
    rng = generator(2, depth)
    x = rng.standard_normal((30, 120))
    weights = random_weights(rng, depth, 120, widths=[60, 50, 40, 30][: depth - 1])
    network = LinearNetwork(weights, backend=backend)
    unlearned, certificate = network.unlearn(x)
    exact = unlearn_linear(network.predictor(), x, backend=backend)
    error = np.linalg.norm(unlearned.predictor() - exact)
    assert error <= 1e-12 * np.linalg.norm(exact)
    again, second = unlearned.unlearn(x)
    np.testing.assert_allclose(again.predictor(), exact, rtol=0, atol=1e-12)
    assert second.parameter_change <= 1e-12
    assert second.gradient_orthogonality <= 1.0


@pytest.mark.parametrize("sample", degenerate_samples()[::2], ids=str)
def test_rank_deficient_retained_inputs(backend, sample):
    rng = generator(3)
    network = LinearNetwork(random_weights(rng, 3, sample.x.shape[1], 2), backend=backend)
    unlearned, certificate = network.unlearn(sample.x)
    assert_projected(network, unlearned, sample.x)
    assert certificate.rank == len(_exact.independent_rows(sample.x))
    assert certificate.interpolates


def test_the_formula_of_lemma_1(backend):
    """For one output, Delta = -(b / ||b||^2) (P w)^T, P onto the complement."""
    rng = generator(4)
    x, weights = rng.standard_normal((4, 11)), random_weights(rng, 4, 11)
    network = LinearNetwork(weights, backend=backend)
    change = network.unlearn(x)[0].weights[0] - network.weights[0]
    b = weights[1].T @ weights[2].T @ weights[3]
    w = network.predictor()
    removed = w - np.linalg.pinv(x) @ (x @ w)
    np.testing.assert_allclose(change, -np.outer(b / (b @ b), removed), atol=1e-13)


@pytest.mark.parametrize("outputs", [None, 2, 9])
def test_the_change_is_the_least(backend, outputs):
    """No other change of A_1 with that predictor is smaller: rows of A_1 projected, for one."""
    rng = generator(5, outputs or 0)
    x, weights = rng.standard_normal((4, 11)), random_weights(rng, 3, 11, outputs, [6, 5])
    network = LinearNetwork(weights, backend=backend)
    unlearned, certificate = network.unlearn(x)
    first = network.weights[0]
    complement = np.eye(11) - np.linalg.pinv(x) @ x
    b = np.atleast_2d(weights[2]) @ weights[1]
    least = np.linalg.norm(np.linalg.pinv(b) @ b @ first @ complement)
    assert certificate.parameter_change == pytest.approx(least, rel=1e-10)
    assert certificate.parameter_change < np.linalg.norm(first @ complement)


def test_rank_deficient_later_layers(backend):
    """B of rank 1 with two outputs: exact where dividing by a singular value would not be."""
    rng = generator(6)
    weights = [rng.standard_normal((4, 9)), np.outer([1.0, 2, 3], [1.0, -1, 2, 0.5])]
    weights.append(rng.standard_normal((2, 3)))
    x = rng.standard_normal((3, 9))
    for scale in (0.0, 1e-15, 1e-9):
        weights[1][0, 0] = 1.0 + scale
        network = LinearNetwork(weights, backend=backend)
        unlearned, certificate = network.unlearn(x)
        assert_projected(network, unlearned, x)
        assert certificate.gradient_orthogonality <= 1e-11
        assert certificate.parameter_change <= np.linalg.norm(weights[0])


def test_later_layers_that_vanish(backend):
    """b = 0: the predictor is 0, its own projection; nothing moves, and nothing is divided by."""
    weights = [np.ones((2, 5)), np.array([[1.0, 0.0], [0.0, 0.0]]), [0.0, 1.0]]
    network = LinearNetwork(weights, backend=backend)
    unlearned, certificate = network.unlearn(np.eye(2, 5))
    np.testing.assert_array_equal(unlearned.predictor(), np.zeros(5))
    for before, after in zip(network.weights, unlearned.weights, strict=True):
        np.testing.assert_array_equal(before, after)
    assert certificate.rank == 2
    assert certificate.interpolates
    assert certificate.relative_residual == certificate.parameter_change == 0.0
    assert certificate.minimum_parameter_norm == 0.0


def test_equals_the_interpolator_of_the_rest(backend):
    """An interpolating network of any layers: the model retrained on the retained data."""
    rng = generator(7)
    x, y = rng.standard_normal((9, 20)), rng.standard_normal((9, 2))
    weights = random_weights(rng, 3, 20, 2, [6, 5])
    # Move A_1 so that the network interpolates: B A_1 must equal W.
    b = weights[2] @ weights[1]
    w = np.linalg.lstsq(x, y, rcond=None)[0].T
    null = rng.standard_normal((2, 20))
    w = w + null - null @ np.linalg.pinv(x) @ x
    weights[0] = weights[0] + np.linalg.pinv(b) @ (w - b @ weights[0])
    network = LinearNetwork(weights, backend=backend)
    np.testing.assert_allclose(network.predict(x), y, atol=1e-12)
    unlearned, _ = network.unlearn(x[3:])
    fresh = LinearInterpolator(fit_intercept=False, backend=backend).fit(x[3:], y[3:])
    np.testing.assert_allclose(unlearned.predictor(), fresh.coef_, atol=1e-12)


def test_counter_example_of_appendix_d_4_1(backend):
    """Without the drift regulariser the relaxed problem accepts a network that is 0 everywhere."""
    e = np.eye(3)
    a, c, retained = np.eye(3), e[0] + e[1], e[:1]
    change_c = -e[2]
    change_a = np.outer(e[2], e[0]) - np.outer(e[1], e[1]) - np.outer(e[2], e[2])
    # It is feasible: orthogonal to both blocks of the gradient at the retained e_1.
    assert np.sum(change_a * np.outer(c, e[0])) == 0.0
    assert change_c @ (a @ e[0]) == 0.0
    broken = LinearNetwork([a + change_a, c + change_c], backend=backend)
    np.testing.assert_array_equal(broken.predictor(), np.zeros(3))

    network = LinearNetwork([a, c], backend=backend)
    np.testing.assert_array_equal(network.predict(e[:2]), [1.0, 1.0])
    unlearned, certificate = network.unlearn(retained)
    np.testing.assert_allclose(unlearned.predict(e), [1.0, 0.0, 0.0], atol=1e-15)
    assert certificate.interpolates


@pytest.mark.parametrize("depth", [2, 3, 4, 5])
def test_theorem_4(backend, depth):
    """sqrt(L) rho^(1/L), balanced layers, the same predictor; 20 other factorizations are worse."""
    rng = generator(8, depth)
    for scale in (1.0, 1e-6, 1e9):
        p, widths = rng.integers(2, 15), rng.integers(1, 9, depth - 1)
        weights = random_weights(rng, depth, p, widths=widths)
        weights[0] = weights[0] * scale
        network = LinearNetwork(weights, backend=backend)
        w = network.predictor()
        rho = np.linalg.norm(w)
        least = network.minimum_parameter_norm()
        assert least.widths == network.widths
        assert np.shape(least.weights[-1]) == np.shape(weights[-1])
        expected = np.sqrt(depth) * rho ** (1 / depth)
        assert least.parameter_norm == pytest.approx(expected, rel=1e-12)
        for layer in least.weights:
            assert np.linalg.norm(layer) == pytest.approx(rho ** (1 / depth), rel=1e-12)
        np.testing.assert_allclose(least.predictor(), w, rtol=0, atol=1e-13 * rho)
        for _ in range(20):
            # Any later layers, the least A_1 that goes with them, the scale shared as well as can.
            other = random_weights(rng, depth, p, widths=widths)
            b = other[-1]
            for layer in reversed(other[1:-1]):
                b = b @ layer
            other[0] = np.outer(b / (b @ b), w)
            norms = np.array([np.linalg.norm(layer) for layer in other])
            shared = np.exp(np.mean(np.log(norms)))
            other = [layer * (shared / size) for layer, size in zip(other, norms, strict=True)]
            rest = LinearNetwork(other, backend=backend)
            np.testing.assert_allclose(rest.predictor(), w, rtol=0, atol=1e-10 * rho)
            assert rest.parameter_norm >= least.parameter_norm * (1 - 1e-12)


@pytest.mark.parametrize("depth", [2, 3, 5])
def test_least_parameter_norm_of_several_outputs(backend, depth):
    """sqrt(L sum sigma_i^(2/L)), and no random balanced reshaping of the factors is less."""
    rng = generator(9, depth)
    w = with_condition(3, 7, 100.0, rng, scale=5.0)
    widths = [4, 3, 6, 5][: depth - 1]
    least = LinearNetwork.balanced(w, widths, backend=backend)
    sigma = np.linalg.svd(w, compute_uv=False)
    expected = np.sqrt(depth * np.sum(sigma ** (2 / depth)))
    assert least.parameter_norm == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(least.predictor(), w, rtol=0, atol=1e-13 * sigma[0])
    for _ in range(20):
        # M_l^-1 between layers changes no product; near the identity it tests a local minimum.
        layers = list(least.weights)
        for position, h in enumerate(widths):
            m = np.eye(h) + 10.0 ** rng.uniform(-3, 0) * rng.standard_normal((h, h))
            layers[position] = m @ layers[position]
            layers[position + 1] = layers[position + 1] @ np.linalg.inv(m)
        other = LinearNetwork(layers, backend=backend)
        assert other.parameter_norm >= least.parameter_norm * (1 - 1e-12)
    deficient = w.copy()
    deficient[2] = deficient[0] - deficient[1]
    two = LinearNetwork.balanced(deficient, [2] * (depth - 1), backend=backend)
    np.testing.assert_allclose(two.predictor(), deficient, rtol=0, atol=1e-13 * sigma[0])
    with pytest.raises(RankError, match=r"rank 3.*at least 3"):
        LinearNetwork.balanced(w, [2] * (depth - 1), backend=backend)


def test_certificate_reports_theorem_4(backend):
    rng = generator(10)
    network = LinearNetwork(random_weights(rng, 3, 10, 2, [4, 4]), backend=backend)
    unlearned, certificate = network.unlearn(rng.standard_normal((3, 10)))
    assert certificate.parameter_norm == pytest.approx(unlearned.parameter_norm)
    least = unlearned.minimum_parameter_norm().parameter_norm
    assert certificate.minimum_parameter_norm == pytest.approx(least, rel=1e-12)
    assert least <= certificate.parameter_norm


@pytest.mark.parametrize("outputs", [None, 2])
def test_zero_predictor_has_zero_layers(backend, outputs):
    last = np.zeros(3 if outputs is None else (outputs, 3))
    least = LinearNetwork([np.ones((3, 4)), last], backend=backend).minimum_parameter_norm()
    assert [layer.any() for layer in least.weights] == [False, False]
    assert least.parameter_norm == 0.0


def test_extreme_scales(backend):
    """Norms are not formed from squares: 1e-200 and 1e+200 neither vanish nor overflow."""
    for scale in (1e-200, 1e200):
        w = scale * np.array([3.0, 4.0])
        least = LinearNetwork.balanced(w, [2], backend=backend)
        np.testing.assert_allclose(least.predictor(), w, rtol=1e-14)
        assert least.parameter_norm == pytest.approx(np.sqrt(2) * np.sqrt(5 * scale), rel=1e-12)


def test_certificate_is_readable_and_plain(backend):
    network = LinearNetwork(random_weights(generator(11), 3, 8), backend=backend)
    certificate = network.unlearn(np.eye(3, 8))[1]
    assert isinstance(certificate, NetworkCertificate)
    record = certificate.to_dict()
    assert record["backend"] == record["projection"]["backend"] == backend
    assert record["kind"] == "linear network"
    assert certificate.projection.parameter_error_bound < 1e-12
    text = str(certificate)
    for part in ("3 samples retained, rank 3", "outputs kept", "the least", backend):
        assert part in text
    assert "by Theorem 5" not in text
    with pytest.raises(AttributeError):
        certificate.rank = 0
    assert pickle.loads(pickle.dumps(certificate)) == certificate


def test_the_network_owns_its_layers(backend):
    """The caller's arrays are neither written to nor held, and a network is a value."""
    weights = random_weights(generator(12), 3, 6)
    x = np.eye(2, 6)
    before = copy.deepcopy(weights)
    for array in (*weights, x):
        array.setflags(write=False)
    network = LinearNetwork(weights, backend=backend)
    w = network.predictor()
    network.unlearn(x)
    network.minimum_parameter_norm()
    for got, expected in zip(weights, before, strict=True):
        np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(network.predictor(), w)
    assert not any(np.shares_memory(a, b) for a in weights for b in network.weights)
    with pytest.raises(ValueError, match="read-only"):
        network.weights[0][0, 0] = 1.0
    w[0] = 7.0
    assert network.predictor()[0] != 7.0
    loaded = pickle.loads(pickle.dumps(network))
    np.testing.assert_array_equal(loaded.predictor(), network.predictor())


def test_layouts(backend):
    weights = random_weights(generator(13), 2, 6)
    x = generator(14).standard_normal((3, 6))
    expected = LinearNetwork(weights, backend=backend).unlearn(x)[0].predictor()
    for name, layout in LAYOUTS.items():
        network = LinearNetwork([layout(weights[0]), weights[1]], backend=backend)
        got = network.unlearn(layout(x))[0].predictor()
        np.testing.assert_array_equal(got, expected, err_msg=name)
    single = LinearNetwork([layer.astype(np.float32) for layer in weights], backend=backend)
    assert single.predictor().dtype == np.float64


@pytest.mark.parametrize(
    ("weights", "error", "names"),
    [
        ([np.ones((3, 4)), np.ones(2)], ShapeError, ["weights[1] (c)", "(A_1)", "3", "(2,)"]),
        (
            [np.ones((3, 4)), np.ones((2, 4)), np.ones(2)],
            ShapeError,
            ["weights[1] (A_2)", "weights[0] (A_1)", "3", "(2, 4)"],
        ),
        ([np.ones(4), np.ones(3)], ShapeError, ["weights[0] (A_1)", "(h_1, p)", "(4,)"]),
        ([np.ones((3, 4)), np.ones((1, 1, 3))], ShapeError, ["weights[1] (c)", "(t, h_1)"]),
        ([np.ones((0, 4)), np.ones(0)], ShapeError, ["weights[0] (A_1)", "empty"]),
        ([np.ones((3, 4))], ShapeError, ["two layers", "unlearn_linear"]),
        (3.0, InputError, ["weights", "sequence"]),
        ([np.full((3, 4), np.nan), np.ones(3)], InputError, ["weights[0] (A_1)", "NaN"]),
        ([np.ones((3, 4)), [1, 2, np.inf]], InputError, ["weights[1] (c)", "infinity"]),
        ([np.ones((3, 4)), None], InputError, ["weights[1] (c)", "None"]),
        ([np.full((3, 4), 1e200), np.full(3, 1e200)], InputError, ["product", "infinity"]),
        ([np.ones((3, 4)) * 1j, np.ones(3)], InputError, ["omplex", "(A_1)"]),
    ],
)
def test_bad_layers(backend, weights, error, names):
    with pytest.raises(error) as caught:
        LinearNetwork(weights, backend=backend)
    for name in names:
        assert name in str(caught.value)


@pytest.mark.parametrize(
    ("x", "error", "names"),
    [
        (np.ones((2, 5)), ShapeError, ["X_retain", "4", "(2, 5)", "(A_1)"]),
        (np.ones(4), ShapeError, ["X_retain", "2D"]),
        (np.ones((0, 4)), ShapeError, ["X_retain"]),
        (np.full((2, 4), np.nan), InputError, ["X_retain", "NaN"]),
    ],
)
def test_bad_samples(backend, x, error, names):
    network = LinearNetwork([np.ones((3, 4)), np.ones(3)], backend=backend)
    with pytest.raises(error) as caught:
        network.unlearn(x)
    for name in names:
        assert name in str(caught.value)


def test_overflow_is_an_error(backend):
    network = LinearNetwork([np.full((3, 4), 1e150), np.ones(3)], backend=backend)
    with pytest.raises(InputError, match="the outputs contains"):
        network.predict(np.full((1, 4), 1e200))


def test_bad_arguments():
    with pytest.raises(InputError, match="backend"):
        LinearNetwork([np.ones((3, 4)), np.ones(3)], backend="cuda")
    for widths in ([], [0], [2.5], 3, "ab"):
        with pytest.raises(InputError, match="widths"):
            LinearNetwork.balanced(np.ones(4), widths)
