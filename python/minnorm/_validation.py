"""Arrays and parameters as the backends want them, or an error that says what is wrong.

An array that leaves this module is C-contiguous, in native byte order, aligned, finite, float32 or
float64, and of the stated number of dimensions. An array that has all this is passed on as it is:
no function here allocates n x p numbers for one, not even to look for NaN.
"""

from __future__ import annotations

import numbers
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

from .errors import InputError, ShapeError

Array = npt.NDArray[Any]

# Numbers looked at together for NaN: a buffer of flags that stays in the first-level cache.
_FINITE_CHUNK = 1 << 15


class ElementTypeError(InputError, TypeError):
    """An element of an object array is not a number (scikit-learn asks for a TypeError here)."""


class Rows(NamedTuple):
    """Samples as rows; ``fresh`` when no caller holds the array or a view of it."""

    array: Array
    fresh: bool


def shorten(items: Iterable[Any], limit: int = 5) -> str:
    """``1, 2, 3, 4, 5, ... (40 in all)``."""
    listed = list(items)
    text = ", ".join(repr(item) for item in listed[:limit])
    return text if len(listed) <= limit else f"{text}, ... ({len(listed)} in all)"


def working_dtype(dtype: Any, given: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype asked for, else float32 for float32 data and float64 for all other."""
    if dtype is None:
        single = given.kind == "f" and given.itemsize == 4
        return np.dtype(np.float32 if single else np.float64)
    try:
        asked = np.dtype(dtype)
    except TypeError as error:
        raise InputError(f"dtype must be None, float32 or float64; got {dtype!r}.") from error
    if asked not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise InputError(
            f"dtype must be None (as the data), float32 or float64; got {asked}. Other precisions "
            f"have no factorization here."
        )
    return asked


def real_array(values: Any, name: str) -> Array:
    """``values`` as an array of real numbers of any layout; no copy of what is one already."""
    if values is None:
        raise InputError(
            f"This estimator requires {name} to be passed, but the target {name} is None. Pass "
            f"one value, or one row of values, per sample."
        )
    if sparse.issparse(values):
        raise InputError(
            f"Sparse data was passed for {name}, but a dense array is required. Use "
            f"{name}.toarray() if it fits in memory."
        )
    if np.ma.isMaskedArray(values) and np.ma.is_masked(values):
        raise InputError(
            f"{name} is a masked array with masked entries; every entry needs a value. Fill them "
            f"or leave out their samples."
        )
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ShapeError(
            f"{name} must be a rectangular array of real numbers; got a ragged sequence "
            f"({error}). Give every row the same length."
        ) from error
    if array.dtype.kind == "c":
        raise InputError(
            f"Complex data not supported: {name} has dtype {array.dtype}, real numbers are "
            f"expected. Pass its real part, or real and imaginary parts as separate columns."
        )
    if array.dtype.kind == "O":
        array = _from_objects(array, name)
    if array.dtype.kind not in "biuf":
        raise InputError(
            f"{name} must hold real numbers; got dtype {array.dtype}. Encode text and dates as "
            f"numbers first."
        )
    return array


def _from_objects(array: Array, name: str) -> Array:
    if any(isinstance(item, complex | np.complexfloating) for item in array.flat):
        raise InputError(
            f"Complex data not supported: {name} is an object array with complex entries, real "
            f"numbers are expected."
        )
    if any(isinstance(item, str | bytes) for item in array.flat):
        raise InputError(
            f"{name} must hold real numbers; got an object array with text in it. Encode text as "
            f"numbers first."
        )
    try:
        return array.astype(np.float64)
    except TypeError as error:
        raise ElementTypeError(
            f"{name} must hold real numbers; got an object array with an entry that is none "
            f"({error})."
        ) from error
    except ValueError as error:
        raise ShapeError(
            f"{name} must be a rectangular array of real numbers; got an object array of "
            f"sequences ({error}). Give every row the same length."
        ) from error


def check_finite(array: Array, name: str) -> None:
    """Raise when ``array`` holds NaN or infinity. O(1) memory for a C-contiguous array.

    A sum is finite only if all terms are; it may also overflow, so the elements decide then.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(np.sum(array)):
            return
    flat = array.reshape(-1)
    for start in range(0, flat.size, _FINITE_CHUNK):
        finite = np.isfinite(flat[start : start + _FINITE_CHUNK])
        if not finite.all():
            first = start + int(np.argmin(finite))
            where = ", ".join(str(index) for index in np.unravel_index(first, array.shape))
            raise InputError(
                f"Input {name} contains NaN, infinity or a value too large for {array.dtype}: "
                f"finite numbers are expected, {name}[{where}] is {flat[first]}. Impute or leave "
                f"out the sample."
            )


def _normalised(raw: Array, dtype: np.dtype[Any], name: str) -> Array:
    with np.errstate(over="ignore"):  # what overflows is reported by check_finite
        array = np.require(raw, dtype=dtype, requirements=["C", "A"])
    check_finite(array, name)
    return array


def _check_two_dimensional(raw: Array, name: str) -> None:
    if raw.ndim != 2:
        hint = (
            f"Reshape your data either using {name}.reshape(-1, 1) if it has a single feature or "
            f"{name}.reshape(1, -1) if it is a single sample."
            if raw.ndim < 2
            else f"Flatten every sample: {name}.reshape(len({name}), -1)."
        )
        raise ShapeError(
            f"Expected 2D array, got {raw.ndim}D array instead: {name} must have shape (samples, "
            f"features), got {raw.shape}. {hint}"
        )
    for axis, what in enumerate(("sample(s)", "feature(s)")):
        if raw.shape[axis] == 0:
            raise ShapeError(
                f"Found array with 0 {what} (shape={raw.shape}) while a minimum of 1 is required: "
                f"{name} is empty."
            )


def as_rows(X: Any, *, dtype: Any = None, name: str = "X") -> Rows:
    """Samples as rows, converted at most once.

    Parameters
    ----------
    X : array-like, shape (n, p)
        Any layout, byte order or real dtype.
    dtype : None or dtype
        None keeps float32 and makes float64 of every other dtype.

    Returns
    -------
    Rows
        ``array`` is ``X`` itself when nothing had to be converted.

    Raises
    ------
    InputError, ShapeError
        Sparse, complex, ragged, non-numeric, empty, not 2-D, or not finite.
    """
    raw = real_array(X, name)
    _check_two_dimensional(raw, name)
    array = _normalised(raw, working_dtype(dtype, raw.dtype), name)
    # np.asarray made a new array of a list; of a data frame or a tensor it may have made a view.
    fresh = isinstance(X, list | tuple) or not np.may_share_memory(array, raw)
    return Rows(array, fresh)


def as_owned_rows(rows: Rows, *, copy: bool) -> Rows:
    """The rows to hand to a backend: with ``copy``, an array that nobody else holds."""
    if rows.fresh or not copy:
        return rows
    return Rows(rows.array.copy(order="C"), True)


def as_targets(
    y: Any, n_samples: int, dtype: np.dtype[Any], *, name: str = "y"
) -> tuple[Array, bool]:
    """Real targets as a new array (n, t), and whether ``y`` was one-dimensional."""
    raw = real_array(y, name)
    if raw.ndim not in (1, 2) or 0 in raw.shape[1:]:
        raise ShapeError(
            f"{name} must have shape (n_samples,) or (n_samples, n_targets); got {raw.shape}."
        )
    check_length(raw.shape[0], n_samples, name)
    targets = raw if raw.ndim == 2 else raw[:, np.newaxis]
    with np.errstate(over="ignore"):
        converted = np.array(targets, dtype=dtype, order="C", copy=True)
    check_finite(converted, name)
    return converted, raw.ndim == 1


def as_parameters(values: Any, *, shapes: tuple[str, ...], name: str) -> Array:
    """Parameters of a network as a new read-only float64 array that nobody else holds.

    Parameters
    ----------
    values : array-like
    shapes : tuple of str
        The shapes allowed, of different dimensions, written as a reader writes them: "(h, p)".
    name : str
        What the error calls it.

    Raises
    ------
    InputError, ShapeError
        Not real numbers, not finite, empty, or of another number of dimensions.
    """
    if values is None:
        raise InputError(f"{name} must be an array of shape {' or '.join(shapes)}; got None.")
    raw = real_array(values, name)
    # "(h,)" has one axis, "(t, h)" two.
    dimensions = [len([axis for axis in shape.strip("()").split(",") if axis]) for shape in shapes]
    if raw.ndim not in dimensions or raw.size == 0:
        raise ShapeError(
            f"{name} must have shape {' or '.join(shapes)} with no empty axis; got {raw.shape}."
        )
    with np.errstate(over="ignore"):
        owned = np.array(raw, dtype=np.float64, order="C", copy=True)
    check_finite(owned, name)
    owned.setflags(write=False)
    return owned


def check_length(got: int, expected: int, name: str) -> None:
    if got != expected:
        raise ShapeError(
            f"{name} must have one entry per row of X: expected {expected}, got {got}. Check that "
            f"both come from the same samples."
        )


def non_negative(value: Any, name: str) -> float:
    """A finite real number >= 0."""
    return _real(value, name, "a finite number >= 0", lambda number: number >= 0)


def positive(value: Any, name: str) -> float:
    """A finite real number > 0."""
    return _real(value, name, "a finite number > 0", lambda number: number > 0)


def finite(value: Any, name: str) -> float:
    """A finite real number."""
    return _real(value, name, "a finite number", lambda number: True)


def _real(value: Any, name: str, expected: str, accept: Any) -> float:
    number = float(value) if isinstance(value, numbers.Real | np.number) else np.nan
    if not (np.isfinite(number) and accept(number)):
        raise InputError(f"{name} must be {expected}; got {value!r}.")
    return number


def one_of(value: Any, allowed: tuple[str, ...], name: str) -> str:
    """``value``, which must be one of the ``allowed`` strings."""
    if not isinstance(value, str) or value not in allowed:
        choices = ", ".join(repr(choice) for choice in allowed)
        raise InputError(f"{name} must be one of {choices}; got {value!r}.")
    return value
