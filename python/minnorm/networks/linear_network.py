"""Linear networks: the predictor is projected exactly by moving the first layer alone.

Invariant: ``weights`` are read-only float64 arrays of fitting shapes, and ``predictor()`` is their
product, finite.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import _backend
from .._validation import Array, as_parameters, as_rows, check_finite, one_of
from ..errors import InputError, RankError, ShapeError
from ..projection import unlearn_linear
from .balanced_factors import balanced_factors, least_norm, singular_triplets
from .certificate import NetworkCertificate, change_of_outputs, largest_cosine, norm

_EPS = float(np.finfo(np.float64).eps)


def _layer_name(position: int, depth: int) -> str:
    symbol = "c" if position == depth - 1 else f"A_{position + 1}"
    return f"weights[{position}] ({symbol})"


def _checked(weights: Any) -> tuple[Array, ...]:
    """Owned layers whose shapes fit, or an error that names the layer."""
    try:
        given = list(weights)
    except TypeError as error:
        raise InputError(
            f"weights must be a sequence of arrays [A_1, ..., A_(L-1), c]; got {weights!r}."
        ) from error
    depth = len(given)
    if depth < 2:
        raise ShapeError(
            f"weights must hold at least two layers, [A_1, c]; got {depth}. For one layer use "
            f"minnorm.unlearn_linear."
        )
    layers: list[Array] = []
    for position, values in enumerate(given):
        name, last = _layer_name(position, depth), position == depth - 1
        inputs = "p" if position == 0 else f"h_{position}"
        shapes = (f"({inputs},)", f"(t, {inputs})") if last else (f"(h_{position + 1}, {inputs})",)
        layer = as_parameters(values, shapes=shapes, name=name)
        if layers and layer.shape[-1] != len(layers[-1]):
            raise ShapeError(
                f"{name} must have one column per row of {_layer_name(position - 1, depth)}: "
                f"expected {len(layers[-1])}, got shape {layer.shape}. Layers map x to "
                f"c A_(L-1) ... A_1 x; transpose a layer stored as (inputs, outputs)."
            )
        layers.append(layer)
    return tuple(layers)


def _product(layers: Sequence[Array]) -> Array:
    """The last layer times ... times the first, from the side of the outputs: (t, columns)."""
    product = np.atleast_2d(layers[-1])
    with np.errstate(over="ignore", invalid="ignore"):  # reported by check_finite
        for layer in reversed(layers[:-1]):
            product = product @ layer
    check_finite(product, "the product of the weights")
    return product


def _rounding_of_outputs(layers: Sequence[Array], X: Array) -> float:
    """A bound of the rounding of any output: gamma_m |c| |A_(L-1)| ... |A_1| |x|, largest.

    m additions follow each other at most, m the sum of the layers' widths and p.
    """
    sizes = _product([np.abs(layer) for layer in layers])
    additions = sum(layer.shape[-1] for layer in layers)
    return additions * _EPS * float(np.max(np.abs(X) @ sizes.T))


class LinearNetwork:
    """A linear network ``f(x) = c^T A_(L-1) ... A_1 x`` of any depth L >= 2 and any widths.

    Parameters
    ----------
    weights : sequence of array-like
        [A_1, ..., A_(L-1), c] with A_l of shape (h_l, h_(l-1)), h_0 = p, and c of shape
        (h_(L-1),), or (t, h_(L-1)) for t outputs. Copied, to double precision.
    backend : {"auto", "native", "scipy"}, default "auto"
        As in ``LinearInterpolator``.

    Attributes
    ----------
    weights : tuple of ndarray
        The layers, read-only.
    widths : tuple of int
        h_1, ..., h_(L-1).
    depth : int
        L, the number of layers counting c.
    n_features_in_ : int
        p.
    parameter_norm : float
        2-norm of all parameters.

    Raises
    ------
    InputError, ShapeError
        A layer that cannot be used or does not fit the one before; the message names it.

    Notes
    -----
    The predictor is ``w = A_1^T ... A_(L-1)^T c``. Which w a network holds does not determine its
    layers: ``unlearn`` keeps all but A_1, ``minimum_parameter_norm`` chooses new ones.

    Examples
    --------
    >>> import numpy as np
    >>> from minnorm import LinearNetwork
    >>> network = LinearNetwork([np.eye(3), [1.0, 1.0, 0.0]], backend="scipy")
    >>> network.predictor().tolist()
    [1.0, 1.0, 0.0]
    >>> unlearned, certificate = network.unlearn([[1.0, 0.0, 0.0]])
    >>> (unlearned.predictor() + 0.0).round(12).tolist()
    [1.0, 0.0, 0.0]
    >>> len(unlearned.minimum_parameter_norm().weights)
    2
    """

    def __init__(self, weights: Any, *, backend: str = "auto") -> None:
        self.backend = one_of(backend, _backend.NAMES, "backend")
        self.weights = _checked(weights)
        self._predictor = _product(self.weights)  # (t, p)

    @classmethod
    def balanced(
        cls, predictor: Any, widths: Sequence[int], *, backend: str = "auto"
    ) -> LinearNetwork:
        """The network of least parameter norm with a given predictor (Theorem 4).

        Parameters
        ----------
        predictor : array-like, shape (p,) or (t, p)
            w, or one row of coefficients per output.
        widths : sequence of int
            h_1, ..., h_(L-1), each at least the rank of the predictor.

        Returns
        -------
        LinearNetwork
            Of depth ``len(widths) + 1``. Cost O(t p min(t, p)) and the layers.

        Raises
        ------
        RankError
            A hidden layer narrower than the rank: no network of these widths has this predictor.
        InputError, ShapeError
            Other input that cannot be used.

        Notes
        -----
        With singular values sigma_i of the predictor the least norm is
        ``sqrt(L sum_i sigma_i^(2/L))``, which for one output is ``sqrt(L) rho^(1/L)``, rho = ||w||.
        By Horn's inequality (Horn and Johnson, Topics in Matrix Analysis, section 3.3) the sum of
        ``sigma_i(W)^(2/L)`` is at most that of ``prod_l sigma_i(A_l)^(2/L)``, which by the
        inequality of the means is at most ``(1/L) sum_l ||A_l||_F^2``. Layers that share their
        singular vectors and hold equal singular values reach both. Theorem 4 is the case t = 1.
        """
        w = as_parameters(predictor, shapes=("(p,)", "(t, p)"), name="predictor")
        W = np.atleast_2d(w)
        widths = _checked_widths(widths)
        rank = len(singular_triplets(W)[1])
        if rank > min(widths):
            raise RankError(
                f"a network of widths {list(widths)} has predictors of rank at most "
                f"{min(widths)}; got a predictor of rank {rank}. Give every hidden layer at least "
                f"{rank} neurons."
            )
        return cls._of_factors(balanced_factors(W, widths, rank), w.ndim == 1, backend)

    @classmethod
    def _of_factors(cls, factors: list[Array], single: bool, backend: str) -> LinearNetwork:
        *hidden, last = factors
        return cls([*hidden, last[0] if single else last], backend=backend)

    @property
    def depth(self) -> int:
        return len(self.weights)

    @property
    def widths(self) -> tuple[int, ...]:
        return tuple(len(layer) for layer in self.weights[:-1])

    @property
    def n_features_in_(self) -> int:
        return int(self.weights[0].shape[1])

    @property
    def parameter_norm(self) -> float:
        return norm(np.array([norm(layer) for layer in self.weights]))

    @property
    def _single(self) -> bool:
        return bool(self.weights[-1].ndim == 1)

    def predictor(self) -> Array:
        """The coefficients w, shape (p,), or (t, p) for t outputs; a new array."""
        return self._predictor[0].copy() if self._single else self._predictor.copy()

    def predict(self, X: Any) -> Array:
        """Outputs ``X @ predictor().T``.

        Parameters
        ----------
        X : array-like, shape (q, p)

        Returns
        -------
        ndarray, shape (q,) or (q, t)
            Cost O(q p t).

        Raises
        ------
        InputError, ShapeError
            Samples that cannot be used, or outputs that overflow.
        """
        rows = self._rows(X, "X")
        with np.errstate(over="ignore", invalid="ignore"):  # reported by check_finite
            outputs = rows @ self._predictor.T
        check_finite(outputs, "the outputs")
        return outputs[:, 0] if self._single else outputs

    def _rows(self, X: Any, name: str) -> Array:
        rows = as_rows(X, dtype=np.float64, name=name).array
        if rows.shape[1] != self.n_features_in_:
            raise ShapeError(
                f"{name} must have one column per column of {_layer_name(0, self.depth)}: expected "
                f"{self.n_features_in_}, got shape {rows.shape}."
            )
        return rows

    def unlearn(self, X_retain: Any) -> tuple[LinearNetwork, NetworkCertificate]:
        """The network whose predictor is projected onto the span of the retained samples.

        If this network interpolates its training data, the new one's predictor is the minimum-norm
        interpolator of the retained data. Only A_1 moves.

        Parameters
        ----------
        X_retain : array-like, shape (n, p)
            The retained samples. Targets and deleted samples are not needed. Not written to.

        Returns
        -------
        network : LinearNetwork
            With the other layers of this one.
        certificate : NetworkCertificate

        Raises
        ------
        InputError, ShapeError
            Samples that cannot be used, or of another p.

        Notes
        -----
        Let B = c^T A_(L-1) ... A_2, (t, h_1), so that W = B A_1. The change is
        ``Delta = -B^+ W P`` with P the projection onto the complement of the retained span. Then
        ``B Delta = -B B^+ B A_1 P = -W P``: the predictor becomes W minus W P exactly, at any rank
        of B. The gradient of output j at x with respect to A_1 is ``b_j x^T``, b_j the j-th row of
        B, and ``<Delta, b_j x^T> = (B Delta x)_j = -(W P x)_j = 0`` at a retained x. B^+ makes
        Delta the least of all changes of A_1 with that predictor; for one output it is Lemma 1's
        ``-(b / ||b||^2) (P w)^T`` (Theorem 3). Projecting the rows of A_1 gives the same predictor
        with a larger change.

        It is computed as ``-Q Q^T A_1 P``, Q an orthonormal basis of the rows of B: no small
        singular value of B is divided by. Where B vanishes the predictor is 0, which is its own
        projection, and nothing moves; Lemma 1's formula would be 0/0 there.

        The error of the predictor is of order eps ``||B|| ||A_1||`` and that of the projection,
        whose proved bound is the certificate's ``projection``. Cost: that of ``unlearn_linear``
        with r = rank of B outputs, O(n^2 p + n^3), and O(t) times the layers' sizes.
        """
        X = self._rows(X_retain, "X_retain")
        first = self.weights[0]
        B = _product(self.weights[1:])
        Q = _row_space(B)
        # Where Q is empty the zero predictor is projected: only the rank is of use.
        moving = Q.T @ first if Q.size else self._predictor[:1]
        projected, projection = unlearn_linear(
            moving, X, return_certificate=True, backend=self.backend
        )
        moved = first - Q @ (moving - projected) if Q.size else first
        network = LinearNetwork([moved, *self.weights[1:]], backend=self.backend)
        change = network.weights[0] - first
        gradient_norms = np.outer(  # of b_j x_i^T, (n, t)
            np.linalg.norm(X, axis=1), np.linalg.norm(B, axis=1)
        )
        return network, NetworkCertificate(
            kind="linear network",
            method="projection",
            backend=projection.backend,
            n_retained=len(X),
            rank=projection.rank,
            **change_of_outputs(
                X @ self._predictor.T,
                X @ network._predictor.T,
                2 * _rounding_of_outputs(self.weights, X),
            ),
            gradient_orthogonality=largest_cosine(
                X @ (B @ change).T,
                norm(change),
                gradient_norms,
                max(first.shape) * _EPS * norm(first),
            ),
            parameter_change=norm(change),
            parameter_norm=network.parameter_norm,
            minimum_parameter_norm=network._least_parameter_norm(),
            projection=projection,
        )

    def minimum_parameter_norm(self) -> LinearNetwork:
        """The network of the same predictor, depth and widths with the least parameter norm.

        Returns
        -------
        LinearNetwork
            Balanced layers: each has squared Frobenius norm ``sum_i sigma_i^(2/L)``, the singular
            values being those of the predictor. A zero predictor gives zero layers. Cost
            O(t p min(t, p)) and the layers.

        Notes
        -----
        Theorem 4. The least-norm network that interpolates the retained data is
        ``network.unlearn(X_retain)[0].minimum_parameter_norm()``. No layer is too narrow: the
        predictor came through these widths, so its rank is at most the least of them. Singular
        values up to ``max(t, p) eps sigma_1`` are rounding and left out.
        """
        factors = balanced_factors(self._predictor, self.widths, min(self.widths))
        return self._of_factors(factors, self._single, self.backend)

    def _least_parameter_norm(self) -> float:
        sigma = singular_triplets(self._predictor)[1]
        return least_norm(sigma[: min(self.widths)], self.depth)

    def __repr__(self) -> str:
        shapes = ", ".join(str(layer.shape) for layer in self.weights)
        return f"LinearNetwork(shapes=[{shapes}], backend={self.backend!r})"


def _row_space(B: Array) -> Array:
    """Orthonormal columns (h, r) that span the rows of B (t, h)."""
    V = singular_triplets(B)[2]
    return np.ascontiguousarray(V.T)


def _checked_widths(widths: Any) -> tuple[int, ...]:
    values = tuple(widths) if isinstance(widths, Sequence | np.ndarray) else ()
    if not values or not all(isinstance(h, int | np.integer) and h > 0 for h in values):
        raise InputError(
            f"widths must be the hidden layers' numbers of neurons, at least one, each positive; "
            f"got {widths!r}."
        )
    return tuple(int(h) for h in values)
