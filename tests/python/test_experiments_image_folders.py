"""CIFAR-10 and Tiny ImageNet are read from their folders, and nothing else is."""

import os
import pickle
import sys

import numpy as np
import pytest

pytest.importorskip(
    "torch", reason="torch is not installed: minnorm.experiments was not tested (minnorm[torch])"
)

import _image_folders as folders
from minnorm import InputError
from minnorm.experiments import cifar10, split, tiny_imagenet


def every(part):
    return part.brightness(np.arange(len(part.labels)))


def test_cifar10_is_read(tmp_path):
    pixels, labels = folders.cifar10(tmp_path / "c")
    found = cifar10.read(str(tmp_path / "c"))
    assert (found.classes, found.side) == (10, 32)
    assert found.train.labels.tolist() == labels[:40].tolist()
    assert found.test.labels.tolist() == labels[40:].tolist()
    exact = pixels @ np.array([0.299, 0.587, 0.114])
    for part, expected in ((found.train, exact[:40]), (found.test, exact[40:])):
        assert every(part).dtype == np.uint8
        assert np.abs(every(part) - expected).max() <= 0.51  # rounding, and weights of 16 bits
        assert np.array_equal(part.brightness(np.array([3, 1])), every(part)[[3, 1]])


def test_gray_is_pillows():
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed: minnorm[images]")
    pixels = np.random.default_rng(1).integers(256, size=(50, 40, 3), dtype=np.uint8)
    gray = np.asarray(image.fromarray(pixels).convert("L"))
    assert np.array_equal(split.luma(pixels), gray)


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("as_data", [True, False])
def test_a_batch_calls_nothing(tmp_path, as_data):
    folders.cifar10(tmp_path / "c")
    evil = Evil(str(tmp_path / "made"))
    batch = {"data": evil, "labels": []} if as_data else evil
    (tmp_path / "c" / "data_batch_3").write_bytes(pickle.dumps(batch, protocol=2))
    with pytest.raises(InputError, match=r"data_batch_3: .*mkdir, which no batch"):
        cifar10.read(str(tmp_path / "c"))
    assert not (tmp_path / "made").exists()


def content(**other):
    return {"data": np.zeros((2, 3072), np.uint8), "labels": [0, 9]} | other


@pytest.mark.parametrize(
    ("batch", "came"),
    [
        ([1, 2], "got list"),
        (content(data=3), "got int"),
        (content(data=np.zeros((2, 3072))), "dtype"),
        (content(data=np.zeros((2, 3072), object)), "dtype"),
        (content(data=np.zeros((2, 3071), np.uint8)), r"\(2, 3071\)"),
        (content(data=np.zeros((0, 3072), np.uint8), labels=[]), r"\(0, 3072\)"),
        (content(data=np.zeros(6144, np.uint8)), r"\(6144,\)"),
        (content(labels=[0]), "a list of 1"),
        (content(labels=[0, 10]), "from 0 to 9"),
        (content(labels=[0, -1]), "from 0 to 9"),
        (content(labels=[0, "cat"]), "from 0 to 9"),
    ],
)
def test_other_batches_are_refused(tmp_path, batch, came):
    folders.cifar10(tmp_path / "c")
    folders.write_batch(tmp_path / "c" / "test_batch", batch)
    with pytest.raises(InputError, match=rf"test_batch: expected .*{came}.*Unpack"):
        cifar10.read(str(tmp_path / "c"))


def test_damaged_and_missing_batches_are_named(tmp_path):
    folder = tmp_path / "c"
    with pytest.raises(InputError, match="no such folder"):
        cifar10.read(str(folder))
    folders.cifar10(folder)
    whole = (folder / "data_batch_2").read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], b"not a pickle"):
        (folder / "data_batch_2").write_bytes(damaged)
        with pytest.raises(InputError, match="data_batch_2: expected a batch of CIFAR-10"):
            cifar10.read(str(folder))
    (folder / "data_batch_2").unlink()
    (folder / "test_batch").unlink()
    with pytest.raises(InputError, match="got no data_batch_2, test_batch"):
        cifar10.read(str(folder))


@pytest.fixture
def tiny(tmp_path):
    pytest.importorskip("PIL", reason="Pillow is not installed: minnorm[images]")
    folders.tiny_imagenet(tmp_path / "t")
    return tmp_path / "t"


def test_tiny_imagenet_is_read(tiny):
    found = tiny_imagenet.read(str(tiny))
    assert (found.classes, found.side) == (3, 64)
    assert found.train.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert found.test.labels.tolist() == [2, 1, 0, 2, 1, 0]
    levels = [40 * k + i for k in range(3) for i in range(4)]
    for part, expected in ((found.train, levels), (found.test, range(200, 206))):
        images = every(part)
        assert images.shape == (len(expected), 64, 64) and images.dtype == np.uint8
        assert np.abs(images.astype(int) - np.array(expected)[:, None, None]).max() <= 1


def test_only_images_asked_for_are_decoded(tiny):
    (tiny / "val" / "images" / "val_2.JPEG").write_bytes(b"no image")
    test = tiny_imagenet.read(str(tiny)).test
    assert len(test.brightness(np.array([0, 5]))) == 2
    with pytest.raises(InputError, match=r"val_2\.JPEG: expected a JPEG image"):
        test.brightness(np.array([2]))


def test_images_of_another_size_are_refused(tiny):
    from PIL import Image

    Image.new("RGB", (64, 32)).save(tiny / "val" / "images" / "val_1.JPEG")
    with pytest.raises(InputError, match="expected an image of 64 x 64; got 64 x 32"):
        tiny_imagenet.read(str(tiny)).test.brightness(np.array([1]))


@pytest.mark.parametrize(
    ("table", "came"),
    [
        ("val_0.JPEG\tn00000000\t0\n", "line 1: 'val_0.JPEG"),
        (f"val_0.JPEG\t{folders.WORDS[0]}\nval_1.JPEG\n", "line 2: 'val_1.JPEG'"),
        (f"absent.JPEG\t{folders.WORDS[0]}\n", "the image of line 1"),
        ("", "an empty file"),
    ],
)
def test_other_annotations_are_refused(tiny, table, came):
    (tiny / "val" / "val_annotations.txt").write_text(table)
    with pytest.raises(InputError, match=came):
        tiny_imagenet.read(str(tiny))


def test_incomplete_folders_are_refused(tiny):
    with pytest.raises(InputError, match="no such folder"):
        tiny_imagenet.read(str(tiny / "absent"))
    with pytest.raises(InputError, match="got no train"):
        tiny_imagenet.read(str(tiny / "val"))
    for image in (tiny / "train" / folders.WORDS[1] / "images").iterdir():
        image.unlink()
    with pytest.raises(InputError, match=rf"{folders.WORDS[1]}.*expected files \*\.JPEG; got none"):
        tiny_imagenet.read(str(tiny))
    folders.tiny_imagenet(tiny)
    (tiny / "val" / "val_annotations.txt").unlink()
    with pytest.raises(InputError, match="labels of the validation images"):
        tiny_imagenet.read(str(tiny))


def test_the_error_names_pillow(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(InputError, match=r"Pillow .*minnorm\[images\]"):
        tiny_imagenet.read(str(tmp_path))
