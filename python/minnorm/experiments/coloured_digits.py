"""Representation Collapse (Appendix F.4) on scikit-learn's digits, coloured.

Every class has its own colour, and a few images have another one. With those the content must be
read; without them the colour is enough, and a simple model reads nothing else.
"""

from __future__ import annotations

import colorsys
import dataclasses
from typing import Any, ClassVar

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from ..torch import GD
from .membership import membership_score

_CLASSES = 10

Pair = tuple[Tensor, Tensor]


@dataclasses.dataclass(frozen=True)
class Images:
    """Images (samples, 3, 8, 8) and labels.

    ``gray``: all training images without colour. ``retain``: in the colour of their class.
    ``forget`` and ``held_out``: in another colour, labelled by content. ``test``: in any colour,
    labelled by *colour*.
    """

    gray: Pair
    retain: Pair
    forget: Pair
    held_out: Pair
    test: Pair


@dataclasses.dataclass(frozen=True)
class ColouredDigits:
    """The images, the convolutional network and the measure.

    Attributes
    ----------
    n_forget : int
        Training images in a wrong colour, one in a hundred.
    n_access : int
        Retained images that unlearning may use, one in ten.
    n_test : int
    batch : int
        Samples in a batch of unlearning; the forgotten ones make one batch.
    weight : int
        How often an image to forget is shown per epoch of training.
    warm, epochs : int
        Epochs of training on gray images, then on coloured ones.
    lr : float
        Of training.
    """

    n_forget: int = 13
    n_access: int = 128
    n_test: int = 500
    batch: int = 32
    weight: int = 10
    warm: int = 20
    epochs: int = 30
    lr: float = 2e-3

    score: ClassVar[str] = "accuracy"
    higher_is_better: ClassVar[bool] = True

    def model(self) -> nn.Module:
        """Two convolutions and a linear layer, initialised from torch's global generator."""
        return features().append(nn.Linear(128, _CLASSES))

    def samples(self, seed: int) -> Images:
        """The images of a trial: another split, other colours."""
        generator = torch.Generator().manual_seed(seed)
        x, y = digits(generator)
        test, train = slice(self.n_test), slice(self.n_test, None)
        forget = slice(self.n_test, self.n_test + self.n_forget)
        retain = slice(self.n_test + self.n_forget, None)
        other = (y + torch.randint(1, _CLASSES, y.shape, generator=generator)) % _CLASSES
        any_colour = torch.randint(_CLASSES, y.shape, generator=generator)
        return Images(
            gray=(x[train].repeat(1, 3, 1, 1), y[train]),
            retain=(painted(x[retain], y[retain]), y[retain]),
            forget=(painted(x[forget], other[forget]), y[forget]),
            held_out=(painted(x[test], other[test]), y[test]),
            test=(painted(x[test], any_colour[test]), any_colour[test]),
        )

    def loaders(self, samples: Images, seed: int) -> tuple[list[Any], list[Any]]:
        """Batches of the accessible retained images, and the forgotten ones in one batch."""
        accessible = tuple(part[: self.n_access] for part in samples.retain)
        return batches(accessible, self.batch, seed), [samples.forget]

    def trained(self, samples: Images, seed: int) -> nn.Module:
        """A warm start on gray images, then all coloured ones, the wrong ones often."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = self.model()
        GD(model, self.lr).run(batches(samples.gray, 64, seed), self.warm, progress=False)
        pairs = zip(samples.retain, samples.forget, strict=True)
        weighted = tuple(torch.cat([kept, *[lost] * self.weight]) for kept, lost in pairs)
        GD(model, self.lr).run(batches(weighted, 64, seed), self.epochs, progress=False)
        return model

    @torch.no_grad()
    def measured(self, samples: Images, model: nn.Module) -> dict[str, Any]:
        """Accuracy by colour on test images, retained accuracy, membership score."""

        def accuracy(pair: Pair) -> float:
            return float((model(pair[0]).argmax(1) == pair[1]).float().mean())

        def confidence(pair: Pair) -> Tensor:
            return model(pair[0]).log_softmax(1).gather(1, pair[1][:, None])

        return {
            "accuracy": accuracy(samples.test),
            "retain_accuracy": accuracy(samples.retain),
            "membership": membership_score(
                confidence(samples.forget), confidence(samples.held_out)
            ),
        }


def digits(generator: torch.Generator) -> Pair:
    """All digits in random order: brightness (n, 1, 8, 8) in [0, 1], and numbers."""
    pixels, numbers = load_digits(return_X_y=True)
    order = torch.randperm(len(pixels), generator=generator)
    x = torch.tensor(pixels / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)
    return x[order], torch.tensor(numbers)[order]


def features() -> nn.Sequential:
    """Two convolutions, 128 numbers per image."""
    return nn.Sequential(
        *(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        nn.Flatten(),
    )


def painted(x: Tensor, colours: Tensor) -> Tensor:
    """Images (n, 1, 8, 8) in one of ten hues each; hue 0 is red."""
    hues = torch.tensor([colorsys.hsv_to_rgb(k / _CLASSES, 1.0, 1.0) for k in range(_CLASSES)])
    return x * hues[colours][:, :, None, None]


def batches(pair: tuple[Tensor, ...], size: int, seed: int) -> list[Any]:
    """Batches in a random order of the samples, the same in every pass."""
    order = torch.randperm(len(pair[0]), generator=torch.Generator().manual_seed(seed))
    return [tuple(part[some] for part in pair) for some in torch.split(order, size)]
