"""Independent rows of a linear model and their factor: afresh, or by appending rows.

A = [Xs, s 1, sqrt(alpha) I] (scaled rows, intercept column, ridge). The basis B is a maximal
independent set of rows, in the order of the rows of L, L L^T = A_B A_B^T; the others,
D, satisfy A_D = W A_B up to `tolerance`. With alpha > 0 every row is in B.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import get_blas_funcs, get_lapack_funcs, qr, solve_triangular

from minnorm._scipy import factor, proofs
from minnorm._scipy.rows import Rows
from minnorm._scipy.scaling import (
    Array,
    Positions,
    exponent_of,
    gamma,
    norm_up,
    smallest,
    unit_roundoff,
)
from minnorm.errors import RankError


@dataclass(frozen=True)
class LinearFactor:
    """The factored rows; an immutable value. Lengths and sigma in units of 2**exponent."""

    L: Array
    basis: Positions
    dependents: Positions
    W: Array
    method: str
    factored_by: str
    sigma: float
    exponent: int
    offset: float
    alpha: float
    row_norms: NDArray[np.float64]
    decided_norm: float

    @property
    def norm(self) -> float:
        """Upper bound of ||Xs||_F."""
        return norm_up(self.row_norms)

    @property
    def lengths(self) -> NDArray[np.float64]:
        """Upper bounds of the row norms of [Xs, s 1]."""
        result: NDArray[np.float64] = np.sqrt(self.row_norms**2 + self.offset**2) * (1 + 1e-12)
        return result

    @property
    def n_samples(self) -> int:
        return self.basis.size + self.dependents.size


def tolerance(rows: Rows, sigma_max: float) -> float:
    """Rows nearer than this to the span of the basis are dependent: max(n, p) eps sigma_max."""
    eps = 2.0 * unit_roundoff(rows.dtype)
    return max(rows.n_samples, rows.n_features) * eps * sigma_max


def fresh(rows: Rows, *, alpha: float, intercept: bool, factorization: str) -> LinearFactor:
    """Factor of all rows. alpha in user units.

    Gram + Cholesky n^2 p + n^3/3 flops; QR about 3 n^2 p; n > p: 2 n p^2.
    """
    n = rows.n_samples
    own = rows.exponent()
    exponent = max(own, exponent_of(math.sqrt(alpha))) if alpha > 0.0 else own
    scaled_alpha = math.ldexp(alpha, -2 * exponent)
    norms = rows.row_norms(own, exponent)
    norm = norm_up(norms)
    offset = 0.0
    if intercept:
        # Any s > 0 gives the same model; near the row norm / sqrt(n) it neither dominates nor
        # disappears, so cond(A) stays near that of the centred rows. Zero rows: any s.
        offset = 2.0 ** (exponent_of(norm / n) - 1) if norm > 1e-15 else 1.0
    empty = np.zeros((0, n), dtype=rows.dtype)
    everything = np.arange(n, dtype=np.int64)
    base = LinearFactor(
        L=empty,
        basis=everything,
        dependents=np.zeros(0, dtype=np.int64),
        W=empty,
        method="",
        factored_by="",
        sigma=0.0,
        exponent=exponent,
        offset=offset,
        alpha=scaled_alpha,
        row_norms=norms,
        decided_norm=norm,
    )
    if scaled_alpha == 0.0 and n > rows.n_features + intercept:
        return _pivoted(rows, base, _wide_upper(rows, base))
    if factorization != "qr":
        found = _by_gram(rows, base, strict=factorization == "cholesky")
        if found is not None:
            return found
    return _by_qr(rows, base)


def _by_gram(rows: Rows, base: LinearFactor, *, strict: bool) -> LinearFactor | None:
    """L from Cholesky of the Gram matrix, or None where QR should be used."""
    dtype, n = rows.dtype, rows.n_samples
    eps = 2.0 * unit_roundoff(dtype)
    # Only the lower triangle of G is formed and read.
    G = np.zeros((n, n), dtype=dtype, order="F")
    syrk, potrf = get_blas_funcs("syrk", (G,)), get_lapack_funcs("potrf", (G,))
    panels = 0
    for panel in rows.panels(rows.column_chunk, base.exponent):
        G = syrk(1.0, panel.T, beta=1.0, c=G, trans=1, lower=1, overwrite_c=1)
        panels += 1
    G += dtype.type(base.offset**2)
    G.flat[:: n + 1] += dtype.type(base.alpha)
    L, info = potrf(G, lower=1, overwrite_a=0, clean=1)
    if info:
        return None
    least = factor.smallest_singular_value(L)
    condition = factor.largest_singular_value(L) / least if least > 0 else math.inf
    # In "auto": beyond 1e6 (double) the squared condition defeats refinement. Always: the
    # rank must be certain, and Cholesky's own error n eps cond^2 below one.
    limit = 0.015 / math.sqrt(eps)
    if strict:
        limit = 0.1 / math.sqrt(n * eps)
    if base.alpha == 0.0:
        limit = min(limit, 0.3 / (max(n, rows.n_features) * eps))
    if not condition <= limit:
        return None
    # |fl(G) - G| <= gamma_d (|Xs| |Xs|^T + s^2 + alpha I), and each |x_i| |x_j|^T is at most
    # ||x_i|| ||x_j||, a matrix of 2-norm ||Xs||_F^2.
    depth = rows.column_chunk + panels + 3
    size = base.norm**2 + n * base.offset**2 + base.alpha
    error = gamma(depth, dtype) * size + n * rows.n_features * smallest(dtype)
    least_eigenvalue = proofs.by_cholesky(G, least**2, error)
    del G
    sigma = math.sqrt(least_eigenvalue) * (1 - 1e-15)
    if sigma == 0.0 and base.alpha == 0.0:
        sigma = prove(rows, replace(base, L=L))
        if sigma == 0.0 and not strict:
            return None
    return replace(
        base,
        L=L,
        W=np.zeros((0, n), dtype=dtype),
        method="cholesky",
        factored_by="cholesky",
        sigma=max(sigma, math.sqrt(base.alpha) * (1 - 1e-15)),
    )


def _by_qr(rows: Rows, base: LinearFactor) -> LinearFactor:
    """L = R^T of a QR of A^T, panel by panel; the orthogonal factor is never formed."""
    dtype, n = rows.dtype, rows.n_samples
    R = np.zeros((0, n), dtype=dtype)
    for panel in rows.panels(min(max(512, n), max(rows.n_features, 1)), base.exponent):
        R = _stack(R, panel.T)
    if base.offset > 0.0:
        R = _stack(R, np.full((1, n), base.offset, dtype=dtype))
    if base.alpha > 0.0:
        R = _stack(R, dtype.type(math.sqrt(base.alpha)) * np.eye(n, dtype=dtype))
    if R.shape[0] < n:
        R = np.vstack([R, np.zeros((n - R.shape[0], n), dtype=dtype)])
    L = factor.from_upper(R)
    pivoted, order = qr(R, mode="r", pivoting=True, check_finite=False)
    sigma_max = factor.largest_singular_value(L)
    diagonal = np.abs(np.diag(pivoted))
    if base.alpha > 0.0:
        least = 4.0 * unit_roundoff(dtype) * math.sqrt(n) * sigma_max
        if not diagonal.min() > least:
            raise RankError(
                f"expected alpha large enough to make rank-deficient data regular, got "
                f"alpha = {math.ldexp(base.alpha, 2 * base.exponent):.3g}; use alpha = 0 "
                f"for the minimum-norm solution or alpha >= "
                f"{math.ldexp(4 * least**2, 2 * base.exponent):.3g}"
            )
    elif not diagonal.min() > tolerance(rows, sigma_max):
        return _pivoted(rows, base, (pivoted, order))
    made = replace(
        base,
        L=L,
        W=np.zeros((0, n), dtype=dtype),
        method="qr",
        factored_by="qr",
    )
    sigma = prove(rows, replace(base, L=L))
    return replace(made, sigma=max(sigma, math.sqrt(base.alpha) * (1 - 1e-15)))


def _stack(R: Array, below: Array) -> Array:
    """R factor of [R; below]: Householder QR, each column's error relative to that column."""
    stacked = np.empty((R.shape[0] + below.shape[0], below.shape[1]), dtype=below.dtype, order="F")
    stacked[: R.shape[0]] = R
    stacked[R.shape[0] :] = below
    (R,) = qr(stacked, mode="r", overwrite_a=True, check_finite=False)
    return np.array(R[: min(stacked.shape)])


