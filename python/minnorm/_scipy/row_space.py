"""Independent rows and the coordinates of all rows in an orthonormal basis of their span.

With t_i the power of two that brings ||j_i|| into [1, 2) and T = diag(t): T J = K Q, where Q (r, p)
has orthonormal rows and is not stored here; K (m, r), and L = K[basis] is lower triangular with
positive diagonal, L L^T = T J_B J_B^T T. Rows outside the basis depend on it up to the tolerance.
All choices are made for rows of unit length, so the scale of a row decides nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import get_lapack_funcs, qr

from minnorm._scipy import factor
from minnorm._scipy.samples import positions_without
from minnorm._scipy.scaling import Array, Positions

_U = 2.0**-52
# A basis chosen from coordinates: Q Q^T = I to the square of this, so corrections gain 6 digits.
_FAR = 1000.0


@dataclass(frozen=True)
class Tolerance:
    """A row nearer to the span of the basis than `distance(...)` is dependent.

    relative : sqrt of the tolerance on eigenvalues of the unit-diagonal Gram matrix.
    from_gram : the coordinates come from a Gram matrix, where squared distances are rounded.
    """

    relative: float
    from_gram: bool

    def distance(self, sigma_max: float, m: int) -> float:
        """On rows of unit length; sigma_max their largest singular value."""
        if self.from_gram:
            # Rounding of the Gram matrix moves its pivots, squared distances, by about m u.
            return max(self.relative * sigma_max, math.sqrt(16 * m * _U))
        # A distance of rounding in double precision is none, whatever the tolerance.
        return max(self.relative, max(m, 16) * _U) * sigma_max


@dataclass(frozen=True)
class RowSpace:
    """exponents (m,): t_i = 2**-exponents[i]; lengths (m,) of the scaled rows, 0 for a zero row.

    certain: no row was dropped, or kept, by so little that rounding may have decided.
    slack: no dependent row of unit length is farther than this from the span of the basis, as far
    as the coordinates can tell; their K leaves that part out.
    missing: the same for rows of the basis. 0 if they were factored themselves; once chosen from
    the coordinates of dependents, their slack.
    """

    exponents: NDArray[np.int64]
    lengths: NDArray[np.float64]
    basis: Positions
    K: Array
    certain: bool
    slack: float
    missing: float = 0.0

    @property
    def n_rows(self) -> int:
        return self.K.shape[0]

    @property
    def rank(self) -> int:
        return self.basis.size

    @cached_property
    def L(self) -> Array:
        return np.asfortranarray(np.tril(self.K[self.basis]))

    @cached_property
    def dependents(self) -> Positions:
        return np.setdiff1d(np.arange(self.n_rows), self.basis)

    @cached_property
    def weights(self) -> Array:
        """W (d, r) with T J_D = W T J_B."""
        right = np.asfortranarray(self.K[self.dependents].T)
        return np.ascontiguousarray(factor.solve_transposed(self.L, right).T)

    @cached_property
    def unit(self) -> Array:
        """K with rows of unit length; zero rows stay zero."""
        result: Array = self.K / np.where(self.lengths > 0, self.lengths, 1.0)[:, None]
        return result

    def moved(self, shift: NDArray[np.int64]) -> RowSpace:
        """For rows that are 2**shift times those read."""
        return replace(self, exponents=self.exponents + shift)

    @property
    def unscaled(self) -> Array:
        """K with the rows of J itself: J = unscaled Q."""
        return np.ldexp(self.K, self.exponents[:, None])

    @cached_property
    def condition(self) -> float:
        """Estimated cond of L with rows of unit length."""
        L = self.L / self.lengths[self.basis][:, None]
        least = factor.smallest_singular_value(L)
        if self.rank == 0:
            return 1.0
        return factor.largest_singular_value(L) / least if least > 0 else math.inf

    def to_basis(self, products: Array) -> Array:
        """Q V^T (r, k) from the products J V^T (m, k): L^-1 T_B c_B."""
        scaled = np.ldexp(products[self.basis], -self.exponents[self.basis][:, None])
        return factor.solve(self.L, np.asfortranarray(scaled))

    def to_rows(self, z: Array) -> Array:
        """a (m, k) with J^T a = Q^T z, zero on the dependents: T_B L^-T z."""
        a = np.zeros((self.n_rows, z.shape[1]))
        solved = factor.solve_transposed(self.L, np.asfortranarray(z))
        a[self.basis] = np.ldexp(solved, -self.exponents[self.basis][:, None])
        return a


def lengths_of(diagonal: Array) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(exponents, lengths) from squared norms: norm = length 2**exponent, length in [1, 2)."""
    mantissa, exponents = np.frexp(np.sqrt(diagonal))
    return np.where(mantissa > 0, exponents - 1, 0).astype(np.int64), 2.0 * mantissa


