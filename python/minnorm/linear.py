"""Minimum-norm linear models: coefficients in the row space of the retained samples, always."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import RegressorMixin

from . import _backend
from ._base import DeletableModel
from ._validation import Array, Rows, non_negative, one_of
from .leave_one_out import LeaveOneOut, LeftOneOutRows
from .preview import BorrowedCore

FACTORIZATIONS = ("auto", "qr", "cholesky")


class LinearModel(DeletableModel):
    """The linear model behind regressor and classifier."""

    _kind = "linear"

    def __init__(
        self,
        alpha: float = 0.0,
        *,
        fit_intercept: bool = True,
        factorization: str = "auto",
        copy_X: bool = True,
        backend: str = "auto",
        dtype: Any = None,
    ) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.factorization = factorization
        self.copy_X = copy_X
        self.backend = backend
        self.dtype = dtype

    def _check_parameters(self) -> dict[str, Any]:
        return {
            "alpha": non_negative(self.alpha, "alpha"),
            "fit_intercept": bool(self.fit_intercept),
            "factorization": one_of(self.factorization, FACTORIZATIONS, "factorization"),
        }

    def _build(self, rows: Rows, Y: Array, parameters: dict[str, Any]) -> dict[str, Any]:
        backend = _backend.resolve(self.backend)
        keep = "own" if rows.fresh else "copy" if self.copy_X else "borrow"
        return {"_core": backend.LinearCore(rows.array, Y, keep=keep, **parameters)}

    def _refresh(self) -> None:
        super()._refresh()
        coef, intercept = self._core.coef, self._core.intercept
        single = self._public(coef.T).ndim == 1
        self.coef_ = coef[0] if single else coef
        self.intercept_ = intercept[0] if single else intercept

    def _values(self, X: Any) -> Array:
        queries = self._checked_queries(X)
        values: Array = queries @ np.atleast_2d(self.coef_).T
        values += self.intercept_
        return values

    def leave_one_out(self, *, parameters: bool = False) -> LeaveOneOut:
        """Held-out prediction and residual of every sample, without fitting n models.

        Parameters
        ----------
        parameters : bool, default False
            Also give the coefficients and intercepts of the n left-one-out models, the former as a
            sequence whose rows are computed when read.

        Returns
        -------
        LeaveOneOut
            ``predictions`` and ``residuals`` in the order of ``ids_``.

        Raises
        ------
        InputError
            The model holds a single sample.

        Notes
        -----
        From the inverse of the one factor: the held-out residual of sample i is a_i / M_ii, with a
        the dual coefficients and M the inverse Gram matrix (projected for the intercept). Cost
        O(n^3 / 3), and O(n p) per row of coefficients read.
        """
        if not parameters:
            return self._leave_one_out()
        residuals = self._held_out_residuals()
        positions = np.arange(len(residuals), dtype=np.int64)
        core = BorrowedCore(self._core, self, "the sequence of left-one-out coefficients")
        one_dimensional = self.coef_.ndim == 1
        influence = self._core.influence_intercept(positions)
        intercepts = self._core.intercept - residuals * influence[:, np.newaxis]
        return self._leave_one_out(
            parameters=LeftOneOutRows(
                core, self._core.coef, residuals, one_dimensional=one_dimensional
            ),
            intercepts=intercepts[:, 0] if one_dimensional else intercepts,
        )


class LinearInterpolator(RegressorMixin, LinearModel):  # type: ignore[misc]
    """Minimum-norm linear regression with exact deletion of training samples.

    Among the coefficients that fit the retained samples best it holds those of least 2-norm:
    ``pinv(X) @ y``, which interpolates when the rows are independent (p may far exceed n). With
    ``alpha > 0`` it is ridge regression. ``forget`` gives, in milliseconds, the model that a fit on
    the remaining samples would give, and a proved bound of the distance to it.

    Parameters
    ----------
    alpha : float, default 0.0
        Penalty ``alpha ||theta||_2^2`` on the squared error, in squared units of X. 0 interpolates.
    fit_intercept : bool, default True
        Add an intercept, which is not penalised.
    factorization : {"auto", "qr", "cholesky"}, default "auto"
        "cholesky" factors the Gram matrix, n^2 p + n^3 / 3 flops, with an error of order
        eps cond(X)^2 before refinement. "qr" factors the rows, 2 n^2 p flops, with an error of
        order eps cond(X). "auto" takes the Gram matrix and changes to QR when the condition
        estimate passes 1e6 (43 in single precision) or when no bound can be proved otherwise.
    copy_X : bool, default True
        Keep a copy of the rows, made once; forgotten rows are overwritten in it. With False the
        model holds the caller's array when that is C-contiguous float32 or float64, reads it and
        never writes to it: deletion then cannot overwrite the caller's rows, which stay in memory
        until the caller removes them, and the caller must not change the array while the model is
        in use. An array that had to be converted is the model's own in either case, and so is not
        copied again. The copy lies in the order in which deletion reads it; from rows as they are
        (an array that is read in place or had to be converted) a deletion takes up to one and a
        half times as long.
    backend : {"auto", "native", "scipy"}, default "auto"
        "auto" is the compiled core, or scipy (with a warning) where that does not load.
    dtype : None, float32 or float64, default None
        Precision to work in. None follows X.

    Attributes
    ----------
    coef_ : ndarray, shape (p,) or (t, p)
        Coefficients, of minimum norm; (t, p) for targets of shape (n, t).
    intercept_ : float or ndarray, shape (t,)
        Intercept, 0 without one.
    dual_coef_ : ndarray, shape (n,) or (n, t)
        ``coef_ = X.T @ dual_coef_``, of least norm among those.
    ids_ : ndarray, shape (n,)
        Ids of the retained samples in insertion order.
    rank_ : int
        Independent samples (affinely independent with an intercept), by the tolerance
        ``max(n, p) eps sigma_max(X)``.
    certificate_ : Certificate
        Proved distance to retraining.
    n_features_in_ : int
        p.
    feature_names_in_ : ndarray, shape (p,)
        Column names, when X was a data frame with text names.

    See Also
    --------
    KernelInterpolator : The same with a kernel.
    unlearn_linear : For coefficients that did not come from here.

    Notes
    -----
    One triangular factor L L^T = X X^T (+ alpha I) is held, n^2 numbers, and no p x p or n x p
    orthogonal matrix. Cost: fit O(n^2 p + n^3), ``forget`` of k samples O(k n^2 + n p), prediction
    O(p) per row. For independent rows the result is the projection of Theorem 2 (Block, Mokhtari,
    Shakkottai, arXiv 2505.22601). The semi-normal equations with the factor from QR are backward
    stable for minimum-norm problems (Demmel and Higham, SIAM J. Matrix Anal. Appl. 14, 1993).

    Examples
    --------
    >>> import numpy as np
    >>> from minnorm import LinearInterpolator
    >>> rng = np.random.default_rng(0)
    >>> X, y = rng.normal(size=(6, 20)), rng.normal(size=6)
    >>> model = LinearInterpolator(backend="scipy").fit(X, y)
    >>> certificate = model.forget([1, 4])
    >>> model.ids_.tolist()
    [0, 2, 3, 5]
    >>> fresh = LinearInterpolator(backend="scipy").fit(X[[0, 2, 3, 5]], y[[0, 2, 3, 5]])
    >>> bool(np.linalg.norm(model.coef_ - fresh.coef_) < 1e-13)
    True
    """

    def predict(self, X: Any) -> Array:
        """Predictions ``X @ coef_.T + intercept_``.

        Parameters
        ----------
        X : array-like, shape (q, p)

        Returns
        -------
        ndarray, shape (q,) or (q, t)
            In the model's dtype. Cost O(q p t).
        """
        return self._public(self._values(X))
