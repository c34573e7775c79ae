"""The triangle R of J^T = Q~ R by panels, and the squares of the rows: are they safe, and finite?

Invariant: what is returned was formed from finite numbers whose squares neither overflowed nor
vanished; otherwise InputError names the row, or OutOfRange asks for scaled rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import get_lapack_funcs

from minnorm._scipy.jacobian_blocks import PANEL, Jacobian
from minnorm._scipy.scaling import Array
from minnorm.errors import InputError

# Squares below this may have lost digits to underflow, and so may sums of them.
_TINY_SQUARE = 2.0**-900


class OutOfRange(Exception):
    """Squares of some rows overflow or vanish: scale the rows first."""


def check_squares(squares: NDArray[np.float64], jacobian: Jacobian) -> None:
    """Raise for rows with NaN or infinity; OutOfRange where only the squares are at fault."""
    suspect = ~np.isfinite(squares)
    if jacobian.dtype == np.float64 and jacobian.shift is None:
        suspect |= squares < _TINY_SQUARE
    if not suspect.any():
        return
    largest = jacobian.without(np.flatnonzero(~suspect)).largest()
    for row, value in zip(np.flatnonzero(suspect), largest, strict=True):
        if not np.isfinite(value):
            raise InputError(
                f"expected finite numbers in the Jacobian, got NaN or infinity in row {row}; "
                f"leave out that sample, or find out why its gradient is not finite"
            )
    if largest.any():
        raise OutOfRange


def squares_of(jacobian: Jacobian) -> NDArray[np.float64]:
    """Squared norms of the rows (m,), as they come. One read."""
    squares = np.zeros(jacobian.n_rows)
    with np.errstate(over="ignore", invalid="ignore"):
        for _, _, panel in jacobian.panels():
            squares += np.einsum("ij,ij->i", panel, panel)
    return squares


def is_in_range(jacobian: Jacobian) -> bool:
    """Whether squares of these rows neither overflow nor vanish; raises for NaN. One read."""
    try:
        check_squares(squares_of(jacobian), jacobian)
    except OutOfRange:
        return False
    return True


def triangle(jacobian: Jacobian) -> tuple[Array, NDArray[np.float64]]:
    """R (min(m, p), m) with R^T R = J J^T from QR of the panels, and the squared row norms.

    Triangles are merged two and two, as digits of a binary counter, so that rounding grows with
    the logarithm of p. Each column's error is relative to that column: rows need no scaling here.
    2 m^2 p flops. Source: Demmel, Grigori, Hoemmen & Langou, SIAM J. Sci. Comput. 34 (2012).
    """
    m = jacobian.n_rows
    squares = np.zeros(m)
    merged: list[tuple[int, Array]] = []
    width = max(m, 64, PANEL // max(m, 1))
    with np.errstate(over="ignore", invalid="ignore"):
        for _, _, panel in jacobian.panels(width):
            squares += np.einsum("ij,ij->i", panel, panel)
            if not np.isfinite(squares).all():
                check_squares(squares, jacobian)
            level, R = 0, _upper(panel.T)
            while merged and merged[-1][0] <= level:
                level, above = merged.pop()
                level, R = level + 1, _upper(np.vstack([above, R]))
            merged.append((level, R))
    check_squares(squares, jacobian)
    R = merged.pop()[1]
    while merged:
        R = _upper(np.vstack([merged.pop()[1], R]))
    return R, squares


def _upper(tall: Array) -> Array:
    """R factor (min(shape), m) of a QR of `tall` (b, m)."""
    geqrf, query = get_lapack_funcs(("geqrf", "geqrf_lwork"), (tall,))
    work = int(query(*tall.shape)[0])
    compact, _, _, _ = geqrf(tall, lwork=work)
    return np.triu(compact[: min(tall.shape)])
