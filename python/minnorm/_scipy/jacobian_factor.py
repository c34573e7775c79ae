"""The three factorizations of a Jacobian, and when each of them is good enough.

"cholesky": pivoted Cholesky of G = J J^T, squares the condition number; one read of J.
"seminormal": a QR of (T J)^T by panels whose orthogonal factor is discarded; one more read.
"qr": the orthonormal rows Q are made and stored, r p numbers; two more reads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from minnorm._scipy import row_space
from minnorm._scipy.jacobian_blocks import Jacobian
from minnorm._scipy.orthonormal_rows import OrthonormalRows
from minnorm._scipy.qless_qr import OutOfRange, check_squares, triangle
from minnorm._scipy.row_space import RowSpace, Tolerance, lengths_of
from minnorm._scipy.scaling import Array
from minnorm._scipy.vectors import Vectors

METHODS = ("cholesky", "seminormal", "qr")

_U = 2.0**-52


@dataclass(frozen=True)
class JacobianFactor:
    """J as it was read, its coordinates, and Q with "qr". products: J V^T (m, k), if formed."""

    jacobian: Jacobian
    method: str
    coordinates: RowSpace
    rows: OrthonormalRows | None = None
    products: Array | None = None


def default_rtol(m: int, dtype: np.dtype[Any]) -> float:
    """The numerical rank: a distance of max(m, 16) eps, squared."""
    return float((max(m, 16) * float(np.finfo(dtype).eps)) ** 2)


def good_enough(method: str, coordinates: RowSpace, dtype: np.dtype[Any]) -> bool:
    """Whether the first projection is so near that one correction reaches working precision.

    An orthogonality of kappa^2 u from a Gram matrix, kappa u from a triangle. What it leaves is
    squared by the correction, and single precision needs half the digits.
    """
    if method == "qr":
        return True
    kappa = coordinates.condition
    if method == "seminormal":
        return kappa * _U <= 1e-8
    limit = 1e-3 if dtype == np.float32 else 1e-8
    return coordinates.certain and kappa * kappa * _U <= limit


def factored(
    jacobian: Jacobian, relative: float, methods: tuple[str, ...], vectors: Vectors | None = None
) -> JacobianFactor:
    """By the first of the `methods` that is good enough, or the last. relative: sqrt of rtol."""
    try:
        return _factored(jacobian, relative, methods, vectors)
    except OutOfRange:
        return _factored(jacobian.unshifted().shifted(), relative, methods, vectors)


def _factored(
    jacobian: Jacobian, relative: float, methods: tuple[str, ...], vectors: Vectors | None
) -> JacobianFactor:
    def done(method: str, coordinates: RowSpace) -> bool:
        return method == methods[-1] or good_enough(method, coordinates, jacobian.dtype)

    products = None
    if "cholesky" in methods:
        G, products = gram(jacobian, vectors)
        coordinates = row_space.from_gram(G, relative)
        if done("cholesky", coordinates):
            return JacobianFactor(jacobian, "cholesky", coordinates, products=products)
    coordinates = by_triangle(jacobian, relative)
    if "seminormal" in methods and done("seminormal", coordinates):
        return JacobianFactor(jacobian, "seminormal", coordinates, products=products)
    rows, coordinates = OrthonormalRows.of(jacobian, coordinates, np.dtype(np.float64))
    return JacobianFactor(jacobian, "qr", coordinates, rows, products)


def gram(jacobian: Jacobian, vectors: Vectors | None = None) -> tuple[Array, Array | None]:
    """G = J J^T and, for given vectors, J V^T, in one read. m^2 p flops."""
    m = jacobian.n_rows
    G = np.zeros((m, m))
    products = None if vectors is None else np.zeros((m, vectors.norms.size))
    with np.errstate(over="ignore", invalid="ignore"):
        for j0, j1, panel in jacobian.panels():
            G += panel @ panel.T
            if vectors is not None:
                products += panel @ vectors.panel(j0, j1).T
    check_squares(np.diag(G), jacobian)
    return G, products


def by_triangle(jacobian: Jacobian, relative: float) -> RowSpace:
    R, squares = triangle(jacobian)
    exponents, lengths = lengths_of(squares)
    scaled = np.ldexp(R, -exponents)
    return row_space.from_triangle(scaled, exponents, lengths, Tolerance(relative, False))[0]
