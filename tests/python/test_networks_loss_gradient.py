"""Theorem 1: at an interpolating solution every loss gradient is zero, and theta moves by xi."""

import numpy as np
import pytest

from _samplers import generator
from minnorm import (
    InputError,
    NotPositiveDefiniteError,
    ShapeError,
    TwoLayerPerceptron,
    loss_gradient_update,
)
from minnorm.networks import linear_model_data

pytestmark = pytest.mark.filterwarnings("error")


def semidefinite(d, rank, rng):
    root = rng.standard_normal((d, rank))
    return root @ root.T


def preconditioners(d, rng):
    return (
        0.3,
        rng.uniform(0, 2, d),
        semidefinite(d, d, rng),
        semidefinite(d, 2, rng),
        np.zeros((d, d)),
    )


@pytest.mark.parametrize("which", range(5))
def test_theorem_1_for_a_linear_model(which):
    rng = generator(40, which)
    X, d = rng.standard_normal((8, 20)), 20
    theta = rng.standard_normal(d)
    y = X @ theta
    xi = rng.standard_normal(d)
    P_r, P_f = preconditioners(d, rng)[which], preconditioners(d, rng)[which]
    result = loss_gradient_update(
        theta,
        linear_model_data(theta, X[:5], y[:5]),
        linear_model_data(theta, X[5:], y[5:]),
        precondition_retain=P_r,
        precondition_forget=P_f,
        noise=xi,
    )
    size = max(np.linalg.norm(np.atleast_2d(P), 2) for P in (P_r, P_f)) * np.linalg.norm(X, 2) ** 2
    limit = 100 * np.finfo(float).eps * max(size, 1) * np.linalg.norm(theta)
    assert np.linalg.norm(result.difference) <= limit
    np.testing.assert_allclose(result.update, xi, atol=limit)
    np.testing.assert_allclose(result.theta, theta + xi, atol=limit)
    np.testing.assert_array_equal(result.noise, xi)


def test_theorem_1_for_a_perceptron():
    """A model that is not linear in theta, with its Jacobian in all blocks, after Theorem 5."""
    rng = generator(41)
    network = TwoLayerPerceptron(rng.standard_normal((15, 4)), rng.standard_normal(15), "tanh")
    X = rng.standard_normal((6, 4))
    y = network.predict(X)
    network = network.unlearn(X)[0]  # other weights that interpolate
    features = network.features(X)
    slope = network.c * (1 - features**2)
    jacobian = np.hstack([(slope[:, :, None] * X[:, None, :]).reshape(6, -1), features])
    theta = np.concatenate([network.A.ravel(), network.c])
    residuals = network.predict(X) - y
    result = loss_gradient_update(
        theta, (residuals[:4], jacobian[:4]), (residuals[4:], jacobian[4:])
    )
    np.testing.assert_allclose(result.theta, theta, rtol=0, atol=1e-12)
    assert result.residual_norm_retain <= 1e-12


def test_several_outputs():
    rng = generator(42)
    residuals, jacobian = rng.standard_normal((3, 2)), rng.standard_normal((3, 2, 7))
    zero = (np.zeros((1, 2)), jacobian[:1])
    result = loss_gradient_update(np.zeros(7), (residuals, jacobian), zero)
    np.testing.assert_allclose(
        result.difference, -np.einsum("nt,ntd->d", residuals, jacobian), rtol=1e-13
    )


def test_a_model_that_does_not_interpolate_moves():
    """The theorem's assumption: with a misfit the difference is the two gradients."""
    rng = generator(43)
    X, y, theta = rng.standard_normal((8, 5)), rng.standard_normal(8), rng.standard_normal(5)
    retain, forget = linear_model_data(theta, X[:6], y[:6]), linear_model_data(theta, X[6:], y[6:])
    P = semidefinite(5, 5, rng)
    result = loss_gradient_update(
        theta, retain, forget, precondition_retain=P, precondition_forget=0.5
    )
    expected = -P @ X[:6].T @ (X[:6] @ theta - y[:6]) + 0.5 * X[6:].T @ (X[6:] @ theta - y[6:])
    np.testing.assert_allclose(result.difference, expected, rtol=1e-12)
    np.testing.assert_array_equal(result.update, result.difference)
    assert result.residual_norm_retain == pytest.approx(np.linalg.norm(retain[0]))
    bound = np.linalg.norm(P, 2) * np.linalg.norm(X[:6], 2) * result.residual_norm_retain
    bound += 0.5 * np.linalg.norm(X[6:], 2) * result.residual_norm_forget
    assert np.linalg.norm(result.difference) <= bound
    assert "noise of norm 0" in str(result)


def test_nothing_is_written_to():
    theta, X, y, xi = np.ones(3), np.eye(2, 3), np.ones(2), np.ones(3)
    for array in (theta, X, y, xi):
        array.setflags(write=False)
    data = linear_model_data(theta, X, y)
    result = loss_gradient_update(theta, data, data, noise=xi)
    result.theta[0] = result.noise[0] = result.update[0] = 5.0
    np.testing.assert_array_equal(theta, np.ones(3))
    np.testing.assert_array_equal(xi, np.ones(3))


DATA = (np.zeros(2), np.ones((2, 3)))


@pytest.mark.parametrize(
    ("arguments", "error", "names"),
    [
        ({"retain": (np.zeros(2), np.ones((2, 4)))}, ShapeError, ["jacobian of retain", "(2, 3)"]),
        ({"forget": (np.zeros(3), np.ones((2, 3)))}, ShapeError, ["jacobian of forget", "(3, 3)"]),
        ({"forget": np.zeros((2, 3))}, InputError, ["forget", "pair", "linear_model_data"]),
        ({"retain": ([np.nan, 0], np.ones((2, 3)))}, InputError, ["residuals of retain", "NaN"]),
        ({"theta": np.ones((3, 1))}, ShapeError, ["theta", "(3, 1)"]),
        ({"noise": np.ones(2)}, ShapeError, ["noise", "3", "2"]),
        ({"noise": [np.inf, 0, 0]}, InputError, ["noise", "infinity"]),
        ({"precondition_retain": np.ones(2)}, ShapeError, ["precondition_retain", "(2,)"]),
        ({"precondition_forget": -1.0}, NotPositiveDefiniteError, ["precondition_forget", "-1"]),
        (
            {"precondition_retain": -np.eye(3)},
            NotPositiveDefiniteError,
            ["precondition_retain", "eigenvalue -1"],
        ),
        ({"precondition_retain": np.eye(3, k=1)}, InputError, ["symmetric"]),
        ({"precondition_retain": "newton"}, InputError, ["precondition_retain", "real numbers"]),
    ],
)
def test_bad_input(arguments, error, names):
    with pytest.raises(error) as caught:
        loss_gradient_update(**{"theta": np.ones(3), "retain": DATA, "forget": DATA, **arguments})
    for name in names:
        assert name in str(caught.value)


def test_bad_linear_data():
    with pytest.raises(ShapeError, match="theta"):
        linear_model_data(np.ones(2), np.ones((2, 3)), np.ones(2))
    with pytest.raises(ShapeError, match="y must have"):
        linear_model_data(np.ones(3), np.ones((2, 3)), np.ones(3))
