"""The user's names for the retained samples, in insertion order.

One dictionary, id -> handle: it keeps insertion order, so its keys are ``ids_`` and its values the
backend's ascending handles. A forgotten id leaves no trace but the counter of default ids.
"""

from __future__ import annotations

import math
import numbers
from collections import Counter
from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np

from ._validation import Array, check_length, shorten
from .errors import InputError, UnknownSampleError


def _as_python(value: Any) -> Any:
    """A numpy scalar as the Python object that equals it, so that ``np.int64(3)`` finds ``3``."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if isinstance(value, np.bool_ | np.integer | np.floating | np.str_ | np.bytes_):
        return value.item()
    return value


def _next_above(ids: Iterable[Hashable], start: int) -> int:
    """The least integer >= ``start`` above every number in ``ids``."""
    for value in ids:
        if isinstance(value, numbers.Real) and math.isfinite(value) and value >= start:
            start = math.floor(value) + 1
    return start


class SampleIds:
    """Ids of the retained samples; each maps to the backend's handle of that sample."""

    def __init__(self) -> None:
        self._handle_of: dict[Any, int] = {}
        self._next_integer = 0  # above every number ever used as an id
        self._all_default = True  # every id was given here: below the counter means issued

    def __len__(self) -> int:
        return len(self._handle_of)

    @property
    def array(self) -> Array:
        """The ids in insertion order: int64, text, or object when neither fits."""
        ids = list(self._handle_of)
        if self._all_default or all(type(value) is int for value in ids):
            try:
                return np.array(ids, dtype=np.int64)
            except OverflowError:
                pass
        # numpy text drops trailing NULs, which would make two ids one.
        elif all(type(value) is str and not value.endswith("\0") for value in ids):
            return np.array(ids, dtype=np.str_)
        array = np.empty(len(ids), dtype=object)
        array[:] = ids
        return array

    def propose(self, ids: Any, n_samples: int) -> list[Any]:
        """Ids for new samples, checked; None asks for default ids. Changes nothing."""
        if ids is None:
            return list(range(self._next_integer, self._next_integer + n_samples))
        if isinstance(ids, str | bytes | set | frozenset | dict) or not isinstance(ids, Iterable):
            raise InputError(
                f"ids must be a sequence with one id per row of X, in their order; got "
                f"{type(ids).__name__}. Pass a list or an array."
            )
        proposed = self._elements(ids)
        check_length(len(proposed), n_samples, "ids")
        repeated = [value for value, count in Counter(proposed).items() if count > 1]
        if repeated:
            raise InputError(
                f"ids must be unique; got {shorten(repeated)} more than once. Give every sample "
                f"its own id."
            )
        taken = [value for value in proposed if value in self._handle_of]
        if taken:
            raise InputError(
                f"ids must be new; {shorten(taken)} already name retained samples. Forget those "
                f"first, or choose other ids."
            )
        return proposed

    def add(self, proposed: list[Any], handles: Iterable[int], *, default: bool) -> None:
        """Record new samples under ids that ``propose`` returned."""
        self._handle_of.update(zip(proposed, (int(handle) for handle in handles), strict=True))
        self._all_default = self._all_default and default
        self._next_integer = _next_above(proposed, self._next_integer)

    def select(self, ids: Any) -> list[Any]:
        """The ids asked for, all retained and none twice, fewer than all.

        ``ids`` is one id or an iterable of ids. A tuple that is itself the id of a retained sample
        is that one id.
        """
        chosen = self._elements(ids)
        if not chosen:
            raise InputError(
                "forget expects at least one id; got an empty request. The model is unchanged."
            )
        unknown = [value for value in chosen if value not in self._handle_of]
        if unknown:
            raise UnknownSampleError(self._explain_unknown(unknown))
        repeated = [value for value, count in Counter(chosen).items() if count > 1]
        if repeated:
            raise InputError(
                f"ids to forget must be given once each; got {shorten(repeated)} more than once. "
                f"The model is unchanged."
            )
        if len(chosen) == len(self._handle_of):
            raise InputError(
                f"at least one sample must remain; the request names all {len(chosen)} retained "
                f"samples. Delete the model instead, or fit it on other data."
            )
        return chosen

    def handles(self, chosen: list[Any]) -> Array:
        """Ascending handles of retained ids."""
        handles = np.array([self._handle_of[value] for value in chosen], dtype=np.int64)
        handles.sort()
        return handles

    def remove(self, chosen: list[Any]) -> None:
        for value in chosen:
            del self._handle_of[value]

    def without(self, chosen: list[Any]) -> SampleIds:
        """A copy that lacks ``chosen``."""
        rest = SampleIds()
        rest._handle_of = dict(self._handle_of)
        rest._next_integer = self._next_integer
        rest._all_default = self._all_default
        rest.remove(chosen)
        return rest

    def _elements(self, ids: Any) -> list[Any]:
        value = _as_python(ids)
        if self._is_single(value):
            elements = [value]
        else:
            if isinstance(value, np.ndarray) and (value.ndim > 1 or value.dtype == np.bool_):
                raise InputError(
                    f"ids must be one id or a flat sequence of ids; got an array of shape "
                    f"{value.shape} and dtype {value.dtype}. Select by a mask with "
                    f"model.ids_[mask]."
                )
            elements = [_as_python(element) for element in value]
        for element in elements:
            try:
                hash(element)
            except TypeError as error:
                raise InputError(
                    f"an id must be hashable (a number, text, a tuple, ...); got {element!r}."
                ) from error
            if element != element:
                raise InputError(
                    "an id must equal itself; got NaN, which could never be found again."
                )
        return elements

    def _is_single(self, value: Any) -> bool:
        if isinstance(value, str | bytes) or not isinstance(value, Iterable):
            return True
        if not isinstance(value, tuple):
            return False
        try:
            return value in self._handle_of
        except TypeError:  # an unhashable element: a tuple of ids, reported by its elements
            return False

    def _explain_unknown(self, unknown: list[Any]) -> str:
        past: list[Any] = []
        never: list[Any] = []
        for value in unknown:
            issued = type(value) is int and 0 <= value < self._next_integer
            (past if issued else never).append(value)
        parts = []
        if past:
            state = "already forgotten" if self._all_default else "already forgotten or never used"
            parts.append(f"{shorten(past)} ({state})")
        if never:
            parts.append(f"{shorten(never)} (no retained sample has this id)")
        return (
            f"expected ids of retained samples; got {' and '.join(parts)}. The model is "
            f"unchanged; model.ids_ lists the {len(self._handle_of)} ids it holds."
        )
