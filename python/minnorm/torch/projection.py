"""One perturbation of Algorithm 1: theta <- theta - strength P theta, dense or matrix-free."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import torch

from .. import _backend
from .._projector_base import checked
from .._validation import Array, one_of
from ..errors import InputError
from ..projector import project_out
from . import products
from .jacobian import dense
from .rows import GradientRows

PROJECTIONS = ("dense", "matrix_free")

_EPS = float(np.finfo(np.float64).eps)
_ROUNDS = 4


@dataclasses.dataclass(frozen=True)
class Projected:
    """Rows in the span, directions removed, and ``||J P theta|| / (||J|| ||theta||)`` measured.

    ``restored`` is the squared residual after the restoration over that before it.
    """

    n_rows: int
    rank: int
    orthogonality: float
    restored: float = 1.0


class Projection:
    """Which projection: its mode, the rank tolerance and the damping.

    Parameters
    ----------
    mode : {"dense", "matrix_free"}
    rtol : float or None
        As for `minnorm.JacobianProjector`.
    damping : float
        A fraction of the largest eigenvalue of J J^T.
    backend : {"auto", "native", "scipy"}
        Of the dense mode.
    """

    def __init__(
        self,
        mode: str = "dense",
        rtol: float | None = None,
        damping: float = 0.0,
        backend: str = "auto",
        chunk: int | None = None,
    ) -> None:
        self.mode = one_of(mode, PROJECTIONS, "projection")
        self.backend = one_of(backend, _backend.NAMES, "backend")
        self.chunk = chunk
        parameters = checked(rtol, damping)
        self.rtol: float | None = parameters["rtol"]
        self.damping: float = parameters["damping"]

    def perturb(self, rows: GradientRows, strength: float) -> Projected:
        """theta - strength P theta, written into the model.

        Raises
        ------
        InputError
            Parameters or gradients that are not finite.
        """
        return (self._dense if self.mode == "dense" else self._matrix_free)(rows, strength)

    def _dense(self, rows: GradientRows, strength: float) -> Projected:
        theta, report = project_out(
            dense(rows, self.chunk).cpu(),
            rows.parameters.vector().cpu(),
            strength=strength,
            rtol=self.rtol,
            damping=self.damping,
            damping_relative=True,
            backend=self.backend,
            return_report=True,
        )
        rows.parameters.assign(theta)
        return Projected(len(rows), report.rank, report.orthogonality)

    def _matrix_free(self, rows: GradientRows, strength: float) -> Projected:
        """The same by products, with no more than three copies of theta besides the model.

        With b the coefficients in the combined rows K J, the part left is
        ``theta - J^T K^T b``; each round solves for what its products show is still in the span,
        until a round no longer halves that. The rounding of J^T K^T b is of order cond(K J) eps,
        so one round alone would not do.
        """
        theta, m = rows.parameters.detached(), len(rows)
        eps = max(torch.finfo(rows.parameters.dtype).eps, _EPS)
        size = rows.parameters.norm()
        spectrum = Spectrum(finite(products.gram(rows), "J"), self.rtol, self.damping, eps)
        left = {name: value.clone() for name, value in theta.items()}
        b, previous = np.zeros(len(spectrum.combine)), math.inf
        seen = finite(products.times(rows, left), "J theta")
        for _ in range(_ROUNDS):
            slope = spectrum.combine @ seen - spectrum.mu * b
            error = float(np.linalg.norm(spectrum.whitened(slope)))
            if error <= max(m, 4) * eps * size or 2 * error > previous:
                break
            step, previous = spectrum.solve(slope), error
            b += step
            coefficients = torch.from_numpy(spectrum.combine.T @ step).to(rows.parameters.dtype)
            pulled = products.transposed(rows, coefficients.to(rows.parameters.device))
            for name, value in left.items():
                value.sub_(pulled.pop(name))
            seen = finite(products.times(rows, left), "J P theta")
        for name, value in theta.items():
            value.sub_(left[name], alpha=strength)
        unit = spectrum.norm * size
        found = float(np.linalg.norm(seen)) / unit if unit else 0.0
        return Projected(m, spectrum.rank, found)


class Spectrum:
    """The rows kept, K J, and the system ``(K J J^T K^T + mu I) b = K J v`` in double precision.

    With U, L the eigenpairs above ``rtol`` of D G D, D the inverse lengths of the rows, the rows
    kept are ``U^T D J`` and their Gram matrix is L. Damping acts on J in its own scale: on J
    restricted to the span kept, which is K J with ``K = G B^T L^-1 B``, ``B = U^T D``.

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
        values, vectors = np.linalg.eigh(G * np.outer(D, D))
        tolerance = max((max(m, 16) * eps) ** 2 if rtol is None else rtol, 16 * m * _EPS)
        kept = values > tolerance * max(float(values[-1]), 0.0)
        self.rank = int(np.sum(kept))
        self.norm = math.sqrt(max(float(np.linalg.eigvalsh(G)[-1]), 0.0))
        self.combine = vectors[:, kept].T * D
        self.mu = 0.0
        if damping and self.rank:
            B = self.combine
            self.combine = G @ B.T @ (B / values[kept][:, np.newaxis])
            kept_gram = self.combine @ G @ self.combine.T
            self._values, self._vectors = np.linalg.eigh((kept_gram + kept_gram.T) / 2)
            self.mu = damping * float(self._values[-1])
            self._values = np.maximum(self._values, 0.0) + self.mu
        else:
            self._values, self._vectors = values[kept], np.eye(self.rank)

    def solve(self, c: Array) -> Array:
        return self._vectors @ ((self._vectors.T @ c) / self._values)

    def whitened(self, c: Array) -> Array:
        """c in coordinates where its length is that of the part of v it stands for."""
        return (self._vectors.T @ c) / np.sqrt(self._values)


def finite(values: torch.Tensor, name: str) -> Array:
    """In double precision on the CPU, or an error."""
    array: Array = values.cpu().double().numpy()
    if not np.isfinite(array).all():
        raise InputError(
            f"{name} must be finite; it holds NaN or infinity at the present parameters. Lower lr "
            f"or look for the batch where the loss diverged."
        )
    return array