def from_gram(G: Array, relative: float) -> RowSpace:
    """By pivoted Cholesky of G = J J^T (m, m), scaled to unit diagonal. m r^2 flops."""
    m = G.shape[0]
    exponents, lengths = lengths_of(np.diag(G))
    root = np.where(lengths > 0, np.sqrt(np.diag(G)), 1.0)
    unit = np.asfortranarray(G / root[:, None] / root[None, :])
    sigma_max = math.sqrt(factor.largest_singular_value(unit))
    limit = Tolerance(relative, True).distance(sigma_max, m)
    (pstrf,) = get_lapack_funcs(("pstrf",), (unit,))
    lower, order, rank, _ = pstrf(unit, tol=limit**2, lower=1)
    order = order.astype(np.int64) - 1
    rank = int(rank) if lengths.any() else 0
    K = np.zeros((m, rank))
    K[order] = np.tril(lower)[:, :rank]
    K[lengths == 0] = 0.0
    dropped = int(np.count_nonzero(lengths)) > rank
    certain = _gram_is_certain(relative * sigma_max, np.diag(lower)[:rank], dropped, m)
    slack = _slack_of_gram(K[lengths > 0], m)
    return RowSpace(exponents, lengths, order[:rank], K * lengths[:, None], certain, slack)


def _slack_of_gram(unit: Array, m: int) -> float:
    """The largest 1 - ||k||^2, rooted: what rows of unit length lack, to the rounding of G."""
    missing = 1.0 - np.einsum("ij,ij->i", unit, unit)
    return math.sqrt(max(float(missing.max(initial=0.0)), 4 * m * _U))


def _gram_is_certain(distance: float, pivots: Array, dropped: bool, m: int) -> bool:
    """The tolerance is visible in the Gram matrix, or every row is far above its rounding."""
    if distance**2 >= 16 * m * _U:
        return True
    return not dropped and bool(np.all(pivots**2 >= 64 * m * _U))


def from_triangle(
    R: Array,
    exponents: NDArray[np.int64],
    lengths: NDArray[np.float64],
    tolerance: Tolerance,
    sigma_max: float | None = None,
) -> tuple[RowSpace, Array]:
    """By column-pivoted QR of R (q, m), whose columns are the scaled rows in some orthonormal
    basis: R^T = K Z, Z (r, q). Returns the coordinates and Z. 4 q m r flops.

    sigma_max: of the unit-length rows, where these are not all.
    """
    m = R.shape[1]
    safe = np.where(lengths > 0, lengths, 1.0)
    unit = R / safe
    Z, pivoted, order = qr(unit, mode="economic", pivoting=True, check_finite=False)
    diagonal = np.abs(np.diag(pivoted))
    if sigma_max is None:
        sigma_max = factor.largest_singular_value(pivoted)
    limit = tolerance.distance(sigma_max, m)
    above = diagonal > limit
    rank = int(above.size if above.all() else np.argmin(above))
    signs = np.where(np.diag(pivoted)[:rank] < 0, -1.0, 1.0)
    K = np.zeros((m, rank))
    K[order] = (signs[:, None] * np.triu(pivoted)[:rank]).T
    K *= safe[:, None]
    missing = np.linalg.norm(pivoted[rank:, rank:], axis=0).max(initial=0.0)
    slack = max(float(missing), max(m, 16) * _U * sigma_max)
    basis = order[:rank].astype(np.int64)
    return RowSpace(exponents, lengths, basis, K, True, slack), (Z[:, :rank] * signs).T


