"""Where an image experiment takes its images and the network that reads them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from ..torch.parameters import evaluating

# Images (samples, channels, height, width) and labels (samples,).
Pair = tuple[Tensor, Tensor]

# Images that a model reads together when it is measured.
_TOGETHER = 1000


class Source(Protocol):
    """Brightness of images, labelled by content. A frozen dataclass: a part of the problem."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def classes(self) -> int:
        """Number of labels."""

    @property
    def device(self) -> str:
        """Where models are."""

    def samples(self, generator: torch.Generator, n_test: int) -> Pair:
        """Brightness (n, 1, height, width) in [0, 1] and labels, the first ``n_test`` for tests.

        In random order.
        """

    def features(self) -> tuple[nn.Module, int]:
        """A network from images of three channels to vectors, untrained, and their length."""


class Batches:
    """Batches in a random order of the samples, the same in every pass.

    Each is made when its turn comes: the list of all would be a second copy of the images.
    """

    def __init__(self, pair: tuple[Tensor, ...], size: int, seed: int) -> None:
        order = torch.randperm(len(pair[0]), generator=torch.Generator().manual_seed(seed))
        self._pair, self._positions = pair, torch.split(order, size)

    def __len__(self) -> int:
        return len(self._positions)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        for some in self._positions:
            yield tuple(part[some] for part in self._pair)


@torch.no_grad()
def outputs(model: nn.Module, x: Tensor) -> Tensor:
    """What a model returns in eval mode for many images, on the CPU."""
    device = next((parameter.device for parameter in model.parameters()), x.device)
    with evaluating(model):
        return torch.cat([model(some.to(device)).cpu() for some in x.split(_TOGETHER)])


def confidence(model: nn.Module, pair: Pair) -> Tensor:
    """Logarithms of the probabilities (n,) that a classifier gives to the labels."""
    return outputs(model, pair[0]).log_softmax(1).gather(1, pair[1][:, None])[:, 0]
