"""The ``minnorm`` command. What a subcommand needs is imported when it runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import minnorm

from ._backend import NAMES
from .errors import MinnormError


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
    return parser


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
        from . import demo

        return 0 if demo.run(options.seed, options.backend, options.plot) else 1
    except MinnormError as error:
        print(f"minnorm: {error}", file=sys.stderr)
        return 1
