"""Dual coefficients of a kernel model from its factor, and the proved distance to retraining.

Scaled as the factor: K by 2**-e, column k of the targets by 2**-ey[k]; duals have ey - e.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from minnorm._scipy.dual_system import DualSystem
from minnorm._scipy.gram import Gram
from minnorm._scipy.kernel_factor import KernelFactor
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
class KernelSolution:
    """beta (n, t; zero off the basis) and residual y - K beta (n, t)."""

    beta: Array
    residual: Array
    target_exponents: NDArray[np.int64]
    target_norms: NDArray[np.float64]
    steps: int


def solve(gram: Gram, held: KernelFactor, system: DualSystem, targets: Array) -> KernelSolution:
    """beta = M W_full^+ y, refined in fixed precision at most three times.

    Cost: 4 n^2 t flops for each of 1 + steps solutions.
    """
    dtype = gram.array.dtype
    ey = column_exponents(targets)
    y = shift_columns(targets, -ey)
    y_norm = norms_up(y)
    alpha = dtype.type(held.alpha)
    u = unit_roundoff(dtype)
    beta = system.scatter(system.dual(system.fitted(y))[0])
    residual = y - gram.times(beta, held.exponent)
    part = system.fitted(residual - alpha * beta)
    level = np.linalg.norm(part.astype(np.float64), axis=0)
    steps = 0
    for _ in range(_MAX_STEPS):
        goal = 8.0 * u * (held.norm * np.linalg.norm(beta, axis=0) + y_norm)
        if not (level > goal).any():
            break
        beta2 = beta + system.scatter(system.dual(part)[0])
        residual2 = y - gram.times(beta2, held.exponent)
        part2 = system.fitted(residual2 - alpha * beta2)
        level2 = np.linalg.norm(part2.astype(np.float64), axis=0)
        better = level2 < level
        if not better.any():
            break
        steps += 1
        done = (level2 > 0.5 * level) | ~better
        beta, residual = np.where(better, beta2, beta), np.where(better, residual2, residual)
        part, level = np.where(better, part2, part), np.where(better, level2, level)
        if done.all():
            break
    if not np.isfinite(beta).all():
        raise InputError("expected targets and kernel values with finite dual coefficients")
    return KernelSolution(beta, residual, ey, y_norm, steps)


def certificate(
    gram: Gram, held: KernelFactor, system: DualSystem, found: KernelSolution
) -> dict[str, float | bool | int | str]:
    """Bounds in the RKHS norm of the distance from f to the model retrained on the samples.

    Target: minimum-norm least squares (ridge) with K~ = W_full K_BB W_full^T, which equals K
    for independent samples and agrees with K on the basis columns always. With c = f*_B - f_B,
    ||f - f*||^2 = c^T K_BB^-1 c, and c = W_full^+ r, ||c|| <= ||r||: bound ||r|| / sqrt(lambda).
    Or c = (W_full^T W_full)^-1 W_full^T r with W_full^T r = K_BB^-1 K_B: r, so
    ||c|| <= ||K_B: r|| / lambda: bound ||K_B: r|| / lambda^(3/2), small for least squares.
    Ridge: ||s|| max_k sqrt(k) / (k + alpha) over eigenvalues k >= lambda - alpha of K.
    Rounding of r: gamma_d (sum_j ||k_j|| |beta_j| + ||y||), k_j the columns of K.
    """
    n, dtype, e = gram.n_samples, gram.array.dtype, held.exponent
    lam = held.lambda_min / SLACK
    r_norm, beta_norm = norms_up(found.residual), norms_up(found.beta)
    weighted = np.abs(found.beta.astype(np.float64)).T @ held.row_norms * (1.0 + 1e-9)
    size = weighted + found.target_norms
    lift = 2.0 ** max(0, min(e, plain_exponent(dtype)))
    tiny = 4.0 * smallest(dtype) * lift * n * (n + 2.0)
    # minus y, plus alpha beta (alpha rounded, product, sum): at most 5 more roundings.
    rounding = gamma(gram.depth() + 5, dtype) * (size + held.alpha * beta_norm) + tiny
    if held.alpha > 0.0:
        s = found.residual - dtype.type(held.alpha) * found.beta
        gain = 0.5 / math.sqrt(held.alpha)
        if lam >= 2.0 * held.alpha:
            gain = min(gain, math.sqrt(lam - held.alpha) / lam)
        bound = gain * (norms_up(s) + rounding)
    elif lam > 0.0:
        bound = (r_norm + rounding) / math.sqrt(lam)
        if held.dependents.size and held.basis.size:
            image = gram.times(found.residual, e)[held.basis]
            off = held.norm * (rounding + gamma(gram.depth(), dtype) * r_norm) + tiny
            bound = np.minimum(bound, (norms_up(image) + off) / lam**1.5)
    else:
        bound = np.full(r_norm.shape, math.inf)
    # 2**(-e/2): an odd exponent leaves sqrt(2) or its inverse.
    half = e // 2
    bound = bound * SLACK * (1.0 if e % 2 == 0 else math.sqrt(0.5))
    ey = found.target_exponents.tolist()
    user = max(shifted_up(v, k - half) for v, k in zip((bound * SLACK).tolist(), ey, strict=True))
    floor = n * 2.0 * unit_roundoff(dtype)
    known = 0.0 < lam < math.inf
    return {
        "method": held.method,
        "rank": int(held.basis.size),
        "n_retained": int(n),
        "residual": max(math.ldexp(v, k) for v, k in zip(r_norm.tolist(), ey, strict=True)),
        "parameter_error_bound": user,
        "intercept_error_bound": 0.0,
        "prediction_error_bound": user,
        "sigma_min_bound": math.ldexp(lam, e) if known else 0.0,
        "condition_bound": (held.norm + held.alpha) / lam * SLACK if known else math.inf,
        "interpolates": held.alpha == 0.0
        and bool((r_norm <= floor * (held.norm * beta_norm + found.target_norms)).all()),
        "refinement_steps": int(found.steps),
    }
