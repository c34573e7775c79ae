"""Gradients of single samples, and their Gram matrices, from what entered and left each layer.

One forward and one backward pass of all rows give, for every layer, its inputs x and the
derivatives d by its outputs. The gradients follow by the rules of `layer_rules`, which suppose that

    1. every path from the outputs to the layer's parameters goes through one call of the layer,
    2. x is still what entered,
    3. sample i is at position i of the first axis, there and nowhere else.

The graph itself shows the first two (`recording`). The third: scalars f_i weighted by v_i have the
derivatives v_i d_i if and only if position i is of sample i alone. One more backward pass with
random v tests that, once for each graph. Where it fails there are no factors at all.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from .block_products import add_pairs, product
from .layer_rules import RULES, Matrix
from .recording import Call, shapes
from .rows import GradientRows

# Numbers that go into one block of rows: 64 MB in single precision.
BLOCK = 1 << 24


class LayerFactors:
    """The factors of rows ``start`` .. ``stop - 1``, in all layers that have them.

    Parameters
    ----------
    rows : GradientRows
    start, stop : int, optional
        All rows by default.

    Notes
    -----
    Cost: a pass forward and back, without the gradients of the parameters. Memory: the activations
    of these rows, each with its derivative.
    """

    def __init__(self, rows: GradientRows, start: int = 0, stop: int | None = None) -> None:
        stop = len(rows) if stop is None else stop
        recording, scalars = rows.recorded(start, stop)
        self._count, self._sizes = stop - start, rows.parameters.sizes
        once, signature = recording.sole_passages(scalars)
        calls = {
            layer: call for layer, call in once.items() if len(call.x) == call.shape[0] == len(self)
        }
        self._factors: dict[nn.Module, tuple[Tensor, Tensor]] = {}
        if calls:
            key = (signature, tuple(calls), shapes(calls.values()))
            unknown = key not in rows.proved
            ones = torch.ones_like(scalars)
            derivatives = _derivatives(scalars, calls, ones, keep=unknown)
            if unknown:
                rows.proved[key] = _separate(scalars, calls, derivatives)
            if rows.proved[key]:
                for (layer, call), d in zip(calls.items(), derivatives, strict=True):
                    self._factors[layer] = call.x, d
        owners = {
            id(value): (layer, kind)
            for layer in self._factors
            for kind, value in layer.named_parameters(recurse=False)
        }
        self._owners = {
            name: owners[id(value)]
            for name, value in rows.parameters.named.items()
            if id(value) in owners
        }

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[str]:
        """The parameters with factors."""
        return iter(self._owners)

    def rows(self, name: str, start: int, stop: int) -> Tensor:
        """Gradients (stop - start, ...) by one parameter; row 0 is the first of the factors."""
        layer, kind = self._owners[name]
        x, d = self._factors[layer]
        rule = RULES[type(layer)]
        if kind == "bias":
            return rule.bias(layer, d[start:stop])
        return rule.weight(layer, x[start:stop], d[start:stop])

    def single(self, name: str) -> tuple[Tensor, Tensor] | None:
        """x (m, inputs), d (m, outputs) of a linear layer at one position: rows are d_i x_i^T."""
        layer, kind = self._owners[name]
        x, d = self._factors[layer]
        if kind == "weight" and type(layer) is nn.Linear and x.numel() == len(x) * x.shape[-1]:
            return x.flatten(1), d.flatten(1)
        return None

    def write(self, name: str, out: Tensor) -> None:
        """All rows (m, size) by one parameter, as many at a time as `BLOCK` holds."""
        step = max(1, BLOCK // (self._numbers(name) + self._sizes[name]))
        for start in range(0, len(self), step):
            stop = min(start + step, len(self))
            part = self.rows(name, start, stop)
            out[start:stop].unflatten(1, part.shape[1:]).copy_(part)

    def gram(self, name: str, room: int) -> Tensor:
        """The part (m, m) of J J^T that one parameter contributes, in double precision.

        Holds about ``room`` numbers. A matrix with one position to a sample takes m^2 (inputs +
        outputs) flops, as ``<d_i x_i^T, d_j x_j^T> = (d_i . d_j)(x_i . x_j)``. Others take m^2
        times their size: matrices by blocks of inputs and outputs, the rest by pairs of blocks of
        rows.
        """
        layer, kind = self._owners[name]
        rule, m = RULES[type(layer)], len(self)
        G = torch.zeros(m, m, dtype=torch.float64)
        if kind == "weight" and isinstance(rule, Matrix):
            for A, D in rule.blocks(layer, *self._factors[layer], room // (4 * m)):
                G += _product(A, D, room)
            return G
        step = max(1, room // (4 * (self._numbers(name) + self._sizes[name])))
        add_pairs(G, lambda start, stop: self.rows(name, start, stop).flatten(1), step)
        return G

    def _numbers(self, name: str) -> int:
        """What the rule takes of memory for a row, besides the row."""
        layer, kind = self._owners[name]
        x, d = self._factors[layer]
        return RULES[type(layer)].numbers(layer, x, d) if kind == "weight" else 1


def _product(A: Tensor, D: Tensor, room: int) -> Tensor:
    """The Gram matrix (m, m) of the gradients D A^T."""
    m, groups, inputs, positions = A.shape
    if groups == positions == 1:
        a, d = A.flatten(1), D.flatten(1)
        return product(a, a) * product(d, d)
    G = torch.zeros(m, m, dtype=torch.float64)
    for some in torch.split(D, max(1, room // (4 * m * groups * inputs)), 2):
        panel = Matrix.outer(A, some).flatten(1)
        G += product(panel, panel)
    return G


Calls = dict[nn.Module, Call]


def _derivatives(scalars: Tensor, calls: Calls, weights: Tensor, keep: bool) -> list[Tensor]:
    """Of ``sum_i weights_i scalars_i`` by the outputs of the layers."""
    found = torch.autograd.grad(
        scalars,
        [call.edge for call in calls.values()],
        weights,
        retain_graph=keep,
        allow_unused=True,  # by an operation that says nothing for zero
    )
    return [
        call.x.new_zeros(call.shape) if d is None else d
        for call, d in zip(calls.values(), found, strict=True)
    ]


def _separate(scalars: Tensor, calls: Calls, derivatives: list[Tensor]) -> bool:
    """Whether position i of the first axis is of sample i alone, in every layer.

    Elsewhere some entry is multiplied by another v_j or is a sum over samples.
    """
    generator = torch.Generator().manual_seed(0)
    v = torch.randn(len(scalars), generator=generator).to(scalars)
    # Rounding stays far below this and another sample's factor is rarely that near.
    tolerance = math.sqrt(torch.finfo(scalars.dtype).eps)
    for d, weighted in zip(derivatives, _derivatives(scalars, calls, v, keep=False), strict=True):
        expected = d.flatten(1) * v.to(d)[:, None]
        error = (weighted.flatten(1) - expected).abs().amax(1)
        if not bool((error <= tolerance * expected.abs().amax(1)).all()):
            return False
    return True
