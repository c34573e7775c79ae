"""The sample rows X (n x p), held in blocks and read in panels.

Invariants: position i (insertion order) is row `slots[i - start]` of its block. A block that
is not owned is never written. An owned block keeps its live rows in front after `compact`, and
its freed tail is zero, so bytes of a forgotten row survive nowhere in the object.
All products are with X * 2**-exponent. The power of two is moved to the vector, so X itself
is neither scaled nor copied; only panels of bounded width are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from minnorm._scipy.kernels import row_keys
from minnorm._scipy.scaling import (
    Array,
    Positions,
    chunk_width,
    exponent_of,
    plain_exponent,
    scaled,
    summation_depth,
)


@dataclass
class Block:
    """Some rows of X: retained sample k of the block is array[slots[k]]; used: live rows."""

    array: Array
    owned: bool
    slots: Positions
    used: int

    def in_order(self) -> bool:
        count = self.slots.size
        return count == self.used and bool((self.slots == np.arange(count)).all())


class Rows:
    """Retained rows in insertion order. Sharing (`without`) never copies the data."""

    def __init__(self, blocks: list[Block], n_features: int, dtype: np.dtype[np.generic]) -> None:
        self.blocks = [block for block in blocks if block.slots.size]
        self.n_features = n_features
        self.dtype = np.dtype(dtype)
        sizes = [block.slots.size for block in self.blocks]
        self.starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self.n_samples = int(self.starts[-1])
        self.column_chunk = chunk_width(n_features, 256)
        self.row_chunk = chunk_width(self.n_samples, 128)

    @staticmethod
    def of(array: Array, owned: bool) -> Rows:
        n = array.shape[0]
        block = Block(array, owned, np.arange(n, dtype=np.int64), n)
        return Rows([block], array.shape[1], array.dtype)

    # ---- which rows ------------------------------------------------------------------------

    def without(self, positions: Positions, *, shared: bool = False) -> Rows:
        """The rows but those at `positions`; the arrays are shared, nothing is written."""
        keep = np.ones(self.n_samples, dtype=bool)
        keep[positions] = False
        blocks = [
            Block(b.array, b.owned and not shared, b.slots[keep[i0:i1]], b.used)
            for b, i0, i1 in zip(self.blocks, self.starts[:-1], self.starts[1:], strict=True)
        ]
        return Rows(blocks, self.n_features, self.dtype)

    def with_new(self, array: Array, owned: bool) -> Rows:
        """The rows followed by those of `array`.

        Learned blocks are merged when the older is not larger, as digits of a binary counter,
        so their number stays logarithmic. The first block, the fitted X, is never copied.
        """
        blocks = list(self.blocks)
        parts, size = [array], array.shape[0]
        while len(blocks) > 1 and blocks[-1].slots.size <= size:
            last = blocks.pop()
            parts.insert(0, last.array[last.slots])
            size += last.slots.size
        if len(parts) > 1:
            array, owned = np.concatenate(parts), True
        blocks.append(Block(array, owned, np.arange(size, dtype=np.int64), size))
        return Rows(blocks, self.n_features, self.dtype)

    def compact(self) -> None:
        """Erase forgotten rows from owned blocks: the last live rows move into the holes."""
        for block in self.blocks:
            count = block.slots.size
            if not block.owned or count == block.used:
                continue
            free = np.ones(count, dtype=bool)
            free[block.slots[block.slots < count]] = False
            movers = np.flatnonzero(block.slots >= count)
            holes = np.flatnonzero(free)
            block.array[holes] = block.array[block.slots[movers]]
            block.slots = block.slots.copy()
            block.slots[movers] = holes
            block.array[count : block.used] = 0
            block.used = count

    # ---- reading ---------------------------------------------------------------------------

    def gather(self, positions: Positions | None = None) -> Array:
        """Copy of the rows at `positions` (all by default), unscaled, in insertion order."""
        wanted = np.arange(self.n_samples) if positions is None else positions
        out = np.empty((wanted.size, self.n_features), dtype=self.dtype)
        for block, i0, i1 in zip(self.blocks, self.starts[:-1], self.starts[1:], strict=True):
            here = np.flatnonzero((wanted >= i0) & (wanted < i1))
            out[here] = block.array[block.slots[wanted[here] - i0]]
        return out

    def keys(self) -> list[bytes]:
        """A key for each row, equal for equal rows; row by row, without a copy of X."""
        return [
            key
            for block in self.blocks
            for slot in block.slots.tolist()
            for key in row_keys(block.array[slot : slot + 1])
        ]

    def panel(self, j0: int, j1: int, exponent: int, positions: Positions | None = None) -> Array:
        """Columns j0:j1 of X * 2**-exponent as a new C-ordered array (one panel in size)."""
        out = np.empty((self.n_samples, j1 - j0), dtype=self.dtype)
        for block, i0, i1 in zip(self.blocks, self.starts[:-1], self.starts[1:], strict=True):
            if block.in_order():
                out[i0:i1] = block.array[: block.used, j0:j1]
            else:
                out[i0:i1] = block.array[block.slots, j0:j1]
        if positions is not None:
            out = out[positions]
        return scaled(out, -exponent)

    def panels(
        self, width: int, exponent: int, positions: Positions | None = None
    ) -> Iterator[Array]:
        for j0 in range(0, self.n_features, width):
            yield self.panel(j0, min(j0 + width, self.n_features), exponent, positions)

    def exponent(self) -> int:
        """e with max |X| * 2**-e in [0.5, 1)."""
        largest = 0.0
        for block in self.blocks:
            straight = block.in_order()
            for i0 in range(0, block.slots.size, self.row_chunk):
                slots = block.slots[i0 : i0 + self.row_chunk]
                piece = block.array[slice(i0, i0 + slots.size) if straight else slots]
                largest = max(largest, float(piece.max()), -float(piece.min()))
        return exponent_of(largest)

    def row_norms(self, own: int, exponent: int) -> NDArray[np.float64]:
        """Upper bounds of the row norms of X * 2**-exponent. Entries are first scaled by
        2**-own, own = self.exponent(), so an underflow loses at most 2**-511 per entry."""
        squares = np.zeros(self.n_samples)
        for panel in self.panels(self.column_chunk, own):
            wide = panel.astype(np.float64, copy=False)
            squares += np.einsum("ij,ij->i", wide, wide)
        p = self.n_features
        norms = np.sqrt(squares) * (1.0 + (p + 16) * 2.0**-52) + np.sqrt(p) * 2.0**-510
        result: NDArray[np.float64] = np.ldexp(norms, own - exponent) + 5e-324
        return result

    # ---- products --------------------------------------------------------------------------

    def depth_over_features(self) -> int:
        """Provable summation depth of `fused`'s X theta."""
        return summation_depth(self.n_features, self.column_chunk)

    def depth_over_samples(self) -> int:
        """Provable summation depth of X^T a: a row chunk, then all chunks of all blocks."""
        chunks = sum(-(-block.used // self.row_chunk) for block in self.blocks)
        return self.row_chunk + chunks + 1

    def fused(
        self, a: Array, exponent: int, start: Array | None = None, *, back: bool = True
    ) -> tuple[Array, Array]:
        """theta = start + Xs^T a (p, t) and Xs theta (n, t), in one pass over X.

        a (n, t). A panel of columns is used twice while it is in cache. Rows of a block that
        are dropped but not erased get coefficient zero, which adds exactly nothing.
        Cost: 4 n p t flops, X read once.
        """
        t = a.shape[1]
        plain = abs(exponent) <= plain_exponent(self.dtype)
        factor = self.dtype.type(2.0**-exponent) if plain else self.dtype.type(1)
        theta = np.empty((self.n_features, t), dtype=self.dtype)
        vectors, products = [], []
        for block, i0, i1 in zip(self.blocks, self.starts[:-1], self.starts[1:], strict=True):
            vector = np.zeros((block.used, t), dtype=self.dtype)
            vector[block.slots] = a[i0:i1] * factor
            vectors.append(vector)
            products.append(np.zeros((block.used, t), dtype=self.dtype))
        for j0 in range(0, self.n_features, self.column_chunk):
            columns = slice(j0, min(j0 + self.column_chunk, self.n_features))
            part = np.zeros((columns.stop - j0, t), dtype=self.dtype)
            for block, vector in zip(self.blocks, vectors, strict=True):
                for k0 in range(0, block.used, self.row_chunk):
                    k1 = min(k0 + self.row_chunk, block.used)
                    piece = block.array[k0:k1, columns]
                    piece = piece if plain else scaled(piece, -exponent)
                    part += piece.T @ vector[k0:k1]
            if start is not None:
                part += start[columns]
            theta[columns] = part
            if back:
                part *= factor
                for block, product in zip(self.blocks, products, strict=True):
                    piece = block.array[: block.used, columns]
                    product += (piece if plain else scaled(piece, -exponent)) @ part
        ordered = [pr[b.slots] for pr, b in zip(products, self.blocks, strict=True)]
        return theta, np.concatenate(ordered) if back else np.empty((0, t), dtype=self.dtype)

    def times(self, theta: Array, exponent: int) -> Array:
        """Xs theta (n, t) for any theta (p, t)."""
        plain = abs(exponent) <= plain_exponent(self.dtype)
        factor = self.dtype.type(2.0**-exponent) if plain else self.dtype.type(1)
        out = np.empty((self.n_samples, theta.shape[1]), dtype=self.dtype)
        for block, i0, i1 in zip(self.blocks, self.starts[:-1], self.starts[1:], strict=True):
            product = np.zeros((block.used, theta.shape[1]), dtype=self.dtype)
            for j0 in range(0, self.n_features, self.column_chunk):
                columns = slice(j0, min(j0 + self.column_chunk, self.n_features))
                piece = block.array[: block.used, columns]
                product += (piece if plain else scaled(piece, -exponent)) @ (
                    theta[columns] * factor
                )
            out[i0:i1] = product[block.slots]
        return out
