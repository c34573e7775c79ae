"""The one training loop of all methods: pairs of batches, a loss, a descent step, and hooks."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from .._progress import Progress
from .._validation import positive
from ..errors import InputError
from .batches import Batch, batches, endless
from .checks import at_least
from .history import History
from .losses import Loss, checked_loss, mean_loss
from .parameters import Parameters


class Step(NamedTuple):
    """Where the run is, and the batches of this step."""

    epoch: int
    epochs: int
    retain: Batch
    forget: Batch | None


class Unlearner:
    """What all methods share. A method is the hooks that it overrides.

    Parameters
    ----------
    model : torch.nn.Module
        Changed in place. Frozen parameters stay.
    lr : float, default 1e-3
    loss : "auto" or callable
        J of a batch: (what the model returns, targets) -> scalar. "auto" is the cross-entropy for
        class indices and the mean squared error for floating-point targets.
    optimizer : callable, default torch.optim.AdamW
        (parameters, lr=lr) -> optimizer; made anew for every run.
    seed : int, default 0
        Of everything random in the method itself.

    Attributes
    ----------
    history_ : History
        Of the last run.

    Raises
    ------
    InputError
        Arguments outside their domains.
    """

    needs_forget: ClassVar[bool] = False

    def __init__(
        self,
        model: nn.Module,
        lr: float = 1e-3,
        *,
        loss: Loss = "auto",
        optimizer: Callable[..., Any] = torch.optim.AdamW,
        seed: int = 0,
    ) -> None:
        self.model, self.parameters = model, Parameters(model)
        self.lr, self.loss = positive(lr, "lr"), checked_loss(loss)
        self.optimizer, self.seed = optimizer, at_least(seed, 0, "seed")
        self.history_ = History()

    def run(
        self,
        retain_loader: Iterable[Any],
        epochs: int,
        *,
        forget_loader: Iterable[Any] | None = None,
        callback: Callable[[int, History], Any] | None = None,
        progress: bool | None = None,
    ) -> History:
        """Unlearn for a number of epochs.

        Parameters
        ----------
        retain_loader : iterable of (inputs, targets)
            Batches of retained samples; inputs a tensor, or a tuple for a model of several
            arguments. Iterated anew for every pass, moved to the model's device.
        epochs : int
        forget_loader : iterable of (inputs, targets), optional
            Batches to forget. With it an epoch is one pass over *these*, each paired with the next
            retained batch; the retained batches cycle, across epochs. Without it an epoch is one
            pass over the retained batches. The same for every method, so that equal epochs are
            equal steps, whether the method reads the forgotten samples or not.
        callback : callable, optional
            (epoch, history), after every epoch.
        progress : bool, optional
            Show progress on stderr. None does on a terminal, once a run takes seconds.

        Returns
        -------
        History
            Also kept as ``history_``.

        Raises
        ------
        InputError, ShapeError
            Loaders that are empty, used up by one pass or of another form; a method that needs
            ``forget_loader`` or class indices without them.
        """
        epochs = at_least(epochs, 1, "epochs")
        if self.needs_forget and forget_loader is None:
            raise InputError(
                f"{type(self).__name__} needs the samples to forget; pass forget_loader."
            )
        history = self.history_ = History()
        self.generator = torch.Generator().manual_seed(self.seed)
        self._begin(epochs, forget_loader)
        optimizer = self.optimizer(list(self.parameters.named.values()), lr=self.lr)
        retained = endless(retain_loader, self.parameters.device, "retain_loader")
        with _training(self.model), Progress(epochs, type(self).__name__, progress) as shown:
            for epoch in range(epochs):
                self.model.train()  # a callback may have evaluated
                losses = []
                for retain, forget in self._pairs(retain_loader, forget_loader, retained):
                    step = Step(epoch, epochs, retain, forget)
                    self._before_step(step)
                    optimizer.zero_grad(set_to_none=True)
                    objective = self._objective(step)
                    objective.backward()
                    self._after_backward(step)
                    optimizer.step()
                    self._after_step(step)
                    losses.append(objective.detach())
                history.loss.append(float(torch.stack(losses).mean()))
                history.norm.append(self.parameters.norm())
                shown.advance(f"loss {history.loss[-1]:.3g}")
                if callback is not None:
                    callback(epoch, history)
        optimizer.zero_grad(set_to_none=True)
        return history

    def _pairs(
        self, retain_loader: Any, forget_loader: Any, retained: Iterator[Batch]
    ) -> Iterator[tuple[Batch, Batch | None]]:
        device = self.parameters.device
        if forget_loader is None:
            for batch in batches(retain_loader, device, "retain_loader"):
                yield batch, None
            return
        for batch in batches(forget_loader, device, "forget_loader"):
            yield next(retained), batch

    def _mean_loss(self, batch: Batch | None) -> Tensor:
        assert batch is not None  # run() refused a missing forget_loader
        return mean_loss(self.loss, self.model(*batch.inputs), batch.targets)

    # ---- hooks -------------------------------------------------------------------------------

    def _begin(self, epochs: int, forget_loader: Iterable[Any] | None) -> None:
        """Before the optimizer is made."""

    def _before_step(self, step: Step) -> None:
        """Before the forward pass of the descent step."""

    def _objective(self, step: Step) -> Tensor:
        """The scalar to descend on: J on the retained batch."""
        return self._mean_loss(step.retain)

    def _after_backward(self, step: Step) -> None:
        """Between the gradients and the optimizer."""

    def _after_step(self, step: Step) -> None:
        """After the optimizer."""


@contextlib.contextmanager
def _training(model: nn.Module) -> Iterator[None]:
    """Each module's own mode comes back."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
