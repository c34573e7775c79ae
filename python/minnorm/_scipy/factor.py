"""The triangular factor: L L^T = G of the rows now held, in the order of the basis.

L is Fortran-ordered, lower triangular, with positive diagonal. Deletion applies orthogonal
transformations only, so it cannot break down and its errors add up at most linearly.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from scipy.linalg import get_blas_funcs, get_lapack_funcs, qr

from minnorm._scipy.scaling import Array, Positions

# One rotation is one BLAS call (about 1.5 us + 2 ns per entry), a blocked panel is two
# matrix products; the measured break-even at r = 500 .. 4000 is near eight deleted rows.
_FEW = 8
_PANEL = 64


def solve(L: Array, right: Array) -> Array:
    """L^-1 right, right (r, t). Cost r^2 t flops."""
    return _trtrs(L, right, 0)


def solve_transposed(L: Array, right: Array) -> Array:
    """L^-T right, right (r, t). Cost r^2 t flops."""
    return _trtrs(L, right, 1)


def _trtrs(L: Array, right: Array, trans: int) -> Array:
    if L.shape[0] == 0:
        return right.copy()
    (trtrs,) = get_lapack_funcs(("trtrs",), (L,))
    solution, info = trtrs(L, right, lower=1, trans=trans)
    if info:
        raise np.linalg.LinAlgError(f"zero on the diagonal of L at {info}")
    result: Array = solution
    return result


def inverse(L: Array) -> Array:
    """L^-1, lower triangular. Cost r^3 / 3 flops."""
    if L.shape[0] == 0:
        return L.copy()
    (trtri,) = get_lapack_funcs(("trtri",), (L,))
    result, info = trtri(L, lower=1)
    if info:
        raise np.linalg.LinAlgError(f"zero on the diagonal of L at {info}")
    lower: Array = result
    return lower


def from_upper(R: Array) -> Array:
    """L = R^T with signs that make the diagonal positive."""
    signs = np.where(np.diag(R) < 0, -1, 1).astype(R.dtype)
    return np.asfortranarray((signs[:, None] * np.triu(R)).T)


def delete_rows(L: Array, dropped: Positions) -> tuple[Array, str]:
    """Factor of G without the rows and columns `dropped` (ascending); L is not changed.

    With R the kept and F the dropped rows, L_R L_R^T = L_RR L_RR^T + L_RF L_RF^T: the dropped
    columns are added back as positive rank-one terms (an update, never a downdate).
    Returns the factor and how: "rotations" or "blocked".
    Cost for k rows, the first at f: 3 k (r - f)^2 flops and a copy of L.
    Source: Gill, Golub, Murray & Saunders, Math. Comp. 28 (1974), method C.
    """
    r, k = L.shape[0], dropped.size
    keep = np.ones(r, dtype=bool)
    keep[dropped] = False
    m = r - k
    T = np.zeros((m, m), dtype=L.dtype, order="F")
    if k <= 32:
        edges = [-1, *dropped.tolist(), r]
        runs = [(a + 1, b, a + 1 - i) for i, (a, b) in enumerate(itertools.pairwise(edges))]
        for column0, column1, to_column in runs:
            for row0, row1, to_row in runs:
                if row0 >= column0:
                    T[to_row : to_row + row1 - row0, to_column : to_column + column1 - column0] = L[
                        row0:row1, column0:column1
                    ]
    else:
        T[:] = L[np.ix_(keep, keep)]
    extra = np.asfortranarray(L[np.ix_(keep, ~keep)])
    starts = dropped - np.arange(k)
    first = int(starts[0])
    if k <= _FEW:
        _rotate(T, extra, starts)
        return T, "rotations"
    if 4 * k >= m - first:
        # So many columns that one dense QR of the trailing block is the cheaper sweep.
        if first < m:
            stacked = np.hstack([T[first:, first:], extra[first:]])
            (R,) = qr(stacked.T, mode="r", overwrite_a=True, check_finite=False)
            T[first:, first:] = from_upper(R[: m - first])
    else:
        _sweep_panels(T, extra, first)
    return T, "blocked"


def _rotate(T: Array, extra: Array, starts: Positions) -> None:
    """Givens rotations of column j of T with each extra column, all of them per column so
    that column j is in cache. extra[i, e] = 0 before row starts[e]."""
    (rot,) = get_blas_funcs(("rot",), (T,))
    m = T.shape[0]
    columns = [extra[:, e] for e in range(starts.size)]
    begins = starts.tolist()
    for j in range(begins[0], m):
        column = T[j:, j]
        for begin, vector in zip(begins, columns, strict=True):
            if begin > j:
                break
            b = float(vector[j])
            if b == 0.0:
                continue
            a = float(column[0])
            h = math.hypot(a, b)
            rot(column, vector[j:], a / h, b / h, overwrite_x=1, overwrite_y=1)
            vector[j] = 0


def _sweep_panels(T: Array, extra: Array, first: int) -> None:
    """As `_rotate`, a panel of columns at a time: a small QR, then matrix products."""
    m, k = extra.shape
    width = max(_PANEL, min(k, 256))
    for j0 in range(first, m, width):
        j1 = min(j0 + width, m)
        b = j1 - j0
        Q, R = qr(np.hstack([T[j0:j1, j0:j1], extra[j0:j1]]).T, check_finite=False)
        Q[:, :b] *= np.where(np.diag(R) < 0, -1, 1).astype(T.dtype)
        swept = np.hstack([T[j0:, j0:j1], extra[j0:]]) @ Q
        T[j0:, j0:j1] = swept[:, :b]
        T[j0:j1, j0:j1] = from_upper(R[:b])
        extra[j0:] = swept[:, b:]


def append_rows(L: Array, below: Array, corner: Array) -> Array:
    """[[L, 0], [below, corner]], Fortran-ordered."""
    r, m = L.shape[0], corner.shape[0]
    out = np.zeros((r + m, r + m), dtype=L.dtype, order="F")
    out[:r, :r] = L
    out[r:, :r] = below
    out[r:, r:] = corner
    return out


def snap_to_integers(W: Array, below: Array, L: Array, tol: float, *, gram: bool) -> Array:
    """W with rows replaced by integers where these explain the dependents as well.

    W L = below up to rounding, so W carries an error of eps cond(L), which outlives a deletion
    that removes the ill-conditioned rows. Duplicates, zero rows and sums of rows have integer
    W; an integer row is taken if it is near W and leaves a residual below tol: of below - W L
    (row space coordinates), or with gram=True of (below - W L) L^T (kernel values).
    Cost: 2 d r^2 flops for d rows.
    """
    if not W.size:
        return W
    nearest = np.rint(W)
    close = np.flatnonzero(np.abs(W - nearest).max(axis=1) <= 0.25)
    residual = below[close] - nearest[close] @ L
    if gram:
        residual = residual @ L.T
    taken = close[np.sqrt((residual * residual).sum(axis=1)) <= tol]
    W = W.copy()
    W[taken] = nearest[taken]
    return W


def largest_singular_value(L: Array, steps: int = 12) -> float:
    """Estimate of ||L||_2, from below, by power iteration with a fixed start; L any matrix."""
    r = L.shape[0]
    if L.size == 0:
        return 0.0
    v = np.random.default_rng(0).standard_normal((r, 1)).astype(L.dtype)
    value = 0.0
    for _ in range(steps):
        w = L.T @ (v / np.linalg.norm(v))
        value = max(value, float(np.linalg.norm(w)))
        if value == 0.0:
            return 0.0
        v = L @ (w / np.linalg.norm(w))
    return value


def smallest_singular_value(L: Array, steps: int = 8) -> float:
    """Estimate of sigma_min(L), from above, by inverse iteration with a fixed start."""
    r = L.shape[0]
    if r == 0:
        return 0.0
    if not np.diag(L).all():
        return 0.0
    v = np.random.default_rng(1).standard_normal((r, 1)).astype(L.dtype)
    value = math.inf
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(steps):
            w = solve(L, v / np.linalg.norm(v))
            size = float(np.linalg.norm(w))
            if not math.isfinite(size):
                return 0.0
            value = min(value, 1.0 / size)
            v = solve_transposed(L, w / np.linalg.norm(w))
            if not np.isfinite(v).all():
                return 0.0
    return value
