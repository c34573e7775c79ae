"""Floating-point flags of a core that checks its numbers itself.

OpenBLAS computes small products in single precision on whole vector registers, the unused part of
which holds whatever was in memory: numpy then warns of an invalid value in a product that has
none, or raises where the user asked for that. Data are finite when they come in, and what comes
out is tested where it matters: a bound that is not a number is infinity.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T", bound=type)


def _quiet(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        with np.errstate(invalid="ignore"):
            return function(*args, **options)

    return call


def checks_itself(core: T) -> T:
    """Class decorator: methods and properties run with numpy's "invalid" flag ignored."""
    for name, member in list(vars(core).items()):
        if inspect.isfunction(member):
            setattr(core, name, _quiet(member))
        elif isinstance(member, property) and member.fget is not None:
            setattr(core, name, property(_quiet(member.fget), doc=member.__doc__))
        elif isinstance(member, classmethod):
            setattr(core, name, classmethod(_quiet(member.__func__)))
    return core
