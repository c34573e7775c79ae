"""What the projector removes, in the coordinates w = Q v: P v = v - Q^T F Q v.

F = I removes the whole row space. Truncation keeps the directions of the unit-length rows whose
squared singular value exceeds rtol times the largest; damping weights each direction of J (in its
own scale) by s^2 / (s^2 + mu), s its singular value.
"""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from minnorm._scipy.row_space import RowSpace
from minnorm._scipy.scaling import Array


class SpectralFilter:
    """F for coordinates K and rows with exponents (m,): row i of J is 2**exponents[i] K[i] Q."""

    def __init__(
        self,
        coordinates: RowSpace,
        exponents: NDArray[np.int64],
        *,
        truncation: float | None,
        damping: float,
        relative: bool,
    ) -> None:
        self._coordinates = coordinates
        # Units of 2**top: the squares of the unscaled rows neither overflow nor vanish.
        self.top = int(exponents.max(initial=-(1 << 20), where=coordinates.lengths > 0))
        self.top = self.top if coordinates.rank else 0
        self._own = np.ldexp(coordinates.K, (exponents - self.top)[:, None])
        self.rank = coordinates.rank
        self._directions: Array | None = None
        self._weights: NDArray[np.float64] | None = None
        if truncation is not None and self.rank:
            S, V = self._spectrum
            self.rank = int(np.count_nonzero(S**2 > truncation * S[0] ** 2))
            self._directions = V[: self.rank].T
        if damping > 0.0 and self.rank:
            self._damp(damping, relative)

    def _damp(self, damping: float, relative: bool) -> None:
        kept = self._directions
        _, S, V = np.linalg.svd(
            self._own if kept is None else self._own @ kept, full_matrices=False
        )
        mu = damping * S[0] ** 2 if relative else math.ldexp(damping, -2 * self.top)
        # 1 / (1 + mu / s^2), without overflow for s = 0.
        squares = S**2
        self._weights = squares / (squares + mu) if math.isfinite(mu) else np.zeros_like(S)
        self._directions = V.T if kept is None else kept @ V.T

    @cached_property
    def _spectrum(self) -> tuple[NDArray[np.float64], Array]:
        """Singular values of the unit-length rows, and V^T (r, r)."""
        if not self._coordinates.rank:
            return np.zeros(0), np.zeros((0, 0))
        _, S, V = np.linalg.svd(self._coordinates.unit, full_matrices=False)
        return S, V

    @property
    def is_identity(self) -> bool:
        """Whether the whole row space is removed."""
        return self._directions is None

    def __call__(self, w: Array) -> Array:
        """F w for w (r, k)."""
        if self._directions is None:
            return w.copy()
        inner = self._directions.T @ w
        if self._weights is not None:
            inner *= self._weights[:, None]
        return self._directions @ inner

    @cached_property
    def gram_eigenvalues(self) -> NDArray[np.float64]:
        """Of the Gram matrix of the unit-length rows (m,), descending, zero beyond the basis."""
        values = np.zeros(self._coordinates.n_rows)
        S = self._spectrum[0]
        values[: S.size] = S**2
        return values

    @property
    def condition(self) -> float:
        """Largest over smallest singular value kept, of the unit-length rows."""
        S = self._spectrum[0]
        return float(S[0] / S[self.rank - 1]) if self.rank else 1.0

    @property
    def directions(self) -> Array:
        """Orthonormal columns (r, rank) that span what is removed, in coordinates."""
        return np.eye(self.rank) if self._directions is None else self._directions

    @property
    def kept_norm(self) -> float:
        """||J||_2 on the directions kept."""
        kept = self._own @ self.directions
        return math.ldexp(float(np.linalg.norm(kept, 2)) if kept.size else 0.0, self.top)

    @cached_property
    def scaled_norm(self) -> float:
        """||J||_2 2**-top."""
        return float(np.linalg.norm(self._own, 2)) if self._own.size else 0.0

    @property
    def norm(self) -> float:
        """||J||_2."""
        try:
            return math.ldexp(self.scaled_norm, self.top)
        except OverflowError:
            return math.inf
