"""What a run of unlearning did, epoch by epoch and perturbation by perturbation."""

from __future__ import annotations

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Perturbation:
    """One step ``theta <- theta - strength P theta``.

    Attributes
    ----------
    epoch : int
        From 0.
    strength : float
        ``1 / (1 + lambda_t)``.
    norm : float
        ``||theta||_2`` after it.
    n_rows : int
        Gradients in the span; 0 for `Shrink`.
    rank : int
        Directions that were kept out of the step.
    orthogonality : float
        ``||J P theta|| / (||J|| ||theta||)`` measured. Not meant to be small where ``rtol`` or
        damping leave weak directions in the step.
    restored : float
        Squared residual of the rows after the restoration over that before it; 1 without one.
    """

    epoch: int
    strength: float
    norm: float
    n_rows: int
    rank: int
    orthogonality: float
    restored: float = 1.0


@dataclasses.dataclass
class History:
    """Records of a run.

    Attributes
    ----------
    loss : list of float
        Mean objective of each epoch's descent steps, as minimised.
    norm : list of float
        ``||theta||_2`` after each epoch.
    perturbations : list of Perturbation
        Empty for methods without.
    """

    loss: list[float] = dataclasses.field(default_factory=list)
    norm: list[float] = dataclasses.field(default_factory=list)
    perturbations: list[Perturbation] = dataclasses.field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        if not self.loss:
            return "No epoch was run."
        perturbed = f", {len(self.perturbations)} perturbations" if self.perturbations else ""
        return (
            f"{len(self.loss)} epochs{perturbed}; loss {self.loss[0]:.3g} to {self.loss[-1]:.3g}, "
            f"||theta|| = {self.norm[-1]:.4g}."
        )
