"""Multi-class label erasure (Appendix F.3): forget that colours exist.

Gray images and a few copies of them in red and green; the network tells content and colour. What is
retained is gray throughout, so a model that knows nothing else calls every image gray.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ..torch import GD
from .digits import Digits
from .membership import membership_score
from .source import Batches, Pair, Source, confidence, outputs

# Channels that are lit.
_COLOURS = ((1.0, 1.0, 1.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
_GRAY = 0


class TwoHeads(nn.Module):
    """Content and colour from common features, as one softmax over pairs.

    The logit of a pair is the sum of its heads' logits, so the cross-entropy of pairs is the sum of
    the heads' and every method for classifiers applies as it is.
    """

    def __init__(self, features: nn.Module, width: int, classes: int) -> None:
        super().__init__()
        self.features = features
        self.content, self.colour = nn.Linear(width, classes), nn.Linear(width, len(_COLOURS))

    def forward(self, x: Tensor) -> Tensor:
        found = self.features(x)
        pairs = self.content(found)[:, :, None] + self.colour(found)[:, None, :]
        return pairs.flatten(1)


@dataclasses.dataclass(frozen=True)
class Images:
    """Images (samples, 3, height, width) and pairs, ``content * 3 + colour``.

    ``retain``: gray. ``forget``: red and green copies of some. ``test``: gray; ``coloured``: the
    same in red and green.
    """

    retain: Pair
    forget: Pair
    test: Pair
    coloured: Pair


@dataclasses.dataclass(frozen=True)
class LabelErasure:
    """The images, the network with two heads and the measures; the numbers are those for digits.

    Attributes
    ----------
    n_copied : int
        Training images with a red and a green copy, one in twenty.
    n_access : int
        Retained images that unlearning may use, one in ten.
    n_test : int
    batch : int
        Samples in a batch of unlearning, retained and forgotten alike.
    epochs : int
        Of training, on retained and forgotten images.
    lr : float
        Of training.
    source : Source
        Images by content, and the network's features.
    """

    n_copied: int = 65
    n_access: int = 128
    n_test: int = 500
    batch: int = 32
    epochs: int = 30
    lr: float = 2e-3
    source: Source = dataclasses.field(default_factory=Digits)

    score: ClassVar[str] = "distance"
    higher_is_better: ClassVar[bool] = False

    def model(self) -> nn.Module:
        """A network initialised from torch's global generator."""
        return TwoHeads(*self.source.features(), self.source.classes).to(self.source.device)

    def samples(self, seed: int) -> Images:
        """The images of a trial: another split, other copies."""
        x, y = self.source.samples(torch.Generator().manual_seed(seed), self.n_test)
        test, train = slice(self.n_test), slice(self.n_test, None)
        copied = slice(self.n_test, self.n_test + self.n_copied)
        return Images(
            retain=_in(x[train], y[train], _GRAY),
            forget=_both(x[copied], y[copied]),
            test=_in(x[test], y[test], _GRAY),
            coloured=_both(x[test], y[test]),
        )

    def loaders(self, samples: Images, seed: int) -> tuple[Iterable[Any], Iterable[Any]]:
        """Batches of the accessible retained images and of the forgotten ones."""
        accessible = tuple(part[-self.n_access :] for part in samples.retain)
        return Batches(accessible, self.batch, seed), Batches(samples.forget, self.batch, seed)

    def trained(self, samples: Images, seed: int) -> nn.Module:
        """The network of all images."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = self.model()
        pairs = zip(samples.retain, samples.forget, strict=True)
        everything = tuple(torch.cat(pair) for pair in pairs)
        GD(model, self.lr).run(Batches(everything, 64, seed), self.epochs, progress=False)
        return model

    def measured(self, samples: Images, model: nn.Module) -> dict[str, Any]:
        """Retain quality, forget error, their distance from (1, 0), membership score."""

        def logits(pair: Pair) -> Tensor:
            return outputs(model, pair[0]).unflatten(1, (-1, len(_COLOURS)))

        # One colour's logits order the contents as their head does, one content's the colours.
        contents = logits(samples.test)[:, :, _GRAY].argmax(1)
        quality = float((contents == samples.test[1] // len(_COLOURS)).float().mean())
        gray = logits(samples.coloured)[:, 0, :].softmax(1)[:, _GRAY]
        error = float((1.0 - gray).square().mean())
        return {
            "quality": quality,
            "forget_error": error,
            "distance": math.hypot(1.0 - quality, error),
            "membership": membership_score(
                confidence(model, samples.forget), confidence(model, samples.coloured)
            ),
        }


def _in(x: Tensor, y: Tensor, colour: int) -> Pair:
    return x * torch.tensor(_COLOURS[colour])[:, None, None], y * len(_COLOURS) + colour


def _both(x: Tensor, y: Tensor) -> Pair:
    """In red, then in green."""
    red, green = (_in(x, y, colour) for colour in (1, 2))
    return torch.cat([red[0], green[0]]), torch.cat([red[1], green[1]])
