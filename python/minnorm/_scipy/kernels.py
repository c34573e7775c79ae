"""Kernel functions, evaluated in blocks: products by GEMM, distances from them.

With d = ||x - z||_2 and gamma = 1 / (2 l^2) for a length scale l:
linear x.z; rbf exp(-gamma d^2); laplacian exp(-gamma ||x - z||_1);
polynomial (gamma x.z + coef0)^degree; matern32 (1 + a) exp(-a), a = sqrt(6 gamma) d;
matern52 (1 + a + a^2 / 3) exp(-a), a = sqrt(10 gamma) d.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from hashlib import blake2b

import numpy as np
from scipy.spatial.distance import cdist

from minnorm._scipy.scaling import Array
from minnorm.errors import InputError, ShapeError

KERNELS = ("linear", "rbf", "laplacian", "polynomial", "matern32", "matern52")

# Kernel values are formed for blocks of rows, summed over panels of features: enough for GEMM,
# and no scaled or centred copy of X is larger than a panel.
_ROWS, _FEATURES = 512, 1024
_GATHERED = 2**17
# A squared distance below this part of ||x||^2 + ||z||^2 has lost ten bits to cancellation and
# is recomputed from the differences.
_CANCELLED = 2.0**-10


def kernel_matrix(
    X: Array, Z: Array, kernel: str, gamma: float, degree: float, coef0: float
) -> Array:
    """K (n, m) with K_ij = k(X_i, Z_j) for X (n, p) and Z (m, p) of one dtype.

    Cost: 2 n m p flops. Raises InputError for an unknown kernel or values that overflow.
    """
    if kernel not in KERNELS:
        raise InputError(f"expected a kernel in {', '.join(KERNELS)}, got {kernel!r}")
    if X.ndim != 2 or Z.ndim != 2 or X.shape[1] != Z.shape[1]:
        raise ShapeError(f"expected X (n, p) and Z (m, p), got {X.shape} and {Z.shape}")
    out = np.empty((X.shape[0], Z.shape[0]), dtype=X.dtype)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        for i0 in range(0, X.shape[0], _ROWS):
            x = X[i0 : i0 + _ROWS]
            for j0 in range(0, Z.shape[0], _ROWS):
                z = Z[j0 : j0 + _ROWS]
                block = _block(x, z, kernel, gamma, degree, coef0)
                out[i0 : i0 + _ROWS, j0 : j0 + _ROWS] = block
    if not np.isfinite(out).all():
        raise InputError(
            f"expected finite values of the {kernel} kernel, got overflow; rescale the data or "
            "change gamma, degree, coef0"
        )
    return out


def gram_matrix(X: Array, kernel: str, gamma: float, degree: float, coef0: float) -> Array:
    """K (n, n) of X with itself, exactly symmetric."""
    K = kernel_matrix(X, X, kernel, gamma, degree, coef0)
    for i0 in range(0, K.shape[0], _ROWS):
        i1 = i0 + _ROWS
        K[:i0, i0:i1] = K[i0:i1, :i0].T
        square = K[i0:i1, i0:i1]
        square[:] = np.tril(square) + np.tril(square, -1).T
    copy_duplicates(K, row_keys(X))
    return K


def row_keys(X: Array) -> list[bytes]:
    """A 128-bit digest of each row, equal for equal rows (0.0 and -0.0 are equal)."""
    return [blake2b(row + row.dtype.type(0), digest_size=16).digest() for row in X]


def copy_duplicates(K: Array, keys: list[bytes]) -> None:
    """Give equal samples bitwise equal rows and columns of K, in place.

    The order of a BLAS sum depends on the place in a block, so values for equal samples may
    differ in the last bit; then they would only nearly be dependent.
    """
    first: dict[bytes, int] = {}
    source = np.array([first.setdefault(key, i) for i, key in enumerate(keys)], dtype=np.int64)
    again = np.flatnonzero(source != np.arange(source.size))
    if again.size:
        K[again] = K[source[again]]
        K[:, again] = K[:, source[again]]


def gathered_rows(n_features: int) -> int:
    """How many rows to gather at a time from a model whose rows lie scattered."""
    return max(8, min(_ROWS, _GATHERED // max(n_features, 1)))


def _block(x: Array, z: Array, kernel: str, gamma: float, degree: float, coef0: float) -> Array:
    if kernel == "linear":
        return _products(x, z, 1.0)
    if kernel == "laplacian":
        return np.exp(-gamma * _city_block(x, z)).astype(x.dtype)
    # sqrt(gamma) goes into the points first, so that squares of large data do not overflow
    # when gamma is as small as they are large.
    root = math.sqrt(abs(gamma))
    if kernel == "polynomial":
        base = math.copysign(1.0, gamma) * _products(x, z, root) + coef0
        powered: Array = base ** (int(degree) if float(degree).is_integer() else degree)
        return powered.astype(x.dtype, copy=False)
    squared = _squared_distances(x, z, root)
    if kernel == "rbf":
        rbf: Array = np.exp(-squared)
        return rbf
    if kernel == "matern32":
        a = np.sqrt(6.0 * squared)
        return (1.0 + a) * np.exp(-a)
    a = np.sqrt(10.0 * squared)
    return (1.0 + a + a * a / 3.0) * np.exp(-a)


def _panels(x: Array, z: Array) -> Iterator[tuple[Array, Array]]:
    for j0 in range(0, x.shape[1], _FEATURES):
        yield x[:, j0 : j0 + _FEATURES], z[:, j0 : j0 + _FEATURES]


def _products(x: Array, z: Array, root: float) -> Array:
    """root^2 x_i . z_j (n, m)."""
    total = np.zeros((x.shape[0], z.shape[0]), dtype=x.dtype)
    for xp, zp in _panels(x, z):
        total += xp @ zp.T if root == 1.0 else (xp * root) @ (zp * root).T
    return total


def _city_block(x: Array, z: Array) -> Array:
    """||x_i - z_j||_1 (n, m) in double precision."""
    total = np.zeros((x.shape[0], z.shape[0]))
    for xp, zp in _panels(x, z):
        total += cdist(xp, zp, "cityblock")
    return total


def _squared_distances(x: Array, z: Array, root: float) -> Array:
    """root^2 ||x_i - z_j||^2 (n, m) by GEMM about a common centre; cancelled entries anew."""
    sizes = np.zeros((x.shape[0], z.shape[0]), dtype=x.dtype)
    products = np.zeros_like(sizes)
    for xp, zp in _panels(x, z):
        centre = zp.mean(axis=0)
        xp, zp = (xp - centre) * root, (zp - centre) * root
        sizes += np.einsum("ij,ij->i", xp, xp)[:, None] + np.einsum("ij,ij->i", zp, zp)
        products += xp @ zp.T
    squared: Array = sizes - 2.0 * products
    rows, columns = np.nonzero(~(squared > _CANCELLED * sizes))
    step = max(1, _GATHERED // max(x.shape[1], 1))
    for k0 in range(0, rows.size, step):
        i, j = rows[k0 : k0 + step], columns[k0 : k0 + step]
        gap = (x[i] - z[j]) * root
        squared[i, j] = np.einsum("ij,ij->i", gap, gap)
    return squared
