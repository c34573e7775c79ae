"""The paper's baselines for any loss (Appendix F.1): each is its objective and its hooks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from .._validation import non_negative
from ..errors import InputError
from .checks import fraction
from .unlearner import Step, Unlearner


class GD(Unlearner):
    """Descent on ``J(theta; B_r)``: fine-tuning on the retained samples. Parameters: see base."""


class Retrain(Unlearner):
    """Descent on ``J(theta; B_r)`` from a fresh initialisation.

    Parameters
    ----------
    initialise : callable, optional
        model -> None, sets new parameters. By default each module's ``reset_parameters``, drawn
        from ``seed`` without touching torch's global generator. Frozen parameters stay.
    """

    def __init__(
        self,
        model: nn.Module,
        lr: float = 1e-3,
        *,
        initialise: Callable[[nn.Module], Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(model, lr, **options)
        self.initialise = initialise

    def _begin(self, epochs: int, forget_loader: Iterable[Any] | None) -> None:
        frozen = {p: p.detach().clone() for p in self.model.parameters() if not p.requires_grad}
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(self.seed)
            (self.initialise or _reset)(self.model)
            for parameter, value in frozen.items():
                parameter.copy_(value)


def _reset(model: nn.Module) -> None:
    for name, module in model.named_modules():
        reset = getattr(module, "reset_parameters", None)
        if callable(reset):
            reset()
        elif any(p.requires_grad for p in module.parameters(recurse=False)):
            raise InputError(
                f"Retrain does not know how to initialise {name or 'the model'} "
                f"({type(module).__name__}), which has no reset_parameters. Pass initialise, a "
                f"function that sets all parameters anew."
            )


class GA(Unlearner):
    """Ascent on the forgotten samples: ``-J(theta; B_f)``. Parameters: see base."""

    needs_forget = True

    def _objective(self, step: Step) -> Tensor:
        return -self._mean_loss(step.forget)


class NGP(Unlearner):
    """NegGrad+: ``J(theta; B_r) - lambda_ga J(theta; B_f)``."""

    needs_forget = True

    def __init__(
        self, model: nn.Module, lr: float = 1e-3, *, lambda_ga: float = 0.01, **options: Any
    ) -> None:
        super().__init__(model, lr, **options)
        self.lambda_ga = non_negative(lambda_ga, "lambda_ga")

    def _objective(self, step: Step) -> Tensor:
        return self._mean_loss(step.retain) - self.lambda_ga * self._mean_loss(step.forget)


class NGD(Unlearner):
    """``J(theta; B_r) + <theta, xi>`` with xi ~ N(0, sigma^2 I) anew at every step."""

    def __init__(
        self, model: nn.Module, lr: float = 1e-3, *, sigma: float = 0.1, **options: Any
    ) -> None:
        super().__init__(model, lr, **options)
        self.sigma = non_negative(sigma, "sigma")

    def _after_backward(self, step: Step) -> None:
        # The gradient of <theta, xi> is xi; added here, no second vector of d numbers lives.
        for value in self.parameters.named.values():
            noise = torch.randn(value.shape, generator=self.generator).to(value)
            if value.grad is None:
                value.grad = self.sigma * noise
            else:
                value.grad.add_(noise, alpha=self.sigma)


class Ridge(Unlearner):
    """``J(theta; B_r) + lambda ||theta||_2^2``, ``lambda <- gamma_reg lambda`` after each batch."""

    def __init__(
        self,
        model: nn.Module,
        lr: float = 1e-3,
        *,
        lambda_reg: float = 3.0,
        gamma_reg: float = 0.9,
        **options: Any,
    ) -> None:
        super().__init__(model, lr, **options)
        self.lambda_reg = non_negative(lambda_reg, "lambda_reg")
        self.gamma_reg = fraction(gamma_reg, "gamma_reg")

    def _begin(self, epochs: int, forget_loader: Iterable[Any] | None) -> None:
        self._lambda = self.lambda_reg

    def _objective(self, step: Step) -> Tensor:
        squares = [value.square().sum() for value in self.parameters.named.values()]
        return self._mean_loss(step.retain) + self._lambda * torch.stack(squares).sum()

    def _after_step(self, step: Step) -> None:
        self._lambda *= self.gamma_reg


class L1Sparse(Unlearner):
    """``J(theta; B_r) + lambda_t ||theta||_1``, ``lambda_t = 2 lambda_reg (1 - t / T)``."""

    def __init__(
        self, model: nn.Module, lr: float = 1e-3, *, lambda_reg: float = 0.1, **options: Any
    ) -> None:
        super().__init__(model, lr, **options)
        self.lambda_reg = non_negative(lambda_reg, "lambda_reg")

    def _objective(self, step: Step) -> Tensor:
        weight = 2.0 * self.lambda_reg * (1.0 - step.epoch / step.epochs)
        sums = [value.abs().sum() for value in self.parameters.named.values()]
        return self._mean_loss(step.retain) + weight * torch.stack(sums).sum()
