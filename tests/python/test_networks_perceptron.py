"""TwoLayerPerceptron: Theorem 5, Lemma 6, Proposition 1 and Corollary 1."""

import pickle

import numpy as np
import pytest
import scipy.optimize

from _samplers import LAYOUTS, generator, short_bits, with_rank
from minnorm import InputError, ShapeError, TwoLayerPerceptron

pytestmark = pytest.mark.filterwarnings("error")

ACTIVATIONS = ("relu", "silu", "tanh")

# Shapes (n, h, p) drawn from for 100 networks: most are small, two are at the largest size.
LARGE = {0: (400, 2000, 20), 1: (400, 2000, 1)}


def random_network(rng, h, p, activation, outputs=None):
    c = rng.standard_normal(h if outputs is None else (outputs, h))
    return TwoLayerPerceptron(rng.standard_normal((h, p)), c, activation)


def drawn_network(number):
    """Network `number` of 100 and its retained samples, with every kind of dependent features."""
    rng = generator(20, number)
    activation = ACTIVATIONS[number % 3]
    if number in LARGE:
        n, h, p = LARGE[number]
    else:
        n, h, p = (int(rng.integers(1, top)) for top in (40, 200, 15))
    A, X = rng.standard_normal((h, p)), rng.standard_normal((n, p))
    if number % 5 == 1:  # duplicate samples
        X[rng.integers(0, n, n // 2)] = X[0]
    if number % 5 == 2:  # duplicate neurons
        A[rng.integers(0, h, h // 2)] = A[0]
    if number % 5 == 3:  # neurons of which some are dead on the retained samples, or zero
        X = np.abs(X)
        A[: h // 3] = -np.abs(A[: h // 3])
        A[h // 2 :: 7] = 0.0
    if number % 5 == 4:  # samples of size 1e-8 to 1e8, neurons scaled against their weights
        X *= 10.0 ** rng.uniform(-8, 0 if activation == "relu" else -7, (n, 1))
    c = rng.standard_normal(h) / np.sqrt(h)
    if number % 4 == 3:  # neurons already out of use
        c[rng.integers(0, h, h // 4)] = 0.0
    return TwoLayerPerceptron(A, c, activation), X


def assert_theorem_5(network, unlearned, certificate, X):
    """At most s active neurons, the same retained outputs, Delta orthogonal to the features."""
    features = network.features(X)
    outputs = features @ np.atleast_2d(network.c).T
    kept = features @ np.atleast_2d(unlearned.c).T
    residual = np.abs(kept - outputs).max()
    assert residual <= 1e-9 * np.abs(outputs).max()
    assert certificate.interpolates
    assert certificate.residual == pytest.approx(residual, abs=1e-12 * np.abs(outputs).max())
    active = np.any(np.atleast_2d(unlearned.c) != 0, axis=0) & unlearned.A.any(axis=1)
    assert active.sum() == certificate.neurons_after == unlearned.n_active
    assert certificate.neurons_after <= certificate.neuron_bound == certificate.rank
    assert certificate.rank <= min(features.shape)
    assert certificate.gradient_orthogonality <= 1e-10
    np.testing.assert_array_equal(unlearned.A, network.A)


@pytest.mark.parametrize("first", range(0, 100, 10))
def test_theorem_5_over_100_networks(first):
    for number in range(first, first + 10):
        network, X = drawn_network(number)
        unlearned, certificate = network.unlearn(X)
        assert_theorem_5(network, unlearned, certificate, X)
        assert not np.any(unlearned.c[network.c == 0])
        assert certificate.neurons_before == network.n_active


def test_large_network_by_the_1_norm():
    rng = generator(21)
    network, X = random_network(rng, 600, 30, "relu"), rng.standard_normal((100, 30))
    unlearned, certificate = network.unlearn(X, sparsify="l1")
    assert_theorem_5(network, unlearned, certificate, X)


@pytest.mark.parametrize("activation", [*ACTIVATIONS, "gelu"])
def test_rank_of_well_conditioned_features(activation):
    """s is the dimension of the span: exact ranks by construction."""
    rng = generator(22)
    A, c = rng.standard_normal((60, 6)), rng.standard_normal(60)
    X = rng.standard_normal((7, 6))
    for samples, s in ((X, 7), (np.repeat(X, 3, axis=0), 7), (X[:1], 1), (X * 0.0, 0)):
        certificate = TwoLayerPerceptron(A, c, activation).unlearn(samples)[1]
        assert certificate.rank == s
    twice = TwoLayerPerceptron(np.repeat(A[:5], 4, axis=0), c[:20], activation)
    assert twice.unlearn(X)[1].rank == 5


def test_rank_of_a_linear_activation():
    """phi(z) = z: the features' rank is that of the inputs, exactly."""
    for rank in (1, 3, 5):
        X = with_rank(12, 8, rank, generator(23, rank))
        A = short_bits((40, 8), generator(24))
        network = TwoLayerPerceptron(A, np.ones(40), lambda z: z)
        unlearned, certificate = network.unlearn(X)
        assert certificate.rank == rank
        assert_theorem_5(network, unlearned, certificate, X)


def test_dead_neurons_leave():
    A = np.array([[-1.0, -1.0], [1.0, 0.0], [-2.0, 0.0]])
    network = TwoLayerPerceptron(A, [1.0, 2.0, 3.0], "relu")
    unlearned, certificate = network.unlearn(np.array([[1.0, 2.0], [2.0, 1.0]]))
    np.testing.assert_array_equal(unlearned.c, [0.0, 2.0, 0.0])
    assert certificate.neurons_after == certificate.rank == 1


def test_no_feature_left():
    """Every neuron dead on the retained samples: the outputs are 0 there, and no neuron stays."""
    network = TwoLayerPerceptron(-np.ones((4, 2)), np.ones(4), "relu")
    for method in ("basic", "l1"):
        unlearned, certificate = network.unlearn(np.ones((3, 2)), sparsify=method)
        np.testing.assert_array_equal(unlearned.c, np.zeros(4))
        assert certificate.rank == certificate.neurons_after == 0
        assert certificate.interpolates
        assert unlearned.prune(drop=True).n_neurons == 1
        np.testing.assert_array_equal(unlearned.prune(drop=True).predict(np.eye(2)), [0.0, 0.0])


def test_outputs_that_cancel():
    """f = 0 on the retained samples, by cancellation: nothing to keep, and no 0/0."""
    network = TwoLayerPerceptron([[1.0, 0.0], [1.0, 0.0]], [1.0, -1.0], "tanh")
    for method in ("basic", "l1"):
        unlearned, certificate = network.unlearn(np.eye(2), sparsify=method)
        np.testing.assert_array_equal(unlearned.c, [0.0, 0.0])
        assert certificate.rank == 1
        assert certificate.relative_residual == 0.0
        assert certificate.interpolates


def test_no_neuron_in_use():
    network = TwoLayerPerceptron(np.eye(3), np.zeros(3), "tanh")
    for method in ("basic", "l1"):
        unlearned, certificate = network.unlearn(np.ones((2, 3)), sparsify=method)
        np.testing.assert_array_equal(unlearned.c, np.zeros(3))
        assert certificate.rank == certificate.parameter_change == 0


def test_independent_neurons_stay_as_they_are():
    """With h <= n independent columns there is nothing to eliminate: c to the last bit."""
    rng = generator(25)
    network, X = random_network(rng, 12, 4, "silu"), rng.standard_normal((40, 4))
    for method in ("basic", "l1"):
        unlearned, certificate = network.unlearn(X, sparsify=method)
        np.testing.assert_array_equal(unlearned.c, network.c)
        assert certificate.gradient_orthogonality == certificate.residual == 0.0


def test_tiny_samples_and_rescaled_neurons():
    """relu(a x) c = relu(k a x) c / k: the choice of neurons and the outputs do not see k."""
    rng = generator(26)
    A, c = rng.standard_normal((50, 5)), rng.standard_normal(50)
    X = rng.standard_normal((12, 5))
    k = 2.0 ** rng.integers(-40, 40, 50)
    plain = TwoLayerPerceptron(A, c, "relu").unlearn(X)[0]
    scaled = TwoLayerPerceptron(A * k[:, np.newaxis], c / k, "relu").unlearn(X)[0]
    np.testing.assert_array_equal(plain.c != 0, scaled.c != 0)
    np.testing.assert_allclose(scaled.c * k, plain.c, rtol=1e-10)
    # Each sample is kept relative to its own features, however small.
    X[3:6] *= 1e-30
    network = TwoLayerPerceptron(A, c, "relu")
    unlearned, certificate = network.unlearn(X)
    assert certificate.rank == 12
    size = np.abs(network.features(X)) @ np.abs(c)
    assert np.all(np.abs(unlearned.predict(X) - network.predict(X)) <= 1e-13 * size)


@pytest.mark.parametrize("outputs", [1, 3])
def test_several_outputs_share_their_neurons(outputs):
    """The same s columns carry a solution for every output, so the bound does not change."""
    rng = generator(27, outputs)
    network, X = random_network(rng, 80, 4, "tanh", outputs), rng.standard_normal((9, 4))
    unlearned, certificate = network.unlearn(X)
    assert unlearned.c.shape == (outputs, 80)
    assert unlearned.predict(X).shape == (9, outputs)
    assert_theorem_5(network, unlearned, certificate, X)
    assert certificate.rank == certificate.neurons_after == 9


@pytest.mark.parametrize("number", range(12))
def test_vertex_of_the_1_norm(number):
    """At most s active, no larger than the basic solution, and of the program's own optimum."""
    rng = generator(28, number)
    activation = (*ACTIVATIONS, "gelu")[number % 4]
    n, h, p = int(rng.integers(1, 20)), int(rng.integers(20, 90)), int(rng.integers(2, 9))
    network, X = random_network(rng, h, p, activation), rng.standard_normal((n, p))
    basic, _ = network.unlearn(X)
    vertex, certificate = network.unlearn(X, sparsify="l1")
    assert certificate.method == "l1"
    assert_theorem_5(network, vertex, certificate, X)
    least = np.abs(vertex.c).sum()
    assert least <= np.abs(basic.c).sum() * (1 + 1e-14)
    # The program written down directly in c, where the features are well-conditioned.
    features = network.features(X)
    if np.linalg.cond(features) < 1e4:
        direct = scipy.optimize.linprog(
            np.ones(2 * h), A_eq=np.hstack([features, -features]), b_eq=features @ network.c
        )
        assert least == pytest.approx(direct.fun, rel=1e-6)


@pytest.mark.parametrize("decades", [3, 12, 150])
def test_weights_of_very_different_size(decades):
    """Outputs are kept, and over less than the range of the exponents a vertex is found."""
    for number in range(6):
        rng = generator(34, decades, number)
        activation = (*ACTIVATIONS, "gelu")[number % 4]
        h, X = int(rng.integers(10, 90)), rng.standard_normal((int(rng.integers(1, 40)), 3))
        c = rng.standard_normal(h) * 10.0 ** rng.uniform(-decades, decades, h)
        network = TwoLayerPerceptron(rng.standard_normal((h, 3)), c, activation)
        features = network.features(X)
        size = np.abs(features) @ np.abs(c)
        costs = []
        for method in ("basic", "l1"):
            unlearned, certificate = network.unlearn(X, sparsify=method)
            change = np.abs(features @ unlearned.c - features @ c)
            assert np.all(change <= 1e-10 * size)
            assert certificate.neurons_after <= certificate.rank
            costs.append(np.abs(unlearned.c).sum())
        assert costs[1] <= costs[0] * (1 + 1e-14)
        assert decades == 150 or certificate.method == "l1"


def test_the_certificate_says_that_no_vertex_was_found(monkeypatch):
    """A solver that gives up changes nothing silently: the basic solution, named so."""
    rng = generator(35)
    network, X = random_network(rng, 30, 4, "relu"), rng.standard_normal((6, 4))
    failed = scipy.optimize.OptimizeResult(status=4, x=None)
    monkeypatch.setattr(scipy.optimize, "linprog", lambda *args, **options: failed)
    unlearned, certificate = network.unlearn(X, sparsify="l1")
    assert certificate.method == "basic"
    np.testing.assert_array_equal(unlearned.c, network.unlearn(X)[0].c)


def test_a_support_that_the_program_left_incomplete(monkeypatch):
    """An entry below the program's tolerance is missing: a column is added in its place."""
    rng = generator(36)
    network, X = random_network(rng, 50, 4, "silu"), rng.standard_normal((8, 4))
    solve = scipy.optimize.linprog

    def forgetful(*arguments, **options):
        result = solve(*arguments, **options)
        result.x[result.x == result.x[result.x > 0].min()] = 0.0
        return result

    monkeypatch.setattr(scipy.optimize, "linprog", forgetful)
    unlearned, certificate = network.unlearn(X, sparsify="l1")
    assert_theorem_5(network, unlearned, certificate, X)
    assert certificate.method == "l1"


@pytest.mark.parametrize("activation", ["silu", "tanh"])
def test_ill_conditioned_features(activation):
    """Smooth features of one input: cond(Phi) beyond 1e15, and retained outputs kept to 1e-11."""
    rng = generator(29)
    network, X = random_network(rng, 300, 1, activation), rng.uniform(-1, 1, (100, 1))
    assert np.linalg.cond(network.features(X)) > 1e15
    for method in ("basic", "l1"):
        unlearned, certificate = network.unlearn(X, sparsify=method)
        assert_theorem_5(network, unlearned, certificate, X)
        assert certificate.rank < 30
        assert certificate.relative_residual <= 1e-11


def test_a_larger_tolerance_trades_outputs_for_neurons():
    rng = generator(30)
    network, X = random_network(rng, 200, 2, "silu"), rng.standard_normal((60, 2))
    networks, kept = zip(*(network.unlearn(X, rtol=r) for r in (1e-12, 1e-6, 1e-2)), strict=True)
    ranks = [certificate.rank for certificate in kept]
    assert ranks == sorted(ranks, reverse=True) and ranks[2] < ranks[0]
    assert kept[0].interpolates and not kept[2].interpolates
    assert "outputs not kept" in str(kept[2])
    features, change = network.features(X), networks[2].c - network.c
    cosine = np.abs(features @ change) / np.linalg.norm(features, axis=1) / np.linalg.norm(change)
    assert kept[2].gradient_orthogonality == pytest.approx(cosine.max(), rel=1e-10)
    assert cosine.max() > 1e-6


@pytest.mark.parametrize("outputs", [None, 2])
@pytest.mark.parametrize("activation", [*ACTIVATIONS, "gelu"])
def test_pruning_changes_no_output(activation, outputs):
    """Zeroed rows: equal to the last bit, anywhere. Dropped rows: to the rounding of the sum."""
    rng = generator(31)
    network = random_network(rng, 90, 5, activation, outputs)
    unlearned, certificate = network.unlearn(rng.standard_normal((8, 5)))
    z = rng.standard_normal((200, 5)) * 10
    expected = unlearned.predict(z)
    zeroed, smaller = unlearned.prune(), unlearned.prune(drop=True)
    np.testing.assert_array_equal(zeroed.predict(z), expected)
    size = np.abs(unlearned.features(z)) @ np.abs(unlearned.c.T)
    assert np.all(np.abs(smaller.predict(z) - expected) <= 1e-14 * size)
    assert zeroed.n_active == smaller.n_active == smaller.n_neurons == certificate.neurons_after
    out_of_use = ~np.any(np.atleast_2d(unlearned.c) != 0, axis=0)
    assert out_of_use.sum() == 90 - 8
    assert not zeroed.A[out_of_use].any()
    np.testing.assert_array_equal(zeroed.A[~out_of_use], network.A[~out_of_use])
    np.testing.assert_array_equal(smaller.A, network.A[~out_of_use])


def test_a_neuron_without_inputs_is_not_active_but_counts_in_the_output():
    """phi(0) = 1: the constant neuron is no active one, and the outputs keep its part."""
    network = TwoLayerPerceptron([[0.0], [1.0]], [2.0, 0.0], np.exp)
    assert network.n_active == 0
    unlearned, certificate = network.unlearn([[1.0], [2.0]])
    np.testing.assert_allclose(unlearned.predict([[5.0]]), [2.0])
    np.testing.assert_allclose(unlearned.prune(drop=True).predict([[5.0]]), [2.0])
    assert certificate.neurons_after == 0


def test_activations():
    z = np.array([[-2.0], [-0.5], [0.0], [3.0]])
    erf = np.vectorize(__import__("math").erf)
    formulas = {
        "relu": z * (z > 0),
        "silu": z / (1 + np.exp(-z)),
        "tanh": np.tanh(z),
        "gelu": z * (1 + erf(z / np.sqrt(2))) / 2,
    }
    for name, expected in formulas.items():
        features = TwoLayerPerceptron([[1.0]], [1.0], name).features(z)
        np.testing.assert_allclose(features, expected, rtol=1e-14, atol=1e-16)
    custom = TwoLayerPerceptron([[1.0]], [1.0], np.square)
    np.testing.assert_array_equal(custom.features(z), z**2)


def test_certificate_is_readable_and_plain():
    rng = generator(32)
    network = random_network(rng, 40, 3, "relu")
    certificate = network.unlearn(rng.standard_normal((5, 3)))[1]
    record = certificate.to_dict()
    assert record["kind"] == "two-layer perceptron"
    assert record["projection"] is record["minimum_parameter_norm"] is None
    assert all(isinstance(v, str | int | float | None) for v in record.values())
    text = str(certificate)
    for part in ("5 samples retained, rank 5", "5 of 40 neurons active, at most 5 by Theorem 5"):
        assert part in text


def test_the_network_owns_its_layers():
    A, c, X = np.ones((4, 3)), np.arange(4.0), np.eye(3)
    for array in (A, c, X):
        array.setflags(write=False)
    network = TwoLayerPerceptron(A, c, "tanh")
    network.unlearn(X)
    network.unlearn(X, sparsify="l1")
    network.prune()
    network.prune(drop=True)
    np.testing.assert_array_equal(network.A, np.ones((4, 3)))
    np.testing.assert_array_equal(network.c, np.arange(4.0))
    assert not np.shares_memory(network.A, A)
    with pytest.raises(ValueError, match="read-only"):
        network.c[0] = 1.0
    loaded = pickle.loads(pickle.dumps(network))
    np.testing.assert_array_equal(loaded.predict(X), network.predict(X))


def test_layouts():
    rng = generator(33)
    A, c, X = rng.standard_normal((9, 4)), rng.standard_normal(9), rng.standard_normal((3, 4))
    expected = TwoLayerPerceptron(A, c, "relu").unlearn(X)[0].c
    for name, layout in LAYOUTS.items():
        got = TwoLayerPerceptron(layout(A), c, "relu").unlearn(layout(X))[0].c
        np.testing.assert_array_equal(got, expected, err_msg=name)


@pytest.mark.parametrize(
    ("A", "c", "activation", "error", "names"),
    [
        (np.ones((3, 2)), np.ones(4), "relu", ShapeError, ["c must", "(3,)", "(t, 3)", "(4,)"]),
        (np.ones((3, 2)), np.ones((3, 2)), "relu", ShapeError, ["c must", "(3, 2)", "Transpose"]),
        (np.ones(3), np.ones(3), "relu", ShapeError, ["A must", "(h, p)", "(3,)"]),
        (np.ones((3, 2)), np.ones((1, 1, 3)), "relu", ShapeError, ["c must", "(t, h)"]),
        (np.ones((0, 2)), np.ones(0), "relu", ShapeError, ["A must", "empty"]),
        (np.full((3, 2), np.nan), np.ones(3), "relu", InputError, ["A", "NaN"]),
        (np.ones((3, 2)), [1, np.inf, 1], "relu", InputError, ["c", "infinity"]),
        (np.ones((3, 2)), np.ones(3), "elu", InputError, ["activation", "'relu'", "'elu'"]),
        (np.ones((3, 2)), np.ones(3), None, InputError, ["activation", "None"]),
    ],
)
def test_bad_layers(A, c, activation, error, names):
    with pytest.raises(error) as caught:
        TwoLayerPerceptron(A, c, activation)
    for name in names:
        assert name in str(caught.value)


def test_bad_samples_and_arguments():
    network = TwoLayerPerceptron(np.ones((3, 2)), np.ones(3), "relu")
    for x, match in (
        (np.ones((2, 5)), r"X_retain.*expected 2.*\(2, 5\)"),
        (np.ones(2), "X_retain"),
        (np.ones((0, 2)), "X_retain"),
    ):
        with pytest.raises(ShapeError, match=match):
            network.unlearn(x)
    with pytest.raises(InputError, match="X_retain contains NaN"):
        network.unlearn(np.full((2, 2), np.nan))
    with pytest.raises(InputError, match="sparsify"):
        network.unlearn(np.ones((1, 2)), sparsify="l0")
    for rtol in (0.0, -1.0, np.nan, "small"):
        with pytest.raises(InputError, match="rtol"):
            network.unlearn(np.ones((1, 2)), rtol=rtol)
    several = TwoLayerPerceptron(np.ones((3, 2)), np.ones((2, 3)), "relu")
    with pytest.raises(InputError, match=r"single output.*sparsify='basic'"):
        several.unlearn(np.ones((1, 2)), sparsify="l1")


def test_overflow_is_an_error():
    network = TwoLayerPerceptron([[1e200], [1.0]], [1e200, 1.0], "relu")
    with pytest.raises(InputError, match="the outputs contains"):
        network.predict([[1.0]])
    with pytest.raises(InputError, match="the outputs contains"):
        network.unlearn([[1.0]])
    large = TwoLayerPerceptron([[1e150], [2e150]], [1e150, -0.75e150], "relu")
    unlearned, certificate = large.unlearn([[1.0]])
    assert certificate.rank == 1
    np.testing.assert_allclose(unlearned.predict([[1.0]]), large.predict([[1.0]]), rtol=1e-14)


def test_activations_that_cannot_be_used():
    def network(phi, scale=1.0):
        return TwoLayerPerceptron(np.full((3, 2), scale), np.ones(3), phi)

    with pytest.raises(ShapeError, match=r"activation.*\(1, 3\).*\(1, 1\)"):
        network(lambda z: z[:, :1]).predict(np.ones((1, 2)))
    with pytest.raises(InputError, match="features contains NaN"):
        network(lambda z: np.log(-z)).predict(np.ones((1, 2)))
    with pytest.raises(InputError, match=r"features contains .*infinity"):
        network("relu", 1e200).predict(np.full((1, 2), 1e200))
    with pytest.raises(ShapeError, match="activation"):
        network(lambda z: z.T).predict(np.ones((1, 2)))
