"""The Data Poisoning problem (Appendix F.2): a sine learned with some wrong points among it."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from .membership import membership_score

# Points at which the supremum is taken: 0.006 apart on the paper's domain, where the fitted curves
# turn over lengths of 0.1 and more.
_GRID = 5001
# Of which every tenth is enough to draw.
_EVERY = 10


@dataclasses.dataclass(frozen=True)
class Data:
    """Inputs and targets (samples, 1); ``held_out`` has the forgotten target at other points."""

    retain: tuple[Tensor, Tensor]
    forget: tuple[Tensor, Tensor]
    held_out: tuple[Tensor, Tensor]


@dataclasses.dataclass(frozen=True)
class Problem:
    """Retained points (x, sin x), forgotten points (x, 1.5), x uniform on [-radius, radius].

    Attributes
    ----------
    radius : float
    n_retain, n_forget : int
    width : int
        Of the two hidden layers of a perceptron 1-width-width-1 with SiLU.
    epochs : int
        Full-batch AdamW steps of the poisoned model.
    lr : float
        Of these.
    """

    radius: float = 5 * math.pi
    n_retain: int = 50
    n_forget: int = 5
    width: int = 300
    epochs: int = 100_000
    lr: float = 1e-3

    score: ClassVar[str] = "error"
    higher_is_better: ClassVar[bool] = False

    def model(self) -> nn.Module:
        """A perceptron initialised from torch's global generator."""
        return nn.Sequential(
            *(nn.Linear(1, self.width), nn.SiLU()),
            *(nn.Linear(self.width, self.width), nn.SiLU()),
            nn.Linear(self.width, 1),
        )

    def samples(self, seed: int) -> Data:
        """The samples of a trial."""
        generator = torch.Generator().manual_seed(seed)

        def inputs(n: int) -> Tensor:
            return self.radius * (2 * torch.rand(n, 1, generator=generator) - 1)

        x, wrong, others = (inputs(n) for n in (self.n_retain, self.n_forget, 10 * self.n_forget))
        return Data(
            (x, torch.sin(x)),
            (wrong, torch.full_like(wrong, 1.5)),
            (others, torch.full_like(others, 1.5)),
        )

    def loaders(self, samples: Data, seed: int) -> tuple[list[Any], list[Any]]:
        """Retained and forgotten batches: all samples in one each."""
        return [samples.retain], [samples.forget]

    def trained(self, samples: Data, seed: int) -> nn.Module:
        """The model of all samples, the wrong ones included."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = self.model()
        x, y = (torch.cat(pair) for pair in zip(samples.retain, samples.forget, strict=True))
        optimizer = torch.optim.AdamW(model.parameters(), lr=self.lr)
        for _ in range(self.epochs):
            optimizer.zero_grad()
            nn.functional.mse_loss(model(x), y).backward()
            optimizer.step()
        return model

    def grid(self) -> Tensor:
        """The points (q, 1) of the domain at which curves are compared."""
        return torch.linspace(-self.radius, self.radius, _GRID)[:, None]

    @torch.no_grad()
    def measured(self, samples: Data, model: nn.Module) -> dict[str, Any]:
        """sup |f(x) - sin x| over the domain, membership score, retained loss, and the curve."""
        x = self.grid()
        curve = model(x)

        def loss(points: tuple[Tensor, Tensor]) -> Tensor:
            return (model(points[0]) - points[1]).square()

        return {
            "error": float((curve - torch.sin(x)).abs().max()),
            "membership": membership_score(-loss(samples.forget), -loss(samples.held_out)),
            "retain_loss": float(loss(samples.retain).mean()),
            "curve": curve[::_EVERY, 0].tolist(),
        }


PAPER = Problem()
SMALL = Problem(radius=2 * math.pi, n_retain=20, n_forget=3, width=64, epochs=5000, lr=3e-3)
