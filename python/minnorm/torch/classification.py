"""The paper's baselines that are for classifiers: SCRUB, NPO, SalUn (Appendix F.1)."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .._validation import non_negative, positive
from .batches import Batch, batches
from .checks import at_least
from .losses import labels_of, logits_of, mean_loss
from .parameters import evaluating
from .unlearner import Step, Unlearner


class Taught(Unlearner):
    """Methods that compare with the model as it was: theta*, in eval mode."""

    needs_forget = True

    def _begin(self, epochs: int, forget_loader: Iterable[Any] | None) -> None:
        self._teacher = copy.deepcopy(self.model).eval().requires_grad_(False)

    def _log_probabilities(self, batch: Batch | None) -> tuple[Tensor, Tensor]:
        """log pi_theta and log pi_theta*, (n, classes) each."""
        assert batch is not None  # run() refused a missing forget_loader
        name = type(self).__name__
        with torch.no_grad():
            before = logits_of(self._teacher(*batch.inputs), name).log_softmax(1)
        return logits_of(self.model(*batch.inputs), name).log_softmax(1), before


class SCRUB(Taught):
    """Towards the old outputs on retained batches and away from them on forgotten ones, in turns.

    Epochs t that are even or in the last ``t_gd``: ``J(theta; B_r) + lambda_reg KL`` over B_r;
    the others: ``-lambda_ga KL`` over B_f. KL is the mean of ``KL(pi_theta* || pi_theta)``.
    """

    def __init__(
        self,
        model: nn.Module,
        lr: float = 1e-3,
        *,
        lambda_reg: float = 0.1,
        lambda_ga: float = 0.01,
        t_gd: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(model, lr, **options)
        self.lambda_reg = non_negative(lambda_reg, "lambda_reg")
        self.lambda_ga = non_negative(lambda_ga, "lambda_ga")
        self.t_gd = at_least(t_gd, 0, "t_gd")

    def _objective(self, step: Step) -> Tensor:
        if step.epoch % 2 == 0 or step.epoch >= step.epochs - self.t_gd:
            return self._mean_loss(step.retain) + self.lambda_reg * self._divergence(step.retain)
        return -self.lambda_ga * self._divergence(step.forget)

    def _divergence(self, batch: Batch | None) -> Tensor:
        now, before = self._log_probabilities(batch)
        return F.kl_div(now, before, reduction="batchmean", log_target=True)


class NPO(Taught):
    """``(2 / beta) mean log(1 + (pi_theta(y | x) / pi_theta*(y | x))^beta)`` over B_f.

    beta is ``lambda_reg``.
    """

    def __init__(
        self, model: nn.Module, lr: float = 1e-3, *, lambda_reg: float = 0.1, **options: Any
    ) -> None:
        super().__init__(model, lr, **options)
        self.lambda_reg = positive(lambda_reg, "lambda_reg")

    def _objective(self, step: Step) -> Tensor:
        now, before = self._log_probabilities(step.forget)
        assert step.forget is not None
        labels = labels_of(step.forget.targets, "NPO")[:, None]
        # log(1 + r^beta) is softplus(beta log r): no ratio of small probabilities is formed.
        ratio = (now.gather(1, labels) - before.gather(1, labels)).squeeze(1)
        return (2.0 / self.lambda_reg) * F.softplus(self.lambda_reg * ratio).mean()


class SalUn(Unlearner):
    """``J(theta; B_r) + lambda_ga J(theta; B_f with random wrong labels)`` on salient weights.

    Only the weights whose ``|grad J(theta*; D_f)|`` reaches the median move. The others are set
    back after every step: zero gradients alone would leave them to the weight decay.
    """

    needs_forget = True

    def __init__(
        self, model: nn.Module, lr: float = 1e-3, *, lambda_ga: float = 1.0, **options: Any
    ) -> None:
        super().__init__(model, lr, **options)
        self.lambda_ga = non_negative(lambda_ga, "lambda_ga")

    def _begin(self, epochs: int, forget_loader: Iterable[Any] | None) -> None:
        named = self.parameters.named
        total = {name: torch.zeros_like(value) for name, value in named.items()}
        with evaluating(self.model):
            for batch in batches(forget_loader or (), self.parameters.device, "forget_loader"):
                # Sums over samples: batches of different sizes weigh as their samples do.
                loss = self._mean_loss(batch) * len(batch)
                gradients = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
                for name, gradient in zip(named, gradients, strict=True):
                    if gradient is not None:
                        total[name] += gradient
        sizes = torch.cat([value.abs().reshape(-1) for value in total.values()])
        median = sizes.median()
        self._frozen = {name: value.abs() < median for name, value in total.items()}
        self._before = {name: value.detach().clone() for name, value in named.items()}

    def _objective(self, step: Step) -> Tensor:
        assert step.forget is not None
        outputs = logits_of(self.model(*step.forget.inputs), "SalUn")
        wrong = self._wrong(labels_of(step.forget.targets, "SalUn"), outputs.shape[1])
        relabelled = mean_loss(self.loss, outputs, wrong)
        return self._mean_loss(step.retain) + self.lambda_ga * relabelled

    def _wrong(self, labels: Tensor, classes: int) -> Tensor:
        """Each label replaced by another class, all others equally likely."""
        shift = torch.randint(1, classes, labels.shape, generator=self.generator)
        return (labels + shift.to(labels.device)) % classes

    def _after_backward(self, step: Step) -> None:
        for name, value in self.parameters.named.items():
            if value.grad is not None:
                value.grad.masked_fill_(self._frozen[name], 0.0)

    @torch.no_grad()
    def _after_step(self, step: Step) -> None:
        for name, value in self.parameters.named.items():
            value.copy_(torch.where(self._frozen[name], self._before[name], value))
