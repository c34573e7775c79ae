"""Second-order restoration: least-norm Gauss-Newton steps back to the retained targets.

A perturbation along the complement of the gradients leaves outputs as they are to first order; of
second order it leaves ``r = y - f(theta)``. The least change of theta that removes r to first order
is ``J^T (J J^T)^-1 r``. J is far too ill-conditioned to take it whole: mu I is added to the Gram
matrix and follows the success of the steps (Levenberg, Marquardt).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .._validation import Array
from ..errors import InputError, ShapeError
from . import products
from .checks import at_least
from .parameters import evaluating
from .rows import GradientRows
from .spectrum import finite

# mu as a fraction of the largest eigenvalue of J J^T: where it starts, its floor (J in single
# precision resolves no less than its square root), the factors after success and after failure.
_START, _LEAST, _DOWN, _UP = 1e-3, 1e-10, 1 / 3, 4.0
# A damping 4^8 times as large as the first makes the step short enough for any curvature met.
_ATTEMPTS = 8


class Restoration:
    """At most ``steps`` steps per call; mu is kept between calls.

    Parameters
    ----------
    steps : int
        0 does nothing.
    """

    def __init__(self, steps: int) -> None:
        self.steps = at_least(steps, 0, "restore")
        self.mu = _START

    def restore(self, rows: GradientRows, targets: Tensor) -> float:
        """Move the model towards ``f = targets`` in the span of the rows.

        Parameters
        ----------
        rows : GradientRows
            Of every output, at any parameters: they are differentiated at the present ones.
        targets : tensor (m,)
            One per row.

        Returns
        -------
        float
            ``||y - f||^2`` after over before, at most 1.

        Raises
        ------
        InputError
            Outputs or gradients that are not finite.

        Notes
        -----
        Cost per step: the Gram matrix, one backward pass, one forward pass per attempt.
        """
        wanted = finite(targets, "targets")
        residual = wanted - self._outputs(rows)
        start = float(residual @ residual)
        for _ in range(self.steps):
            found = self._step(rows, wanted, residual)
            if found is None:
                break
            residual = found
        return float(residual @ residual) / start if start else 1.0

    def _outputs(self, rows: GradientRows) -> Array:
        with torch.no_grad(), evaluating(rows.model):
            return finite(rows.values(rows.parameters.detached()), "the model's outputs")

    def _step(self, rows: GradientRows, wanted: Array, residual: Array) -> Array | None:
        """The residual after a step that lessened it; None where none did, theta as it was."""
        theta = rows.parameters.detached()
        values, vectors = np.linalg.eigh(finite(products.gram(rows), "J"))
        along, values = vectors.T @ residual, np.maximum(values, 0.0)
        if not values[-1]:
            return None
        for _ in range(_ATTEMPTS):
            u = torch.from_numpy(vectors @ (along / (values + self.mu * values[-1])))
            step = products.transposed(rows, u.to(rows.parameters.dtype).to(rows.parameters.device))
            moved = {name: value + step.pop(name) for name, value in theta.items()}
            with torch.no_grad(), evaluating(rows.model):
                left = wanted - rows.values(moved).cpu().double().numpy()
            # Not so for NaN: an overshoot is a failure like another.
            if left @ left < residual @ residual:
                for name, value in theta.items():
                    value.copy_(moved[name])
                self.mu = max(self.mu * _DOWN, _LEAST)
                return left
            self.mu *= _UP
        return None


def row_targets(rows: GradientRows, targets: object, positions: Tensor) -> Tensor:
    """The target (m,) of every row, of the samples at these positions of the batch.

    Raises
    ------
    InputError, ShapeError
        Targets that are not one floating-point number per output: the squared error is the one
        loss that restoration knows.
    """
    if not isinstance(targets, Tensor) or not targets.is_floating_point():
        raise InputError(
            f"restore takes steps on the squared error: expected floating-point targets, one per "
            f"output; got {getattr(targets, 'dtype', type(targets).__name__)}. Set restore=0."
        )
    n = len(rows.inputs[0])
    chosen = targets[positions.to(targets.device)].reshape(n, -1)
    if chosen.numel() != len(rows):
        raise ShapeError(
            f"restore needs a target for every output: expected {len(rows)} numbers for {n} "
            f"samples, got {chosen.numel()}. Set restore=0."
        )
    return chosen[rows.samples, rows.columns]
