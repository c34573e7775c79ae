"""What a projection did, as it was measured: not an error, and not a proof."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

_FACTORS = {
    "cholesky": "Cholesky factor of the Gram matrix",
    "seminormal": "triangular factor of a QR, semi-normal equations",
    "qr": "orthonormal rows from a QR",
    "lsmr": "LSMR on products alone",
    "cholesky+lsmr": "LSMR preconditioned by the Gram matrix",
}


@dataclasses.dataclass(frozen=True)
class ProjectionReport:
    """Measured properties of one projection, the worst over the vectors projected together.

    Attributes
    ----------
    rank : int or None
        Directions removed. None where only products were given: it is not known then.
    n_rows : int
        Rows of J that were held.
    rtol : float
        The tolerance of the rank, on eigenvalues of the Gram matrix of the rows scaled to unit
        length, relative to the largest.
    damping : float
        As given; 0 is the orthogonal projection.
    orthogonality : float
        ``||J P v|| / (||J|| ||v||)`` in 2-norms, measured on the vector as rounded. With damping
        or truncation it is not meant to be small.
    norm_removed : float
        ``||v - P v||``.
    passes : int
        Reads of J (or of the stored orthonormal rows) for this result; the read that also formed
        the Gram matrix counts as one. For a linear operator: products with J or its transpose.
    reorthogonalised : bool
        Whether the first projection had to be corrected.
    factorization : str
        "cholesky", "seminormal" or "qr"; for a linear operator "lsmr" or "cholesky+lsmr".
    backend : str
        The implementation that computed it.
    iterations : int or None
        Steps of the iterative solver, for a linear operator.

    Examples
    --------
    >>> import numpy as np
    >>> from minnorm import project_out
    >>> _, report = project_out([[3.0, 4.0]], [1.0, 1.0], return_report=True, backend="scipy")
    >>> report.rank, report.passes, round(report.norm_removed, 12)
    (1, 2, 1.4)
    """

    rank: int | None
    n_rows: int
    rtol: float
    damping: float
    orthogonality: float
    norm_removed: float
    passes: int
    reorthogonalised: bool
    factorization: str
    backend: str
    iterations: int | None = None

    @classmethod
    def from_core(
        cls, measured: Mapping[str, Any], *, n_rows: int, damping: float, backend: str
    ) -> ProjectionReport:
        """From the dictionary that a core reports."""
        return cls(n_rows=n_rows, damping=damping, backend=backend, **measured)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        rank = "of unknown rank" if self.rank is None else f"of rank {self.rank}"
        damped = f", damping {self.damping:.2g}" if self.damping else ""
        reads = "products" if self.iterations is not None else "passes"
        steps = "" if self.iterations is None else f", {self.iterations} iterations"
        again = ", reorthogonalised" if self.reorthogonalised else ""
        return (
            f"{self.n_rows} rows {rank} (rtol {self.rtol:.2g}){damped}; norm removed "
            f"{self.norm_removed:.4g}.\n"
            f"||J P v|| / (||J|| ||v||) = {self.orthogonality:.2g} measured after {self.passes} "
            f"{reads}{steps}{again}.\n"
            f"{_FACTORS.get(self.factorization, self.factorization)}, {self.backend} backend."
        )
