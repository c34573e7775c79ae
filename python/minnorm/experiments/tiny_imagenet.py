"""Tiny ImageNet from its folder: JPEG files by class, and validation files with annotations."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .split import Brightness, Split, Splits, wrong

_SIDE = 64
_ADVICE = "Unpack tiny-imagenet-200.zip again and name its folder tiny-imagenet-200."


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise InputError(
            "Tiny ImageNet is made of JPEG files: expected Pillow to decode them; it is not "
            "installed. Install the extra: pip install 'minnorm[images]'."
        ) from error
    return Image


@functools.cache
def _decoded(path: Path) -> Brightness:
    """Brightness (64, 64) of a file, decoded once: 4 KB."""
    try:
        with _pillow().open(path) as image:
            size, pixels = image.size, np.asarray(image.convert("L"))
    except OSError as error:
        raise wrong(path, "a JPEG image", str(error), _ADVICE) from error
    if size != (_SIDE, _SIDE):
        raise wrong(path, "an image of 64 x 64", f"{size[0]} x {size[1]}", _ADVICE)
    return pixels


def _split(files: list[tuple[Path, int]]) -> Split:
    def brightness(positions: NDArray[np.int64]) -> Brightness:
        return np.stack([_decoded(files[i][0]) for i in positions.tolist()])

    return Split(np.array([label for _, label in files], dtype=np.int64), brightness)


def _train(directory: Path) -> tuple[Split, dict[str, int]]:
    """Images of ``train/CLASS/images``, and the classes in the order of their names."""
    folder = directory / "train"
    if not folder.is_dir():
        came = "no such folder" if not directory.is_dir() else "no train"
        raise wrong(directory, "the folders train and val", came, _ADVICE)
    names = sorted(path.name for path in folder.iterdir() if path.is_dir())
    if len(names) < 2:
        raise wrong(folder, "a folder for each of 2 classes or more", f"{len(names)}", _ADVICE)
    files = []
    for label, name in enumerate(names):
        found = sorted((folder / name / "images").glob("*.JPEG"))
        if not found:
            raise wrong(folder / name / "images", "files *.JPEG", "none", _ADVICE)
        files += [(path, label) for path in found]
    return _split(files), {name: label for label, name in enumerate(names)}


def _validation(directory: Path, classes: dict[str, int]) -> Split:
    """Images of ``val/images``, labelled by ``val/val_annotations.txt``: file, class, box."""
    table, files = directory / "val" / "val_annotations.txt", []
    if not table.is_file():
        raise wrong(table, "the labels of the validation images", "no such file", _ADVICE)
    for number, line in enumerate(table.read_text(encoding="utf-8").splitlines(), 1):
        fields = line.split("\t")
        if len(fields) < 2 or fields[1] not in classes:
            expected = "a file and a class of train in every line, with a tab between"
            raise wrong(table, expected, f"line {number}: {line[:80]!r}", _ADVICE)
        path = directory / "val" / "images" / Path(fields[0]).name
        if not path.is_file():
            raise wrong(path, f"the image of line {number} of {table.name}", "none", _ADVICE)
        files.append((path, classes[fields[1]]))
    if not files:
        raise wrong(table, "a line for every image", "an empty file", _ADVICE)
    return _split(files)


@functools.lru_cache(maxsize=1)
def read(directory: str) -> Splits:
    """The images of a folder; each is decoded when it is first asked for.

    Parameters
    ----------
    directory : str
        The folder ``tiny-imagenet-200``, with ``train/CLASS/images/*.JPEG``, ``val/images`` and
        ``val/val_annotations.txt``. The validation images are those to test on: the images of
        ``test`` have no labels.

    Raises
    ------
    InputError
        A folder of another form, Pillow missing. Later: files that are no images of 64 x 64.
    """
    _pillow()
    folder = Path(directory)
    train, classes = _train(folder)
    return Splits(train, _validation(folder, classes), len(classes), _SIDE)