def _wide_upper(rows: Rows, base: LinearFactor) -> tuple[Array, Positions]:
    """Column-pivoted R of A^T for n > p, on a working copy."""
    p, n = rows.n_features, rows.n_samples
    A = rows.panel(0, p, base.exponent).T
    if base.offset > 0.0:
        A = np.asfortranarray(np.vstack([A, np.full((1, n), base.offset, dtype=A.dtype)]))
    R, order = qr(A, mode="r", pivoting=True, overwrite_a=True, check_finite=False)
    return R[: min(R.shape)], order


def _pivoted(rows: Rows, base: LinearFactor, upper: tuple[Array, Positions]) -> LinearFactor:
    """Basis = leading pivots above the tolerance; W^T = R11^-1 R12."""
    R, order = upper
    order = order.astype(np.int64)
    sigma_max = factor.largest_singular_value(np.asarray(R.T))
    diagonal = np.abs(np.diag(R))
    tol = tolerance(rows, sigma_max)
    above = diagonal > tol
    rank = int(above.size if above.all() else np.argmin(above))
    R11 = np.triu(R[:rank, :rank])
    L = factor.from_upper(R11)
    W = np.zeros((R.shape[1] - rank, rank), dtype=R.dtype)
    if W.size:
        W = solve_triangular(R11, R[:rank, rank:], check_finite=False).T
        W = factor.snap_to_integers(W, R[:rank, rank:].T, R11.T, tol, gram=False)
    made = replace(
        base,
        L=L,
        W=np.ascontiguousarray(W),
        basis=order[:rank],
        dependents=order[rank:],
        method="pivoted-qr",
        factored_by="qr",
    )
    return replace(made, sigma=prove(rows, made))


def prove(rows: Rows, held: LinearFactor) -> float:
    """Lower bound of sigma_min(A_B), in the units of `held`; no row, no constraint: inf."""
    if held.basis.size == 0:
        return math.inf
    return proofs.by_inverse(
        factor.inverse(held.L),
        rows,
        held.basis,
        held.exponent,
        held.offset,
        held.alpha,
        held.row_norms[held.basis],
    )
