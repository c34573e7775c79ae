"""Products of matrices as if in twice the working precision, for many rows at once.

Every product and every sum leaves its rounding error behind as a number of its own (TwoProduct by
Veltkamp splitting, TwoSum); the errors are summed beside the result. Terms are added by halves, so
each step is one operation on whole arrays.
Source: Ogita, Rump & Oishi, SIAM J. Sci. Comput. 26 (2005), algorithm Dot2.
"""

from __future__ import annotations

import numpy as np

from minnorm._scipy.scaling import Array

_SPLIT = 134217729.0  # 2**27 + 1: cuts 53 bits into two halves of at most 26
# Numbers taken together: a temporary of 256 kB stays in the second-level cache.
_PIECE = 1 << 15


class CompensatedSum:
    """The products P X^T (m, k), summed over panels, to twice the precision."""

    def __init__(self, m: int, k: int) -> None:
        self._sum = np.zeros((m, k))
        self._error = np.zeros((m, k))

    def add(self, P: Array, X: Array) -> None:
        """Add P X^T for P (m, b) and X (k, b), in double precision. 30 m k b flops."""
        width = max(64, _PIECE // P.shape[0])
        for j0 in range(0, P.shape[1], width):
            piece = P[:, j0 : j0 + width]
            halves = _split(piece)
            for i, x in enumerate(X[:, j0 : j0 + width]):
                terms, error = _two_product(piece, halves, x[None, :])
                part, missing = _halved(terms)
                total, rounding = _two_sum(self._sum[:, i], part)
                self._sum[:, i] = total
                self._error[:, i] += rounding + missing + error.sum(axis=1)

    @property
    def value(self) -> Array:
        return self._sum + self._error


def without_combination(V: Array, a: Array, P: Array) -> Array:
    """V - a P (k, b) for a (k, m) and P (m, b). 30 m k b flops.

    Rounded once and not once per term, where the terms are much larger than their sum.
    """
    out = np.empty_like(V)
    width = max(64, _PIECE // P.shape[0])
    for j0 in range(0, P.shape[1], width):
        columns = slice(j0, j0 + width)
        piece = P[:, columns]
        halves = _split(piece)
        for i, coefficients in enumerate(a):
            terms, error = _two_product(piece, halves, -coefficients[:, None])
            part, missing = _halved(terms.T)
            total, rounding = _two_sum(V[i, columns], part)
            out[i, columns] = total + (rounding + missing + error.sum(axis=0))
    return out


def _split(a: Array) -> tuple[Array, Array]:
    """a = high + low, each of at most 26 bits; |a| < 2**996."""
    scaled = a * _SPLIT
    high = scaled - (scaled - a)
    return high, a - high


def _two_product(a: Array, halves: tuple[Array, Array], b: Array) -> tuple[Array, Array]:
    """fl(a b) and e with a b = fl(a b) + e; `halves` those of a."""
    high, low = halves
    b_high, b_low = _split(b)
    product = a * b
    return product, low * b_low - (((product - high * b_high) - low * b_high) - high * b_low)


def _two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """s = fl(a + b) and e with a + b = s + e."""
    s = a + b
    c = s - a
    return s, (a - (s - c)) + (b - c)


def _halved(terms: Array) -> tuple[Array, Array]:
    """Row sums of `terms` (m, b) and what rounding took from them; `terms` is overwritten."""
    missing = np.zeros(terms.shape[0])
    width = terms.shape[1]
    while width > 1:
        half = width // 2
        s, e = _two_sum(terms[:, :half], terms[:, width - half : width])
        terms[:, :half] = s
        missing += e.sum(axis=1)
        width -= half
    return terms[:, 0].copy(), missing
