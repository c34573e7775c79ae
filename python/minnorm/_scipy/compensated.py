"""Dot products as if in twice the working precision, for many rows at once.

Every product and every sum leaves its rounding error behind as a number of its own (TwoProduct by
Veltkamp splitting, TwoSum); the errors are summed beside the result. Terms are added by halves, so
each step is one operation on whole arrays.
Source: Ogita, Rump & Oishi, SIAM J. Sci. Comput. 26 (2005), algorithm Dot2.
"""

from __future__ import annotations

import numpy as np

from minnorm._scipy.scaling import Array

_SPLIT = 134217729.0  # 2**27 + 1: cuts 53 bits into two halves of at most 26
# Columns taken together: the temporaries of 50 rows then stay in the second-level cache.
_WIDTH = 1024


def _split(a: Array) -> tuple[Array, Array]:
    """a = high + low, each of at most 26 bits; |a| < 2**996."""
    scaled = a * _SPLIT
    high = scaled - (scaled - a)
    return high, a - high


def _two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """s = fl(a + b) and e with a + b = s + e."""
    s = a + b
    c = s - a
    return s, (a - (s - c)) + (b - c)


class CompensatedSum:
    """The products P x, P (m, b), summed over panels: value (m, k) to twice the precision."""

    def __init__(self, m: int, k: int) -> None:
        self._sum = np.zeros((m, k))
        self._error = np.zeros((m, k))

    def add(self, P: Array, X: Array) -> None:
        """Add P X^T for P (m, b) and X (k, b), in double precision. 30 m k b flops."""
        for j0 in range(0, P.shape[1], _WIDTH):
            piece = P[:, j0 : j0 + _WIDTH]
            high, low = _split(piece)
            for i, x in enumerate(X[:, j0 : j0 + _WIDTH]):
                x_high, x_low = _split(x)
                product = piece * x
                error = low * x_low - (((product - high * x_high) - low * x_high) - high * x_low)
                part, missing = _halved(product)
                total, rounding = _two_sum(self._sum[:, i], part)
                self._sum[:, i] = total
                self._error[:, i] += rounding + missing + error.sum(axis=1)

    @property
    def value(self) -> Array:
        return self._sum + self._error


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
