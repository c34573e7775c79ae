"""Photographs from a folder on disk, in gray, and the ResNet that reads them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from ..errors import InputError
from ..torch.checks import at_least
from . import cifar10, resnets, tiny_imagenet
from .source import Pair
from .split import Split, Splits

READERS: dict[str, Callable[[str], Splits]] = {
    "cifar10": cifar10.read,
    "tiny-imagenet": tiny_imagenet.read,
}


@dataclasses.dataclass(frozen=True)
class Photographs:
    """A `Source`; every trial draws other images of the folder, tests from its test images.

    Attributes
    ----------
    data : {"cifar10", "tiny-imagenet"}
        What the folder holds.
    directory : str
    n_train : int
        Images of a trial to train on.
    architecture : {"resnet18", "resnet50"}
    device : str
        Of the models; a name that `torch.device` takes.

    Raises
    ------
    InputError
        A folder of another form, fewer images than asked for, torchvision or Pillow missing.
    """

    data: str
    directory: str
    n_train: int
    architecture: str
    device: str = "cpu"

    def __post_init__(self) -> None:
        # Here and not in the first trial: nothing is written before all of this holds.
        for name, allowed in (("data", tuple(READERS)), ("architecture", resnets.ARCHITECTURES)):
            if getattr(self, name) not in allowed:
                raise InputError(
                    f"{name} must be one of {', '.join(allowed)}; got {getattr(self, name)!r}."
                )
        _checked(self.device)
        at_least(self.n_train, 1, "n_train")
        _enough(self._splits().train, self.n_train, "to train on", self.directory)
        resnets.definitions()

    def _splits(self) -> Splits:
        return READERS[self.data](self.directory)

    @property
    def classes(self) -> int:
        """10 for CIFAR-10, 200 for Tiny ImageNet."""
        return self._splits().classes

    def check_tests(self, n_test: int) -> None:
        """Raise if there are fewer images to test on."""
        _enough(self._splits().test, n_test, "to test on", self.directory)

    def samples(self, generator: torch.Generator, n_test: int) -> Pair:
        """Brightness (n_test + n_train, 1, side, side) in [0, 1] and labels, in random order."""
        self.check_tests(n_test)
        splits = self._splits()
        images, labels = [], []
        for split, count in ((splits.test, n_test), (splits.train, self.n_train)):
            chosen = torch.randperm(len(split.labels), generator=generator)[:count].numpy()
            images.append(split.brightness(chosen))
            labels.append(split.labels[chosen])
        x = torch.from_numpy(np.concatenate(images))[:, None]
        return x.float() / 255.0, torch.from_numpy(np.concatenate(labels))

    def features(self) -> tuple[nn.Module, int]:
        """The ResNet without its last layer."""
        return resnets.features(self.architecture, self._splits().side)


def _enough(split: Split, count: int, purpose: str, directory: str) -> None:
    if count > len(split.labels):
        raise InputError(
            f"{directory} has {len(split.labels)} images {purpose}; {count} are asked for. Ask for "
            f"fewer."
        )


def _checked(device: str) -> None:
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"device must be one that torch can use here, such as cpu or cuda; got {device!r}: "
            f"{reason}"
        ) from error
