"""The loss J of a batch: a user's own, or the usual one for the kind of the targets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError, ShapeError
from .batches import is_labels

Loss = str | Callable[[Any, Any], Tensor]


def checked_loss(loss: Any) -> Loss:
    """A callable, or "auto"."""
    if callable(loss) or loss == "auto":
        return loss
    raise InputError(
        f"loss must be 'auto' or a callable (outputs, targets) -> tensor; got {loss!r}."
    )


def mean_loss(loss: Loss, outputs: Any, targets: Any) -> Tensor:
    """J: cross-entropy for class indices, mean squared error for numbers of the outputs' shape."""
    if callable(loss):
        return loss(outputs, targets)
    if not isinstance(outputs, Tensor) or not isinstance(targets, Tensor):
        raise InputError(
            f"loss='auto' takes one tensor of outputs and one of targets; got "
            f"{type(outputs).__name__} and {type(targets).__name__}. For several heads pass a "
            f"callable (outputs, targets) -> tensor as loss."
        )
    if is_labels(targets):
        return F.cross_entropy(outputs, targets)
    if outputs.shape != targets.shape:
        raise ShapeError(
            f"targets must have the shape of the outputs: expected {tuple(outputs.shape)}, got "
            f"{tuple(targets.shape)}. Class indices are integers, one per sample."
        )
    return F.mse_loss(outputs, targets)


def logits_of(outputs: Any, method: str) -> Tensor:
    """The logits (n, classes), or an error: the method is for classifiers."""
    if not isinstance(outputs, Tensor) or outputs.ndim != 2 or outputs.shape[1] < 2:
        found = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
        raise InputError(
            f"{method} is for classifiers: expected logits of shape (samples, classes), got "
            f"{found}."
        )
    return outputs


def labels_of(targets: Any, method: str) -> Tensor:
    """The class indices (n,), or an error: the method is for classifiers."""
    if not is_labels(targets):
        raise InputError(
            f"{method} is for classifiers: expected class indices as targets, an integer tensor "
            f"(samples,)."
        )
    labels: Tensor = targets
    return labels
