"""Positions of rows, checked: integers or a mask become ascending distinct positions."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._validation import Array, shorten
from .errors import InputError, ShapeError


def as_positions(rows: Any, n_rows: int) -> Array:
    """Ascending positions (k,) of the rows to delete, k from 1 to n_rows - 1.

    Raises
    ------
    InputError, ShapeError
        Not integers, outside 0 .. n_rows - 1 (or -n_rows .. -1), repeated, none or all.
    """
    given = np.atleast_1d(np.asarray(rows))
    if given.dtype == bool:
        if given.shape != (n_rows,):
            raise ShapeError(
                f"a mask of rows must have one entry per row held: expected shape ({n_rows},), got "
                f"{given.shape}."
            )
        given = np.flatnonzero(given)
    if given.ndim != 1 or (given.size and given.dtype.kind not in "iu"):
        raise InputError(
            f"rows must be integers, or a boolean mask of {n_rows}; got {given.dtype} of shape "
            f"{given.shape}."
        )
    if not given.size:
        raise InputError("rows is empty: expected at least one row to delete.")
    outside = given[(given < -n_rows) | (given >= n_rows)]
    if outside.size:
        raise InputError(
            f"rows must be positions among the {n_rows} rows held; got "
            f"{shorten(outside.tolist())}. Rows after a deleted one move up."
        )
    positions = np.where(given < 0, given + n_rows, given).astype(np.int64)
    distinct, counts = np.unique(positions, return_counts=True)
    if distinct.size < positions.size:
        raise InputError(
            f"rows must be distinct; got {shorten(distinct[counts > 1].tolist())} more than once."
        )
    if distinct.size == n_rows:
        raise InputError(
            f"rows names all {n_rows} rows held: at least one must stay, since without rows every "
            f"vector is orthogonal to nothing. Build a new projector instead."
        )
    return distinct
