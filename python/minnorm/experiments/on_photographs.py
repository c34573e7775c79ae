"""The two image experiments on photographs: problems, plans, and the settings to try."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

from ..errors import InputError
from ..torch import METHODS
from ..torch.checks import at_least, fraction
from . import image_settings, runner
from .erasure import LabelErasure
from .photographs import READERS, Photographs
from .representation_collapse import RepresentationCollapse

# Of the training images: copied, or in a wrong colour.
_FORGOTTEN = 0.01

_ARCHITECTURE = {"cifar10": "resnet18", "tiny-imagenet": "resnet50"}
# What all of a folder is where no number is given.
_IMAGES = {"cifar10": (50_000, 10_000), "tiny-imagenet": (100_000, 10_000)}

# Appendix F.3 and F.4: numbers of epochs and the grid of MinNorm-OG.
ERASURE_PLAN = runner.Plan(tuple(METHODS), epochs=(2, 5), trials=5, search=12, development=2)
COLLAPSE_PLAN = runner.Plan(tuple(METHODS), epochs=(5, 10, 15), trials=5, search=12, development=2)
candidates = functools.partial(
    image_settings.candidates,
    rates=(1e-3, 1e-4, 1e-5, 1e-6),
    strengths=(0.001, 0.01, 0.05, 0.1),
    decays=(0.2, 0.4, 0.8),
    spacings=(1,),
    fixed={"MinNormOG": {"n_pert": 50, "projection": "matrix_free"}},
)


@dataclasses.dataclass(frozen=True)
class Options:
    """What to read, how much of it, and how to train.

    Attributes
    ----------
    data : str
        ``cifar10:DIR`` or ``tiny-imagenet:DIR``.
    train, test : int, optional
        Images of a trial to train and to test on. None takes all.
    architecture : str, optional
        None takes ResNet-18 for CIFAR-10, ResNet-50 for Tiny ImageNet.
    device : str
    access : float
        Fraction of the training images that unlearning may use.
    training : int
        Epochs of training; of either part where training has two.
    """

    data: str
    train: int | None = None
    test: int | None = None
    architecture: str | None = None
    device: str = "cpu"
    access: float = 0.01
    training: int = 30


def erasure(options: Options) -> LabelErasure:
    """Label erasure (Appendix F.3): one image in a hundred has a red and a green copy."""
    source, n_test, forgotten, accessible = _sized(options)
    return LabelErasure(
        n_copied=forgotten,
        n_access=accessible,
        n_test=n_test,
        batch=64,
        epochs=options.training,
        lr=1e-3,
        source=source,
    )


def collapse(options: Options) -> RepresentationCollapse:
    """Representation collapse (Appendix F.4): one image in a hundred has another colour."""
    source, n_test, forgotten, accessible = _sized(options)
    return RepresentationCollapse(
        n_forget=forgotten,
        n_access=accessible,
        n_test=n_test,
        batch=64,
        warm=options.training,
        epochs=options.training,
        lr=1e-3,
        source=source,
    )


def _sized(options: Options) -> tuple[Photographs, int, int, int]:
    """The source; images to test on, to forget, and retained ones that may be used."""
    data, colon, directory = options.data.partition(":")
    if data not in READERS or not colon or not directory:
        raise InputError(
            f"data must be one of {', '.join(f'{name}:DIR' for name in READERS)}, DIR being the "
            f"unpacked folder; got {options.data!r}."
        )
    n_train, n_test = (
        every if given is None else given
        for given, every in zip((options.train, options.test), _IMAGES[data], strict=True)
    )
    at_least(n_train, 2, "train")
    at_least(n_test, 1, "test")
    at_least(options.training, 1, "training")
    accessible = max(1, round(fraction(options.access, "access") * n_train))
    forgotten = max(1, round(_FORGOTTEN * n_train))
    source = Photographs(
        data=data,
        # The same folder by another name is the same problem.
        directory=str(Path(directory).resolve()),
        n_train=n_train,
        architecture=options.architecture or _ARCHITECTURE[data],
        device=options.device,
    )
    source.check_tests(n_test)
    return source, n_test, forgotten, min(accessible, n_train - forgotten)
