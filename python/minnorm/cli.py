"""The ``minnorm`` command. What a subcommand needs is imported when it runs."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import minnorm

from ._backend import NAMES
from .errors import InputError, MinnormError


def cmake_directory() -> Path:
    """The directory with ``minnorm-config.cmake``, for CMake's ``minnorm_DIR``.

    Found through the package's resources, which an editable install redirects to where the build
    put them; ``minnorm.__file__`` would be the source tree there.
    """
    directory = Path(str(resources.files("minnorm").joinpath("share", "cmake", "minnorm")))
    if not directory.is_dir():
        raise MinnormError(
            f"expected the CMake package in {directory}; there is none. Install minnorm with pip: "
            f"a source tree does not hold it."
        )
    return directory


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="minnorm",
        description="Exact deletion of training samples from minimum-norm models.",
    )
    parser.add_argument("--version", action="version", version=f"minnorm {minnorm.__version__}")
    parser.add_argument(
        "--cmakedir", action="store_true", help="print the directory of the CMake package and exit"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    demo = commands.add_parser(
        "demo",
        help="forget corrupted labels of handwritten digits (under 30 seconds)",
        description="Fit on handwritten digits with corrupted labels, forget the corrupted "
        "samples, and compare with a fit from scratch. Exit status 0 only if both models are equal "
        "within the proved bounds.",
    )
    demo.add_argument("--plot", metavar="FILE.png", help="draw the result (needs minnorm[plot])")
    demo.add_argument("--seed", type=int, default=0, help="of the corruption (default: 0)")
    demo.add_argument(
        "--backend", choices=NAMES, default="auto", help="implementation to use (default: auto)"
    )
    _add_experiment(commands)
    return parser


def _add_experiment(commands: Any) -> None:
    experiment = commands.add_parser(
        "experiment",
        help="rerun an experiment of the paper (needs minnorm[torch])",
        description="Rerun an experiment of the paper. What was computed is kept in the directory; "
        "the same command continues an interrupted run.",
    )
    kinds = experiment.add_subparsers(dest="experiment", metavar="EXPERIMENT", required=True)
    poisoning = kinds.add_parser(
        "data-poisoning",
        help="a sine learned with wrong points, which are then forgotten (Table 1)",
        description="Largest error of the curve after unlearning. Settings are searched on "
        "development seeds and reported on others.",
    )
    poisoning.add_argument("--small", action="store_true", help="a small problem, under a minute")
    poisoning.add_argument(
        "--paper-settings", action="store_true", help="use the published settings; no search"
    )
    collapse = kinds.add_parser(
        "collapse",
        help="digits whose class can be told by colour but for a few, which are then forgotten",
        description="Accuracy by colour of a classifier that has forgotten the images for which "
        "colour was not enough. Settings are searched on development seeds and reported on others.",
    )
    erasure = kinds.add_parser(
        "label-erasure",
        help="digits, a few of them in red and green, and the colours then forgotten",
        description="What is kept of the numbers against what is left of the colours. Settings are "
        "searched on development seeds and reported on others.",
    )
    for kind in (collapse, erasure):
        _add_photographs(kind)
    for kind in (poisoning, collapse, erasure):
        kind.add_argument("--out", metavar="DIR", required=True, help="directory of all results")
        kind.add_argument("--methods", nargs="+", default=["all"], help="default: all")
        kind.add_argument("--epochs", type=int, nargs="+", help="numbers of unlearning epochs")
        kind.add_argument("--trials", type=int, help="reported seeds")
        kind.add_argument("--search", type=int, help="settings tried per method")
        kind.add_argument("--development", type=int, help="seeds they are tried on")
        kind.add_argument("--jobs", type=int, help="processes (default: 1)")


# Options that say more about --data.
_WITH_DATA = ("train", "test", "architecture", "device", "access", "training")


def _add_photographs(kind: Any) -> None:
    group = kind.add_argument_group("on photographs", "needs minnorm[images]")
    group.add_argument(
        "--data",
        metavar="KIND:DIR",
        help="cifar10:DIR or tiny-imagenet:DIR, the unpacked folder, in place of digits",
    )
    group.add_argument("--train", type=int, help="images to train on (default: all)")
    group.add_argument("--test", type=int, help="images to test on (default: all)")
    group.add_argument(
        "--architecture",
        choices=("resnet18", "resnet50"),
        help="default: resnet18 for CIFAR-10, resnet50 for Tiny ImageNet",
    )
    group.add_argument("--device", help="of the models (default: cpu)")
    group.add_argument(
        "--access", type=float, help="fraction of the training images to unlearn with (0.01)"
    )
    group.add_argument("--training", type=int, metavar="EPOCHS", help="of training (default: 30)")


def _experiment(options: argparse.Namespace) -> int:
    from .experiments import data_poisoning

    if options.experiment != "data-poisoning":
        return _image_experiment(options)
    plan = _planned(data_poisoning.SMALL_PLAN if options.small else data_poisoning.PLAN, options)
    data_poisoning.run(plan, options.out, small=options.small, paper=options.paper_settings)
    return 0


def _image_experiment(options: argparse.Namespace) -> int:
    from .experiments import collapse, label_erasure, on_photographs

    experiment: Any = collapse if options.experiment == "collapse" else label_erasure
    given = {name: getattr(options, name) for name in _WITH_DATA}
    given = {name: value for name, value in given.items() if value is not None}
    if options.data is None:
        if given:
            raise InputError(
                f"{', '.join(f'--{name}' for name in given)}: expected together with --data, which "
                f"is missing. Add --data cifar10:DIR or tiny-imagenet:DIR."
            )
        experiment.run(_planned(experiment.PLAN, options), options.out)
        return 0
    wanted = on_photographs.Options(options.data, **given)
    problem: Any
    if experiment is collapse:
        plan, problem = on_photographs.COLLAPSE_PLAN, on_photographs.collapse(wanted)
    else:
        plan, problem = on_photographs.ERASURE_PLAN, on_photographs.erasure(wanted)
    tried = on_photographs.candidates
    experiment.run(_planned(plan, options), options.out, problem=problem, settings=tried)
    return 0


def _planned(plan: Any, options: argparse.Namespace) -> Any:
    """The plan with what the command line says of it."""
    names = ("trials", "search", "development", "jobs")
    given = {name: getattr(options, name) for name in names}
    return dataclasses.replace(
        plan,
        methods=plan.methods if options.methods == ["all"] else tuple(options.methods),
        epochs=tuple(options.epochs or plan.epochs),
        **{name: value for name, value in given.items() if value is not None},
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is 0 on success, 1 when a check or an input fails."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        if options.cmakedir:
            print(cmake_directory())
            return 0
        if options.command is None:
            parser.print_help(sys.stderr)
            return 2
        if options.command == "experiment":
            return _experiment(options)
        from . import demo

        return 0 if demo.run(options.seed, options.backend, options.plot) else 1
    except MinnormError as error:
        print(f"minnorm: {error}", file=sys.stderr)
        return 1
