"""The gradient of one sample with respect to the parameters of a layer, by kind of layer.

With x what enters a layer and d the derivative of a sample's scalar by what leaves it, sums over
the positions t of the sample:

    linear          weight  sum_t d_t x_t^T           bias  sum_t d_t
    convolution     the same on patches of x, group by group
    normalisation   weight  sum_t d_t xhat_t          bias  sum_t d_t

xhat is x normalised, without weight and bias. A rule holds for exactly these types: subclasses and
parametrised layers may compute something else.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Positions in a row of patches up to which an index is faster than a copy row by row.
_SHORT = 8


class Rule:
    """What all kinds share: their features are the axes that a bias has."""

    def fits(self, layer: Any, x: Tensor) -> bool:
        """Whether x has the axes that the rule supposes, samples along the first."""
        raise NotImplementedError

    def features(self, layer: Any, axes: int) -> range:
        raise NotImplementedError

    def weight(self, layer: Any, x: Tensor, d: Tensor) -> Tensor:
        """(m, ...), the weight's numbers in their order for each of m samples."""
        raise NotImplementedError

    def bias(self, layer: Any, d: Tensor) -> Tensor:
        """(m, ...), the bias's numbers in their order for each of m samples."""
        return self._summed(layer, d)

    def numbers(self, layer: Any, x: Tensor, d: Tensor) -> int:
        """What `weight` takes of memory for a sample, besides its result."""
        return x[0].numel()

    def _summed(self, layer: Any, d: Tensor) -> Tensor:
        kept = self.features(layer, d.ndim)
        positions = [axis for axis in range(1, d.ndim) if axis not in kept]
        return d.sum(positions) if positions else d


