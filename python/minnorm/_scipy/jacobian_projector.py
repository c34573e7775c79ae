"""ProjectorCore: P v = v - J^T (J J^T)^+ J v for J (m, p), m small and p large.

What is held is a `JacobianFactor` and its `SpectralFilter`; both are immutable, so that a call
completes or leaves the projector as it was, and several threads may project at once.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minnorm._scipy import row_space
from minnorm._scipy.floating_point import checks_itself
from minnorm._scipy.jacobian_blocks import Blocks, Jacobian, Release
from minnorm._scipy.jacobian_factor import (
    METHODS,
    JacobianFactor,
    default_rtol,
    factored,
    good_enough,
)
from minnorm._scipy.qless_qr import is_in_range
from minnorm._scipy.removal import Removed, remove
from minnorm._scipy.row_space import RowSpace, Tolerance
from minnorm._scipy.scaling import Array, Positions
from minnorm._scipy.spectral_filter import SpectralFilter
from minnorm._scipy.vectors import Vectors
from minnorm.errors import InputError


@checks_itself
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
        products = self._held.products if first else None
        removed = remove(self._held, self._filter, vectors, products)
        out, report = removed.out, self._report(removed, vectors)
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
        z = remove(self._held, self._filter, vectors).z
        a = self._held.coordinates.to_rows(z).T
        shift = self._held.jacobian.shift
        exponents = vectors.exponents[:, None] - (0 if shift is None else shift[None, :])
        return np.ldexp(a, exponents)

    def _report(self, removed: Removed, vectors: Vectors) -> dict[str, Any]:
        shift = self._held.jacobian.shift
        exponents = np.zeros(self.n_rows, dtype=np.int64) if shift is None else shift
        own = np.ldexp(removed.products, (exponents - self._filter.top)[:, None])
        sizes = self._filter.scaled_norm * vectors.norms
        ratios = np.linalg.norm(own, axis=0) / np.where(sizes > 0, sizes, 1.0)
        return {
            "rank": self.rank,
            "rtol": self.rtol,
            "orthogonality": float(ratios.max(initial=0.0)),
            "passes": removed.passes,
            "reorthogonalised": removed.corrections > 0,
            "factorization": self.factorization,
        }

    # ---- other rows --------------------------------------------------------------------------

    def delete_rows(self, positions: Positions) -> None:
        """Without the rows at `positions` (ascending); J is read only where rounding decides."""
        held = self._held
        jacobian = held.jacobian.without(positions)
        relative = self._selection(jacobian)
        tolerance = Tolerance(relative, held.method == "cholesky")
        coordinates, turn = row_space.without(
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

    def _appended(self, jacobian: Jacobian, relative: float) -> RowSpace | None:
        """The coordinates with new rows from their products, or None where these do not do."""
        m = self.n_rows
        C = np.zeros((jacobian.n_rows - m, jacobian.n_rows))
        for _, _, panel in jacobian.panels():
            C += panel[m:] @ panel.T
        coordinates = row_space.with_rows(self._held.coordinates, C, relative)
        if coordinates is None or not self._still_good("cholesky", coordinates):
            return None
        return coordinates

    def _still_good(self, method: str, coordinates: RowSpace) -> bool:
        """Whether "auto" would keep this factorization; one that was asked for is kept."""
        return method == self._methods[-1] or good_enough(method, coordinates, self.dtype)

    def _from(self, method: str) -> tuple[str, ...]:
        """Further rows only lower the smallest singular value: earlier methods would not do."""
        return self._methods[self._methods.index(method) :]
