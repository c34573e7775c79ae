"""The rows that a projector holds: blocks by reference, converted at most once, erased if ours.

Invariants: ``columns[c][b]`` is batch b in the columns of block c, 2-D, all of one dtype, float32
or float64, native, aligned, of unit stride along the last axis; ``slots[b]`` are the rows of batch
b still held. ``owned`` says which arrays no caller holds.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from . import _memmap, _tensors
from ._validation import Array, Rows, check_finite, working_dtype
from .errors import InputError, ShapeError

NO_ROWS = (
    "J has no rows: expected the gradient of at least one sample. Without any, every vector is "
    "orthogonal to their span; check how the samples were selected."
)


def _usable(rows: Rows, dtype: np.dtype[Any]) -> Rows:
    """The array itself when a backend can read it in place, else a C-contiguous copy."""
    array = rows.array
    unit = array.shape[1] <= 1 or array.strides[1] == array.itemsize
    step = 0 if array.shape[0] <= 1 else array.strides[0]
    if (
        array.dtype == dtype
        and array.dtype.isnative
        and array.flags.aligned
        and unit
        and step >= 0
        and step % array.itemsize == 0
    ):
        return Rows(np.asarray(array), rows.fresh)
    with np.errstate(over="ignore"):  # an infinity is found with the Gram matrix
        return Rows(np.array(array, dtype=dtype, order="C", copy=True), True)


class JacobianBlocks:
    """The Jacobian (m, p) as a backend takes it, and the form of the vectors that go with it."""

    def __init__(
        self,
        columns: list[list[Array]],
        owned: list[list[bool]],
        parameter_shapes: list[tuple[int, ...]] | None = None,
    ) -> None:
        self.columns, self.owned = columns, owned
        self.parameter_shapes = parameter_shapes
        self.slots = [np.arange(block.shape[0]) for block in columns[0]]
        self.release = _memmap.PageRelease(columns)
        self.dtype = columns[0][0].dtype
        self.n_columns = sum(layer[0].shape[1] for layer in columns)

    @classmethod
    def of(
        cls,
        columns: Sequence[Sequence[Rows]],
        parameter_shapes: list[tuple[int, ...]] | None = None,
    ) -> JacobianBlocks:
        """From raw 2-D arrays; brought to one dtype, and split where they are memory-mapped."""
        single = all(rows.array.dtype == np.float32 for layer in columns for rows in layer)
        dtype = np.dtype(np.float32 if single else np.float64)
        pieces: list[list[Array]] = []
        owned: list[list[bool]] = []
        for layer in columns:
            usable = [_usable(rows, dtype) for rows in layer]
            parts = _memmap.split([rows.array for rows in usable])
            pieces += parts
            owned += [[rows.fresh for rows in usable]] * len(parts)
        return cls(pieces, owned, parameter_shapes)

    @classmethod
    def whole(cls, J: Any) -> JacobianBlocks:
        """From one array-like (m, p)."""
        return cls.of([[_two_dimensional(J, "J")]])

    @classmethod
    def row_blocks(cls, blocks: Iterable[Any]) -> JacobianBlocks:
        """From batches of samples, each (m_b, p)."""
        batches: list[Rows] = []
        for number, block in enumerate(_iterated(blocks, "row_blocks", "batches of gradients")):
            batch = _two_dimensional(block, f"row_blocks[{number}]", empty=True)
            if batches and batch.array.shape[1] != batches[0].array.shape[1]:
                raise ShapeError(
                    f"row_blocks must have the same number of columns: expected "
                    f"{batches[0].array.shape[1]} as in row_blocks[0], got "
                    f"{batch.array.shape[1]} in row_blocks[{number}]. Every batch holds gradients "
                    f"of all parameters."
                )
            batches.append(batch)
        batches = [batch for batch in batches if batch.array.shape[0]]
        if not batches:
            raise InputError(NO_ROWS)
        return cls.of([batches])

    @classmethod
    def column_blocks(cls, blocks: Sequence[Any]) -> JacobianBlocks:
        """From layers, each (m, *parameter_shape)."""
        layers: list[Array] = []
        flat: list[Rows] = []
        for number, block in enumerate(_iterated(blocks, "column_blocks", "layers")):
            name = f"column_blocks[{number}]"
            layer = _tensors.as_array(block, name)
            if layer.ndim == 0:
                raise ShapeError(
                    f"{name} must have shape (samples, *parameter_shape); got a single number."
                )
            if layers and layer.shape[0] != layers[0].shape[0]:
                raise ShapeError(
                    f"column_blocks must have one row per sample each: expected "
                    f"{layers[0].shape[0]} as in column_blocks[0], got {layer.shape[0]} in {name}."
                )
            layers.append(layer)
            rows = layer.reshape(layer.shape[0], math.prod(layer.shape[1:]))
            copied = not np.may_share_memory(rows, layer)
            flat.append(Rows(rows, copied or _tensors.is_copied(block)))
        if not layers:
            raise InputError(
                "column_blocks is empty: expected one array (samples, *parameter_shape) per layer."
            )
        if not layers[0].shape[0]:
            raise InputError(NO_ROWS)
        return cls.of([[rows] for rows in flat], [layer.shape[1:] for layer in layers])

    # ---- rows --------------------------------------------------------------------------------

    @property
    def n_rows(self) -> int:
        return sum(slot.size for slot in self.slots)

    def further(self, J_new: Any) -> JacobianBlocks:
        """New rows (n, p), or layers (n, *parameter_shape) each, in the columns of these."""
        if self.parameter_shapes is not None and isinstance(J_new, list | tuple):
            if len(J_new) != len(self.parameter_shapes):
                raise ShapeError(
                    f"J_new must have one array per layer: expected {len(self.parameter_shapes)}, "
                    f"got {len(J_new)}."
                )
            rows = JacobianBlocks.column_blocks(J_new)
            if rows.parameter_shapes != self.parameter_shapes:
                raise ShapeError(
                    f"J_new must have layers of the shapes held: expected (samples, *shape) for "
                    f"{self.parameter_shapes}, got {rows.parameter_shapes}."
                )
            raw = Rows(np.hstack([layer[0] for layer in rows.columns]), True)
        else:
            raw = _two_dimensional(J_new, "J_new")
        if raw.array.shape[1] != self.n_columns:
            raise ShapeError(
                f"J_new must have one column per parameter: expected {self.n_columns}, got "
                f"{raw.array.shape[1]}."
            )
        array, owned = _usable(raw, self.dtype)
        edges = np.cumsum([0] + [layer[0].shape[1] for layer in self.columns])
        pieces = [[array[:, a:b]] for a, b in itertools.pairwise(edges)]
        return JacobianBlocks(pieces, [[owned]] * len(pieces), self.parameter_shapes)

    def append(self, new: JacobianBlocks) -> None:
        """Hold the rows of ``new`` after these."""
        self.columns = [[*a, *b] for a, b in zip(self.columns, new.columns, strict=True)]
        self.owned = [[*a, *b] for a, b in zip(self.owned, new.owned, strict=True)]
        self.slots = [*self.slots, *new.slots]
        self.release.extend(new.columns)

    def delete(self, positions: Array) -> None:
        """Hold these rows no longer; they are overwritten in arrays that no caller holds."""
        keep = np.ones(self.n_rows, dtype=bool)
        keep[positions] = False
        edges = np.cumsum([0] + [slot.size for slot in self.slots])
        for b, slot in enumerate(self.slots):
            kept = keep[edges[b] : edges[b + 1]]
            for layer, mine in zip(self.columns, self.owned, strict=True):
                if mine[b] and not kept.all():
                    layer[b][slot[~kept]] = 0
            self.slots[b] = slot[kept]

    def detached(self) -> JacobianBlocks:
        """The rows held, sharing only arrays that a caller holds; of deleted rows nothing."""
        columns, owned = [], []
        for layer, mine in zip(self.columns, self.owned, strict=True):
            pairs = [
                (block, False) if slot.size == block.shape[0] and not own else (block[slot], True)
                for block, slot, own in zip(layer, self.slots, mine, strict=True)
                if slot.size
            ]
            columns.append([block for block, _ in pairs])
            owned.append([own for _, own in pairs])
        return JacobianBlocks(columns, owned, self.parameter_shapes)

    def __reduce__(self) -> tuple[Any, ...]:
        """Plain arrays; those that come back from a pickle or a deep copy are its own."""
        held = self.detached()
        owned = [[True] * len(layer) for layer in held.columns]
        return JacobianBlocks, (held.columns, owned, self.parameter_shapes)

    # ---- vectors -----------------------------------------------------------------------------

    def vectors(self, v: Any) -> tuple[Array, Callable[[Array], Any]]:
        """V (k, p) for a backend, and the way back to the form and kind of ``v``."""
        if self.parameter_shapes is not None and isinstance(v, list | tuple):
            return self._slices(v, self.parameter_shapes)
        return vectors(v, self.n_columns)

    def _slices(
        self, v: Sequence[Any], shapes: list[tuple[int, ...]]
    ) -> tuple[Array, Callable[[Array], Any]]:
        if len(v) != len(shapes):
            raise ShapeError(
                f"v must have one slice per layer: expected {len(shapes)}, got {len(v)}. Or pass "
                f"one array ({self.n_columns},)."
            )
        raw = [_tensors.as_array(part, f"v[{i}]") for i, part in enumerate(v)]
        several = raw[0].ndim > len(shapes[0])
        k = raw[0].shape[0] if several else 1
        for i, (part, shape) in enumerate(zip(raw, shapes, strict=True)):
            expected = (k, *shape) if several else shape
            if part.shape != expected:
                raise ShapeError(
                    f"v[{i}] must have the shape of its layer: expected {expected}, got "
                    f"{part.shape}. Several vectors have one more axis in front, in every slice."
                )
        sizes = [math.prod(shape) for shape in shapes]
        parts = [part.reshape(k, size) for part, size in zip(raw, sizes, strict=True)]
        flat = np.concatenate(parts, axis=1)
        V, _ = vectors(flat, self.n_columns)
        dtypes = [working_dtype(None, part.dtype) for part in raw]
        edges = np.cumsum(sizes)[:-1]

        def back(result: Array) -> list[Any]:
            parts = np.split(result.reshape(k, -1), edges, axis=1)
            return [
                _tensors.like(given)(
                    np.ascontiguousarray(part, dtype=dtype).reshape((k, *s) if several else s)
                )
                for given, part, dtype, s in zip(v, parts, dtypes, shapes, strict=True)
            ]

        return V, back


def vectors(v: Any, p: int) -> tuple[Array, Callable[[Array], Any]]:
    """V (k, p), C-contiguous, float32 or float64, finite; and back to the shape and kind of v."""
    raw = _tensors.as_array(v, "v")
    if raw.ndim not in (1, 2) or raw.shape[-1] != p or raw.shape[0] == 0:
        raise ShapeError(
            f"v must have one entry per column of J: expected shape ({p},) or (k, {p}), got "
            f"{raw.shape}."
        )
    V = np.require(np.atleast_2d(raw), working_dtype(None, raw.dtype), ["C", "A"])
    check_finite(V, "v")
    convert, single = _tensors.like(v), raw.ndim == 1
    return V, lambda result: convert(result[0] if single else result)


def _two_dimensional(J: Any, name: str, *, empty: bool = False) -> Rows:
    array = _tensors.as_array(J, name)
    if array.ndim != 2:
        hint = (
            f"A single gradient is {name}.reshape(1, -1)."
            if array.ndim < 2
            else "Pass layers of any shape to from_column_blocks, or flatten every sample: "
            f"{name}.reshape(len({name}), -1)."
        )
        raise ShapeError(f"{name} must have shape (samples, parameters); got {array.shape}. {hint}")
    if array.shape[1] == 0:
        raise ShapeError(f"{name} must have at least one column; got shape {array.shape}.")
    if array.shape[0] == 0 and not empty:
        raise InputError(NO_ROWS if name == "J" else f"{name} has no rows: pass at least one.")
    return Rows(array, _tensors.is_copied(J))


def _iterated(blocks: Any, name: str, what: str) -> Iterable[Any]:
    try:
        return iter(blocks)
    except TypeError as error:
        raise InputError(f"{name} must be an iterable of {what}; got {blocks!r}.") from error
