"""Activations by name, and the check of those that come from the caller."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import scipy.special

from .._validation import Array, as_rows, shorten
from ..errors import InputError, ShapeError

Activation = Callable[[Array], Array]


def relu(z: Array) -> Array:
    """max(z, 0)."""
    return np.maximum(z, 0.0)


def silu(z: Array) -> Array:
    """z / (1 + exp(-z))."""
    return z * scipy.special.expit(z)


def gelu(z: Array) -> Array:
    """z Phi(z), Phi the normal distribution function (not its tanh approximation)."""
    return z * scipy.special.ndtr(z)


ACTIVATIONS: Mapping[str, Activation] = MappingProxyType(
    {"relu": relu, "silu": silu, "tanh": np.tanh, "gelu": gelu}
)


def resolve(activation: Any) -> Activation:
    """The function of a name, or the callable itself.

    Raises
    ------
    InputError
        Neither a known name nor callable.
    """
    if isinstance(activation, str) and activation in ACTIVATIONS:
        return ACTIVATIONS[activation]
    if callable(activation):
        return activation
    raise InputError(
        f"activation must be one of {shorten(ACTIVATIONS)} or a function of an array, applied to "
        f"each entry; got {activation!r}."
    )


def apply(activation: Activation, preactivations: Array) -> Array:
    """Features: one finite number per entry of (n, h), as a C-contiguous float64 array.

    Raises
    ------
    InputError
        NaN or infinity among the features.
    ShapeError
        A function that does not act entry by entry.
    """
    given = preactivations.shape
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):  # reported by as_rows
        computed = activation(preactivations)
    values = as_rows(computed, dtype=np.float64, name="features").array
    if values.shape != given:
        raise ShapeError(
            f"activation must return one value per entry: expected shape {given}, got "
            f"{values.shape}. Write it with numpy's elementwise functions."
        )
    return values
