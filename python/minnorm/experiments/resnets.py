"""ResNet-18 and ResNet-50 as torchvision defines them, without their last layer."""

from __future__ import annotations

from typing import Any

from torch import nn

from ..errors import InputError

ARCHITECTURES = ("resnet18", "resnet50")

# Images up to this side keep their size in the first layers: the usual stem divides it by four
# before the first block, and by 32 in all.
_SMALL = 32


def definitions() -> Any:
    """The module `torchvision.models`."""
    try:
        from torchvision import models
    except ImportError as error:
        raise InputError(
            "ResNets are defined by torchvision: expected it beside torch; it is not installed. "
            "Install the extra: pip install 'minnorm[images]'."
        ) from error
    except RuntimeError as error:
        # What a torchvision says that was built for another torch.
        raise InputError(
            f"ResNets are defined by torchvision: expected one that fits the installed torch; "
            f"importing it failed with: {error}. Install both from the same place, with versions "
            f"that belong together."
        ) from error
    return models


def features(architecture: str, side: int) -> tuple[nn.Module, int]:
    """An untrained network from images (n, 3, side, side) to vectors, and their length.

    Parameters
    ----------
    architecture : {"resnet18", "resnet50"}
    side : int
        Images of at most 32 pixels get a first convolution of 3 x 3 with stride 1 and no pooling
        after it, as is usual for CIFAR-10 (He et al., arXiv 1512.03385, Section 4.2).

    Raises
    ------
    InputError
        torchvision is missing or does not fit.
    """
    network = getattr(definitions(), architecture)(weights=None)
    if side <= _SMALL:
        stem = nn.Conv2d(3, network.conv1.out_channels, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
        network.conv1, network.maxpool = stem, nn.Identity()
    width = network.fc.in_features
    network.fc = nn.Identity()
    return network, width
