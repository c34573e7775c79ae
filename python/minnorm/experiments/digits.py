"""scikit-learn's handwritten digits, 1797 images of 8 x 8, and a small convolutional network."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import torch
from sklearn.datasets import load_digits
from torch import nn

from .source import Pair


@dataclasses.dataclass(frozen=True)
class Digits:
    """A `Source`; every trial splits the images anew."""

    classes: ClassVar[int] = 10
    device: ClassVar[str] = "cpu"

    def samples(self, generator: torch.Generator, n_test: int) -> Pair:
        """All digits: brightness (n, 1, 8, 8) in [0, 1], and numbers."""
        pixels, numbers = load_digits(return_X_y=True)
        order = torch.randperm(len(pixels), generator=generator)
        x = torch.tensor(pixels / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)
        return x[order], torch.tensor(numbers)[order]

    def features(self) -> tuple[nn.Module, int]:
        """Two convolutions."""
        network = nn.Sequential(
            *(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            nn.Flatten(),
        )
        return network, 128
