"""Proved lower bounds of the smallest singular value; 0.0 means "not proved".

A = [Xs, s 1, sqrt(alpha) I] restricted to the basis rows, or a positive definite matrix.
No bound trusts the factor: it is only a witness, checked with all rounding counted.
Notation: u unit roundoff, gamma_d = d u / (1 - d u), F = ||Xs||_F of the basis rows.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.linalg import get_lapack_funcs

from minnorm._scipy.rows import Rows
from minnorm._scipy.scaling import (
    SLACK,
    Array,
    Positions,
    chunk_width,
    frobenius_up,
    gamma,
    norm_up,
    smallest,
    summation_depth,
    unit_roundoff,
)


def by_cholesky(G: Array, guess: float, entry_error: float) -> float:
    """Lower bound of lambda_min of the matrix that G approximates.

    G (r, r) symmetric, lower triangle read; guess: estimate of lambda_min from above;
    entry_error >= ||G - exact||_2. If Cholesky of A = fl(G - tau I) ends, then
    lambda_min(A) >= -phi tr(A), phi = gamma_{r+1} / (1 - gamma_{r+1}), in any order of the inner
    products (Rump, BIT 46 (2006), Theorem 2.3). r + 5 instead of r + 1: BLAS may multiply
    by rounded reciprocals of pivots (2 more roundings for an entry, 2 to spare). Forming A
    costs u (G_ii + tau) per diagonal entry. Underflow adds at most r (r + 2) smallest.
    Cost: r^3 / 3 flops and a copy of G, at most twice.
    """
    r = G.shape[0]
    potrf = get_lapack_funcs("potrf", (G,))
    u = unit_roundoff(G.dtype)
    g = gamma(r + 5, G.dtype)
    if not g < 0.5 or not guess > 0.0 or not math.isfinite(entry_error):
        return 0.0
    trace = math.fsum(np.diag(G).tolist())
    for fraction in (0.5, 0.1):
        tau = float(G.dtype.type(fraction * guess))
        # tr(A) <= tr(G): tau > 0, and each rounding is within the u term.
        slack = (g / (1.0 - g) * (1.0 + 2.0 * u) + u) * trace + u * r * tau
        proved = tau - (slack + entry_error + r * (r + 2.0) * smallest(G.dtype)) * SLACK
        if proved <= 0.0:
            return 0.0
        shifted = np.array(G, order="F")
        shifted.flat[:: r + 1] -= shifted.dtype.type(tau)
        _, info = potrf(shifted, lower=1, overwrite_a=1, clean=0)
        if info == 0:
            return proved / SLACK
    return 0.0


def by_inverse(
    V: Array,
    rows: Rows,
    basis: Positions,
    exponent: int,
    offset: float,
    alpha: float,
    row_norms: Array,
) -> float:
    """Lower bound of sigma_min(A) from any lower-triangular V close to an inverse of L.

    sigma_min(V A) >= c implies ||A^T V^T v|| >= c ||v||; with w = V^T v and V regular (c > 0),
    ||A^T w|| >= c ||w|| / ||V||_2, so sigma_min(A) >= c / ||V||_2.
    Z = fl(V A) panel by panel, |Z - V A| <= gamma_d |V| |A|, d the depth of its chunked sums
    over r, so ||Z - V A||_F <= gamma_d || |V| m || with m the row norms of A. Then
    sigma_min(V A) >= sigma_min(Z) - that, and sigma_min(Z)^2 >= 1 - ||I - fl(Z Z^T)||_F
    - gamma_d' ||Z||_F^2. The column s 1 and alpha V V^T count like other columns.
    Cost: 2 r^2 p flops and one pass over the rows.
    """
    r, dtype = V.shape[0], V.dtype
    if r == 0:
        return 0.0
    if not np.isfinite(V).all():
        return 0.0
    inner = chunk_width(r, 64)
    inner_depth = summation_depth(r, inner)
    gram = np.zeros((r, r), dtype=dtype)
    squares = 0.0
    panels = 0
    width = chunk_width(rows.n_features, 256)

    def accumulate(panel: Array) -> None:
        nonlocal squares, panels
        Z = np.zeros((r, panel.shape[1]), dtype=dtype)
        for k0 in range(0, r, inner):
            k1 = min(k0 + inner, r)
            Z[k0:] += V[k0:, k0:k1] @ panel[k0:k1]
        np.add(gram, Z @ Z.T, out=gram)
        squares += frobenius_up(Z) ** 2
        panels += 1

    with np.errstate(all="ignore"):
        for panel in rows.panels(width, exponent, basis):
            accumulate(panel)
        if offset > 0.0:
            accumulate(np.full((r, 1), offset, dtype=dtype))
        longest = width
        wide = frobenius_up(V)
        if alpha > 0.0:
            # alpha V V^T in place of the columns sqrt(alpha) I: exact columns of Z would be
            # sqrt(alpha) V, so only the product is rounded, over r terms, and alpha's rounding.
            gram += dtype.type(alpha) * (V @ V.T)
            squares += float(dtype.type(alpha)) * wide**2
            panels += 1
            longest = max(width, r + 1)
        if not np.isfinite(gram).all():
            return 0.0
        gram.flat[:: r + 1] -= dtype.type(1)
        defect = frobenius_up(gram)
    product_error = gamma(longest + panels + 2, dtype) * squares * SLACK
    # The subtraction of the identity: u (gram_ii + 1) per diagonal entry.
    diagonal_error = unit_roundoff(dtype) * math.sqrt(r) * (2.0 + defect)
    entries = float(r) * (r + rows.n_features + 2)
    tiny = entries * smallest(dtype) * (1.0 + wide)
    margin = 1.0 - (defect + product_error + diagonal_error + tiny) * SLACK
    if not margin > 0.0:
        return 0.0
    sizes = np.sqrt(np.asarray(row_norms, dtype=np.float64) ** 2 + offset**2)
    weighted = norm_up(np.abs(np.asarray(V, dtype=np.float64)) @ sizes) * (1.0 + r * 2.0**-50)
    left = math.sqrt(margin) / SLACK - (gamma(inner_depth + 1, dtype) * weighted + tiny) * SLACK
    return max(0.0, left / norm2_up(V) / SLACK)


def after_append(
    sigma: float, residual: Array, w: Array, cross: float, alpha: float, gap: float
) -> float:
    """Lower bound of sigma_min([A_B; A_C]) from sigma <= sigma_min(A_B), without a pass over A_B.

    With R = A_C - w^T A_B (w (r, m) any matrix), A^T (v, t) = A_B^T q + R^T t, q = v + w t, so
    ||A^T (v, t)||^2 >= sigma^2 ||q||^2 - 2 c ||q|| ||t|| + rho^2 ||t||^2, c >= ||A_B R^T||_2,
    rho <= sigma_min(R): at least mu (||q||^2 + ||t||^2), mu the least eigenvalue of
    [[sigma^2, -c], [-c, rho^2]]; and (v, t) is (q, t) through a shear of norm
    (omega + sqrt(omega^2 + 4)) / 2, omega = ||w||_2.
    residual (m, p'): fl(R) without the ridge columns [-sqrt(alpha) w^T, sqrt(alpha) I];
    gap >= ||residual - R||_F; cross: bound of c. Cost: O(m^2 p + m^3).
    """
    m, dtype = residual.shape[0], residual.dtype
    chunk = chunk_width(residual.shape[1], 256)
    G = np.zeros((m, m), dtype=dtype)
    for j0 in range(0, residual.shape[1], chunk):
        piece = residual[:, j0 : j0 + chunk]
        G += piece @ piece.T
    guess = float(np.linalg.eigvalsh(G)[0])
    depth = summation_depth(residual.shape[1], chunk)
    error = gamma(depth, dtype) * frobenius_up(residual) ** 2
    rho_squared = by_cholesky(G, guess, error + residual.size * m * smallest(dtype))
    # The ridge columns only add to R R^T, at least alpha I.
    rho = max(0.0, math.sqrt(rho_squared) / SLACK - gap)
    rho_squared = (rho**2 + alpha) / SLACK
    product = sigma**2 * rho_squared / SLACK - cross**2 * SLACK
    if not product > 0.0:
        return 0.0
    mu = product / (
        (sigma**2 + rho_squared) / 2.0 + math.hypot((sigma**2 - rho_squared) / 2.0, cross)
    )
    omega = frobenius_up(w)
    return math.sqrt(mu) / ((omega + math.sqrt(omega**2 + 4.0)) / 2.0) / SLACK**2


def norm2_up(V: Array) -> float:
    """Upper bound of ||V||_2: least of ||V||_F, sqrt(||V||_1 ||V||_inf), ||V V^T||_F^(1/2)."""
    r = V.shape[0]
    wide = np.asarray(V, dtype=np.float64)
    frobenius = frobenius_up(wide)
    if frobenius == 0.0 or not math.isfinite(frobenius):
        return frobenius
    # fl(V V^T) differs by gamma_r |V| |V|^T, at most gamma_r ||V||_F^2 in the Frobenius norm.
    exponent = math.frexp(frobenius)[1]
    unit = np.ldexp(wide, -exponent)
    fourth = frobenius_up(unit @ unit.T) + gamma(r + 2, np.dtype(np.float64)) * 1.0 + r * 2.0**-1000
    size = np.abs(unit)
    up = 1.0 + (r + 16) * 2.0**-52
    one_inf = math.sqrt(float(size.sum(axis=0).max()) * float(size.sum(axis=1).max())) * up
    return min(frobenius, math.ldexp(min(one_inf, math.sqrt(fourth)), exponent) * SLACK)
