"""Folders in the formats of CIFAR-10 and Tiny ImageNet, with a few random images."""

import pickle
import struct
from typing import ClassVar

import numpy as np

WORDS = ("n01443537", "n01629819", "n01641577")


class _AsPython2(pickle._Pickler):
    """Strings of bytes as Python 2 wrote them, in which the published batches are."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)

    def save_bytes(self, value):
        self.write(b"T" + struct.pack("<i", len(value)) + value)
        self.memoize(value)

    def save_str(self, value):
        self.write(b"U" + struct.pack("<B", len(value)) + value.encode("ascii"))
        self.memoize(value)

    dispatch[bytes], dispatch[str] = save_bytes, save_str


def write_batch(path, content):
    with path.open("wb") as file:
        _AsPython2(file, protocol=2).dump(content)
    # Where arrays were put together then.
    path.write_bytes(path.read_bytes().replace(b"cnumpy._core.", b"cnumpy.core."))


def cifar10(directory, train=8, test=10):
    """The folder, and its pixels (n, 32, 32, 3) and labels: training images, then tests."""
    rng = np.random.default_rng(0)
    directory.mkdir()
    pixels, labels = [], []
    for name, count in [*((f"data_batch_{i}", train) for i in range(1, 6)), ("test_batch", test)]:
        images = rng.integers(256, size=(count, 32, 32, 3), dtype=np.uint8)
        numbers = [int(k) for k in rng.integers(10, size=count)]
        data = images.transpose(0, 3, 1, 2).reshape(count, -1)
        files = [f"image_{i}.png" for i in range(count)]
        batch = {"data": np.ascontiguousarray(data), "labels": numbers}
        write_batch(directory / name, batch | {"batch_label": name, "filenames": files})
        pixels.append(images)
        labels += numbers
    return np.concatenate(pixels), np.array(labels)


def tiny_imagenet(directory, train=4, test=6):
    """The folder; image i of class k is evenly gray, of brightness 40 k + i, tests 200 + i."""
    from PIL import Image

    def write(path, level, mode="RGB"):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (64, 64), level).convert(mode).save(path, "JPEG", quality=95)

    for k, word in enumerate(WORDS):
        for i in range(train):
            # Some of the published files have one channel.
            path = directory / "train" / word / "images" / f"{word}_{i}.JPEG"
            write(path, 40 * k + i, "L" if i == 0 else "RGB")
        (directory / "train" / word / f"{word}_boxes.txt").write_text("")
    lines = []
    for i in range(test):
        write(directory / "val" / "images" / f"val_{i}.JPEG", 200 + i)
        lines.append(f"val_{i}.JPEG\t{WORDS[-1 - i % 3]}\t0\t32\t44\t62\n")
    (directory / "val" / "val_annotations.txt").write_text("".join(lines))
