"""A labelled set of images in files, of which only those asked for need be decoded."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

Brightness = NDArray[np.uint8]


@dataclasses.dataclass(frozen=True)
class Split:
    """Labels (n,), and positions (k,) -> brightness (k, height, width) from 0 to 255."""

    labels: NDArray[np.int64]
    brightness: Callable[[NDArray[np.int64]], Brightness]


@dataclasses.dataclass(frozen=True)
class Splits:
    """Images to train and to test on; labels are 0 .. classes - 1, images square."""

    train: Split
    test: Split
    classes: int
    side: int


def luma(pixels: Brightness) -> Brightness:
    """Brightness (...) of pixels (..., 3) in red, green and blue, by the weights of ITU-R 601.

    In the fixed-point numbers of Pillow, so that both data sets are gray in the same way.
    """
    weights = np.array([19595, 38470, 7471], dtype=np.uint32)  # 0.299, 0.587, 0.114 of 2^16
    return ((pixels @ weights + 0x8000) >> 16).astype(np.uint8)


def wrong(directory: Path, expected: str, came: str, advice: str) -> InputError:
    """The error for a folder that is not what it should be."""
    return InputError(f"{directory}: expected {expected}; got {came}. {advice}")
