"""Gram matrices of large layers from their inputs and output gradients, without the gradients.

The gradient of row i with respect to the weight of a linear layer is ``sum_t d_it a_it^T``: a_it
(inputs) what enters it at position t, d_it (outputs) the derivative by what leaves it. With one
position per row the inner product of two gradients is ``(d_i . d_j) (a_i . a_j)``. A convolution is
a linear layer on patches. One forward and one backward pass give the factors of all layers.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .parameters import evaluating, wide
from .rows import GradientRows


def _is_plain(module: nn.Module) -> bool:
    """A layer whose output is the formula: exactly these types, so no parametrisation either."""
    if type(module) is nn.Linear:
        return True
    return (
        type(module) is nn.Conv2d
        and module.groups == 1
        and module.padding_mode == "zeros"
        and not isinstance(module.padding, str)
    )


def plain_layers(rows: GradientRows) -> dict[str, nn.Module]:
    """Weight name -> layer, where the weight is trained and no other module holds it."""
    holders = Counter(
        id(parameter)
        for module in rows.model.modules()
        for parameter in module._parameters.values()
        if parameter is not None
    )
    named = rows.parameters.named
    return {
        f"{name}.weight" if name else "weight": module
        for name, module in rows.model.named_modules()
        if (f"{name}.weight" if name else "weight") in named
        and _is_plain(module)
        and holders[id(module.weight)] == 1
    }


class LayerFactors:
    """Inputs A (m, t, inputs) and derivatives D (m, t, outputs) of layers at the m rows."""

    def __init__(self, rows: GradientRows, layers: dict[str, nn.Module]) -> None:
        seen: dict[str, list[tuple[Tensor, Tensor]]] = {name: [] for name in layers}
        handles = [
            layer.register_forward_hook(self._record(seen[name])) for name, layer in layers.items()
        ]
        try:
            with evaluating(rows.model), torch.enable_grad():
                total = rows.values_by_row().sum()
        finally:
            for handle in handles:
                handle.remove()
        # A layer that is called twice adds up two gradients; it has no such factors.
        once = {name: calls[0] for name, calls in seen.items() if len(calls) == 1}
        leaving = [y for _, y in once.values()]
        found = torch.autograd.grad(total, leaving, allow_unused=True) if leaving else ()
        self._layers = layers
        self._factors = {
            name: (x, torch.zeros_like(y) if d is None else d)
            for (name, (x, y)), d in zip(once.items(), found, strict=True)
            if len(x) == len(rows)
        }

    @staticmethod
    def _record(calls: list[tuple[Tensor, Tensor]]) -> Any:
        return lambda module, inputs, output: calls.append((inputs[0].detach(), output))

    def numbers(self, name: str) -> int | None:
        """Numbers that A takes, or None for a layer without factors."""
        if name not in self._factors:
            return None
        x, d = self._factors[name]
        weight = self._layers[name].weight
        assert isinstance(weight, Tensor)
        positions = d[0, 0].numel() if d.ndim == 4 else x[0].numel() // weight.shape[1]
        return len(x) * positions * weight[0].numel()

    def gram(self, name: str, room: int) -> Tensor:
        """The part (m, m) of the Gram matrix that the weight contributes, in double precision.

        Cost m^2 (inputs + outputs) with one position, else m^2 d by panels of ``room`` numbers.
        """
        x, d = self._factors.pop(name)
        A, D = _positions(self._layers[name], x, d)
        dtype = wide(A.device)
        if A.shape[1] == 1:
            a, b = A[:, 0].to(dtype), D[:, 0].to(dtype)
            return ((a @ a.T) * (b @ b.T)).cpu().double()
        total = torch.zeros(len(A), len(A), dtype=dtype, device=A.device)
        step = max(1, room // (3 * len(A) * A.shape[2]))
        for some in torch.split(D, step, 2):
            panel = torch.einsum("mto,mti->moi", some, A).flatten(1).to(dtype)
            total += panel @ panel.T
        return total.cpu().double()


def _positions(layer: nn.Module, x: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
    if isinstance(layer, nn.Conv2d):
        assert not isinstance(layer.padding, str)
        patches = F.unfold(x, layer.kernel_size, layer.dilation, layer.padding, layer.stride)
        return patches.transpose(1, 2), d.flatten(2).transpose(1, 2)
    m = len(x)
    return x.reshape(m, -1, x.shape[-1]), d.reshape(m, -1, d.shape[-1])
