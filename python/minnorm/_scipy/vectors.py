"""The vectors to project, V (k, p): read in double precision, scaled so that squares are safe."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from minnorm._scipy.scaling import Array, exponent_of

_CHUNK = 1 << 16
_PLAIN = 300  # within 2**-300 .. 2**300 products with J neither overflow nor vanish


class Vectors:
    """V, its norms (k,) and exponents (k,): `panel` is V 2**-exponent; 0 for ordinary sizes."""

    def __init__(self, V: Array) -> None:
        self.array = V
        largest = [_largest(v) for v in V]
        exponents = [exponent_of(value) for value in largest]
        self.plain = all(abs(e) <= _PLAIN for e in exponents)
        self.exponents: NDArray[np.int64] = np.array(
            [0 if self.plain else e for e in exponents], dtype=np.int64
        )
        squares = np.zeros(V.shape[0])
        for j0 in range(0, V.shape[1], _CHUNK):
            part = self.panel(j0, j0 + _CHUNK)
            squares += np.einsum("kj,kj->k", part, part)
        self.norms: NDArray[np.float64] = np.sqrt(squares)
        self.eps = float(np.finfo(V.dtype).eps)

    def panel(self, j0: int, j1: int) -> Array:
        """Columns j0:j1 of V 2**-exponent in double precision, a new array."""
        part = self.array[:, j0:j1].astype(np.float64)
        return part if self.plain else np.ldexp(part, -self.exponents[:, None])

    def restore(self, scaled: Array) -> None:
        """Multiply `scaled` (k, p) by 2**exponent in place."""
        if not self.plain:
            for row, exponent in zip(scaled, self.exponents, strict=True):
                np.ldexp(row, exponent, out=row)


def _largest(v: Array) -> float:
    return max(float(v.max(initial=0.0)), -float(v.min(initial=0.0)))
