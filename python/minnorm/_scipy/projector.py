"""ProjectorCore: P v = v - J^T (J J^T)^+ J v for J (m, p), m small and p large.

The products c = J v give the coordinates w = Q v; z = F w is removed, P v = v - Q^T z, and the
products of what is left are formed while its panel is in cache. They say how far P v is from
orthogonal, and correct it if that is not far enough ("twice is enough").
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minnorm._scipy import row_coordinates
from minnorm._scipy.compensated import CompensatedSum, without_combination
from minnorm._scipy.jacobian import Blocks, Jacobian, Release
from minnorm._scipy.jacobian_factor import (
    METHODS,
    JacobianFactor,
    default_rtol,
    factored,
    good_enough,
)
from minnorm._scipy.row_coordinates import RowCoordinates, Tolerance
from minnorm._scipy.row_triangle import is_in_range
from minnorm._scipy.scaling import Array, Positions
from minnorm._scipy.spectral_filter import SpectralFilter
from minnorm._scipy.vectors import Vectors
from minnorm.errors import InputError

_CORRECTIONS = 6


class ProjectorCore:
    """The projector of the rows held; see `minnorm.JacobianProjector` for the parameters."""

    backend = "scipy"

    def __init__(
        self,
        blocks: Blocks,
        *,
        rtol: float | None,
        damping: float,
        damping_relative: bool,
        factorization: str,
        vectors: Array | None = None,
        release: Release | None = None,
    ) -> None:
        self._rtol, self._damping, self._relative = rtol, damping, damping_relative
        self._methods = METHODS if factorization == "auto" else (factorization,)
        jacobian = Jacobian(blocks, release)
        if jacobian.n_rows == 0:
            raise InputError(
                "expected at least one row in the Jacobian, got none: every vector would be "
                "orthogonal to nothing; check how the samples were selected"
            )
        given = None if vectors is None else Vectors(vectors)
        self._set(factored(jacobian, self._selection(jacobian), self._methods, given))

    # ---- what is held ------------------------------------------------------------------------

    def _selection(self, jacobian: Jacobian) -> float:
        """The distance below which a row is dependent: never more than the numerical rank's."""
        default = default_rtol(jacobian.n_rows, jacobian.dtype)
        return math.sqrt(default if self._rtol is None else min(self._rtol, default))

    def _set(self, held: JacobianFactor) -> None:
        coordinates, jacobian = held.coordinates, held.jacobian
        default = default_rtol(jacobian.n_rows, jacobian.dtype)
        shift = 0 if jacobian.shift is None else jacobian.shift
        truncation = self._rtol if self._rtol is not None and self._rtol > default else None
        self._filter = SpectralFilter(
            coordinates,
            coordinates.exponents + shift,
            truncation=truncation,
            damping=self._damping,
            relative=self._relative,
        )
        self._held = held

    @property
    def n_rows(self) -> int:
        return self._held.jacobian.n_rows

    @property
    def n_columns(self) -> int:
        return self._held.jacobian.n_columns

    @property
    def rank(self) -> int:
        return self._filter.rank

    @property
    def rtol(self) -> float:
        if self._rtol is not None:
            return self._rtol
        return default_rtol(self.n_rows, self.dtype)

    @property
    def basis(self) -> Positions:
        return self._held.coordinates.basis.copy()

    @property
    def gram_eigenvalues(self) -> Array:
        return self._filter.gram_eigenvalues.copy()

    @property
    def condition(self) -> float:
        return self._filter.condition

    @property
    def norm(self) -> float:
        return self._filter.norm

    @property
    def factorization(self) -> str:
        return self._held.method

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._held.jacobian.dtype

    # ---- projecting --------------------------------------------------------------------------

    def project(
        self, V: Array, strength: float | None, first: bool
    ) -> tuple[Array, dict[str, Any]]:
        """P V, or V - strength P V; first: V are the vectors given at construction."""
        vectors = Vectors(V)
        out, _, report = self._removed(vectors, self._held.products if first else None)
        squares = np.zeros(V.shape[0])
        for j0 in range(0, V.shape[1], 1 << 16):
            given, left = vectors.panel(j0, j0 + (1 << 16)), out[:, j0 : j0 + (1 << 16)]
            squares += np.sum((given - left) ** 2, axis=1)
            if strength is not None:
                left[:] = given - strength * left.astype(np.float64)
        vectors.restore(out)
        report["norm_removed"] = float(np.ldexp(np.sqrt(squares), vectors.exponents).max())
        return out, report

    def coefficients(self, V: Array) -> Array:
        """a (k, m) with P v = v - J^T a; as many reads as `project`."""
        vectors = Vectors(V)
        _, z, _ = self._removed(vectors, None)
        a = self._held.coordinates.to_rows(z).T
        shift = self._held.jacobian.shift
        exponents = vectors.exponents[:, None] - (0 if shift is None else shift[None, :])
        return np.ldexp(a, exponents)

    def _removed(
        self, vectors: Vectors, products: Array | None
    ) -> tuple[Array, Array, dict[str, Any]]:
        """(P V in units of 2**exponents, z (r, k), report)."""
        held, F = self._held, self._filter
        passes = 1
        if held.rows is not None:
            w = held.rows.times(vectors)
        else:
            if products is None:
                products = self._times(vectors.panel, vectors.norms.size)
            w = held.coordinates.to_basis(products)
        z = delta = F(w)
        sizes = np.where(vectors.norms > 0, vectors.norms, 1.0)
        limit, previous = max(self.n_rows, 4) * vectors.eps, math.inf
        out: Array = np.empty_like(vectors.array)
        corrections = 0
        while True:
            source = vectors if corrections == 0 else None
            w, left = self._subtract(delta, source, out)
            passes += 1
            delta = F(w) if F.is_projector and F.rank == w.shape[0] else F(w) - (z - F(z))
            size = float((np.linalg.norm(delta, axis=0) / sizes).max(initial=0.0))
            if size <= limit or 2 * size > previous or corrections == _CORRECTIONS:
                break
            z, previous, corrections = z + delta, size, corrections + 1
        if left is None:
            left = self._times(lambda j0, j1: out[:, j0:j1].astype(np.float64), out.shape[0])
            passes += 1
        return out, z, self._report(left, vectors, passes, corrections)

    def _times(self, panel_of: Callable[[int, int], Array], k: int) -> Array:
        """J V^T (m, k) for rows as they are read, V given by panels (k, width). One read."""
        products = np.zeros((self.n_rows, k))
        for j0, j1, panel in self._held.jacobian.panels():
            products += panel @ panel_of(j0, j1).T
        return products

    def _subtract(
        self, z: Array, vectors: Vectors | None, out: Array
    ) -> tuple[Array, Array | None]:
        """out = V - z^T Q, V the vectors or `out` itself; (Q out^T, J out^T). One read.

        The products are of the values as rounded to the dtype of `out`. With Q stored, J out^T is
        not formed. Otherwise two sums are compensated unless all is single, where double precision
        is exact enough: Q out^T = L^-1 T (J out^T) multiplies the rounding of the products by
        cond(L), and a^T J is a small sum of terms that are up to cond(L) times larger. Errors of a
        itself stay in the row space, where the next correction finds them.
        """
        held, k = self._held, out.shape[0]
        if held.rows is not None:
            w = np.zeros((held.coordinates.rank, k))
            for j0, j1, part in held.rows.panels():
                w += part @ _write(out, vectors, j0, j1, z.T, part, False).T
            return w, None
        a = held.coordinates.to_rows(z).T
        if out.dtype == np.float32 and self.dtype == np.float32:
            left = np.zeros((self.n_rows, k))
            for j0, j1, panel in held.jacobian.panels():
                left += panel @ _write(out, vectors, j0, j1, a, panel, False).T
        else:
            careful = held.coordinates.condition > max(self.n_rows, 16)
            total = CompensatedSum(self.n_rows, k)
            for j0, j1, panel in held.jacobian.panels():
                total.add(panel, _write(out, vectors, j0, j1, a, panel, careful))
            left = total.value
        return held.coordinates.to_basis(left), left

    def _report(
        self, left: Array, vectors: Vectors, passes: int, corrections: int
    ) -> dict[str, Any]:
        shift = self._held.jacobian.shift
        exponents = np.zeros(self.n_rows, dtype=np.int64) if shift is None else shift
        own = np.ldexp(left, (exponents - self._filter.top)[:, None])
        sizes = self._filter.scaled_norm * vectors.norms
        ratios = np.linalg.norm(own, axis=0) / np.where(sizes > 0, sizes, 1.0)
        return {
            "rank": self.rank,
            "rtol": self.rtol,
            "orthogonality": float(ratios.max(initial=0.0)),
            "passes": passes,
            "reorthogonalised": corrections > 0,
            "factorization": self.factorization,
        }

    # ---- other rows --------------------------------------------------------------------------

    def delete_rows(self, positions: Positions) -> None:
        """Without the rows at `positions` (ascending); J is read only where rounding decides."""
        held = self._held
        jacobian = held.jacobian.without(positions)
        relative = self._selection(jacobian)
        tolerance = Tolerance(relative, held.method == "cholesky")
        coordinates, turn = row_coordinates.without(
            held.coordinates, positions, tolerance, with_turn=held.rows is not None
        )
        if not (coordinates.certain and self._still_good(held.method, coordinates)):
            self._set(factored(jacobian, relative, self._from(held.method)))
            return
        rows = held.rows
        if rows is not None and turn is not None:
            rows = rows.turned(turn)
        self._set(JacobianFactor(jacobian, held.method, coordinates, rows))

    def add_rows(self, blocks: Blocks) -> None:
        """With the rows of `blocks` after the others. One read, or that of a new factorization."""
        held = self._held
        jacobian = held.jacobian.unshifted().with_rows(blocks)
        relative = self._selection(jacobian)
        new = Jacobian(blocks)
        if held.jacobian.shift is None and is_in_range(new):
            if held.rows is not None:
                rows, coordinates = held.rows.extended(
                    held.coordinates, new, Tolerance(relative, False)
                )
                self._set(JacobianFactor(jacobian, held.method, coordinates, rows))
                return
            grown = self._appended(jacobian, relative) if held.method == "cholesky" else None
            if grown is not None:
                self._set(JacobianFactor(jacobian, held.method, grown))
                return
        self._set(factored(jacobian, relative, self._from(held.method)))

    def _appended(self, jacobian: Jacobian, relative: float) -> RowCoordinates | None:
        """The coordinates with new rows from their products, or None where these do not do."""
        m = self.n_rows
        C = np.zeros((jacobian.n_rows - m, jacobian.n_rows))
        for _, _, panel in jacobian.panels():
            C += panel[m:] @ panel.T
        coordinates = row_coordinates.with_rows(self._held.coordinates, C, relative)
        return coordinates if self._still_good("cholesky", coordinates) else None

    def _still_good(self, method: str, coordinates: RowCoordinates) -> bool:
        """Whether "auto" would keep this factorization; one that was asked for is kept."""
        return method == self._methods[-1] or good_enough(method, coordinates, self.dtype)

    def _from(self, method: str) -> tuple[str, ...]:
        """Further rows only lower the smallest singular value: earlier methods would not do."""
        return self._methods[self._methods.index(method) :]


def _write(
    out: Array, vectors: Vectors | None, j0: int, j1: int, a: Array, P: Array, careful: bool
) -> Array:
    """out[:, j0:j1] = V - a P, V the vectors or `out` itself; what was stored, in double."""
    left = out[:, j0:j1].astype(np.float64) if vectors is None else vectors.panel(j0, j1)
    left = without_combination(left, a, P) if careful else left - a @ P
    out[:, j0:j1] = left
    return left if out.dtype == np.float64 else out[:, j0:j1].astype(np.float64)
