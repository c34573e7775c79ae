"""ThinQRCore: X[basis] = L Q with orthonormal rows Q, rows deleted and added by rotations.

X itself is not held: Q and the coordinates of its rows are all the state.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from minnorm._scipy import row_space
from minnorm._scipy.floating_point import checks_itself
from minnorm._scipy.jacobian_blocks import Jacobian
from minnorm._scipy.jacobian_factor import by_triangle, default_rtol
from minnorm._scipy.orthonormal_rows import OrthonormalRows
from minnorm._scipy.qless_qr import OutOfRange, is_in_range
from minnorm._scipy.row_space import RowSpace, Tolerance
from minnorm._scipy.scaling import Array, Positions


@checks_itself
class ThinQRCore:
    """See `minnorm.ThinQR`."""

    backend = "scipy"

    def __init__(self, X: Array, *, rtol: float | None) -> None:
        self._rtol = rtol
        self.dtype: np.dtype[Any] = X.dtype
        jacobian = Jacobian([[X]])
        tolerance = self._tolerance(jacobian.n_rows)
        try:
            coordinates = by_triangle(jacobian, tolerance.relative)
        except OutOfRange:
            jacobian = jacobian.shifted()
            coordinates = by_triangle(jacobian, tolerance.relative)
        rows, coordinates = OrthonormalRows.of(jacobian, coordinates, X.dtype)
        if jacobian.shift is not None:
            coordinates = coordinates.moved(jacobian.shift)
        self._rows, self._coordinates = rows, coordinates

    def _tolerance(self, m: int) -> Tolerance:
        rtol = default_rtol(m, self.dtype) if self._rtol is None else self._rtol
        return Tolerance(math.sqrt(rtol), False)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> ThinQRCore:
        """From what `state` saved, in either backend."""
        made = cls.__new__(cls)
        made._rtol, made.dtype = state["rtol"], state["Q"].dtype
        basis, L = state["basis"], np.asarray(state["L"], dtype=np.float64)
        K = np.zeros((len(state["exponents"]), basis.size))
        K[basis] = L
        K[state["dependents"]] = np.asarray(state["W"], dtype=np.float64) @ L
        made._coordinates = RowSpace(
            np.array(state["exponents"]),
            np.linalg.norm(K, axis=1),
            np.array(basis),
            K,
            True,
            float(state["slack"]),
            float(state["missing"]),
        )
        made._rows = OrthonormalRows(np.array(state["Q"], order="C"))
        return made

    def state(self) -> dict[str, Any]:
        """Plain arrays, in units in which the rows are scaled to a length near 1."""
        held = self._coordinates
        return {
            "kind": "thin_qr",
            "Q": np.ascontiguousarray(self._rows.Q),
            "L": np.ascontiguousarray(held.L, dtype=self.dtype),
            "W": np.ascontiguousarray(held.weights, dtype=self.dtype),
            "exponents": held.exponents.copy(),
            "basis": self.basis,
            "dependents": self.dependents,
            "slack": held.slack,
            "missing": held.missing,
            "rtol": self._rtol,
        }

    @property
    def n_columns(self) -> int:
        return self._rows.Q.shape[1]

    @property
    def n_rows(self) -> int:
        return self._coordinates.n_rows

    @property
    def rank(self) -> int:
        return self._coordinates.rank

    @property
    def Q(self) -> Array:
        """(r, p), orthonormal rows."""
        return self._rows.Q

    @property
    def L(self) -> Array:
        """(r, r), lower triangular with positive diagonal."""
        held = self._coordinates
        L = np.ldexp(held.L, held.exponents[held.basis][:, None])
        return np.ascontiguousarray(L, dtype=self.dtype)

    @property
    def basis(self) -> Positions:
        return self._coordinates.basis.copy()

    @property
    def dependents(self) -> Positions:
        return self._coordinates.dependents.astype(np.int64)

    @property
    def weights(self) -> Array:
        """W (d, r) with X[dependents] = W X[basis] to the rank tolerance."""
        held = self._coordinates
        own, basis = held.exponents[held.dependents], held.exponents[held.basis]
        return np.ldexp(held.weights, own[:, None] - basis[None, :]).astype(self.dtype)

    def delete_rows(self, positions: Positions) -> None:
        """Without the rows at `positions` (ascending). O(r^2 p)."""
        tolerance = self._tolerance(self.n_rows - positions.size)
        coordinates, turn = row_space.without(
            self._coordinates, positions, tolerance, with_turn=True
        )
        assert turn is not None
        self._rows, self._coordinates = self._rows.turned(turn), coordinates

    def add_rows(self, X_new: Array) -> None:
        """With the rows of X_new after the others. O(n r p + n^2 p)."""
        new = Jacobian([[X_new]])
        if not is_in_range(new):
            new = new.shifted()
        tolerance = self._tolerance(self.n_rows + new.n_rows)
        self._rows, self._coordinates = self._rows.extended(self._coordinates, new, tolerance)
