"""Theorem 2 for parameters that did not come from these estimators."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Literal, overload

import numpy as np

from . import _backend
from ._validation import Array, as_rows, as_targets, check_finite, one_of
from .certificate import Certificate
from .errors import ShapeError
from .linear import FACTORIZATIONS

# Rows are scaled and squared in double precision this many numbers at a time.
_CHUNK = 1 << 15


def _frobenius_norm_bound(X: Array) -> float:
    """An upper bound of ``||X||_F``, above it by at most one part in a thousand; O(1) memory.

    Scaled by the largest entry, so that squares neither overflow nor vanish. The terms are summed
    in double precision, where n p eps stays below 1e-3 for any array that fits in memory.
    """
    largest = float(max(np.max(X), -np.min(X)))
    if largest == 0.0:
        return 0.0
    flat = X.reshape(-1)
    squares = 0.0
    for start in range(0, flat.size, _CHUNK):
        scaled = flat[start : start + _CHUNK].astype(np.float64) / largest
        squares += float(scaled @ scaled)
    return largest * math.sqrt(squares) * 1.001


def _with_given_parameters(
    certificate: Certificate, theta: Array, projected: Array, X: Array
) -> Certificate:
    """The certificate of the projection: the interpolator's, plus the rounding of its targets.

    The targets used are fl(X theta), within e of X theta where ||e||_2 <= gamma_p ||X||_F
    ||theta||_2, whatever the order of summation; this moves the interpolator by at most ||e||_2 /
    sigma_min(X). Where rows are dependent only up to the rank tolerance t = max(n, p) eps ||X||_F,
    each of the d dependent rows adds t ||theta||_2 to e.
    """
    n, p = X.shape
    eps = float(np.finfo(X.dtype).eps)
    norm_X, norm_theta = _frobenius_norm_bound(X), max(map(_norm, theta))
    depth = (p + 2) * eps / 2
    relative = depth / (1 - depth) if depth < 1 else math.inf
    relative += math.sqrt(max(0, n - certificate.rank)) * max(n, p) * eps
    rounding = relative * norm_X * norm_theta if norm_X * norm_theta else 0.0
    sigma = certificate.sigma_min_bound
    bound = certificate.parameter_error_bound
    if rounding:
        bound = bound + rounding / sigma if sigma > 0 else math.inf
    return dataclasses.replace(
        certificate,
        parameter_error_bound=bound,
        prediction_error_bound=bound,
        norm_removed=max(_norm(row) for row in theta - projected),
    )


def _norm(vector: Array) -> float:
    """The 2-norm, scaled against overflow and underflow of the squares."""
    largest = float(np.max(np.abs(vector)))
    if largest == 0.0:
        return 0.0
    return largest * float(np.linalg.norm(vector.astype(np.float64) / largest))


@overload
def unlearn_linear(
    theta: Any,
    X_retain: Any,
    *,
    return_certificate: Literal[False] = False,
    factorization: str = "auto",
    backend: str = "auto",
) -> Array: ...
@overload
def unlearn_linear(
    theta: Any,
    X_retain: Any,
    *,
    return_certificate: Literal[True],
    factorization: str = "auto",
    backend: str = "auto",
) -> tuple[Array, Certificate]: ...
def unlearn_linear(
    theta: Any,
    X_retain: Any,
    *,
    return_certificate: bool = False,
    factorization: str = "auto",
    backend: str = "auto",
) -> Array | tuple[Array, Certificate]:
    """Project interpolating coefficients onto the span of the retained samples.

    If ``theta`` interpolates all training data of a linear model (without intercept), however it
    was found, the result is the minimum-norm interpolator of the retained data: the exact
    unlearning solution. The deleted samples are not needed.

    Parameters
    ----------
    theta : array-like, shape (p,) or (t, p)
        Coefficients; with t outputs one row each.
    X_retain : array-like, shape (n, p)
        The retained samples. Not copied when C-contiguous float32 or float64; never written to.
        Its dtype is the working precision.
    return_certificate : bool, default False
        Also return the certificate.
    factorization : {"auto", "qr", "cholesky"}, default "auto"
        As in ``LinearInterpolator``.
    backend : {"auto", "native", "scipy"}, default "auto"
        As in ``LinearInterpolator``.

    Returns
    -------
    projected : ndarray, shape (p,) or (t, p)
        ``P theta``, P the orthogonal projection onto the row space of ``X_retain``.
    certificate : Certificate
        Only with ``return_certificate=True``. Its bound is on the distance to ``P theta``,
        including the rounding of ``X_retain @ theta``; ``norm_removed`` is ``||theta - P theta||``.

    Raises
    ------
    InputError, ShapeError
        Arrays that cannot be used, or of different p.

    Notes
    -----
    Theorem 2 and Lemma 5 (Block, Mokhtari, Shakkottai, arXiv 2505.22601). Computed as the
    minimum-norm interpolator of the targets ``X_retain @ theta``, by the method of
    ``LinearInterpolator``: O(n^2 p + n^3), O(n^2 + p) memory.

    Examples
    --------
    >>> import numpy as np
    >>> from minnorm import unlearn_linear
    >>> X = np.array([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]])
    >>> projected, certificate = unlearn_linear(
    ...     [3.0, 4.0, 5.0], X, return_certificate=True, backend="scipy"
    ... )
    >>> projected.round(12).tolist(), certificate.norm_removed
    ([3.0, 4.0, 0.0], 5.0)
    """
    one_of(factorization, FACTORIZATIONS, "factorization")
    rows, fresh = as_rows(X_retain, name="X_retain")
    shape = np.shape(theta)
    coefficients, single = as_targets(
        np.transpose(theta) if len(shape) == 2 else theta,
        shape[-1] if shape else 1,
        rows.dtype,
        name="theta",
    )
    coefficients = np.ascontiguousarray(coefficients.T)  # (t, p)
    if coefficients.shape[1] != rows.shape[1]:
        raise ShapeError(
            f"theta must have one entry per column of X_retain: expected shape ({rows.shape[1]},) "
            f"or (t, {rows.shape[1]}), got {shape}."
        )
    targets = np.ascontiguousarray(rows @ coefficients.T)
    check_finite(targets, "X_retain @ theta")
    core = _backend.resolve(backend).LinearCore(
        rows,
        targets,
        keep="own" if fresh else "borrow",
        alpha=0.0,
        fit_intercept=False,
        factorization=factorization,
    )
    projected = core.coef
    result = projected[0] if single else projected
    if not return_certificate:
        return result
    certificate = Certificate.from_core(
        core.certificate, kind="linear", backend=core.backend, alpha=0.0
    )
    return result, _with_given_parameters(certificate, coefficients, projected, rows)
