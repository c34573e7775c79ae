"""Coefficients of a linear model from its factor, and the proved distance to retraining.

All quantities are scaled: rows by 2**-e, column k of the targets by 2**-ey[k]. theta is in
the scaled units ey - e, dual vectors in ey - 2 e.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from minnorm._scipy.dual_system import DualSystem
from minnorm._scipy.linear_factor import LinearFactor
from minnorm._scipy.rows import Rows
from minnorm._scipy.scaling import (
    SLACK,
    Array,
    column_exponents,
    gamma,
    norms_up,
    plain_exponent,
    shift_columns,
    shifted_up,
    smallest,
    unit_roundoff,
)
from minnorm.errors import InputError

_MAX_STEPS = 3


@dataclass(frozen=True)
class LinearSolution:
    """theta (p, t), intercept (t,), dual (n, t; zero off the basis), residual y - f(X) (n, t).

    The targets are centred first (with intercept): y = level + centred, intercept = level +
    shift, residual = centred - X theta - shift, so a large common level costs no digits.
    drift (t,): bound of ||theta - Xs^T dual||_2, the rounding that may leave the row space.
    target_norms (t,): bound of the norm of the centred targets.
    """

    theta: Array
    level: Array
    shift: Array
    dual: Array
    residual: Array
    drift: NDArray[np.float64]
    target_exponents: NDArray[np.int64]
    target_norms: NDArray[np.float64]
    steps: int

    @property
    def intercept(self) -> Array:
        total: Array = self.level + self.shift
        return total


def solve(rows: Rows, held: LinearFactor, system: DualSystem, targets: Array) -> LinearSolution:
    """Minimum-norm (or ridge) coefficients with fixed-precision refinement.

    r = y - X theta - b - alpha a; theta += X^T d, where [d; db] solves the dual system for r,
    while ||r|| (with dependents: its least-squares part) exceeds 4 eps (||X||_F ||theta|| + ||y||),
    at most three times, keeping for each output the better of before and after.
    Cost: one pass over X and 4 n p t flops for each of 1 + steps solutions.
    """
    dtype = rows.dtype
    ey = column_exponents(targets)
    y = shift_columns(targets, -ey)
    level = y.mean(axis=0) if system.intercept else np.zeros(y.shape[1], dtype=dtype)
    y = y - level
    y_norm = norms_up(y)
    alpha = dtype.type(held.alpha)
    u = unit_roundoff(dtype)
    g = gamma(rows.depth_over_samples() + 2, dtype)
    weights = held.row_norms
    # Underflow: each product or scaled coefficient may lose `smallest`, times |x| < 2**e.
    lift = 2.0 ** max(0, min(held.exponent, plain_exponent(dtype)))
    tiny = 4.0 * smallest(dtype) * lift * rows.n_samples * math.sqrt(rows.n_features)

    def sizes(a: Array) -> NDArray[np.float64]:
        """Bound of || |Xs|^T |a| ||_2 for each column: sum_i ||x_i|| |a_i|."""
        result: NDArray[np.float64] = np.abs(a.astype(np.float64)).T @ weights * (1 + 1e-9)
        return result

    def measure(r: Array) -> tuple[Array, NDArray[np.float64]]:
        part = system.fitted(r)
        return part, np.linalg.norm(part.astype(np.float64), axis=0)

    beta, b = system.dual(system.fitted(y))
    dual = system.scatter(beta)
    theta, product = rows.fused(dual, held.exponent)
    residual = y - product - b
    drift = g * sizes(dual) + tiny
    part, excess = measure(residual - alpha * dual)
    steps = 0
    for _ in range(_MAX_STEPS):
        goal = 8.0 * u * (held.norm * np.linalg.norm(theta, axis=0) + y_norm)
        if not (excess > goal).any():
            break
        d, db = system.dual(part)
        step = system.scatter(d)
        theta2, product = rows.fused(step, held.exponent, theta)
        dual2, b2 = dual + step, b + db
        residual2 = y - product - b2
        part2, excess2 = measure(residual2 - alpha * dual2)
        better = excess2 < excess
        if not better.any():
            break
        steps += 1
        # theta2 is off theta + Xs^T d by g sizes(d) + u ||theta2||, dual2 off dual + d by
        # u |dual2|, which moves Xs^T dual2 by u sizes(dual2).
        grown = g * sizes(step) + u * norms_up(theta2) + u * sizes(dual2) + tiny
        drift = np.where(better, drift + grown, drift)
        theta = np.where(better, theta2, theta)
        dual, b = np.where(better, dual2, dual), np.where(better, b2, b)
        residual, part = np.where(better, residual2, residual), np.where(better, part2, part)
        done = (excess2 > 0.5 * excess) | ~better
        excess = np.where(better, excess2, excess)
        if done.all():
            break
    if not (np.isfinite(theta).all() and np.isfinite(b).all()):
        raise InputError("expected targets and rows whose coefficients are finite numbers")
    return LinearSolution(theta, level, b, dual, residual, drift, ey, y_norm, steps)


def certificate(
    rows: Rows, held: LinearFactor, system: DualSystem, found: LinearSolution
) -> dict[str, float | bool | int | str]:
    """Bounds of the distance from (theta, b) to the model retrained on the retained rows.

    Target: the least-norm least-squares (ridge) model of X~, which is X with the dependent rows
    replaced by their projections on the span (affine hull, with intercept) of the basis.
    Write theta = P theta + q, P onto the row space S of the (centred) basis. ||q|| <= rho:
    theta is within `drift` of Xs^T a, and a - mean(a) moves that by |1^T a| ||X||_F / sqrt(r).
    X~ (P theta - theta*) is the part of y~ - X~ theta in range X~, sigma_min^+ >= sigma: so
      ||theta - theta*|| <= hypot(rho, (||r|| + rounding + ||E|| rho) / sigma),
    E = X - X~: rows orthogonal to S, hence E theta = E q. Or by the normal equations,
      ||P theta - theta*|| <= ||P X^T r_c|| / sigma^2  (r_c centred with intercept).
    Ridge: theta* - theta = A^T (A A^T + alpha)^-1 s up to rho, s = r - alpha a, A centred, and
    sigma / (sigma^2 + alpha) <= 1 / (2 sqrt(alpha)), or at sigma^2 = lambda - alpha if that
    is beyond the maximum. Rounding of r:
    gamma_d (||X||_F ||theta|| + ||y - level|| + sqrt(n) |shift|).
    """
    n, dtype = rows.n_samples, rows.dtype
    r_count = max(held.basis.size, 1)
    norm, sigma, e = held.norm, held.sigma, held.exponent
    theta_norm, r_norm = norms_up(found.theta), norms_up(found.residual)
    dual_norm = norms_up(found.dual)
    b_size = np.abs(found.shift.astype(np.float64))
    # y - level, minus product, minus shift, plus alpha a (rounded alpha, product, sum): 6 more.
    g = gamma(rows.depth_over_features() + 7, dtype)
    lift = 2.0 ** max(0, min(e, plain_exponent(dtype)))
    tiny = 4.0 * smallest(dtype) * lift * n * (rows.n_features + 2.0)
    size = norm * theta_norm + found.target_norms + math.sqrt(n) * b_size
    rounding = g * (size + held.alpha * dual_norm) + tiny * (1.0 + theta_norm)
    rho = found.drift.copy()
    if system.intercept:
        sums = [abs(math.fsum(column)) for column in found.dual.T.tolist()]
        rho += np.array(sums) * norm / math.sqrt(r_count)
    apart = 0.0
    if held.dependents.size:
        apart = float(np.linalg.norm(held.row_norms[held.dependents]))
        if system.intercept:
            on_basis = float(np.linalg.norm(held.row_norms[held.basis]))
            apart += math.sqrt(held.dependents.size / r_count) * on_basis
        apart *= SLACK
    if held.alpha > 0.0:
        s = found.residual - dtype.type(held.alpha) * found.dual
        lam = sigma * sigma / SLACK
        gain = 0.5 / math.sqrt(held.alpha)
        if lam >= 2.0 * held.alpha:
            gain = min(gain, math.sqrt(lam - held.alpha) / lam)
        parameter = gain * (norms_up(s) + rounding) + rho
    elif sigma > 0.0:
        spread = (r_norm + rounding + apart * rho) / sigma
        if held.dependents.size and held.basis.size:
            spread = np.minimum(
                spread, _by_gradient(rows, held, system, found, rounding, rho, apart)
            )
        parameter = np.hypot(rho, spread)
    else:
        parameter = np.full(theta_norm.shape, math.inf)
    if not held.basis.size and held.alpha == 0.0:
        parameter = theta_norm + 0.0
    parameter = parameter * SLACK
    intercept = np.zeros_like(parameter)
    if system.intercept:
        # b* - b = mean(r) + mean(X~ (theta - theta*)); computing the mean adds gamma_n, and
        # b = fl(level + shift) is half an ulp off.
        mean = np.abs(found.residual.astype(np.float64).mean(axis=0))
        slip = (rounding + n * 2.0**-52 * r_norm + apart * rho + norm * parameter) / math.sqrt(n)
        half_ulp = unit_roundoff(dtype) * np.abs(found.intercept.astype(np.float64))
        intercept = (mean + slip + half_ulp) * SLACK
    ey = found.target_exponents.tolist()
    parameter_user = [
        shifted_up(v, k - e) + _lost(column, k - e)
        for v, k, column in zip(parameter.tolist(), ey, found.theta.T, strict=True)
    ]
    intercept_user = [
        shifted_up(v, k) + _lost(np.atleast_1d(value), k) if system.intercept else 0.0
        for v, k, value in zip(intercept.tolist(), ey, found.intercept, strict=True)
    ]
    floor = max(n, rows.n_features) * 2.0 * unit_roundoff(dtype)
    interpolates = held.alpha == 0.0 and bool(
        (r_norm <= floor * (size + norms_up(found.intercept[None, :]))).all()
    )
    known = 0.0 < sigma < math.inf
    full = math.sqrt(norm**2 + n * (held.offset**2 + held.alpha))
    return {
        "method": held.method,
        "rank": int(held.basis.size),
        "n_retained": int(n),
        "residual": max(math.ldexp(v, k) for v, k in zip(r_norm.tolist(), ey, strict=True)),
        "parameter_error_bound": max(parameter_user),
        "intercept_error_bound": max(intercept_user),
        "prediction_error_bound": max(
            (a + c) * SLACK for a, c in zip(parameter_user, intercept_user, strict=True)
        ),
        "sigma_min_bound": math.ldexp(sigma, e) if known else 0.0,
        "condition_bound": full / sigma * SLACK if known else math.inf,
        "interpolates": interpolates,
        "refinement_steps": int(found.steps),
    }


def _by_gradient(
    rows: Rows,
    held: LinearFactor,
    system: DualSystem,
    found: LinearSolution,
    rounding: NDArray[np.float64],
    rho: NDArray[np.float64],
    apart: float,
) -> NDArray[np.float64]:
    """(||Xs^T r_c|| + rounding) / sigma^2 for each output; one pass over X.

    Centring costs gamma_{n+2} ||r|| twice (the mean, the subtraction).
    """
    n, dtype = rows.n_samples, rows.dtype
    centred = found.residual
    if system.intercept:
        centred = centred - centred.mean(axis=0)
    gradient, _ = rows.fused(centred, held.exponent, back=False)
    r_norm = norms_up(found.residual)
    lift = 2.0 ** max(0, min(held.exponent, plain_exponent(dtype)))
    tiny = 4.0 * smallest(dtype) * lift * n * math.sqrt(rows.n_features)
    off = rounding + apart * rho + 2.0 * gamma(n + 4, dtype) * r_norm
    off = held.norm * (off + gamma(rows.depth_over_samples(), dtype) * 2.0 * r_norm) + tiny
    result: NDArray[np.float64] = (norms_up(gradient) + off) / held.sigma**2 * SLACK
    return result


def _lost(scaled_values: Array, exponent: int) -> float:
    """What underflow takes when `scaled_values` are returned in user units, as a 2-norm."""
    user = np.ldexp(scaled_values, exponent)
    if (np.ldexp(user, -exponent) == scaled_values).all():
        return 0.0
    return math.sqrt(user.size) * smallest(user.dtype)
