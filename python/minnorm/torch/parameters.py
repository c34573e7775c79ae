"""The trainable parameters of a module as one vector theta (d,).

Invariant: every parameter that needs a gradient is here once, however many modules share it;
frozen ones are not.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from ..errors import InputError

Named = Mapping[str, Tensor]


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """All modules in eval mode; each module's own mode comes back."""
    modes = [(module, module.training) for module in model.modules()]
    if any(mode for _, mode in modes):
        model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            if module.training != mode:
                module.training = mode


class Parameters:
    """Names, sizes and values of what is trained."""

    def __init__(self, model: nn.Module) -> None:
        if not isinstance(model, nn.Module):
            raise InputError(f"model must be a torch.nn.Module; got {type(model).__name__}.")
        # A shared parameter is listed under its first name; functional_call fills in the others.
        self.named: dict[str, nn.Parameter] = {
            name: value for name, value in model.named_parameters() if value.requires_grad
        }
        if not self.named:
            raise InputError(
                "model has no parameter that needs a gradient: expected at least one. Unfreeze "
                "what is to be changed with requires_grad_(True)."
            )
        for name, value in self.named.items():
            if not value.is_floating_point():
                raise InputError(
                    f"parameters must be real floating-point tensors; {name} has dtype "
                    f"{value.dtype}. Freeze it, or store real and imaginary parts."
                )
        places = {value.device for value in self.named.values()}
        if len(places) > 1:
            raise InputError(
                f"the trainable parameters must be on one device; got "
                f"{', '.join(sorted(map(str, places)))}. Move the model, or freeze a part of it."
            )
        self.device = places.pop()
        self.sizes = {name: value.numel() for name, value in self.named.items()}
        self.size = sum(self.sizes.values())
        self.dtype = functools.reduce(
            torch.promote_types, (value.dtype for value in self.named.values())
        )

    def detached(self) -> dict[str, Tensor]:
        """The values by name, in place and without a graph."""
        return {name: value.detach() for name, value in self.named.items()}

    def vector(self) -> Tensor:
        """theta (d,), a copy."""
        return torch.cat([value.reshape(-1).to(self.dtype) for value in self.detached().values()])

    @torch.no_grad()
    def assign(self, theta: Tensor) -> None:
        """Write theta (d,), of any device and dtype, into the parameters."""
        for value, part in zip(
            self.named.values(), torch.split(theta, list(self.sizes.values())), strict=True
        ):
            value.copy_(part.reshape(value.shape))

    def norm(self) -> float:
        """``||theta||_2``."""
        return norm(self.detached())


def wide(device: torch.device) -> torch.dtype:
    """The precision of sums on a device: double wherever it exists."""
    return torch.float32 if device.type == "mps" else torch.float64


def norm(values: Named) -> float:
    """The 2-norm over all tensors."""
    parts = [torch.linalg.vector_norm(v, dtype=wide(v.device)) for v in values.values()]
    return float(torch.linalg.vector_norm(torch.stack(parts)))