class Matrix(Rule):
    """Layers with ``y_t = W x_t`` at every position."""

    def factors(self, layer: Any, x: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
        """A (m, groups, inputs, t) and D (m, groups, outputs, t): the gradient is D A^T."""
        raise NotImplementedError

    def blocks(
        self, layer: Any, x: Tensor, d: Tensor, most: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Factors of consecutive inputs, of some ``most`` numbers of A to a sample."""
        yield self.factors(layer, x, d)

    def weight(self, layer: Any, x: Tensor, d: Tensor) -> Tensor:
        return self.outer(*self.factors(layer, x, d))

    @staticmethod
    def outer(A: Tensor, D: Tensor) -> Tensor:
        """D A^T for every sample and group, (m, groups, outputs, inputs)."""
        if A.shape[3] == 1:
            return D * A.transpose(2, 3)
        # As A D^T: the kernels are faster for the side with more rows on the left.
        products = torch.bmm(A.flatten(0, 1), D.flatten(0, 1).transpose(1, 2))
        return products.unflatten(0, A.shape[:2]).transpose(2, 3)


class Linear(Matrix):
    def fits(self, layer: nn.Linear, x: Tensor) -> bool:
        return x.ndim >= 2

    def features(self, layer: nn.Linear, axes: int) -> range:
        return range(axes - 1, axes)

    def factors(self, layer: nn.Linear, x: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
        m = len(x)
        A, D = x.reshape(m, 1, -1, x.shape[-1]), d.reshape(m, 1, -1, d.shape[-1])
        return A.transpose(2, 3), D.transpose(2, 3)


class Convolution(Matrix):
    """Of one, two or three dimensions."""

    def fits(self, layer: Any, x: Tensor) -> bool:
        return layer.padding_mode == "zeros" and x.ndim == 2 + len(layer.kernel_size)

    def features(self, layer: Any, axes: int) -> range:
        return range(1, 2)

    def factors(self, layer: Any, x: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
        m, groups, positions = len(x), layer.groups, d[0, 0].numel()
        padded = F.pad(x, _padding(layer))
        patches = _patches(layer, padded)
        if patches.shape[-1] <= _SHORT:
            channel = padded.shape[2:]
            places = torch.arange(math.prod(channel), device=x.device).view(channel)
            rows = padded.flatten(2).flatten(0, 1)  # index_select is slow in three dimensions
            patches = rows.index_select(1, _patches(layer, places).flatten())
        A = patches.reshape(m, groups, -1, positions)
        return A, d.reshape(m, groups, -1, positions)

    def blocks(
        self, layer: Any, x: Tensor, d: Tensor, most: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        channels = x.unflatten(1, (layer.groups, -1))
        per_channel = self.numbers(layer, x, d) // channels.shape[2]
        for some in torch.split(channels, max(1, most // per_channel), 2):
            yield self.factors(layer, some.flatten(1, 2), d)

    def numbers(self, layer: Any, x: Tensor, d: Tensor) -> int:
        positions: int = d[0, 0].numel()
        return positions * layer.groups * int(layer.weight[0].numel())


def _patches(layer: Any, values: Tensor) -> Tensor:
    """(..., kernel, positions), a view: the entry of each channel that meets a kernel's entry."""
    n = len(layer.kernel_size)
    first = values.ndim - n
    for axis, (width, gap, step) in enumerate(
        zip(layer.kernel_size, layer.dilation, layer.stride, strict=True), first
    ):
        values = values.unfold(axis, gap * (width - 1) + 1, step)[..., ::gap]
    kernel = range(first + n, first + 2 * n)
    return values.permute(*range(first), *kernel, *range(first, first + n))


def _padding(layer: Any) -> list[int]:
    """Before and after, the last axis first, as `F.pad` takes it."""
    sides = []
    for axis in reversed(range(len(layer.kernel_size))):
        if layer.padding == "same":  # of an odd total the smaller half comes first
            total = layer.dilation[axis] * (layer.kernel_size[axis] - 1)
            sides += [total // 2, total - total // 2]
        else:
            sides += 2 * [0 if layer.padding == "valid" else layer.padding[axis]]
    return sides


class Normalisation(Rule):
    def weight(self, layer: Any, x: Tensor, d: Tensor) -> Tensor:
        return self._summed(layer, d * self.normalised(layer, x))

    def normalised(self, layer: Any, x: Tensor) -> Tensor:
        raise NotImplementedError


class LayerNorm(Normalisation):
    def fits(self, layer: nn.LayerNorm, x: Tensor) -> bool:
        return x.ndim > len(layer.normalized_shape)

    def features(self, layer: nn.LayerNorm, axes: int) -> range:
        return range(axes - len(layer.normalized_shape), axes)

    def normalised(self, layer: nn.LayerNorm, x: Tensor) -> Tensor:
        return F.layer_norm(x, layer.normalized_shape, eps=layer.eps)


class GroupNorm(Normalisation):
    def fits(self, layer: nn.GroupNorm, x: Tensor) -> bool:
        return x.ndim >= 2

    def features(self, layer: nn.GroupNorm, axes: int) -> range:
        return range(1, 2)

    def normalised(self, layer: nn.GroupNorm, x: Tensor) -> Tensor:
        return F.group_norm(x, layer.num_groups, eps=layer.eps)


class BatchNorm(Normalisation):
    """In eval mode, where a sample does not depend on the others."""

    def fits(self, layer: Any, x: Tensor) -> bool:
        return not layer.training and layer.running_mean is not None and x.ndim >= 2

    def features(self, layer: Any, axes: int) -> range:
        return range(1, 2)

    def normalised(self, layer: Any, x: Tensor) -> Tensor:
        return F.batch_norm(x, layer.running_mean, layer.running_var, eps=layer.eps)


_CONVOLUTION, _BATCH_NORM = Convolution(), BatchNorm()
RULES: dict[type[nn.Module], Rule] = {
    nn.Linear: Linear(),
    **dict.fromkeys((nn.Conv1d, nn.Conv2d, nn.Conv3d), _CONVOLUTION),
    nn.LayerNorm: LayerNorm(),
    nn.GroupNorm: GroupNorm(),
    **dict.fromkeys((nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d), _BATCH_NORM),
}
