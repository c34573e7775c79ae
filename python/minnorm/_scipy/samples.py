"""Which samples a core holds: ascending handles, targets, and the count of forgotten ones.

Position i always means the i-th retained sample in insertion order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from minnorm._scipy.scaling import Array, Positions
from minnorm.errors import InputError, ShapeError, UnknownSampleError


@dataclass(frozen=True)
class Samples:
    """handles (n,) ascending; targets (n, t) in user units; an immutable value."""

    handles: Positions
    targets: Array
    next_handle: int
    n_forgotten: int

    @staticmethod
    def first(targets: Array) -> Samples:
        n = targets.shape[0]
        return Samples(np.arange(n, dtype=np.int64), targets.copy(), n, 0)

    def positions_of(self, handles: NDArray[np.int64]) -> Positions:
        """Ascending positions of `handles`; each known, none repeated, at least one kept."""
        wanted = np.asarray(handles, dtype=np.int64).ravel()
        if wanted.size == 0:
            raise InputError("expected at least one sample to forget, got none")
        ordered = np.sort(wanted)
        repeated = ordered[1:][ordered[1:] == ordered[:-1]]
        if repeated.size:
            raise InputError(f"expected distinct samples, got {repeated[0]} more than once")
        found = np.minimum(np.searchsorted(self.handles, ordered), self.handles.size - 1)
        unknown = ordered[self.handles[found] != ordered]
        if unknown.size:
            raise UnknownSampleError(
                f"sample {unknown[0]} is not held: it was never learned or is already forgotten"
            )
        if ordered.size == self.handles.size:
            raise InputError(
                f"expected to keep at least one sample, got a request to forget all "
                f"{ordered.size}; fit a new model instead"
            )
        return found.astype(np.int64)

    def without(self, positions: Positions) -> Samples:
        return Samples(
            np.delete(self.handles, positions),
            np.delete(self.targets, positions, axis=0),
            self.next_handle,
            self.n_forgotten + positions.size,
        )

    def with_new(self, targets: Array) -> Samples:
        if targets.ndim != 2 or targets.shape[1] != self.targets.shape[1]:
            raise ShapeError(
                f"expected new targets with {self.targets.shape[1]} columns, "
                f"got shape {targets.shape}"
            )
        m = targets.shape[0]
        new = np.arange(self.next_handle, self.next_handle + m, dtype=np.int64)
        return Samples(
            np.concatenate([self.handles, new]),
            np.concatenate([self.targets, targets]),
            self.next_handle + m,
            self.n_forgotten,
        )

    def with_targets(self, targets: Array) -> Samples:
        if targets.ndim != 2 or targets.shape[0] != self.handles.size:
            raise ShapeError(
                f"expected targets for all {self.handles.size} retained samples, "
                f"got shape {targets.shape}"
            )
        return Samples(self.handles, targets.copy(), self.next_handle, self.n_forgotten)


def positions_without(count: int, dropped: Positions) -> Positions:
    """For each old position the new one after dropping, -1 for the dropped."""
    keep = np.ones(count, dtype=bool)
    keep[dropped] = False
    renumbered = np.cumsum(keep, dtype=np.int64) - 1
    renumbered[dropped] = -1
    return renumbered
