"""CIFAR-10 from the folder ``cifar-10-batches-py``: five training batches and a test batch.

The batches are pickles, written by Python 2, and a pickle may name any function for the reader to
call. These need three: an array, its dtype, and what puts the two together. Nothing else is found.
"""

from __future__ import annotations

import functools
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from .split import Brightness, Split, Splits, luma, wrong

TRAIN = tuple(f"data_batch_{i}" for i in range(1, 6))
TEST = "test_batch"
_CLASSES, _SIDE = 10, 32
_ADVICE = "Unpack cifar-10-python.tar.gz again and name its folder cifar-10-batches-py."


def _bytes_dtype(*arguments: Any) -> np.dtype[Any]:
    """The dtype of the images, and no other: one of objects would hold whatever a file says."""
    if not arguments or arguments[0] not in (b"u1", "u1"):
        raise pickle.UnpicklingError(f"an array of dtype {arguments[:1]}, not of bytes")
    return np.dtype(np.uint8)


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        known: dict[tuple[str, str], Any] = {
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): _bytes_dtype,
            # Its module has moved between releases of numpy; an array knows where it is.
            ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"{module}.{name}, which no batch of CIFAR-10 has")
        return known[module, name]


def _batch(directory: Path, name: str) -> tuple[Brightness, list[int]]:
    """Brightness (n, 32, 32) and labels of one file."""
    path = directory / name
    with path.open("rb") as file:
        try:
            content = _Unpickler(file, encoding="bytes").load()
        except Exception as error:  # a damaged pickle raises nearly anything
            raise wrong(path, "a batch of CIFAR-10", str(error) or repr(error), _ADVICE) from error
    if not isinstance(content, dict):
        raise wrong(path, "a pickled dictionary", type(content).__name__, _ADVICE)
    data, labels = content.get(b"data"), content.get(b"labels")
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2:
        raise wrong(path, "an array of bytes b'data'", _described(data), _ADVICE)
    if data.shape[1] != 3 * _SIDE**2 or not len(data):
        raise wrong(path, "b'data' of shape (n, 3072), n >= 1", f"{data.shape}", _ADVICE)
    if not isinstance(labels, list) or len(labels) != len(data):
        raise wrong(path, f"a list b'labels' of {len(data)}", _described(labels), _ADVICE)
    if not all(type(label) is int and 0 <= label < _CLASSES for label in labels):
        raise wrong(path, "labels from 0 to 9", "others", _ADVICE)
    pixels = data.reshape(-1, 3, _SIDE, _SIDE).transpose(0, 2, 3, 1)
    return luma(pixels), labels


def _described(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"one of {value.dtype} and shape {value.shape}"
    return f"a list of {len(value)}" if isinstance(value, list) else type(value).__name__


def _split(directory: Path, names: tuple[str, ...]) -> Split:
    images, labels = zip(*(_batch(directory, name) for name in names), strict=True)
    brightness = np.concatenate(images)
    return Split(np.concatenate(labels).astype(np.int64), brightness.__getitem__)


@functools.lru_cache(maxsize=1)
def read(directory: str) -> Splits:
    """The images of a folder, kept for the next call: 61 MB of brightness for all of CIFAR-10.

    Parameters
    ----------
    directory : str
        The folder ``cifar-10-batches-py`` of the Python version of CIFAR-10.

    Raises
    ------
    InputError
        A folder without the six files, or files that are no batches.

    Notes
    -----
    Krizhevsky, Learning multiple layers of features from tiny images, 2009.
    """
    folder = Path(directory)
    missing = [name for name in (*TRAIN, TEST) if not (folder / name).is_file()]
    if missing:
        came = f"no {', '.join(missing)}" if folder.is_dir() else "no such folder"
        raise wrong(folder, f"the files {', '.join((*TRAIN, TEST))}", came, _ADVICE)
    return Splits(_split(folder, TRAIN), _split(folder, (TEST,)), _CLASSES, _SIDE)
