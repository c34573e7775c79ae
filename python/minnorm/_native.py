"""The compiled backend: the one extension module that suits this CPU, loaded at import.

The wheel holds the same C++ core once per CPU level; ``minnorm._cpu.level()`` says which of them
this machine can run, and the highest is taken. ``MINNORM_CPU_LEVEL`` asks for a lower one; a
higher one than the CPU has is lowered to what it has, so the variable is safe on a mixed cluster.

Where no module loads, importing this one raises ImportError with the reason; ``_backend`` decides
what follows. The names here are those of ``_scipy``. Arrays are passed on untouched:
``_validation`` has made them C-contiguous, native, aligned, and all float32 or all float64.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from .errors import InputError

NAME = "native"

# Lowest first. A CPU that runs a level runs all before it in the same family.
_FAMILIES = (("base", "v3", "v4"), ("neon",))


def _candidates(available: str, requested: str | None) -> tuple[str, ...]:
    """Levels to try, best first: from ``requested``, or what the CPU has if that is less, down."""
    if available == "unsupported":
        raise ImportError(
            "the extension modules need a CPU with x86-64-v2 (SSE4.2, POPCNT); this one is older"
        )
    family = next(levels for levels in _FAMILIES if available in levels)
    ceiling = family.index(available)
    if requested:
        if requested not in family:
            raise InputError(
                f"MINNORM_CPU_LEVEL must be one of {', '.join(family)} on this machine; got "
                f"{requested!r}. Correct it, or unset it to take the best level this CPU has."
            )
        ceiling = min(ceiling, family.index(requested))
    return family[ceiling::-1]


def _load(available: str, requested: str | None) -> tuple[ModuleType, str]:
    """The first module that is installed. One that is there and does not load raises as it is."""
    candidates = _candidates(available, requested)
    for level in candidates:
        name = f"{__package__}._core_{level}"
        try:
            return importlib.import_module(name), level
        except ModuleNotFoundError as error:
            if error.name != name:
                raise
    raise ImportError(
        f"no extension module for this CPU is installed: looked for "
        f"{', '.join('minnorm._core_' + level for level in candidates)}"
    )


def _cpu_level() -> str:
    try:
        from ._cpu import level
    except ModuleNotFoundError as error:
        raise ImportError(
            "no extension module is installed: minnorm._cpu, which chooses among them, is missing"
        ) from error
    return level()


_module, LEVEL = _load(_cpu_level(), os.environ.get("MINNORM_CPU_LEVEL"))

_LINEAR: dict[np.dtype[Any], Any] = {
    np.dtype(np.float32): _module.LinearCoreFloat,
    np.dtype(np.float64): _module.LinearCoreDouble,
}
_KERNEL: dict[np.dtype[Any], Any] = {
    np.dtype(np.float32): _module.KernelCoreFloat,
    np.dtype(np.float64): _module.KernelCoreDouble,
}
_PROJECTOR: dict[np.dtype[Any], Any] = {
    np.dtype(np.float32): _module.ProjectorCoreFloat,
    np.dtype(np.float64): _module.ProjectorCoreDouble,
}
_THIN_QR: dict[np.dtype[Any], Any] = {
    np.dtype(np.float32): _module.ThinQRCoreFloat,
    np.dtype(np.float64): _module.ThinQRCoreDouble,
}


def _by_dtype(classes: dict[np.dtype[Any], Any], dtype: np.dtype[Any]) -> Any:
    if dtype not in classes:
        raise InputError(f"expected an array of dtype float32 or float64; got {dtype}")
    return classes[dtype]


class LinearCore:
    """Makes the extension's linear model of the dtype of ``X``; never an instance of this class."""

    def __new__(cls, X: np.ndarray[Any, Any], Y: np.ndarray[Any, Any], **parameters: Any) -> Any:
        return _by_dtype(_LINEAR, X.dtype)(X, Y, **parameters)

    @staticmethod
    def from_state(state: Mapping[str, Any]) -> Any:
        return _by_dtype(_LINEAR, state["Y"].dtype).from_state(state)


class KernelCore:
    """Makes the extension's kernel model of the dtype of ``X``; never an instance of this class."""

    def __new__(cls, X: np.ndarray[Any, Any], Y: np.ndarray[Any, Any], **parameters: Any) -> Any:
        return _by_dtype(_KERNEL, X.dtype)(X, Y, **parameters)

    @staticmethod
    def from_state(state: Mapping[str, Any]) -> Any:
        return _by_dtype(_KERNEL, state["Y"].dtype).from_state(state)


class ProjectorCore:
    """Makes the extension's projector of the dtype of the blocks; never an instance of this."""

    def __new__(cls, blocks: Sequence[Sequence[np.ndarray[Any, Any]]], **parameters: Any) -> Any:
        return _by_dtype(_PROJECTOR, blocks[0][0].dtype)(blocks, **parameters)


class ThinQRCore:
    """Makes the extension's thin QR of the dtype of ``X``; never an instance of this class."""

    def __new__(cls, X: np.ndarray[Any, Any], **parameters: Any) -> Any:
        return _by_dtype(_THIN_QR, X.dtype)(X, **parameters)

    @staticmethod
    def from_state(state: Mapping[str, Any]) -> Any:
        return _by_dtype(_THIN_QR, state["Q"].dtype).from_state(state)


kernel_matrix = _module.kernel_matrix
