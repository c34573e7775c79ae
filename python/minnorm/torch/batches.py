"""Batches of retained and forgotten samples, and the choice of samples among them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from .rows import as_inputs


@dataclasses.dataclass(frozen=True)
class Batch:
    """Samples on the model's device; ``targets`` is whatever the loss takes."""

    inputs: tuple[Tensor, ...]
    targets: Any

    def __len__(self) -> int:
        return len(self.inputs[0])

    @property
    def labels(self) -> Tensor | None:
        """Class indices (n,), where the targets are such."""
        return self.targets if is_labels(self.targets) else None


def is_labels(targets: Any) -> bool:
    """Whether targets are class indices: integers, one per sample."""
    return isinstance(targets, Tensor) and targets.ndim == 1 and not targets.is_floating_point()


def _moved(targets: Any, device: torch.device) -> Any:
    if isinstance(targets, Tensor):
        return targets.to(device)
    if isinstance(targets, tuple | list):
        return tuple(_moved(part, device) for part in targets)
    return targets


def batches(loader: Iterable[Any], device: torch.device, name: str) -> Iterator[Batch]:
    """One pass over a loader; an error when it holds nothing."""
    empty = True
    try:
        iterator = iter(loader)
    except TypeError as error:
        raise InputError(
            f"{name} must be an iterable of batches (inputs, targets), such as a DataLoader; got "
            f"{type(loader).__name__}."
        ) from error
    if iterator is loader:
        raise InputError(
            f"{name} must give its batches anew for every epoch; got an iterator, which is used up "
            f"by the first. Pass a DataLoader or a list."
        )
    for given in iterator:
        if not isinstance(given, tuple | list) or len(given) != 2:
            raise InputError(
                f"{name} must give pairs (inputs, targets); got {type(given).__name__}"
                f"{f' of {len(given)}' if isinstance(given, tuple | list) else ''}."
            )
        empty = False
        yield Batch(as_inputs(given[0], device), _moved(given[1], device))
    if empty:
        raise InputError(f"{name} has no batch: expected at least one.")


def endless(loader: Iterable[Any], device: torch.device, name: str) -> Iterator[Batch]:
    """Pass after pass over a loader."""
    while True:
        yield from batches(loader, device, name)


def choose(batch: Batch, count: int | None, generator: torch.Generator) -> Tensor:
    """Positions of ``count`` samples at random, as equally many of each class as there can be.

    Classes take turns, in random order, until ``count`` samples are chosen: a class with too few
    leaves its turns to the others, and with fewer samples than classes each has one sample of
    another class. Targets that are no class indices count as one class. All samples if ``count``
    is None or no less than the batch.
    """
    n = len(batch)
    if count is None or count >= n:
        return torch.arange(n)
    order = torch.randperm(n, generator=generator)
    labels = batch.labels
    if labels is None:
        return order[:count]
    found, mine = np.unique(labels.cpu().numpy()[order.numpy()], return_inverse=True)
    priority = torch.randperm(len(found), generator=generator).numpy()
    # The k-th of a class, in the order drawn, has its turn in round k.
    by_class = np.argsort(mine, kind="stable")
    sizes = np.bincount(mine)
    k = np.arange(n) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    turns = np.argsort(k * len(found) + priority[mine[by_class]])
    return order[torch.from_numpy(by_class[turns[:count]])]


def part(batch: Batch, positions: Tensor) -> tuple[Tensor, ...]:
    """The inputs of these samples."""
    return tuple(x[positions.to(x.device)] for x in batch.inputs)
