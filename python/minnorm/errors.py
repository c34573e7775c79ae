"""Exceptions of minnorm. Every message says what was expected, what came, and what to do.

Each class also derives from the built-in or numpy class that callers already catch: ``ValueError``
for bad input, ``KeyError`` for an unknown sample, ``numpy.linalg.LinAlgError`` for a matrix
without the needed property, ``ImportError`` for a backend that is not installed.
"""

from __future__ import annotations

import numpy as np

__all__ = [
    "BackendError",
    "InputError",
    "MinnormError",
    "NotPositiveDefiniteError",
    "RankError",
    "ShapeError",
    "UnknownSampleError",
]


class MinnormError(Exception):
    """Base class of all errors raised by minnorm."""


class InputError(MinnormError, ValueError):
    """An argument has a value outside its domain."""


class ShapeError(InputError):
    """An array has the wrong number of dimensions, rows or columns."""


class UnknownSampleError(MinnormError, KeyError):
    """A sample id is not held by the model: never seen, or already forgotten."""

    def __str__(self) -> str:
        # KeyError shows repr(args[0]); a sentence should read as one.
        return str(self.args[0]) if self.args else ""


class NotPositiveDefiniteError(MinnormError, np.linalg.LinAlgError):
    """A kernel matrix has a negative eigenvalue beyond rounding."""


class RankError(MinnormError, np.linalg.LinAlgError):
    """A matrix is singular to working precision where the method needs it regular."""


class BackendError(MinnormError, ImportError):
    """The requested numerical backend cannot be loaded."""
