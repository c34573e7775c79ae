"""Forgetting and learning on a `LinearFactor`: the same factor, rows deleted or appended.

Each function returns a new value, or None where refactoring from scratch is the better way.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from scipy.linalg import qr, solve_triangular

from minnorm._scipy import factor, proofs
from minnorm._scipy.linear_factor import LinearFactor, prove, tolerance
from minnorm._scipy.rows import Rows
from minnorm._scipy.samples import positions_without
from minnorm._scipy.scaling import (
    Array,
    Positions,
    frobenius_up,
    gamma,
    norm_up,
    plain_exponent,
    smallest,
    unit_roundoff,
)


def without(held: LinearFactor, rows: Rows, dropped: Positions) -> LinearFactor | None:
    """Factor of `rows`, the retained rows, after dropping the old positions `dropped`.

    Dependents that leaned on a dropped basis row are tested against the remaining basis.
    Cost: O(k r^2); with t such dependents also O(t r p).
    """
    renumbered = positions_without(held.n_samples, dropped)
    row_norms = np.delete(held.row_norms, dropped)
    norm = float(np.linalg.norm(row_norms))
    if held.dependents.size and norm < 0.5 * held.decided_norm:
        return None  # sigma_max fell: so did the tolerance by which rows were called dependent
    basis, dependents = renumbered[held.basis], renumbered[held.dependents]
    gone = np.flatnonzero(basis < 0)
    stay, left = basis >= 0, dependents >= 0
    L, how = factor.delete_rows(held.L, gone) if gone.size else (held.L, "rotations")
    W = held.W[left]
    reach = np.abs(W[:, ~stay]) @ held.lengths[held.basis[~stay]]
    made = replace(
        held,
        L=L,
        basis=basis[stay],
        dependents=dependents[left],
        W=np.ascontiguousarray(W[:, stay]),
        method=f"{held.method.split('+')[0]}+{how}",
        row_norms=row_norms,
    )
    if not gone.size or not made.dependents.size:
        return made
    # The distance of x_d to span(B \ F) is at most sum |W_dF| ||a_F|| beyond what it was.
    touched = reach > 0.25 * tolerance(rows, scale(made))
    if not touched.any():
        return made
    candidates = made.dependents[touched]
    if 3 * candidates.size > made.basis.size:
        return None
    rest = replace(made, dependents=made.dependents[~touched], W=made.W[~touched])
    return appended(rest, rows, candidates)


def learned(held: LinearFactor, rows: Rows) -> LinearFactor | None:
    """Factor of `rows`, whose last rows are new.

    None (refactor) when the rows are many, or so large that the tolerance or the scale moves.
    """
    n, m = held.n_samples, rows.n_samples - held.n_samples
    if 2 * m > n:
        return None
    new = np.arange(n, rows.n_samples, dtype=np.int64)
    part = Rows.of(rows.gather(new), True)
    norms = part.row_norms(part.exponent(), held.exponent)
    if norm_up(norms) > held.norm:
        return None
    grown = replace(held, row_norms=np.concatenate([held.row_norms, norms]))
    made = appended(grown, rows, new)
    return None if made is None else replace(made, method=held.method.split("+")[0])


def scale(held: LinearFactor) -> float:
    """sigma_max estimate of the retained rows: the basis, and the dependents through W."""
    if not held.basis.size:
        return 0.0
    largest = factor.largest_singular_value(held.L)
    if not held.dependents.size:
        return largest
    # ||W L|| for the dependents' part: A_D = W A_B, and A_B = L Q^T.
    return math.hypot(largest, factor.largest_singular_value(held.W @ held.L))


def appended(held: LinearFactor, rows: Rows, candidates: Positions) -> LinearFactor | None:
    """Factor with the rows at `candidates` (not yet in held) added to basis or dependents.

    With w = A_B^+ a_c from the semi-normal equations, corrected twice, the residual
    a_c - A_B^T w decides by column-pivoted QR. Cost: O(m r p + m^2 p) for m candidates.
    """
    dtype, e = rows.dtype, held.exponent
    r, m, t = held.basis.size, candidates.size, held.dependents.size
    s, alpha = held.offset, held.alpha
    X = _scaled_rows(rows, candidates, e)
    residual = np.hstack([X, np.full((m, 1 if s > 0 else 0), s, dtype=dtype)])
    original = residual
    below = np.zeros((r, m), dtype=dtype)
    w = np.zeros((r, m), dtype=dtype)
    for _ in range(3 if r else 0):
        gram = rows.times(np.ascontiguousarray(residual[:, : rows.n_features].T), e)[held.basis]
        if s > 0.0:
            gram += dtype.type(s) * residual[:, -1]
        gram -= dtype.type(alpha) * w
        step = factor.solve(held.L, gram)
        below += step
        w += factor.solve_transposed(held.L, step)
        scattered = np.zeros((rows.n_samples, m), dtype=dtype)
        scattered[held.basis] = w
        residual = original.copy()
        residual[:, : rows.n_features] -= rows.fused(scattered, e, back=False)[0].T
        if s > 0.0:
            residual[:, -1] -= dtype.type(s) * w.sum(axis=0)
    sizes = held.lengths
    if not np.isfinite(w).all():
        return None
    # fl(X_B^T w) is off by eps sum |w_i| ||a_i||. That must stay near eps ||a_c|| for the new row
    # of L to be as accurate as one from a fresh QR, and below the tolerance max(n, p) eps
    # sigma_max for the decision on independence; a fresh pivoted factor has small w.
    tol = tolerance(rows, max(scale(held), float(sizes.max())))
    reach = np.abs(w).T @ sizes[held.basis]
    sure = tol / (4.0 * unit_roundoff(dtype)) if alpha == 0.0 else math.inf
    if r and (reach > np.minimum(1e3 * sizes[candidates], sure)).any():
        return None
    independent, corner, Z = _split(residual, w, tol, alpha)
    basis = np.concatenate([held.basis, candidates[independent]])
    others = np.setdiff1d(np.arange(m), independent)
    W = np.zeros((t + others.size, basis.size), dtype=dtype)
    W[:t, :r] = held.W
    W[t:, r:] = Z
    W[t:, :r] = w[:, others].T - Z @ w[:, independent].T
    made = replace(
        held,
        L=factor.append_rows(held.L, below[:, independent].T, corner),
        basis=basis,
        dependents=np.concatenate([held.dependents, candidates[others]]),
        W=W,
    )
    if independent.size == 0:
        return made
    sigma = _sigma_after(held, rows, residual[independent], w[:, independent], candidates)
    if not sigma >= 0.25 * factor.smallest_singular_value(made.L):
        sigma = max(sigma, prove(rows, made))
    return replace(made, sigma=max(sigma, math.sqrt(alpha) * (1 - 1e-15)))


def _sigma_after(
    held: LinearFactor, rows: Rows, residual: Array, w: Array, candidates: Positions
) -> float:
    """`proofs.after_append` with its rounding terms; one pass over X.

    residual is off A_C - w^T A_B by gamma (||a_c|| + sum |w_i| ||a_i||), the ridge columns by
    nothing. A_B R^T = X_B R^T + s (column) - alpha w, rounded over p.
    """
    e, p, dtype = held.exponent, rows.n_features, rows.dtype
    if not held.basis.size or not 0.0 < held.sigma < math.inf:
        return 0.0
    sizes = held.lengths
    wide = np.abs(w.astype(np.float64))
    g = gamma(max(rows.depth_over_samples(), held.basis.size) + 4, dtype)
    reach = wide.T @ sizes[held.basis]
    tiny = smallest(dtype) * 2.0 ** max(0, min(e, plain_exponent(dtype))) * 8.0
    tiny *= (rows.n_samples + p + 2.0) * (p + 1.0) * w.shape[1]
    gap = g * (norm_up(sizes[candidates]) + norm_up(reach)) * (1 + 1e-9) + tiny
    product = rows.times(np.ascontiguousarray(residual[:, :p].T), e)[held.basis]
    if held.offset > 0.0:
        product += dtype.type(held.offset) * residual[:, -1]
    product -= dtype.type(held.alpha) * w
    on_basis = norm_up(sizes[held.basis])
    rounded = gamma(rows.depth_over_features() + 5, dtype)
    rounded *= on_basis * frobenius_up(residual) + held.alpha * frobenius_up(w)
    cross = frobenius_up(product) + rounded + on_basis * gap + tiny
    return proofs.after_append(held.sigma, residual, w, cross, held.alpha, gap)


def _scaled_rows(rows: Rows, positions: Positions, exponent: int) -> Array:
    gathered = rows.gather(positions)
    return np.ldexp(gathered, -exponent).astype(rows.dtype, copy=False)


def _split(residual: Array, w: Array, tol: float, alpha: float) -> tuple[Positions, Array, Array]:
    """Independent candidates, their corner of L, and Z with other residuals = Z (independent)."""
    dtype, m = residual.dtype, residual.shape[0]
    if alpha > 0.0:
        # The ridge columns of the residual: -sqrt(alpha) w on B, sqrt(alpha) on the new ones.
        root = dtype.type(math.sqrt(alpha))
        full = np.hstack([residual, -root * w.T, root * np.eye(m, dtype=dtype)])
        (R,) = qr(full.T, mode="r", overwrite_a=True, check_finite=False)
        return np.arange(m), factor.from_upper(R[:m]), np.zeros((0, m), dtype=dtype)
    R, order = qr(residual.T, mode="r", pivoting=True, check_finite=False)
    above = np.abs(np.diag(R)) > tol
    rank = int(above.size if above.all() else np.argmin(above))
    corner = factor.from_upper(R[:rank, :rank])
    # Independent candidates in pivot order; the others ascending, as the caller numbers them.
    others = np.argsort(order[rank:])
    Z = np.zeros((m - rank, rank), dtype=dtype)
    if rank and m > rank:
        Z = solve_triangular(np.triu(R[:rank, :rank]), R[:rank, rank:], check_finite=False).T
    return order[:rank].astype(np.int64), corner, Z[others]
