"""Pages of memory-mapped arrays are given back after they were read.

A mapped file that is read from end to end would otherwise stay resident as far as memory reaches.
Only mappings that share the file's own pages are touched: a dropped page is then read again from
the page cache or the disk. In a private mapping (mode "c") it would be a lost change.
"""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from typing import Any

import numpy as np

from ._validation import Array

SHARED_MODES = ("r", "r+", "w+")
# Enough rows and columns for long reads, and little enough to be held several times over.
BLOCK_BYTES = 1 << 26


def mapping_of(array: Array) -> mmap.mmap | None:
    """The shared file mapping that holds ``array``, or None."""
    owner: Any = array
    while isinstance(owner, np.ndarray):
        mapped = getattr(owner, "_mmap", None)
        if isinstance(owner, np.memmap) and isinstance(mapped, mmap.mmap):
            shared = owner.mode in SHARED_MODES and hasattr(mapped, "madvise")
            return mapped if shared and hasattr(mmap, "MADV_DONTNEED") else None
        owner = owner.base
    return None


def split(batches: list[Array]) -> list[list[Array]]:
    """Blocks of the same columns, as views of about 64 MB over all batches if any is mapped."""
    if not any(mapping_of(block) for block in batches):
        return [batches]
    row_bytes = batches[0].itemsize * max(1, sum(block.shape[0] for block in batches))
    width = max(1, BLOCK_BYTES // row_bytes)
    starts = range(0, batches[0].shape[1], width)
    return [[block[:, j : j + width] for block in batches] for j in starts]


class PageRelease:
    """``release(first, last)``: gives back the pages of these columns of J in mapped blocks."""

    def __init__(self, columns: Sequence[Sequence[Array]]) -> None:
        self._pieces: list[_Piece] = []
        self.extend(columns)

    def __bool__(self) -> bool:
        return bool(self._pieces)

    def extend(self, columns: Sequence[Sequence[Array]]) -> None:
        """More rows, in the same columns."""
        first = 0
        for layer in columns:
            for block in layer:
                mapping = mapping_of(block)
                if mapping is not None:
                    self._pieces.append(_Piece(first, block, mapping))
            first += layer[0].shape[1]

    def __call__(self, first: int, last: int) -> None:
        for piece in self._pieces:
            piece.release(first, last)


class _Piece:
    """One block, its first column in J and the mapping that holds it."""

    def __init__(self, first: int, array: Array, mapping: mmap.mmap) -> None:
        self.first, self.array, self.mapping = first, array, mapping
        start = np.frombuffer(mapping, dtype=np.uint8).__array_interface__["data"][0]
        self.offset = array.__array_interface__["data"][0] - start

    def release(self, first: int, last: int) -> None:
        """Give back the pages of these columns, row by row.

        A range starts with the page of its first entry, which earlier columns share: these were
        read before. It ends before the page of its last entry, where later columns begin.
        """
        m, width = self.array.shape
        c0, c1 = max(first - self.first, 0), min(last - self.first, width)
        if c0 >= c1:
            return
        size, stride = self.array.itemsize, self.array.strides[0]
        for row in range(m):
            begin = self.offset + row * stride + c0 * size
            end = self.offset + row * stride + c1 * size
            begin -= begin % mmap.PAGESIZE
            end -= end % mmap.PAGESIZE
            if begin < end:
                self.mapping.madvise(mmap.MADV_DONTNEED, begin, end - begin)
