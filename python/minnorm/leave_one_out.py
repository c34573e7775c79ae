"""Every sample's held-out prediction, from the one factor of the fitted model."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, overload

import numpy as np

from ._validation import Array
from .errors import InputError


class LeftOneOutRows:
    """Coefficients of the n left-one-out linear models as a sequence; a row is computed when read.

    Row i is ``coef - r_i X^T M e_i`` with r_i the held-out residual of sample i and M the inverse
    Gram matrix (projected for the intercept), so all n models cost one vector each and no n x p
    array exists until ``numpy.asarray`` asks for it.

    Indexing by an integer gives shape (p,), or (t, p) for targets of t columns; a slice or an
    array of integers adds a first axis. Cost O(n p) per row. A row can be read until the model
    changes; after that ``InputError``.
    """

    def __init__(self, core: Any, coef: Array, residuals: Array, *, one_dimensional: bool) -> None:
        self._core = core
        self._coef = coef  # (t, p)
        self._residuals = residuals  # (n, t)
        self._one_dimensional = one_dimensional

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, p), or (n, t, p) for targets of t columns."""
        coef = self._coef.shape[1:] if self._one_dimensional else self._coef.shape
        return (len(self), *coef)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._coef.dtype

    def __len__(self) -> int:
        return len(self._residuals)

    @overload
    def __getitem__(self, index: int) -> Array: ...
    @overload
    def __getitem__(self, index: slice | list[int] | Array) -> Array: ...
    def __getitem__(self, index: int | slice | list[int] | Array) -> Array:
        positions = np.arange(len(self), dtype=np.int64)[index]
        if positions.ndim > 1:
            raise InputError(
                f"rows are selected by an integer, a slice or a flat array of integers; got an "
                f"index that gives shape {positions.shape}."
            )
        rows = self._rows(np.atleast_1d(positions))
        return rows[0] if positions.ndim == 0 else rows

    def __iter__(self) -> Iterator[Array]:
        return (self[position] for position in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if copy is False:
            raise ValueError("the rows are computed when read; copy=False is not possible")
        return self[:] if dtype is None else self[:].astype(dtype, copy=False)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of shape {self.shape}, dtype {self.dtype}>"

    def _rows(self, positions: Array) -> Array:
        if not len(positions):
            return np.empty((0, *self.shape[1:]), dtype=self.dtype)
        influence = self._core.influence(positions)  # (m, p)
        if self._one_dimensional:
            rows: Array = influence
            rows *= -self._residuals[positions]  # (m, 1)
            rows += self._coef[0]
            return rows
        return self._coef - self._residuals[positions][:, :, np.newaxis] * influence[:, np.newaxis]


@dataclasses.dataclass(frozen=True)
class LeaveOneOut:
    """Held-out predictions of all samples. Entry i belongs to ``ids[i]``; that model never saw it.

    Attributes
    ----------
    ids : ndarray, shape (n,)
        The samples, in the order of the model's ``ids_``.
    predictions : ndarray, shape (n,) or (n, t)
        Prediction at sample i of the model of all other samples; for a classifier its label.
    residuals : ndarray, shape (n,) or (n, t)
        Target minus held-out value; for a classifier of the -1/+1 coded targets.
    decision_values : ndarray, shape (n,) or (n, C), or None
        Held-out decision values of a classifier. The coding of the classes is that of all samples,
        also where sample i is the only one of its class.
    parameters : LeftOneOutRows or None
        With ``parameters=True``: the coefficients of the n models, computed when read.
    intercepts : ndarray, shape (n,) or (n, t), or None
        With ``parameters=True``: their intercepts.

    Examples
    --------
    >>> from minnorm import LinearInterpolator
    >>> model = LinearInterpolator(backend="scipy").fit([[0.0], [1.0], [2.0]], [0.0, 1.0, 5.0])
    >>> held_out = model.leave_one_out(parameters=True)
    >>> held_out.predictions.round(12).tolist()
    [-3.0, 2.5, 2.0]
    >>> held_out.parameters[2].round(12).tolist()
    [1.0]
    """

    ids: Array
    predictions: Array
    residuals: Array
    decision_values: Array | None = None
    parameters: LeftOneOutRows | None = None
    intercepts: Array | None = None
