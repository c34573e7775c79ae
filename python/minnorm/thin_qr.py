"""An orthonormal basis of the row space with its triangle, kept while rows come and go."""

from __future__ import annotations

from typing import Any

from . import _backend as backends
from . import _tensors
from ._positions import as_positions
from ._validation import Array, as_rows, non_negative
from .errors import InputError, ShapeError


class ThinQR:
    """``X[basis_] = L_ @ Q_``: independent rows as a triangle times orthonormal rows.

    For X (n, p), typically n much smaller than p. Rows that depend on others to the tolerance are
    kept aside with their weights, ``X[dependents_] = weights_ @ X[basis_]``. Rows are deleted and
    added by orthogonal transformations of both factors, so it stays as orthonormal as when fresh.

    Parameters
    ----------
    X : array-like or CPU tensor, shape (n, p)
        Read, not held. float32 stays float32; sums are in double precision.
    rtol : float or None, default None
        A row is dependent when its distance to the span of the basis is at most ``sqrt(rtol)``
        times the largest singular value, of the rows scaled to unit length. None is
        ``(max(n, 16) eps)^2``: dependent to rounding. It counts the rows held.
    backend : {"auto", "native", "scipy"}, default "auto"
        "auto" is the compiled core, or scipy (with a warning) where that does not load.

    Attributes
    ----------
    Q_ : ndarray, shape (r, p)
        Orthonormal rows that span the rows of X; not to be written to.
    L_ : ndarray, shape (r, r)
        Lower triangular, with positive diagonal.
    basis_ : ndarray, shape (r,)
        Positions of the independent rows, in the order of the rows of ``L_``.
    dependents_ : ndarray, shape (n - r,)
        Positions of the others, in the order of the rows of ``weights_``.
    weights_ : ndarray, shape (n - r, r)
        ``X[dependents_] = weights_ @ X[basis_]`` to the tolerance.
    rank_ : int
        r.
    n_rows_ : int
        n.

    Raises
    ------
    InputError, ShapeError
        No rows, NaN or infinity, or no two-dimensional real array.

    Notes
    -----
    A QR of X^T by panels gives the triangle, column pivoting the basis; Q from the triangle and
    two rounds of Cholesky QR (Yamamoto, Nakatsukasa, Yanagisawa and Fukaya, ETNA 44, 2015). Cost:
    about 9 n^2 p flops to factor, O(r^2 p) per deletion, O(n r p) to add n rows. Memory: Q.
    X is not held. A dependent row that takes the place of a deleted one is known by its weights,
    so ``X[basis_] = L_ @ Q_`` holds for it to the tolerance of ``rtol``: rounding, by default.
    scipy's ``qr_delete`` and ``qr_insert`` do this for one vector at a time with the long side in
    columns, and do not watch the rank.

    Examples
    --------
    >>> import numpy as np
    >>> from minnorm import ThinQR
    >>> X = np.array([[3.0, 4.0, 0.0], [0.0, 0.0, 2.0], [3.0, 4.0, 2.0]])
    >>> qr = ThinQR(X, backend="scipy")
    >>> qr.rank_, np.allclose(X[qr.basis_], qr.L_ @ qr.Q_)
    (2, True)
    >>> qr.delete_rows([0]).rank_
    2
    """

    def __init__(self, X: Any, *, rtol: float | None = None, backend: str = "auto") -> None:
        tolerance = None if rtol is None else non_negative(rtol, "rtol")
        if tolerance is not None and tolerance >= 1.0:
            raise InputError(f"rtol must be below 1; got {rtol!r}.")
        rows = as_rows(_tensors.as_array(X, "X")).array
        self._core: backends.ThinQRCore = backends.resolve(backend).ThinQRCore(rows, rtol=tolerance)
        self._backend = backend
        self._shown: Array | None = None  # Q as handed out, until it changes

    @property
    def Q_(self) -> Array:
        if self._shown is None:
            self._shown = self._core.Q.view()
            self._shown.flags.writeable = False
        return self._shown

    @property
    def L_(self) -> Array:
        return self._core.L

    @property
    def basis_(self) -> Array:
        return self._core.basis

    @property
    def dependents_(self) -> Array:
        return self._core.dependents

    @property
    def weights_(self) -> Array:
        return self._core.weights

    @property
    def rank_(self) -> int:
        return self._core.rank

    @property
    def n_rows_(self) -> int:
        return self._core.n_rows

    def __repr__(self) -> str:
        return f"<ThinQR of {self.n_rows_} rows, {self._core.n_columns} columns, rank {self.rank_}>"

    def delete_rows(self, rows: Any) -> ThinQR:
        """Without these rows; the others keep their order, as with ``np.delete``.

        Parameters
        ----------
        rows : int or array-like of int, or boolean mask (n,)
            Positions among the rows held now; negative ones count from the end.

        Returns
        -------
        ThinQR
            This object. Cost O(r^2 p) at most; nothing of a deleted row stays in ``Q_``.

        Raises
        ------
        InputError
            An unknown or repeated row, none, or all of them. Nothing changes.
        """
        self._core.delete_rows(as_positions(rows, self._core.n_rows))
        self._shown = None
        return self

    def add_rows(self, X_new: Any) -> ThinQR:
        """With the rows of ``X_new`` (n, p) after the others.

        Returns
        -------
        ThinQR
            This object. Cost O(n r p + n^2 p).

        Raises
        ------
        InputError, ShapeError
            Rows that cannot be used, or of another length. Nothing changes.
        """
        rows = as_rows(
            _tensors.as_array(X_new, "X_new"), dtype=self._core.dtype, name="X_new"
        ).array
        if rows.shape[1] != self._core.n_columns:
            raise ShapeError(
                f"X_new must have as many columns as X: expected {self._core.n_columns}, got "
                f"{rows.shape[1]}."
            )
        self._core.add_rows(rows)
        self._shown = None
        return self

    def __getstate__(self) -> dict[str, Any]:
        """Plain arrays; the core is rebuilt from them, in either backend."""
        return {"core": self._core.state(), "backend": self._backend}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._core = backends.restore(state["core"], state["backend"])
        self._backend = state["backend"]
        self._shown = None
