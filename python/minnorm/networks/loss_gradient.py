"""Theorem 1 in numbers: loss gradients cannot unlearn from a model that interpolates."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from .._validation import Array, as_parameters, check_finite, check_length
from ..errors import InputError, NotPositiveDefiniteError, ShapeError
from .certificate import norm

# Asymmetry of a preconditioner, relative to its largest entry, that is rounding of its making.
_SYMMETRY = 1e-10


@dataclasses.dataclass(frozen=True, eq=False)
class LossGradientUpdate:
    """What one update by loss gradients did.

    Attributes
    ----------
    theta : ndarray, shape (d,)
        The updated parameters.
    update : ndarray, shape (d,)
        ``difference + noise``, what is added to the parameters.
    noise : ndarray, shape (d,)
        xi.
    difference : ndarray, shape (d,)
        ``-P_r grad J(theta; D_r) + P_f grad J(theta; D_f)``: all that the update has of the data.
    residual_norm_retain, residual_norm_forget : float
        2-norm of the derivatives of the loss by the outputs; both 0 for an interpolating model.
    """

    theta: Array
    update: Array
    noise: Array
    difference: Array
    residual_norm_retain: float
    residual_norm_forget: float

    def __str__(self) -> str:
        return (
            f"Update of norm {norm(self.update):.2g}, noise of norm {norm(self.noise):.2g}: they "
            f"differ by {norm(self.difference):.2g}. Residuals: {self.residual_norm_retain:.2g} "
            f"retained, {self.residual_norm_forget:.2g} forgotten."
        )


def linear_model_data(theta: Any, X: Any, y: Any) -> tuple[Array, Array]:
    """Residuals ``X theta - y`` and Jacobian X of the linear model, for ``loss_gradient_update``.

    Parameters
    ----------
    theta : array-like, shape (p,)
    X : array-like, shape (n, p)
    y : array-like, shape (n,)

    Returns
    -------
    residuals : ndarray, shape (n,)
    jacobian : ndarray, shape (n, p)

    Raises
    ------
    InputError, ShapeError
        Arrays that cannot be used together. Cost O(n p).
    """
    parameters = as_parameters(theta, shapes=("(p,)",), name="theta")
    rows = as_parameters(X, shapes=("(n, p)",), name="X")
    targets = as_parameters(y, shapes=("(n,)",), name="y")
    check_length(len(targets), len(rows), "y")
    if rows.shape[1] != len(parameters):
        raise ShapeError(
            f"theta must have one entry per column of X: expected {rows.shape[1]}, got "
            f"{len(parameters)}."
        )
    return rows @ parameters - targets, rows


def loss_gradient_update(
    theta: Any,
    retain: tuple[Any, Any],
    forget: tuple[Any, Any],
    *,
    precondition_retain: Any = 1.0,
    precondition_forget: Any = 1.0,
    noise: Any = None,
) -> LossGradientUpdate:
    """One step ``theta - P_r grad J(theta; D_r) + P_f grad J(theta; D_f) + xi``.

    Influence functions, gradient ascent, gradient descent and Newton steps are all of this form.
    At an interpolating theta every loss gradient is zero, so theta moves by the noise alone and
    nothing is unlearned (Theorem 1 of Block, Mokhtari, Shakkottai, arXiv 2505.22601).

    Parameters
    ----------
    theta : array-like, shape (d,)
        Parameters of any differentiable model.
    retain, forget : tuple (residuals, jacobian)
        Shapes (n,) and (n, d), or (n, t) and (n, t, d) for t outputs. ``residuals`` is the
        derivative of the loss by the outputs, f - y for half the squared error; ``jacobian`` the
        derivative of the outputs by theta. The loss is a sum over samples; the weights of a mean
        belong into P. For a linear model: ``linear_model_data(theta, X, y)``.
    precondition_retain, precondition_forget : float or array-like, shape (d,) or (d, d)
        P_r and P_f, positive semidefinite: a step size, the diagonal, or the matrix.
    noise : array-like, shape (d,), optional
        xi; zero by default.

    Returns
    -------
    LossGradientUpdate
        ``difference`` is what the update contains besides the noise.

    Raises
    ------
    InputError, ShapeError
        Arrays that cannot be used or do not fit together.
    NotPositiveDefiniteError
        A preconditioner with a negative entry on its diagonal or a negative eigenvalue.

    Notes
    -----
    ``||difference|| <= ||P_r|| ||J_r|| ||r_r|| + ||P_f|| ||J_f|| ||r_f||``: rounding if theta
    interpolates, and not zero if it does not. With early stopping, a ridge penalty, a loss without
    a finite minimiser (cross-entropy) or fewer parameters than samples, the residuals and with
    them the difference are as large as the misfit. Cost O(n t d), and O(d^3) to check a
    preconditioner given as a matrix.

    Examples
    --------
    >>> import numpy as np
    >>> from minnorm import loss_gradient_update
    >>> from minnorm.networks import linear_model_data
    >>> X, y = np.eye(2, 4), np.array([1.0, 2.0])
    >>> theta = np.array([1.0, 2.0, 0.5, 0.0])  # interpolates
    >>> retain = linear_model_data(theta, X[:1], y[:1])
    >>> forget = linear_model_data(theta, X[1:], y[1:])
    >>> loss_gradient_update(theta, retain, forget).theta.tolist()
    [1.0, 2.0, 0.5, 0.0]
    """
    parameters = as_parameters(theta, shapes=("(d,)",), name="theta")
    d = len(parameters)
    gradient_r, size_r = _loss_gradient(retain, d, "retain")
    gradient_f, size_f = _loss_gradient(forget, d, "forget")
    difference = _apply(precondition_forget, gradient_f, "precondition_forget") - _apply(
        precondition_retain, gradient_r, "precondition_retain"
    )
    xi = np.zeros(d)
    if noise is not None:
        xi = as_parameters(noise, shapes=("(d,)",), name="noise").copy()
        if len(xi) != d:
            raise ShapeError(
                f"noise must have one entry per parameter: expected {d}, got {len(xi)}."
            )
    update = difference + xi
    check_finite(update, "the update")
    return LossGradientUpdate(
        theta=parameters + update,
        update=update,
        noise=xi,
        difference=difference,
        residual_norm_retain=size_r,
        residual_norm_forget=size_f,
    )


def _loss_gradient(data: tuple[Any, Any], d: int, name: str) -> tuple[Array, float]:
    """J^T r, shape (d,), and ||r||."""
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise InputError(
            f"{name} must be a pair (residuals, jacobian); got {type(data).__name__}. For a linear "
            f"model pass linear_model_data(theta, X, y)."
        )
    residuals = as_parameters(data[0], shapes=("(n,)", "(n, t)"), name=f"the residuals of {name}")
    jacobian = as_parameters(
        data[1], shapes=("(n, d)", "(n, t, d)"), name=f"the jacobian of {name}"
    )
    if jacobian.shape != (*residuals.shape, d):
        raise ShapeError(
            f"the jacobian of {name} must have one row of {d} entries per residual: expected shape "
            f"{(*residuals.shape, d)}, got {jacobian.shape}."
        )
    return residuals.ravel() @ jacobian.reshape(-1, d), norm(residuals)


def _apply(P: Any, gradient: Array, name: str) -> Array:
    """P times the gradient, P positive semidefinite."""
    d = len(gradient)
    if np.ndim(P) == 0:
        P = np.reshape(np.asarray(P), 1)
    values = as_parameters(P, shapes=("(d,)", "(d, d)"), name=name)
    if values.shape not in ((1,), (d,), (d, d)):
        raise ShapeError(
            f"{name} must be a number, the diagonal ({d},) or a matrix ({d}, {d}); got shape "
            f"{values.shape}."
        )
    if values.ndim == 1:
        if values.min() < 0:
            raise NotPositiveDefiniteError(
                f"{name} must be positive semidefinite; got the negative entry {values.min():g}. "
                f"Retained gradients are descended and forgotten ones ascended already."
            )
        return values * gradient
    largest = float(np.max(np.abs(values)))
    if float(np.max(np.abs(values - values.T))) > _SYMMETRY * largest:
        raise InputError(f"{name} must be symmetric. Pass (P + P.T) / 2 if the rest is rounding.")
    least = float(np.linalg.eigvalsh(values)[0])
    if least < -_SYMMETRY * d * largest:
        raise NotPositiveDefiniteError(
            f"{name} must be positive semidefinite; got an eigenvalue {least:g}. Shift it by a "
            f"multiple of the identity, as a damped Newton step does."
        )
    return values @ gradient
