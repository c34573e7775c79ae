"""The Jacobian J (m, p): held in blocks by reference, read in panels of columns, never copied.

Invariants: blocks[c][b] holds the rows of batch b in the columns of layer c; `slots[b]` are the
rows of batch b that are still held, in order. A panel is (m, width) in double precision; one that
needs no conversion is a view. With `shift` row i of a panel is 2**-shift[i] times that of J.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minnorm._scipy.scaling import Array, Positions, exponent_of

Blocks = Sequence[Sequence[Array]]
Release = Callable[[int, int], Any]

PANEL = 1 << 18  # numbers in a panel: 2 MB
RELEASE_BYTES = 1 << 26


class Jacobian:
    """The rows now held. Sharing (`without`, `with_rows`) never copies the data."""

    def __init__(
        self,
        blocks: Blocks,
        release: Release | None = None,
        slots: list[Positions] | None = None,
        shift: NDArray[np.int64] | None = None,
    ) -> None:
        self.blocks = [list(layer) for layer in blocks]
        self.release = release
        self.slots = slots or [np.arange(b.shape[0], dtype=np.int64) for b in self.blocks[0]]
        self.shift = shift
        self.dtype = self.blocks[0][0].dtype
        self.n_rows = sum(slot.size for slot in self.slots)
        self.n_columns = sum(layer[0].shape[1] for layer in self.blocks)

    # ---- which rows --------------------------------------------------------------------------

    def without(self, positions: Positions) -> Jacobian:
        """The rows but those at `positions`."""
        keep = np.ones(self.n_rows, dtype=bool)
        keep[positions] = False
        starts = np.cumsum([0] + [slot.size for slot in self.slots])
        slots = [
            slot[keep[i0:i1]]
            for slot, i0, i1 in zip(self.slots, starts[:-1], starts[1:], strict=True)
        ]
        live = [b for b, slot in enumerate(slots) if slot.size]
        return Jacobian(
            [[layer[b] for b in live] for layer in self.blocks],
            self.release,
            [slots[b] for b in live],
            None if self.shift is None else self.shift[keep],
        )

    def with_rows(self, blocks: Blocks) -> Jacobian:
        """The rows followed by those of `blocks`, in the same columns. Not for shifted rows."""
        assert self.shift is None
        return Jacobian(
            [[*old, *new] for old, new in zip(self.blocks, blocks, strict=True)],
            self.release,
            self.slots + [np.arange(b.shape[0], dtype=np.int64) for b in blocks[0]],
        )

    def unshifted(self) -> Jacobian:
        return Jacobian(self.blocks, self.release, self.slots)

    def shifted(self) -> Jacobian:
        """Rows scaled by the power of two of their largest entry. One read."""
        exponents = [exponent_of(value) for value in self.largest()]
        return Jacobian(self.blocks, self.release, self.slots, np.array(exponents, dtype=np.int64))

    # ---- reading -----------------------------------------------------------------------------

    def pieces(self, width: int) -> Iterator[tuple[int, int, list[Array]]]:
        """(j0, j1, [columns j0:j1 of each batch]); told to `release` as ranges are done with."""
        start = done = 0
        row_bytes = self.n_rows * self.dtype.itemsize
        for layer in self.blocks:
            for k0 in range(0, layer[0].shape[1], width):
                k1 = min(k0 + width, layer[0].shape[1])
                yield start + k0, start + k1, [_rows_of(b, s, k0, k1) for b, s in self._of(layer)]
                if self.release and (start + k1 - done) * row_bytes >= RELEASE_BYTES:
                    self.release(done, start + k1)
                    done = start + k1
            start += layer[0].shape[1]
        if self.release and start > done:
            self.release(done, start)

    def _of(self, layer: list[Array]) -> Iterator[tuple[Array, Positions]]:
        return zip(layer, self.slots, strict=True)

    def panels(self, width: int | None = None) -> Iterator[tuple[int, int, Array]]:
        """(j0, j1, panel (m, j1 - j0)). A panel is valid until the next one is asked for."""
        width = width or max(64, PANEL // max(self.n_rows, 1))
        buffer = np.empty(0)
        for j0, j1, pieces in self.pieces(width):
            if len(pieces) == 1 and self.shift is None and self.dtype == np.float64:
                yield j0, j1, pieces[0]
                continue
            if buffer.size < self.n_rows * (j1 - j0):
                buffer = np.empty(self.n_rows * (j1 - j0))
            panel = buffer[: self.n_rows * (j1 - j0)].reshape(self.n_rows, j1 - j0)
            row = 0
            for piece in pieces:
                panel[row : row + piece.shape[0]] = piece
                row += piece.shape[0]
            if self.shift is not None:
                np.ldexp(panel, -self.shift[:, None], out=panel)
            yield j0, j1, panel

    def largest(self) -> NDArray[np.float64]:
        """The largest magnitude in each row (m,), NaN where there is one. One read."""
        result = np.zeros(self.n_rows)
        width = max(64, PANEL // max(self.n_rows, 1))
        for _, _, pieces in self.pieces(width):
            if pieces[0].shape[1]:
                sizes = [np.maximum(piece.max(axis=1), -piece.min(axis=1)) for piece in pieces]
                np.maximum(result, np.concatenate(sizes), out=result)
        return result


def _rows_of(block: Array, slots: Positions, k0: int, k1: int) -> Array:
    """Rows `slots` of columns k0:k1: a view where all rows of the block are held."""
    return block[:, k0:k1] if slots.size == block.shape[0] else block[slots, k0:k1]
