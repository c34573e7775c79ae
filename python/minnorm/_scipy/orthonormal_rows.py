"""Orthonormal rows Q (r, p) of the span of some rows, read and written by panels.

T J_B = L Q with L and basis of the `RowSpace` that go with it, and Q Q^T = I to a few units
of the dtype in which Q is stored; the arithmetic is in double precision.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.linalg import cholesky, solve_triangular

from minnorm._scipy import factor, row_space
from minnorm._scipy.jacobian_blocks import PANEL, Jacobian
from minnorm._scipy.qless_qr import squares_of, triangle
from minnorm._scipy.row_space import RowSpace, Tolerance, lengths_of
from minnorm._scipy.scaling import Array
from minnorm._scipy.vectors import Vectors


class OrthonormalRows:
    """Q; its rows are turned and appended to, never chosen anew."""

    def __init__(self, Q: Array) -> None:
        self.Q = Q
        self._width = max(64, PANEL // max(Q.shape[0], 1))

    @staticmethod
    def of(
        jacobian: Jacobian, coordinates: RowSpace, dtype: np.dtype[Any]
    ) -> tuple[OrthonormalRows, RowSpace]:
        """L^-1 T J_B by panels, then two rounds of Cholesky QR. One read; 5 r^2 p flops.

        The first round takes an orthogonality of u cond(L) to about u, the second what rounding
        left of it. Source: Yamamoto, Nakatsukasa, Yanagisawa & Fukaya, ETNA 44 (2015).
        Returns the rows, and the coordinates in their basis.
        """
        basis = coordinates.basis
        made = OrthonormalRows(np.empty((basis.size, jacobian.n_columns), dtype=dtype))
        exponents = coordinates.exponents[basis][:, None]
        for j0, j1, panel in jacobian.panels():
            made.Q[:, j0:j1] = _solve(coordinates.L, np.ldexp(panel[basis], -exponents))
        K = coordinates.K
        for _ in range(2):
            K = K @ made._orthonormalise()
        return made, replace(coordinates, K=K)

    def _orthonormalise(self) -> Array:
        """Q <- C^-1 Q with Q Q^T = C C^T; returns C."""
        r = self.Q.shape[0]
        G = np.zeros((r, r))
        for _, _, part in self.panels():
            G += part @ part.T
        C: Array = cholesky(G, lower=True, check_finite=False) if r else G
        for j0, j1, part in self.panels():
            self.Q[:, j0:j1] = _solve(C, part)
        return C

    def panels(self) -> Iterator[tuple[int, int, Array]]:
        """(j0, j1, columns j0:j1 of Q in double precision), to be read."""
        for j0 in range(0, self.Q.shape[1], self._width):
            j1 = min(j0 + self._width, self.Q.shape[1])
            yield j0, j1, self.Q[:, j0:j1].astype(np.float64, copy=False)

    def times(self, vectors: Vectors) -> Array:
        """Q V^T (r, k)."""
        w = np.zeros((self.Q.shape[0], vectors.norms.size))
        for j0, j1, part in self.panels():
            w += part @ vectors.panel(j0, j1).T
        return w

    def turned(self, Z: Array) -> OrthonormalRows:
        """Z Q (r', p) for Z (r', r) with orthonormal rows."""
        Q = np.empty((Z.shape[0], self.Q.shape[1]), dtype=self.Q.dtype)
        for j0, j1, part in self.panels():
            Q[:, j0:j1] = Z @ part
        return OrthonormalRows(Q)

    # ---- further rows ------------------------------------------------------------------------

    def extended(
        self, held: RowSpace, new: Jacobian, tolerance: Tolerance
    ) -> tuple[OrthonormalRows, RowSpace]:
        """With the rows of `new` after those of `held`: Gram-Schmidt, twice, against Q.

        What is left of the new rows is factored by itself; its independent rows, orthonormal and
        again orthogonal to Q, join Q. n p numbers in double precision besides the result.
        """
        exponents, lengths = lengths_of(squares_of(new))
        left = np.empty((new.n_rows, new.n_columns))
        for j0, j1, panel in new.panels():
            left[:, j0:j1] = np.ldexp(panel, -exponents[:, None])
        remaining = OrthonormalRows(left)
        below = remaining._without(self) + remaining._without(self)
        safe = np.where(lengths > 0, lengths, 1.0)[:, None]
        whole = np.vstack([held.unit, below / safe])
        sigma_max = max(factor.largest_singular_value(whole), 1.0)
        own, _ = row_space.from_triangle(
            triangle(Jacobian([[left]]))[0], exponents, lengths, tolerance, sigma_max
        )
        added = OrthonormalRows(_solve(own.L, left[own.basis]))
        corner = own.K
        for _ in range(2):
            below = below + corner @ added._without(self)
            corner = corner @ added._orthonormalise()
        K = np.zeros((held.n_rows + new.n_rows, held.rank + own.rank))
        K[: held.n_rows, : held.rank] = held.K
        K[held.n_rows :, : held.rank] = below
        K[held.n_rows :, held.rank :] = corner
        shift = 0 if new.shift is None else new.shift
        joined = RowSpace(
            np.concatenate([held.exponents, exponents + shift]),
            np.concatenate([held.lengths, lengths]),
            np.concatenate([held.basis, held.n_rows + own.basis]),
            K,
            True,
            math.hypot(held.slack, own.slack),
            held.missing,
        )
        return OrthonormalRows(np.vstack([self.Q, added.Q.astype(self.Q.dtype)])), joined

    def _without(self, other: OrthonormalRows) -> Array:
        """Subtract the part in the span of `other`; returns its coordinates (n, r)."""
        W = np.zeros((self.Q.shape[0], other.Q.shape[0]))
        for j0, j1, part in other.panels():
            W += self.Q[:, j0:j1] @ part.T
        for j0, j1, part in other.panels():
            self.Q[:, j0:j1] -= W @ part
        return W


def _solve(L: Array, right: Array) -> Array:
    if not right.size:
        return right
    result: Array = solve_triangular(L, right, lower=True, check_finite=False)
    return result
