"""The kernel matrix K (n x n) of the samples now held, in user units.

Invariants: K_ij is array[slots[i], slots[j]]. An array that is not owned is never written. An
owned one keeps its live part in front after `compact`; what was freed is zero.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from minnorm._scipy.scaling import (
    Array,
    Positions,
    chunk_width,
    exponent_of,
    norms_up,
    plain_exponent,
    scaled,
    summation_depth,
)


class Gram:
    """A symmetric matrix whose rows and columns are deleted together."""

    def __init__(self, array: Array, owned: bool, slots: Positions, used: int) -> None:
        self.array, self.owned, self.slots, self.used = array, owned, slots, used
        self.chunk = chunk_width(used, 256)

    @staticmethod
    def of(array: Array, owned: bool) -> Gram:
        n = array.shape[0]
        return Gram(array, owned, np.arange(n, dtype=np.int64), n)

    @property
    def n_samples(self) -> int:
        return int(self.slots.size)

    def without(self, positions: Positions, *, shared: bool = False) -> Gram:
        """K without some samples; the array is shared, nothing is written."""
        return Gram(
            self.array, self.owned and not shared, np.delete(self.slots, positions), self.used
        )

    def with_new(self, cross: Array, corner: Array) -> Gram:
        """[[K, cross^T], [cross, corner]] in a new array; cross (m, n), corner (m, m)."""
        n, m = self.n_samples, corner.shape[0]
        grown = np.empty((n + m, n + m), dtype=self.array.dtype)
        grown[:n, :n] = self.gather()
        grown[n:, :n], grown[:n, n:], grown[n:, n:] = cross, cross.T, corner
        return Gram.of(grown, True)

    def compact(self) -> None:
        """Erase forgotten samples from an owned array: the last live ones fill the holes."""
        count = self.slots.size
        if not self.owned or count == self.used:
            return
        free = np.ones(count, dtype=bool)
        free[self.slots[self.slots < count]] = False
        movers, holes = np.flatnonzero(self.slots >= count), np.flatnonzero(free)
        sources = self.slots[movers]
        self.array[holes] = self.array[sources]
        self.array[:, holes] = self.array[:, sources]
        self.slots = self.slots.copy()
        self.slots[movers] = holes
        self.array[count : self.used] = 0
        self.array[:, count : self.used] = 0
        self.used = count

    def gather(self, rows: Positions | None = None, columns: Positions | None = None) -> Array:
        """Copy of K[rows][:, columns], all by default."""
        i = self.slots if rows is None else self.slots[rows]
        j = self.slots if columns is None else self.slots[columns]
        count = self.slots.size
        if rows is None and columns is None and (i == np.arange(count)).all():
            return self.array[:count, :count].copy()
        result: Array = self.array[np.ix_(i, j)]
        return result

    def diagonal(self) -> Array:
        result: Array = self.array[self.slots, self.slots]
        return result

    def exponent(self) -> int:
        """e with max |K| * 2**-e in [0.5, 1)."""
        largest = 0.0
        for i0 in range(0, self.n_samples, self.chunk):
            piece = self.array[self.slots[i0 : i0 + self.chunk]][:, self.slots]
            largest = max(largest, float(piece.max()), -float(piece.min()))
        return exponent_of(largest)

    def row_norms(self, exponent: int) -> NDArray[np.float64]:
        """Upper bounds of the row norms of K * 2**-exponent."""
        norms = np.empty(self.n_samples)
        for i0 in range(0, self.n_samples, self.chunk):
            piece = self.array[self.slots[i0 : i0 + self.chunk]][:, self.slots]
            norms[i0 : i0 + self.chunk] = norms_up(scaled(piece, -exponent), axis=1)
        return norms

    def depth(self) -> int:
        """Provable summation depth of `times`."""
        return summation_depth(self.used, self.chunk)

    def times(self, a: Array, exponent: int) -> Array:
        """K * 2**-exponent * a (n, t) for a (n, t). Cost: 2 n^2 t flops, K read once."""
        dtype = self.array.dtype
        plain = abs(exponent) <= plain_exponent(dtype)
        factor = dtype.type(2.0**-exponent) if plain else dtype.type(1)
        vector = np.zeros((self.used, a.shape[1]), dtype=dtype)
        vector[self.slots] = a * factor
        product = np.zeros_like(vector)
        for j0 in range(0, self.used, self.chunk):
            j1 = min(j0 + self.chunk, self.used)
            piece = self.array[: self.used, j0:j1]
            product += (piece if plain else scaled(piece, -exponent)) @ vector[j0:j1]
        result: Array = product[self.slots]
        return result
