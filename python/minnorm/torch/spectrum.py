"""What is kept of the rows of J, found from their Gram matrix alone."""

from __future__ import annotations

import math

import numpy as np
import torch

from .._validation import Array
from ..errors import InputError

_EPS = float(np.finfo(np.float64).eps)


class Spectrum:
    """The rows kept, K J, and the system ``(K J J^T K^T + mu I) b = K J v`` in double precision.

    With U, L the eigenpairs above ``rtol`` of D G D, D the inverse lengths of the rows, the rows
    kept are ``U^T D J`` and their Gram matrix is L. Damping acts on J in its own scale: on J
    restricted to the span kept, which is K J with ``K = G B^T L^-1 B``, ``B = U^T D``; ``K = I``
    where all of it is kept.

    Parameters
    ----------
    G : ndarray, shape (m, m)
        J J^T.
    rtol : float or None
        Tolerance on eigenvalues of D G D relative to the largest; None is the numerical rank,
        ``(max(m, 16) eps)^2``. A Gram matrix resolves no less than ``16 m`` units of double
        precision, so that is the least tolerance.
    damping : float
        mu as a fraction of the largest eigenvalue of J J^T.
    eps : float
        Spacing of the precision of J.
    """

    def __init__(self, G: Array, rtol: float | None, damping: float, eps: float) -> None:
        m = len(G)
        lengths = np.sqrt(np.diag(G))
        D = np.divide(1.0, lengths, out=np.zeros(m), where=lengths > 0)
        unit = G * np.outer(D, D)
        tolerance = max((max(m, 16) * eps) ** 2 if rtol is None else rtol, 16 * m * _EPS)
        self.mu = 0.0
        if damping and _all_above(unit, tolerance):
            self.rank, self.combine, own = m, np.eye(m), G
        else:
            values, vectors = np.linalg.eigh(unit)
            kept = values > tolerance * max(float(values[-1]), 0.0)
            self.rank = int(np.sum(kept))
            self.combine = B = vectors[:, kept].T * D
            self._values, self._vectors = values[kept], np.eye(self.rank)
            own = None
            if damping and self.rank:
                self.combine = G @ B.T @ (B / self._values[:, np.newaxis])
                own = self.combine @ G @ self.combine.T
        if own is not None:
            self._values, self._vectors = np.linalg.eigh((own + own.T) / 2)
            self.mu = damping * float(self._values[-1])
            self._values = np.maximum(self._values, 0.0) + self.mu
        largest = self._values[-1] - self.mu if own is G else np.linalg.eigvalsh(G)[-1]
        self.norm = math.sqrt(max(float(largest), 0.0))

    def solve(self, c: Array) -> Array:
        return self._vectors @ ((self._vectors.T @ c) / self._values)

    def whitened(self, c: Array) -> Array:
        """c in coordinates where its length is that of the part of v it stands for."""
        return (self._vectors.T @ c) / np.sqrt(self._values)


def _all_above(unit: Array, tolerance: float) -> bool:
    """Whether all eigenvalues exceed the tolerance times the largest, by Sylvester's inertia.

    A triangular factor of ``unit - c I`` shows that they exceed c; c is the tolerance times a
    bound on the largest. A third of the cost of the eigenvalues where it succeeds.
    """
    c = tolerance * float(np.abs(unit).sum(0).max())
    try:
        np.linalg.cholesky(unit - c * np.eye(len(unit)))
    except np.linalg.LinAlgError:
        return False
    return True


def finite(values: torch.Tensor, name: str) -> Array:
    """In double precision on the CPU, or an error."""
    array: Array = values.cpu().double().numpy()
    if not np.isfinite(array).all():
        raise InputError(
            f"{name} must be finite; it holds NaN or infinity at the present parameters. Lower lr "
            f"or look for the batch where the loss diverged."
        )
    return array
