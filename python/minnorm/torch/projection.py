"""One perturbation of Algorithm 1: theta <- theta - strength P theta, dense or matrix-free."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable

import numpy as np
import torch

from .. import _backend
from .._projector_base import checked
from .._validation import one_of
from ..projector import project_out
from . import products
from .jacobian import dense
from .parameters import Named, norm
from .rows import GradientRows
from .spectrum import Spectrum, finite
from .stored_rows import StoredRows

PROJECTIONS = ("dense", "matrix_free")

_EPS = float(np.finfo(np.float64).eps)
_ROUNDS = 4
# Eigenvalues of a Gram matrix are right to m eps of the largest: m 2e-16.
_RESOLVED = 1e-10


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
        if self._resolved_by_gram(rows.parameters.dtype):
            stored = StoredRows(rows, self.chunk)
            left = stored.split()
            done = self._remove(left, stored.gram(), stored.times, stored.transposed)
            stored.subtract(left, strength)
            return done
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

    def _resolved_by_gram(self, dtype: torch.dtype) -> bool:
        """Whether the eigenvalues above the tolerance are right as a Gram matrix shows them."""
        plain = dtype in (torch.float32, torch.float64) and self.backend == "auto"
        return plain and self.rtol is not None and self.rtol >= _RESOLVED

    def _matrix_free(self, rows: GradientRows, strength: float) -> Projected:
        """The same by products, with no more than three copies of theta besides the model."""
        theta = rows.parameters.detached()
        gram = products.gram(rows)
        left = {name: value.clone() for name, value in theta.items()}
        done = self._remove(
            left,
            gram,
            functools.partial(products.times, rows),
            functools.partial(products.transposed, rows),
        )
        for name, value in theta.items():
            value.sub_(left[name], alpha=strength)
        return done

    def _remove(
        self,
        left: dict[str, torch.Tensor],
        gram: torch.Tensor,
        times: Callable[[Named], torch.Tensor],
        transposed: Callable[[torch.Tensor], dict[str, torch.Tensor]],
    ) -> Projected:
        """Take from ``left``, theta at first, what is in the span: it becomes P theta.

        With b the coefficients in the combined rows K J, P theta is ``theta - J^T K^T b``; each
        round solves for what its products show is still in the span, until a round no longer
        halves that. The rounding of J^T K^T b is of order cond(K J) eps, so one round alone would
        not do.
        """
        m, size = len(gram), norm(left)
        value = next(iter(left.values()))
        eps = max(torch.finfo(value.dtype).eps, _EPS)
        spectrum = Spectrum(finite(gram, "J"), self.rtol, self.damping, eps)
        b, previous = np.zeros(len(spectrum.combine)), math.inf
        seen = finite(times(left), "J theta")
        for _ in range(_ROUNDS):
            slope = spectrum.combine @ seen - spectrum.mu * b
            error = float(np.linalg.norm(spectrum.whitened(slope)))
            if error <= max(m, 4) * eps * size or 2 * error > previous:
                break
            step, previous = spectrum.solve(slope), error
            b += step
            pulled = transposed(torch.from_numpy(spectrum.combine.T @ step).to(value))
            for name, part in left.items():
                part.sub_(pulled.pop(name))
            seen = finite(times(left), "J P theta")
        unit = spectrum.norm * size
        found = float(np.linalg.norm(seen)) / unit if unit else 0.0
        return Projected(m, spectrum.rank, found)
