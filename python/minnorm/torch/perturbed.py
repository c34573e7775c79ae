"""Methods that pull theta towards zero between descent steps, on the paper's schedule."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from .._validation import one_of
from ..errors import InputError
from .checks import at_least, fraction
from .history import Perturbation
from .projection import Projected
from .unlearner import Step, Unlearner

ORDERS = ("project_first", "descend_first")


class Perturbed(Unlearner):
    """The schedule: which epochs, how strong, before or after the descent step.

    The strength ``1 / (1 + lambda_t)`` is ``lambda_reg gamma_reg^k`` for the k-th perturbation:
    lambda starts at ``1 / lambda_reg - 1`` and becomes ``(lambda + 1) / gamma_reg - 1``.
    """

    def __init__(
        self,
        model: nn.Module,
        lr: float = 1e-3,
        *,
        lambda_reg: float = 0.1,
        gamma_reg: float = 0.9,
        t_proj: int = 1,
        t_gd: int = 0,
        order: str = "project_first",
        **options: Any,
    ) -> None:
        super().__init__(model, lr, **options)
        self.lambda_reg = fraction(lambda_reg, "lambda_reg")
        self.gamma_reg = fraction(gamma_reg, "gamma_reg")
        self.t_proj, self.t_gd = at_least(t_proj, 1, "t_proj"), at_least(t_gd, 0, "t_gd")
        self.order = one_of(order, ORDERS, "order")

    def _begin(self, epochs: int, forget_loader: Any) -> None:
        if self.t_gd >= epochs:
            raise InputError(
                f"t_gd must leave epochs to perturb in: expected less than the {epochs} epochs of "
                f"this run, got {self.t_gd}. Without a perturbation it would be GD."
            )
        self._strength = self.lambda_reg

    def _before_step(self, step: Step) -> None:
        # Before the forward pass: outputs computed first would be those of another theta.
        if self.order == "project_first":
            self._scheduled(step)

    def _after_step(self, step: Step) -> None:
        if self.order == "descend_first":
            self._scheduled(step)

    def _scheduled(self, step: Step) -> None:
        if step.epoch % self.t_proj or step.epoch >= step.epochs - self.t_gd:
            return
        done = self._perturb(step, self._strength)
        self.history_.perturbations.append(
            Perturbation(
                epoch=step.epoch,
                strength=self._strength,
                norm=self.parameters.norm(),
                n_rows=done.n_rows,
                rank=done.rank,
                orthogonality=done.orthogonality,
                restored=done.restored,
            )
        )
        self._strength *= self.gamma_reg

    def _perturb(self, step: Step, strength: float) -> Projected:
        raise NotImplementedError


class Shrink(Perturbed):
    """``theta <- (1 - s) theta`` on the schedule of `MinNormOG`, with no gradients at all.

    The control that shows what the projection adds. Parameters as for `MinNormOG`, without those
    of the projection; not in the paper.
    """

    @torch.no_grad()
    def _perturb(self, step: Step, strength: float) -> Projected:
        for value in self.parameters.named.values():
            value.mul_(1.0 - strength)
        return Projected(n_rows=0, rank=0, orthogonality=0.0)
