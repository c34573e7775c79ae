"""Removing from v its part in the row space: P v = v - Q^T F Q v, corrected until it is orthogonal.

The products c = J v give the coordinates w = Q v; z = F w is removed, P v = v - Q^T z, and the
products of what is left are formed while its panel is in cache. They say how far P v is from
orthogonal, and correct it if that is not far enough ("twice is enough").
Source: Parlett, The Symmetric Eigenvalue Problem, section 6.9.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from minnorm._scipy.compensated_dot import CompensatedSum, without_combination
from minnorm._scipy.jacobian_blocks import Jacobian
from minnorm._scipy.jacobian_factor import JacobianFactor
from minnorm._scipy.scaling import Array
from minnorm._scipy.spectral_filter import SpectralFilter
from minnorm._scipy.vectors import Vectors

_CORRECTIONS = 6


@dataclass(frozen=True)
class Removed:
    """out = P V (k, p) and products = J out^T (m, k), in units of 2**exponents of the vectors and
    of the rows as they are read; z (r, k) with out = V - z^T Q.

    passes: reads of J or Q, and one for products that came with the Gram matrix.
    """

    out: Array
    z: Array
    products: Array
    passes: int
    corrections: int


def remove(
    held: JacobianFactor, F: SpectralFilter, vectors: Vectors, products: Array | None = None
) -> Removed:
    """P V; products: J V^T (m, k), where it is known. Two reads, one more for each correction.

    A correction solves for what should have been removed of what is left: with z removed so far and
    w = Q P V it is F (w + z) - z. It ends when that is max(m, 4) eps of the vectors, or when a
    further one would not halve it.
    """
    m = held.jacobian.n_rows
    passes = 1
    if held.rows is not None:
        w = held.rows.times(vectors)
    else:
        if products is None:
            products = _times(held.jacobian, vectors.panel, vectors.norms.size)
        w = held.coordinates.to_basis(products)
    z = delta = F(w)
    sizes = np.where(vectors.norms > 0, vectors.norms, 1.0)
    limit, previous = max(m, 4) * vectors.eps, math.inf
    out: Array = np.empty_like(vectors.array)
    corrections = 0
    while True:
        w, left = _subtract(held, delta, vectors if corrections == 0 else None, out)
        passes += 1
        delta = F(w) if F.is_identity else F(w) - (z - F(z))
        size = float((np.linalg.norm(delta, axis=0) / sizes).max(initial=0.0))
        if size <= limit or 2 * size > previous or corrections == _CORRECTIONS:
            break
        z, previous, corrections = z + delta, size, corrections + 1
    if left is None:
        left = _times(held.jacobian, lambda j0, j1: out[:, j0:j1].astype(np.float64), out.shape[0])
        passes += 1
    return Removed(out, z, left, passes, corrections)


def _times(jacobian: Jacobian, panel_of: Callable[[int, int], Array], k: int) -> Array:
    """J V^T (m, k) for rows as they are read, V given by panels (k, width). One read."""
    products = np.zeros((jacobian.n_rows, k))
    for j0, j1, panel in jacobian.panels():
        products += panel @ panel_of(j0, j1).T
    return products


def _subtract(
    held: JacobianFactor, z: Array, vectors: Vectors | None, out: Array
) -> tuple[Array, Array | None]:
    """out = V - z^T Q, V the vectors or `out` itself; (Q out^T, J out^T). One read.

    The products are of the values as rounded to the dtype of `out`. With Q stored, J out^T is
    not formed. Otherwise two sums are compensated unless all is single, where double precision
    is exact enough: Q out^T = L^-1 T (J out^T) multiplies the rounding of the products by
    cond(L), and a^T J is a small sum of terms that are up to cond(L) times larger. Errors of a
    itself stay in the row space, where the next correction finds them.
    """
    m, k = held.jacobian.n_rows, out.shape[0]
    if held.rows is not None:
        w = np.zeros((held.coordinates.rank, k))
        for j0, j1, part in held.rows.panels():
            w += part @ _write(out, vectors, j0, j1, z.T, part, False).T
        return w, None
    a = held.coordinates.to_rows(z).T
    if out.dtype == np.float32 and held.jacobian.dtype == np.float32:
        left = np.zeros((m, k))
        for j0, j1, panel in held.jacobian.panels():
            left += panel @ _write(out, vectors, j0, j1, a, panel, False).T
    else:
        careful = held.coordinates.condition > max(m, 16)
        total = CompensatedSum(m, k)
        for j0, j1, panel in held.jacobian.panels():
            total.add(panel, _write(out, vectors, j0, j1, a, panel, careful))
        left = total.value
    return held.coordinates.to_basis(left), left


def _write(
    out: Array, vectors: Vectors | None, j0: int, j1: int, a: Array, P: Array, careful: bool
) -> Array:
    """out[:, j0:j1] = V - a P, V the vectors or `out` itself; what was stored, in double."""
    left = out[:, j0:j1].astype(np.float64) if vectors is None else vectors.panel(j0, j1)
    left = without_combination(left, a, P) if careful else left - a @ P
    out[:, j0:j1] = left
    return left if out.dtype == np.float64 else out[:, j0:j1].astype(np.float64)
