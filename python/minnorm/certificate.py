"""What was done, and how far the result can be from retraining: a proof, not an estimate."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from decimal import ROUND_CEILING, Context, Decimal
from typing import Any

# What the first part of ``method`` factored, and what the part after "+" did at the last deletion.
_FACTORS = {
    "cholesky": "Cholesky factor of the Gram matrix",
    "qr": "QR factor of the rows",
    "pivoted-qr": "Column-pivoted QR factor of the rows",
    "pivoted-cholesky": "Pivoted Cholesky factor",
}
_UPDATES = {
    "rotations": "updated by rotations",
    "blocked": "updated by blocked reflections",
    "refit": "computed anew from the retained samples",
}


def _at_most(bound: float) -> str:
    """Two significant digits, rounded up: a printed bound still holds."""
    if not math.isfinite(bound):
        return "infinity"
    rounded = Context(prec=2, rounding=ROUND_CEILING).create_decimal(Decimal(bound))
    return f"{float(rounded):.2g}"


@dataclasses.dataclass(frozen=True)
class Certificate:
    """Proved distance between a model and the model retrained on the retained samples.

    "Retrained" means the exact mathematical solution for the retained data: the minimum-norm
    interpolator (Definition 2 and Theorem 2 of Block, Mokhtari and Shakkottai, arXiv 2505.22601),
    the minimum-norm least-squares solution where the targets cannot be interpolated, or the ridge
    solution. The bounds include the rounding of their own evaluation.

    Attributes
    ----------
    kind : {"linear", "kernel"}
        The norm of ``parameter_error_bound``: the 2-norm of the coefficients, or the norm of the
        kernel's Hilbert space.
    method : str
        How the factor was computed, and after "+" how the last deletion updated it.
    backend : {"native", "scipy"}
        The implementation that computed it.
    alpha : float
        Ridge penalty; 0 interpolates.
    rank : int
        Linearly independent samples (affinely independent with an intercept).
    n_retained, n_forgotten : int
        Samples held now, and deleted since ``fit``.
    residual : float
        Measured ``||y - f(X)||_2`` over the retained samples, the largest over outputs.
    interpolates : bool
        Whether the residual is at rounding level.
    parameter_error_bound : float
        Upper bound of the distance to retraining; infinity when none could be proved.
    intercept_error_bound : float
        The same for the intercept; 0 when there is none.
    prediction_error_bound : float
        Upper bound of ``|f(x) - f_retrained(x)|`` for every x with ``||x||_2 <= 1`` (linear) or
        ``k(x, x) <= 1`` (kernel). Elsewhere: ``parameter_error_bound`` times ``||x||_2`` plus
        ``intercept_error_bound``, or times ``sqrt(k(x, x))``.
    sigma_min_bound : float
        Lower bound of the least nonzero singular value of the rows (linear) or of the least
        eigenvalue of the kernel matrix of the independent samples (kernel); 0 when not provable.
    condition_bound : float
        Upper bound of the condition number of the rows or of the kernel matrix.
    refinement_steps : int
        Corrections applied to the last solution.
    norm_removed : float or None
        For parameters that came from elsewhere (``unlearn_linear``): the 2-norm of the part outside
        the span of the retained rows.

    Examples
    --------
    >>> import numpy as np
    >>> from minnorm import LinearInterpolator
    >>> rng = np.random.default_rng(0)
    >>> model = LinearInterpolator(backend="scipy").fit(rng.normal(size=(5, 9)), rng.normal(size=5))
    >>> certificate = model.forget(3)
    >>> certificate.n_retained, certificate.n_forgotten, certificate.interpolates
    (4, 1, True)
    >>> certificate.parameter_error_bound < 1e-12
    True
    """

    kind: str
    method: str
    backend: str
    alpha: float
    rank: int
    n_retained: int
    n_forgotten: int
    residual: float
    interpolates: bool
    parameter_error_bound: float
    intercept_error_bound: float
    prediction_error_bound: float
    sigma_min_bound: float
    condition_bound: float
    refinement_steps: int
    norm_removed: float | None = None

    @classmethod
    def from_core(
        cls, values: Mapping[str, Any], *, kind: str, backend: str, alpha: float
    ) -> Certificate:
        """From a backend's ``certificate`` dictionary."""
        return cls(
            kind=kind,
            backend=str(backend),
            alpha=float(alpha),
            method=str(values["method"]),
            rank=int(values["rank"]),
            n_retained=int(values["n_retained"]),
            n_forgotten=int(values["n_forgotten"]),
            residual=float(values["residual"]),
            interpolates=bool(values["interpolates"]),
            parameter_error_bound=float(values["parameter_error_bound"]),
            intercept_error_bound=float(values["intercept_error_bound"]),
            prediction_error_bound=float(values["prediction_error_bound"]),
            sigma_min_bound=float(values["sigma_min_bound"]),
            condition_bound=float(values["condition_bound"]),
            refinement_steps=int(values["refinement_steps"]),
        )

    def to_dict(self) -> dict[str, Any]:
        """The attributes as a dictionary of Python scalars and text. Bounds may be ``inf``."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        return "\n".join((self._what_is_held(), self._distance(), self._how()))

    def _what_is_held(self) -> str:
        samples = "sample" if self.n_retained == 1 else "samples"
        counts = f"{self.n_retained} {samples} retained, {self.n_forgotten} forgotten"
        measured = f"residual {self.residual:.2g}, rank {self.rank}"
        if self.alpha > 0:
            return f"{counts}; ridge with alpha = {self.alpha:g} ({measured})."
        if self.interpolates:
            return f"{counts}; interpolates ({measured})."
        return f"{counts}; does not interpolate, least squares of minimum norm ({measured})."

    def _distance(self) -> str:
        if not math.isfinite(self.parameter_error_bound):
            return (
                "No distance to retraining is proved: the data is too ill-conditioned for this "
                "precision. Use float64 or a larger alpha."
            )
        if self.norm_removed is not None:
            return (
                f"Within {_at_most(self.parameter_error_bound)} of the projection onto the span of "
                f"the retained rows (proved, 2-norm of the coefficients); the part removed has "
                f"norm {self.norm_removed:.2g}."
            )
        norm, unit = (
            ("2-norm of the coefficients", "per unit-norm input")
            if self.kind == "linear"
            else ("norm of the kernel's Hilbert space", "where k(x, x) = 1")
        )
        return (
            f"Within {_at_most(self.parameter_error_bound)} of the model retrained from scratch on "
            f"the retained samples (proved, {norm}); predictions within "
            f"{_at_most(self.prediction_error_bound)} {unit}."
        )

    def _how(self) -> str:
        factor, _, update = self.method.partition("+")
        text = _FACTORS.get(factor, factor)
        if update:
            text += f" {_UPDATES.get(update, update)}"
        steps = self.refinement_steps
        refined = f", {steps} refinement step{'s' if steps > 1 else ''}" if steps else ""
        condition = (
            f"condition number at most {_at_most(self.condition_bound)}"
            if math.isfinite(self.condition_bound)
            else "condition number not bounded"
        )
        return f"{text}{refined}, {self.backend} backend; {condition}."
