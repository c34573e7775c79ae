"""Arrays of other libraries, read without a copy and without importing the library.

A torch tensor is known by the module of its type: if one was passed, torch is loaded already.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from ._validation import Array, real_array
from .errors import InputError

# Device types of DLPack in memory that the CPU reads: kDLCPU, kDLCUDAHost, kDLROCMHost.
_HOST_DEVICES = (1, 3, 11)


def is_torch(values: Any) -> bool:
    """Whether ``values`` is a torch tensor (or a parameter, or a subclass)."""
    return any(
        cls.__module__.partition(".")[0] == "torch" and cls.__name__ == "Tensor"
        for cls in type(values).__mro__
    )


def as_array(values: Any, name: str) -> Array:
    """``values`` as a numpy array of real numbers; a view wherever the memory can be shared.

    Raises
    ------
    InputError
        A tensor on a GPU, sparse, complex or not numeric.
    """
    if isinstance(values, np.ndarray):
        return real_array(values, name)
    if is_torch(values):
        return _from_torch(values, name)
    if hasattr(values, "__dlpack__") and hasattr(values, "__dlpack_device__"):
        device = int(values.__dlpack_device__()[0])
        if device not in _HOST_DEVICES:
            raise _elsewhere(name, f"DLPack device type {device}", "Copy it to the CPU first.")
        return real_array(np.from_dlpack(values), name)
    return real_array(values, name)


def is_copied(values: Any) -> bool:
    """Whether ``as_array`` made an array of its own: of a list, or of half precision in torch."""
    halves = ("torch.bfloat16", "torch.float16")
    return isinstance(values, list | tuple) or (is_torch(values) and str(values.dtype) in halves)


def _from_torch(tensor: Any, name: str) -> Array:
    if tensor.device.type != "cpu":
        raise _elsewhere(name, f"device {tensor.device}", f"Pass {name}.cpu().")
    if str(tensor.layout) != "torch.strided":
        raise InputError(
            f"{name} must be a dense tensor; got layout {tensor.layout}. Pass {name}.to_dense() if "
            f"it fits in memory."
        )
    plain = tensor.detach()
    if is_copied(plain):
        plain = plain.float()  # numpy has no bfloat16; both are exact in single precision
    return real_array(plain.resolve_neg().numpy() if not plain.is_complex() else plain, name)


def _elsewhere(name: str, where: str, remedy: str) -> InputError:
    return InputError(f"{name} must be in the memory of the CPU; got an array on {where}. {remedy}")


def like(values: Any) -> Callable[[Array], Any]:
    """The conversion of results to the kind of ``values``: torch for torch, else numpy."""
    if is_torch(values):
        from_numpy: Callable[[Array], Any] = sys.modules["torch"].from_numpy
        return from_numpy
    return lambda array: array
