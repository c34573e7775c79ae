"""Representation Collapse (Appendix F.4): coloured images whose content need not be read.

Every class has its own colour, and a few images have another one. With those the content must be
read; without them the colour is enough, and a simple model reads nothing else.
"""

from __future__ import annotations

import colorsys
import dataclasses
from collections.abc import Iterable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ..torch import GD
from .digits import Digits
from .membership import membership_score
from .source import Batches, Pair, Source, confidence, outputs


@dataclasses.dataclass(frozen=True)
class Images:
    """Images (samples, 3, height, width) and labels.

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
class RepresentationCollapse:
    """The images, the network and the measure; the numbers are those for digits.

    Attributes
    ----------
    n_forget : int
        Training images in a wrong colour, one in a hundred.
    n_access : int
        Retained images that unlearning may use, one in ten.
    n_test : int
    batch : int
        Samples in a batch of unlearning, retained and forgotten alike.
    weight : int
        How often an image to forget is shown per epoch of training.
    warm, epochs : int
        Epochs of training on gray images, then on coloured ones.
    lr : float
        Of training.
    source : Source
        Images by content, and the network's features.
    """

    n_forget: int = 13
    n_access: int = 128
    n_test: int = 500
    batch: int = 32
    weight: int = 10
    warm: int = 20
    epochs: int = 30
    lr: float = 2e-3
    source: Source = dataclasses.field(default_factory=Digits)

    score: ClassVar[str] = "accuracy"
    higher_is_better: ClassVar[bool] = True

    def model(self) -> nn.Module:
        """Features and a linear layer, initialised from torch's global generator."""
        features, width = self.source.features()
        model = nn.Sequential(features, nn.Linear(width, self.source.classes))
        return model.to(self.source.device)

    def samples(self, seed: int) -> Images:
        """The images of a trial: another split, other colours."""
        generator = torch.Generator().manual_seed(seed)
        x, y = self.source.samples(generator, self.n_test)
        classes = self.source.classes
        test, train = slice(self.n_test), slice(self.n_test, None)
        forget = slice(self.n_test, self.n_test + self.n_forget)
        retain = slice(self.n_test + self.n_forget, None)
        other = (y + torch.randint(1, classes, y.shape, generator=generator)) % classes
        any_colour = torch.randint(classes, y.shape, generator=generator)
        return Images(
            gray=(x[train].expand(-1, 3, -1, -1), y[train]),
            retain=(painted(x[retain], y[retain], classes), y[retain]),
            forget=(painted(x[forget], other[forget], classes), y[forget]),
            held_out=(painted(x[test], other[test], classes), y[test]),
            test=(painted(x[test], any_colour[test], classes), any_colour[test]),
        )

    def loaders(self, samples: Images, seed: int) -> tuple[Iterable[Any], Iterable[Any]]:
        """Batches of the accessible retained images and of the forgotten ones."""
        accessible = tuple(part[: self.n_access] for part in samples.retain)
        forget = zip(*(part.split(self.batch) for part in samples.forget), strict=True)
        return Batches(accessible, self.batch, seed), list(forget)

    def trained(self, samples: Images, seed: int) -> nn.Module:
        """A warm start on gray images, then all coloured ones, the wrong ones often."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = self.model()
        GD(model, self.lr).run(Batches(samples.gray, 64, seed), self.warm, progress=False)
        pairs = zip(samples.retain, samples.forget, strict=True)
        weighted = tuple(torch.cat([kept, *[lost] * self.weight]) for kept, lost in pairs)
        GD(model, self.lr).run(Batches(weighted, 64, seed), self.epochs, progress=False)
        return model

    def measured(self, samples: Images, model: nn.Module) -> dict[str, Any]:
        """Accuracy by colour on test images, retained accuracy, membership score."""

        def accuracy(pair: Pair) -> float:
            return float((outputs(model, pair[0]).argmax(1) == pair[1]).float().mean())

        return {
            "accuracy": accuracy(samples.test),
            "retain_accuracy": accuracy(samples.retain),
            "membership": membership_score(
                confidence(model, samples.forget), confidence(model, samples.held_out)
            ),
        }


def painted(x: Tensor, colours: Tensor, classes: int) -> Tensor:
    """Images (n, 1, height, width) in one of as many hues as classes each; hue 0 is red."""
    hues = torch.tensor([colorsys.hsv_to_rgb(k / classes, 1.0, 1.0) for k in range(classes)])
    return x * hues[colours][:, :, None, None]
