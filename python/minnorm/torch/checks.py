"""Numbers that schedules are made of, in their domains."""

from __future__ import annotations

import numbers
from typing import Any

from .._validation import positive
from ..errors import InputError


def at_least(value: Any, least: int, name: str) -> int:
    """An integer >= least."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
        raise InputError(f"{name} must be an integer >= {least}; got {value!r}.")
    return int(value)


def fraction(value: Any, name: str) -> float:
    """A number in (0, 1]."""
    number = positive(value, name)
    if number > 1.0:
        raise InputError(f"{name} must be in (0, 1]; got {value!r}.")
    return number
