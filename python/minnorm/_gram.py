"""Kernel matrices that come from the caller: values of a Python function, or precomputed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ._validation import Array, Rows, check_finite
from .errors import InputError, ShapeError

KERNELS = (
    "linear",
    "rbf",
    "laplacian",
    "polynomial",
    "matern32",
    "matern52",
    "precomputed",
)

# Entries compared with their mirror image together.
_BLOCK = 1 << 15


def evaluate(
    kernel: Callable[..., float], X: Array, Z: Array, parameters: Mapping[str, Any]
) -> Array:
    """The matrix of ``kernel(x, z, **parameters)``, shape (n, m); half of it computed if X is Z."""
    values = np.empty((len(X), len(Z)), dtype=X.dtype)
    for i, x in enumerate(X):
        for j, z in enumerate(Z[: i + 1] if X is Z else Z):
            values[i, j] = kernel(x, z, **parameters)
            if X is Z:
                values[j, i] = values[i, j]
    check_finite(values, "the matrix of kernel values")
    return values


def check_symmetric(K: Array, name: str = "X") -> float:
    """The largest ``|K - K^T|``; raises when ``K`` is not square or not symmetric.

    Rounding of a product of p terms leaves an asymmetry of p eps, so the tolerance is
    ``eps^(2/3) max|K|``: 4e-11 of the largest entry in double precision, 2e-5 in single.
    Memory O(n) by row blocks; n^2 comparisons.
    """
    if K.ndim != 2 or K.shape[0] != K.shape[1]:
        raise ShapeError(
            f"a precomputed kernel matrix must be square (n_samples, n_samples); got {name} of "
            f"shape {K.shape}. Pass kernel(X, X), not the features."
        )
    n = K.shape[0]
    block = max(1, _BLOCK // n)
    largest = asymmetry = 0.0
    for start in range(0, n, block):
        rows = K[start : start + block, :]
        largest = max(largest, float(np.max(np.abs(rows))))
        asymmetry = max(asymmetry, float(np.max(np.abs(rows - K[:, start : start + block].T))))
    tolerance = float(np.finfo(K.dtype).eps) ** (2 / 3) * largest
    if asymmetry > tolerance:
        raise InputError(
            f"a precomputed kernel matrix must be symmetric; got {name} with max|K - K^T| = "
            f"{asymmetry:.2g}, above the tolerance {tolerance:.2g}. Pass (K + K.T) / 2 if the "
            f"difference is noise."
        )
    return asymmetry


def symmetrised(rows: Rows) -> Rows:
    """The matrix itself if it is symmetric to the last bit, else its symmetric part."""
    if check_symmetric(rows.array) == 0:
        return rows
    # Halves first: the sum of two entries near the largest number would overflow.
    return Rows(0.5 * rows.array + 0.5 * rows.array.T, True)
