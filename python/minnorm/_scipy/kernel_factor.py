"""Independent samples of a kernel model and their factor: afresh, shrunk, or grown.

L L^T = (Ks + alpha I)_BB in the order of the basis, Ks = K * 2**-exponent as evaluated in working
precision. Dependents: Ks_DB = W Ks_BB, and their Schur complement is zero up to `tolerance`.
With alpha > 0 every sample is in the basis.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import get_lapack_funcs

from minnorm._scipy import factor, proofs
from minnorm._scipy.gram import Gram
from minnorm._scipy.samples import positions_without
from minnorm._scipy.scaling import (
    Array,
    Positions,
    exponent_of,
    norm_up,
    scaled,
    unit_roundoff,
)
from minnorm.errors import NotPositiveDefiniteError

# A positive semidefinite Schur complement below the tolerance, plus as much rounding again
# several times over: what is beyond is a negative or missing direction of K itself.
_INDEFINITE = 10.0


@dataclass(frozen=True)
class KernelFactor:
    """The factored samples; an immutable value. lambda_min and norms in units 2**exponent."""

    L: Array
    basis: Positions
    dependents: Positions
    W: Array
    method: str
    lambda_min: float
    exponent: int
    alpha: float
    row_norms: NDArray[np.float64]
    decided_norm: float

    @property
    def norm(self) -> float:
        """Upper bound of ||Ks||_F (rows of norms taken before deletions remain bounds)."""
        return norm_up(self.row_norms)

    @property
    def n_samples(self) -> int:
        return self.basis.size + self.dependents.size


def tolerance(gram: Gram, lambda_max: float) -> float:
    """Schur complements below max(n eps64, 8 eps) lambda_max count as zero.

    The factorization runs in double precision, so for single it is the rounding of the kernel
    values, not n of them, that hides an eigenvalue.
    """
    eps64, eps = 2.0 * unit_roundoff(np.dtype(np.float64)), 2.0 * unit_roundoff(gram.array.dtype)
    return max(gram.n_samples * eps64, 8.0 * eps) * lambda_max


def fresh(gram: Gram, *, alpha: float) -> KernelFactor:
    """Factor of all samples; alpha in user units. Cost: 2 n^3 / 3 flops, one copy of K."""
    n, dtype = gram.n_samples, gram.array.dtype
    exponent = max(gram.exponent(), exponent_of(alpha)) if alpha > 0.0 else gram.exponent()
    norms = gram.row_norms(exponent)
    G = scaled(gram.gather(), -exponent).astype(np.float64, copy=False)
    scaled_alpha = math.ldexp(alpha, -exponent)
    G.flat[:: n + 1] += scaled_alpha
    lambda_max = factor.largest_singular_value(G)
    base = KernelFactor(
        L=G,
        basis=np.arange(n, dtype=np.int64),
        dependents=np.zeros(0, dtype=np.int64),
        W=np.zeros((0, n), dtype=dtype),
        method="cholesky",
        lambda_min=0.0,
        exponent=exponent,
        alpha=scaled_alpha,
        row_norms=norms,
        decided_norm=norm_up(norms),
    )
    (potrf,) = get_lapack_funcs(("potrf",), (G,))
    L, info = potrf(G.T, lower=1, overwrite_a=0, clean=1)
    regular = info == 0 and factor.smallest_singular_value(L) ** 2 > tolerance(gram, lambda_max)
    if info == 0 and (regular or alpha > 0.0):
        return _in_precision(_proved(replace(base, L=L), G), dtype)
    if alpha > 0.0:
        raise NotPositiveDefiniteError(
            f"expected K + alpha I positive definite, got a negative or zero pivot with alpha = "
            f"{alpha:.3g}; increase alpha above "
            f"{math.ldexp(tolerance(gram, lambda_max), exponent):.3g} or use a positive "
            "semidefinite kernel"
        )
    return _in_precision(_pivoted(base, G, tolerance(gram, lambda_max)), dtype)


def _in_precision(made: KernelFactor, dtype: np.dtype[Any]) -> KernelFactor:
    return replace(made, L=made.L.astype(dtype, copy=False), W=made.W.astype(dtype, copy=False))


def _pivoted(base: KernelFactor, G: Array, tol: float) -> KernelFactor:
    (pstrf,) = get_lapack_funcs(("pstrf",), (G,))
    pivoted, order, rank, _ = pstrf(G.T, lower=1, tol=tol, overwrite_a=0)
    order = order.astype(np.int64) - 1
    rank = int(rank) if G.diagonal().max() > tol else 0
    L = np.asfortranarray(np.tril(pivoted[:rank, :rank]))
    below = pivoted[rank:, :rank]
    basis, dependents = order[:rank], order[rank:]
    _require_zero(G[np.ix_(dependents, dependents)] - below @ below.T, tol)
    made = replace(
        base,
        L=L,
        basis=basis,
        dependents=dependents,
        W=_combinations(L, below, tol),
        method="pivoted-cholesky",
    )
    return _proved(made, G[np.ix_(basis, basis)])


def _combinations(L: Array, below: Array, tol: float) -> Array:
    """W (d, r) with W L = below."""
    W = np.ascontiguousarray(factor.solve_transposed(L, below.T).T)
    return factor.snap_to_integers(W, below, L, tol, gram=True)


def _require_zero(schur: Array, tol: float) -> None:
    worst = float(np.abs(schur).max()) if schur.size else 0.0
    if not worst <= _INDEFINITE * tol:
        raise NotPositiveDefiniteError(
            f"expected a positive semidefinite kernel matrix, got one with a residual of "
            f"{worst / max(tol, 5e-324):.2g} times the tolerance after all positive pivots; "
            "choose another kernel, change its parameters (gamma, coef0, degree), or set "
            "alpha > 0 above the size of the negative eigenvalues"
        )


def _proved(made: KernelFactor, G: Array) -> KernelFactor:
    """With lambda_min proved; alpha was added to the diagonal with two roundings.

    The proof runs in double precision also for single: G is given, so nothing else is rounded.
    """
    if not made.basis.size:
        return replace(made, lambda_min=math.inf)
    guess = factor.smallest_singular_value(made.L) ** 2
    added = unit_roundoff(G.dtype) * (1.0 + 2.0 * made.alpha) * 2.0 if made.alpha > 0.0 else 0.0
    return replace(
        made, lambda_min=proofs.by_cholesky(G.T.astype(np.float64, copy=False), guess, added)
    )


def without(held: KernelFactor, gram: Gram, dropped: Positions) -> KernelFactor | None:
    """Factor of `gram`, the retained part, after dropping the old positions; None: refactor."""
    renumbered = positions_without(held.n_samples, dropped)
    row_norms = np.delete(held.row_norms, dropped)
    if held.dependents.size and norm_up(row_norms) < 0.5 * held.decided_norm:
        return None
    basis, dependents = renumbered[held.basis], renumbered[held.dependents]
    stay, left = basis >= 0, dependents >= 0
    gone = np.flatnonzero(~stay)
    L, how = factor.delete_rows(held.L, gone) if gone.size else (held.L, "rotations")
    W = held.W[left]
    # ||phi_d - P phi_d|| grows by at most sum |W_dF| sqrt(k_FF); k_FF <= ||k_F||.
    reach = np.abs(W[:, ~stay]) @ np.sqrt(held.row_norms[held.basis[~stay]])
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
    touched = reach**2 > 0.0625 * tolerance(gram, scale(made))
    if not touched.any():
        return made
    candidates = made.dependents[touched]
    if 3 * candidates.size > made.basis.size:
        return None
    rest = replace(made, dependents=made.dependents[~touched], W=made.W[~touched])
    return appended(rest, gram, candidates)


def learned(held: KernelFactor, gram: Gram) -> KernelFactor | None:
    """Factor of `gram`, whose last samples are new; None: refactor."""
    n, m = held.n_samples, gram.n_samples - held.n_samples
    if 2 * m > n:
        return None
    norms = gram.row_norms(held.exponent)
    if norm_up(norms[n:]) > norm_up(norms[:n]):
        return None
    made = appended(
        replace(held, row_norms=norms), gram, np.arange(n, gram.n_samples, dtype=np.int64)
    )
    return None if made is None else replace(made, method=held.method.split("+")[0])


def scale(held: KernelFactor) -> float:
    """lambda_max estimate of W_full K_BB W_full^T."""
    if not held.basis.size:
        return 0.0
    largest = factor.largest_singular_value(held.L) ** 2
    if held.dependents.size:
        largest += factor.largest_singular_value(held.W @ held.L) ** 2
    return largest


def appended(held: KernelFactor, gram: Gram, candidates: Positions) -> KernelFactor | None:
    """Factor with `candidates` added to basis or dependents. Cost: O(m n^2 + n^3 / 3).

    l = L^-1 K_BC, Schur complement K_CC + alpha I - l^T l, pivoted Cholesky of that.
    The n^3 / 3 proves lambda_min again.
    """
    dtype, e = gram.array.dtype, held.exponent
    r, m, t = held.basis.size, candidates.size, held.dependents.size
    cross = scaled(gram.gather(held.basis, candidates), -e)
    corner = scaled(gram.gather(candidates, candidates), -e)
    corner.flat[:: m + 1] += dtype.type(held.alpha)
    below = factor.solve(held.L, cross)
    schur = corner - below.T @ below
    tol = tolerance(gram, max(scale(held), float(np.abs(corner).max())))
    # The Schur complement is off by eps (sum |w_i| sqrt(k_ii))^2, w = K_BB^-1 k, which must stay
    # below the tolerance n eps lambda_max; a fresh pivoted factor has small w.
    sizes = np.sqrt(np.maximum(gram.diagonal(), 0).astype(np.float64))
    reach = np.abs(factor.solve_transposed(held.L, below)).T @ sizes[held.basis]
    if (np.ldexp(reach**2, -e) > tol / (8.0 * unit_roundoff(dtype))).any():
        return None
    (pstrf,) = get_lapack_funcs(("pstrf",), (schur,))
    pivoted, order, rank, _ = pstrf(schur, lower=1, tol=0.0 if held.alpha > 0.0 else tol)
    rank = int(rank) if schur.diagonal().max() > (0.0 if held.alpha > 0.0 else tol) else 0
    if held.alpha > 0.0 and rank < m:
        return None  # rounding took what alpha gives: the fresh factor decides, or explains
    order = order.astype(np.int64) - 1
    chosen, others = order[:rank], order[rank:]
    new_corner = np.tril(pivoted[:rank, :rank])
    spill = pivoted[rank:, :rank]
    _require_zero(schur[np.ix_(others, others)] - spill @ spill.T, tol)
    L = factor.append_rows(held.L, below[:, chosen].T, new_corner)
    W = np.zeros((t + others.size, r + rank), dtype=dtype)
    W[:t, :r] = held.W
    W[t:] = _combinations(L, np.hstack([below[:, others].T, spill]), tol)
    made = replace(
        held,
        L=L,
        basis=np.concatenate([held.basis, candidates[chosen]]),
        dependents=np.concatenate([held.dependents, candidates[others]]),
        W=W,
    )
    if rank == 0:
        return made
    G = scaled(gram.gather(made.basis, made.basis), -e)
    G.flat[:: made.basis.size + 1] += dtype.type(held.alpha)
    return _proved(made, G)
