"""What unlearning did to a network, measured on the network that is returned."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import scipy.linalg

from .._validation import Array
from ..certificate import Certificate

# The project's criterion for retained outputs, relative to the largest of them.
INTERPOLATION_TOLERANCE = 1e-9

_METHODS = {
    "projection": "First layer moved along its output directions to the projected predictor",
    "basic": "Basic solution of the output weights",
    "l1": "Output weights of least 1-norm",
}


def norm(array: Array) -> float:
    """The 2-norm of all entries. BLAS scales, so squares neither overflow nor vanish."""
    return float(scipy.linalg.norm(array.ravel(), check_finite=False))


def change_of_outputs(before: Array, after: Array, rounding: float) -> dict[str, Any]:
    """The residual's fields, from the retained outputs of both networks.

    ``rounding`` bounds the error of evaluating either output. Where the outputs nearly cancel, no
    method can keep them to a part in 1e9 of themselves, and agreement to ``rounding`` is all that
    the numbers can show.
    """
    residual = float(np.max(np.abs(after - before)))
    scale = float(np.max(np.abs(before)))
    return {
        "residual": residual,
        "relative_residual": residual / scale if scale else (math.inf if residual else 0.0),
        "interpolates": residual <= max(INTERPOLATION_TOLERANCE * scale, rounding),
    }


def largest_cosine(products: Array, norm_of_change: float, norms: Array, size: float) -> float:
    """max |<Delta, g>| / (||Delta|| ||g||) over the gradients g that are not zero.

    Delta is the difference of stored parameters, each rounded: a Delta below the rounding of the
    ``size`` of the parameters has no direction, and the answer is 0.

    Parameters
    ----------
    products, norms : ndarray of one shape
        <Delta, g> and ||g||.
    norm_of_change : float
        ||Delta||_2.
    size : float
        The rounding unit times the norm of the block that moved and its dimension.
    """
    moved = norms > 0
    if norm_of_change <= size or not moved.any():
        return 0.0
    return float(np.max(np.abs(products[moved]) / norms[moved])) / norm_of_change


@dataclasses.dataclass(frozen=True)
class NetworkCertificate:
    """Measurements that the theorems' statements hold for the stored numbers of a network.

    ``theta*`` is the network before, ``Delta`` the difference of the stored parameters. A network
    that interpolated all its training data does so on the retained data if its outputs there are
    unchanged, so the residual needs no targets.

    Attributes
    ----------
    kind : {"linear network", "two-layer perceptron"}
    method : {"projection", "basic", "l1"}
        What was done; "basic" also where "l1" was asked for and no vertex was found.
    backend : {"native", "scipy"}
        What computed the projection; perceptrons always use scipy.
    n_retained : int
        Retained samples.
    rank : int
        s: dimension of the span of the retained inputs (linear network) or of their features over
        the neurons in use (perceptron).
    residual : float
        Largest change of an output on the retained samples.
    relative_residual : float
        The same over the largest retained output of ``theta*``; 0 where both vanish.
    interpolates : bool
        Whether ``relative_residual`` is at most 1e-9, or the residual below the rounding of
        evaluating the outputs.
    gradient_orthogonality : float
        Largest ``|<Delta, g>| / (||Delta|| ||g||)`` over the gradients g of every output at every
        retained sample, with respect to the block that moved. 0 if Delta is of rounding size.
    parameter_change : float
        ``||Delta||_2``.
    parameter_norm : float
        2-norm of all parameters, after.
    minimum_parameter_norm : float or None
        The least 2-norm of parameters with the same predictor (Theorem 4). None for a perceptron.
    neurons_before, neurons_after : int or None
        Neurons with ``||c_i|| ||a_i|| > 0``. None for a linear network.
    neuron_bound : int or None
        Theorem 5's bound of ``neurons_after``: the rank.
    projection : Certificate or None
        Proved bound of the projection's error (linear network).

    Examples
    --------
    >>> import numpy as np
    >>> from minnorm import LinearNetwork
    >>> network = LinearNetwork([np.eye(2, 3), [1.0, 1.0]], backend="scipy")
    >>> _, certificate = network.unlearn([[1.0, 0.0, 0.0]])
    >>> certificate.rank, certificate.interpolates, certificate.parameter_change.__round__(6)
    (1, True, 0.707107)
    """

    kind: str
    method: str
    backend: str
    n_retained: int
    rank: int
    residual: float
    relative_residual: float
    interpolates: bool
    gradient_orthogonality: float
    parameter_change: float
    parameter_norm: float
    minimum_parameter_norm: float | None = None
    neurons_before: int | None = None
    neurons_after: int | None = None
    neuron_bound: int | None = None
    projection: Certificate | None = None

    def to_dict(self) -> dict[str, Any]:
        """The attributes as Python scalars and text; ``projection`` becomes a dictionary."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        return "\n".join((self._what_is_kept(), self._result(), self._how()))

    def _what_is_kept(self) -> str:
        samples = "sample" if self.n_retained == 1 else "samples"
        kept = "outputs kept" if self.interpolates else "outputs not kept"
        return (
            f"{self.n_retained} {samples} retained, rank {self.rank}; {kept} (largest change "
            f"{self.residual:.2g}, relative {self.relative_residual:.2g})."
        )

    def _result(self) -> str:
        if self.neurons_after is not None:
            return (
                f"{self.neurons_after} of {self.neurons_before} neurons active, at most "
                f"{self.neuron_bound} by Theorem 5; parameter norm {self.parameter_norm:.4g}."
            )
        return (
            f"Parameter norm {self.parameter_norm:.4g}; the least for this predictor is "
            f"{self.minimum_parameter_norm:.4g}."
        )

    def _how(self) -> str:
        return (
            f"{_METHODS[self.method]}, {self.backend} backend; change of norm "
            f"{self.parameter_change:.2g}, orthogonal to every retained model gradient within "
            f"{self.gradient_orthogonality:.2g}."
        )