def without(
    held: RowSpace, dropped: Positions, tolerance: Tolerance, *, with_turn: bool
) -> tuple[RowSpace, Array | None]:
    """The coordinates of the rows that stay, and with_turn=True Z (r', r) with Q' = Z Q.

    Only orthogonal transformations are applied to K, and no row of J is read. Where a dependent
    leans on a dropped row the basis is chosen anew, from coordinates that leave out up to `slack`
    of a row. What is chosen must be far above that, or else it is not certain: with a distance d
    to the rest, J_B = L Q holds with Q Q^T = I + O(slack^2 / d^2) only. O(k r^2), or O(m r^2).
    """
    renumbered = positions_without(held.n_rows, dropped)
    basis = renumbered[held.basis]
    gone = np.flatnonzero(basis < 0)
    K = np.delete(held.K, dropped, axis=0)
    exponents, lengths = np.delete(held.exponents, dropped), np.delete(held.lengths, dropped)
    made = replace(
        held, exponents=exponents, lengths=lengths, basis=basis[basis >= 0], K=K, certain=True
    )
    if not gone.size:
        return made, np.eye(held.rank) if with_turn else None
    leaning = np.zeros(0)
    if held.dependents.size:
        # The distance of j_d to the rest of the basis is at most sum |W_df| ||j_f||, f dropped.
        left = renumbered[held.dependents] >= 0
        leaning = np.abs(held.weights[np.ix_(left, gone)]) @ held.lengths[held.basis[gone]]
    sigma_max = factor.largest_singular_value(made.unit)
    if np.any(leaning > 0.25 * tolerance.distance(sigma_max, made.n_rows)):
        chosen, Z = from_triangle(np.ascontiguousarray(K.T), exponents, lengths, tolerance)
        distances = np.diag(chosen.L) / lengths[chosen.basis]
        slack = math.hypot(held.slack, chosen.slack)
        certain = bool(np.all(distances >= _FAR * slack))
        return replace(chosen, certain=certain, slack=slack, missing=slack), Z
    if leaning.size:
        made = replace(made, slack=math.hypot(held.slack, float(leaning.max())))
    turn = None
    if with_turn:
        Z, R = qr(K[made.basis].T, mode="economic", check_finite=False)
        signs = np.where(np.diag(R) < 0, -1.0, 1.0)
        turn, L = (Z * signs).T, factor.from_upper(R)
    else:
        L, _ = factor.delete_rows(held.L, gone)
    fresh = np.zeros((made.n_rows, made.rank))
    fresh[made.basis] = np.tril(L)
    if made.dependents.size:
        stay = np.flatnonzero(basis >= 0)
        fresh[made.dependents] = held.weights[np.ix_(left, stay)] @ np.tril(L)
    return replace(made, K=fresh), turn


def with_rows(held: RowSpace, C: Array, relative: float) -> RowSpace | None:
    """With n new rows after the others, from their products C (n, m + n) with all rows.

    The Schur complement of the new rows is factored with pivoting. O(n r^2 + n^2 r). None where a
    new row is so near to the others that what their coordinates leave out would decide: L L^T is
    the Gram matrix of the basis to missing^2, and squared distances are differences from it.
    """
    m, n = held.n_rows, C.shape[0]
    exponents, lengths = lengths_of(np.diag(C[:, m:]))
    cross = np.ldexp(C[:, :m], -exponents[:, None])
    below = held.to_basis(cross.T).T  # (n, r): the scaled rows in the basis held
    safe = np.where(lengths > 0, lengths, 1.0)
    below = below / safe[:, None]
    scale = np.ldexp(safe, exponents)
    schur = np.asfortranarray(C[:, m:] / scale[:, None] / scale[None, :] - below @ below.T)
    unit = np.vstack([held.unit, below])
    sigma_max = max(
        factor.largest_singular_value(unit), math.sqrt(max(1.0, float(schur.diagonal().max())))
    )
    limit = Tolerance(relative, True).distance(sigma_max, m + n)
    (pstrf,) = get_lapack_funcs(("pstrf",), (schur,))
    lower, order, grown, _ = pstrf(schur, tol=limit**2, lower=1)
    if schur.diagonal().max() <= limit**2:
        grown = 0
    if np.any(np.diag(lower)[:grown] < _FAR * held.missing):
        return None
    order = order.astype(np.int64) - 1
    K = np.zeros((m + n, held.rank + grown))
    K[:m, : held.rank] = held.K
    K[m:, : held.rank] = below
    K[m + order, held.rank :] = np.tril(lower)[:, :grown]
    K[m:] *= lengths[:, None]
    nonzero = int(np.count_nonzero(held.lengths)) + int(np.count_nonzero(lengths))
    dropped = nonzero > held.rank + grown
    certain = _gram_is_certain(relative * sigma_max, np.diag(lower)[:grown], dropped, m + n)
    return RowSpace(
        np.concatenate([held.exponents, exponents]),
        np.concatenate([held.lengths, lengths]),
        np.concatenate([held.basis, m + order[:grown]]),
        K,
        certain,
        max(held.slack, _slack_of_gram(K[m:][lengths > 0] / lengths[lengths > 0][:, None], m + n)),
        held.missing,
    )
