"""Two-layer perceptrons: the least number of active neurons by moving the output layer alone.

Invariant: ``A`` (h, p) and ``c`` (h,) or (t, h) are read-only float64 arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._validation import Array, as_parameters, as_rows, check_finite, one_of, positive
from ..errors import InputError, ShapeError
from . import activations
from .certificate import NetworkCertificate, change_of_outputs, largest_cosine, norm
from .sparse_output import basic_weights, least_1_norm_weights

SPARSIFY = ("basic", "l1")

_EPS = float(np.finfo(np.float64).eps)


class TwoLayerPerceptron:
    """The network ``f(x) = c^T phi(A x)`` with h neurons, phi acting on each entry.

    Parameters
    ----------
    A : array-like, shape (h, p)
        Row i is neuron i. Copied, to double precision.
    c : array-like, shape (h,) or (t, h)
        Output weights; with t outputs one row each.
    activation : {"relu", "silu", "tanh", "gelu"} or callable
        phi. A function takes an array (q, h) and returns the values of its entries, of the same
        shape. "gelu" is the exact one.

    Attributes
    ----------
    A, c : ndarray
        Read-only.
    activation : str or callable
    n_neurons : int
        h.
    n_active : int
        Neurons with ``||c_i|| ||a_i|| > 0``, c_i the output weights of neuron i.
    parameter_norm : float
        2-norm of all parameters.
    n_features_in_ : int
        p.

    Raises
    ------
    InputError, ShapeError
        Layers that cannot be used or do not fit; the message names the layer.

    Notes
    -----
    Biases: append a constant 1 to x, and so to the rows of A.

    Examples
    --------
    >>> from minnorm import TwoLayerPerceptron
    >>> A = [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
    >>> network = TwoLayerPerceptron(A, [1.0, 2.0, 3.0], "relu")
    >>> unlearned, certificate = network.unlearn([[1.0, 0.0]])
    >>> certificate.neurons_after, unlearned.predict([[1.0, 0.0]]).round(12).tolist()
    (1, [4.0])
    >>> unlearned.prune(drop=True).A.shape
    (1, 2)
    """

    def __init__(self, A: Any, c: Any, activation: Any) -> None:
        self.A = as_parameters(A, shapes=("(h, p)",), name="A")
        self.c = as_parameters(c, shapes=("(h,)", "(t, h)"), name="c")
        self.activation = activation
        self._phi = activations.resolve(activation)
        if self.c.shape[-1] != len(self.A):
            raise ShapeError(
                f"c must have one weight per row of A: expected shape ({len(self.A)},) or "
                f"(t, {len(self.A)}), got {self.c.shape}. Transpose output weights stored as "
                f"(h, t)."
            )

    @property
    def n_neurons(self) -> int:
        return len(self.A)

    @property
    def n_features_in_(self) -> int:
        return int(self.A.shape[1])

    @property
    def n_active(self) -> int:
        return int(np.sum(self._in_use & self.A.any(axis=1)))

    @property
    def parameter_norm(self) -> float:
        return norm(np.array([norm(self.A), norm(self.c)]))

    @property
    def _in_use(self) -> Array:
        """Neurons with an output weight that is not zero, (h,)."""
        in_use: Array = np.any(np.atleast_2d(self.c) != 0, axis=0)
        return in_use

    def features(self, X: Any) -> Array:
        """``phi(X A^T)``.

        Parameters
        ----------
        X : array-like, shape (q, p)

        Returns
        -------
        ndarray, shape (q, h)
            Row i holds the gradient of an output at x_i with respect to its output weights. Cost
            O(q p h).

        Raises
        ------
        InputError, ShapeError
            Samples that cannot be used, or features that are not finite.
        """
        return self._features(X, "X")

    def _features(self, X: Any, name: str) -> Array:
        rows = as_rows(X, dtype=np.float64, name=name).array
        if rows.shape[1] != self.n_features_in_:
            raise ShapeError(
                f"{name} must have one column per column of A: expected {self.n_features_in_}, got "
                f"shape {rows.shape}."
            )
        with np.errstate(over="ignore", invalid="ignore"):  # reported with the features
            preactivations = rows @ self.A.T
        return activations.apply(self._phi, preactivations)

    def predict(self, X: Any) -> Array:
        """Outputs ``phi(X A^T) c^T``.

        Parameters
        ----------
        X : array-like, shape (q, p)

        Returns
        -------
        ndarray, shape (q,) or (q, t)
            Cost O(q h (p + t)).

        Raises
        ------
        InputError, ShapeError
            Samples that cannot be used, or outputs that overflow.
        """
        outputs = self._outputs(self.features(X))
        return outputs[:, 0] if self.c.ndim == 1 else outputs

    def _outputs(self, features: Array) -> Array:
        """(q, t), finite."""
        with np.errstate(over="ignore", invalid="ignore"):  # reported by check_finite
            outputs = features @ np.atleast_2d(self.c).T
        check_finite(outputs, "the outputs")
        return outputs

    def unlearn(
        self, X_retain: Any, sparsify: str = "basic", rtol: float | None = None
    ) -> tuple[TwoLayerPerceptron, NetworkCertificate]:
        """The network with the same outputs on the retained samples and at most s active neurons.

        s is the dimension of the span of the retained features ``phi(A x)``, at most the number of
        retained samples. Only c moves.

        Parameters
        ----------
        X_retain : array-like, shape (n, p)
            The retained samples. Targets and deleted samples are not needed. Not written to.
        sparsify : {"basic", "l1"}, default "basic"
            "basic" solves for s independent neurons. "l1" finds a vertex of the output weights of
            least 1-norm with the same retained outputs, at most s neurons as well; single output
            only. Where no vertex keeps the outputs to working precision, as with weights that
            differ by hundreds of orders of magnitude, the basic solution is returned and the
            certificate's ``method`` says so.
        rtol : float, optional
            A feature vector, scaled to norm 1, adds to the rank if it is farther than rtol from
            the span of the others. Default ``max(n, h) eps``. A larger one trades the retained
            outputs for fewer neurons; the certificate's residual says at what price.

        Returns
        -------
        network : TwoLayerPerceptron
            With the same A. Call ``prune`` on it to clear the rows of neurons out of use.
        certificate : NetworkCertificate

        Raises
        ------
        InputError, ShapeError
            Samples or arguments that cannot be used; "l1" with several outputs.

        Notes
        -----
        Theorem 5 and Lemma 6. Phi (n, h) being the retained features, every c~ with
        ``Phi c~ = Phi c`` differs from c by a vector orthogonal to every retained model gradient;
        s independent columns of Phi carry a solution. With several outputs the same s columns
        carry one for each, so the bound is unchanged; a vertex of the 1-norm chooses them for each
        output by itself, and t of them may use t s neurons.

        Neurons whose output weight is zero stay out of use. Columns are weighted by ``||c_i||``:
        the choice is of contributions to the output and, for "relu", the same however a factor is
        shared between a_i and c_i. Cost O(n h min(n, h)) after the features. "l1" adds a linear
        program of s rows and 2 h columns, in practice O(s) pivots of cost O(s h).
        """
        one_of(sparsify, SPARSIFY, "sparsify")
        if sparsify == "l1" and self.c.ndim == 2:
            raise InputError(
                f"sparsify='l1' is for a single output, c of shape (h,); got c of shape "
                f"{self.c.shape}. Use sparsify='basic', which keeps its bound with several outputs."
            )
        features = self._features(X_retain, "X_retain")
        n, h = features.shape
        tolerance = max(n, h) * _EPS if rtol is None else positive(rtol, "rtol")
        before = np.atleast_2d(self.c)
        used = np.flatnonzero(self._in_use)
        after = np.zeros_like(before)
        after[:, used], rank = basic_weights(features[:, used], before[:, used], tolerance)
        method = "basic"
        if sparsify == "l1":
            vertex = least_1_norm_weights(features[:, used], before[0, used], tolerance)
            method = "l1" if vertex else "basic"
            # The basic solution is a vertex too; it can be the lesser only by rounding.
            if vertex and np.abs(vertex[0]).sum() < np.abs(after).sum():
                after[0, used], rank = vertex
        network = TwoLayerPerceptron(self.A, after.reshape(self.c.shape), self.activation)
        return network, self._certificate(network, features, rank, method)

    def _certificate(
        self, network: TwoLayerPerceptron, features: Array, rank: int, method: str
    ) -> NetworkCertificate:
        before, after = np.atleast_2d(self.c), np.atleast_2d(network.c)
        change = after - before
        # Both sums take the same features, so only the h additions of each round. The sizes are
        # those of theta*: an unlearned network whose terms cancel more than these loses outputs.
        outputs = self._outputs(features)
        unit = 2 * self.n_neurons * _EPS
        rounding = float(np.max(np.abs(features) @ (unit * np.abs(before)).T))
        return NetworkCertificate(
            kind="two-layer perceptron",
            method=method,
            backend="scipy",
            n_retained=len(features),
            rank=rank,
            **change_of_outputs(outputs, network._outputs(features), rounding),
            gradient_orthogonality=largest_cosine(
                features @ change.T,
                norm(change),
                np.repeat(np.linalg.norm(features, axis=1)[:, np.newaxis], len(before), axis=1),
                self.n_neurons * _EPS * norm(before),
            ),
            parameter_change=norm(change),
            parameter_norm=network.parameter_norm,
            neurons_before=self.n_active,
            neurons_after=network.n_active,
            neuron_bound=rank,
        )

    def prune(self, *, drop: bool = False) -> TwoLayerPerceptron:
        """The same function with nothing left in A of the neurons out of use.

        Parameters
        ----------
        drop : bool, default False
            False keeps h neurons and zeroes the rows of A whose output weights are all zero. True
            leaves these neurons out; one zero neuron stays if none is in use.

        Returns
        -------
        TwoLayerPerceptron
            Outputs agree everywhere: the terms of the sum that change are products with a zero
            weight (phi(0) must be finite). With ``drop=False`` the sums have the same terms in the
            same order, and the outputs are equal to the last bit; with ``drop=True`` they may be
            grouped differently, and are equal to rounding. Cost O(h p).

        Notes
        -----
        Proposition 1 and Corollary 1. The rows that stay are those of the trained network.
        """
        used = self._in_use
        if drop and used.any():
            return TwoLayerPerceptron(self.A[used], self.c[..., used], self.activation)
        if drop:
            return TwoLayerPerceptron(self.A[:1] * 0.0, self.c[..., :1], self.activation)
        A = np.where(used[:, np.newaxis], self.A, 0.0)
        return TwoLayerPerceptron(A, self.c, self.activation)

    def __repr__(self) -> str:
        return (
            f"TwoLayerPerceptron(A={self.A.shape}, c={self.c.shape}, "
            f"activation={self.activation!r})"
        )
