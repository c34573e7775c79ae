"""Minimum-norm kernel models: functions in the span of the kernel at the retained samples.

A kernel that is a Python function is evaluated here, once per pair; the backend then sees a
precomputed matrix, and the rows that later predictions need are kept (and overwritten) here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted

from . import _backend
from ._base import DeletableModel
from ._gram import KERNELS, check_symmetric, evaluate, symmetrised
from ._validation import (
    Array,
    Rows,
    as_owned_rows,
    as_rows,
    finite,
    non_negative,
    one_of,
    positive,
)
from .errors import InputError, ShapeError


class KernelModel(DeletableModel):
    """The kernel model behind regressor and classifier."""

    _kind = "kernel"
    _rows: Array | None  # of a callable kernel, in insertion order
    _precomputed: bool  # the fitted model is given kernel values instead of features
    _callable: tuple[Callable[..., float], dict[str, Any]] | None  # the kernel used at fit

    def __init__(
        self,
        alpha: float = 0.0,
        *,
        kernel: str | Callable[..., float] = "rbf",
        gamma: float | None = None,
        degree: float = 3,
        coef0: float = 1,
        kernel_params: Mapping[str, Any] | None = None,
        copy_X: bool = True,
        backend: str = "auto",
        dtype: Any = None,
    ) -> None:
        self.alpha = alpha
        self.kernel = kernel
        self.gamma = gamma
        self.degree = degree
        self.coef0 = coef0
        self.kernel_params = kernel_params
        self.copy_X = copy_X
        self.backend = backend
        self.dtype = dtype

    def _check_parameters(self) -> dict[str, Any]:
        if callable(self.kernel):
            kernel = "precomputed"
        else:
            kernel = one_of(self.kernel, KERNELS, "kernel")
            if self.kernel_params:
                raise InputError(
                    f"kernel_params are the arguments of a callable kernel; got "
                    f"{dict(self.kernel_params)!r} with kernel={kernel!r}. Use gamma, degree and "
                    f"coef0, or kernel_params=None."
                )
        degree = non_negative(self.degree, "degree")
        return {
            "alpha": non_negative(self.alpha, "alpha"),
            "kernel": kernel,
            "gamma": None if self.gamma is None else positive(self.gamma, "gamma"),
            "degree": int(degree) if degree.is_integer() else degree,
            "coef0": finite(self.coef0, "coef0"),
        }

    def _build(self, rows: Rows, Y: Array, parameters: dict[str, Any]) -> dict[str, Any]:
        backend = _backend.resolve(self.backend)
        if parameters["gamma"] is None:
            parameters["gamma"] = 1.0 / rows.array.shape[1]
        function = held = None
        if callable(self.kernel):
            function = (self.kernel, dict(self.kernel_params or {}))
            held = as_owned_rows(rows, copy=True).array
            rows = Rows(evaluate(function[0], held, held, function[1]), True)
        rows = as_owned_rows(rows, copy=self.copy_X)
        return {
            "_core": backend.KernelCore(rows.array, Y, owns_rows=rows.fresh, **parameters),
            "_precomputed": parameters["kernel"] == "precomputed" and function is None,
            "_callable": function,
            "_rows": held,
        }

    # ---- rows

    def _record_features(self, X: Any) -> None:
        if self.kernel != "precomputed":
            super()._record_features(X)
            return
        # Columns are samples here; they come and go, and their names would go stale.
        self.n_features_in_ = len(X)
        if hasattr(self, "feature_names_in_"):
            del self.feature_names_in_

    def _checked_rows(self, X: Any) -> Rows:
        rows = super()._checked_rows(X)
        return symmetrised(rows) if self.kernel == "precomputed" else rows

    def _check_features(self, X: Any, n_features: int) -> None:
        if not self._precomputed:
            super()._check_features(X, n_features)
        elif n_features != self._core.n_samples:
            raise ShapeError(
                f"X has {n_features} features, but {type(self).__name__} is expecting "
                f"{self._core.n_samples} features as input: with a precomputed kernel one column "
                f"per retained sample, in the order of ids_."
            )

    def _checked_new_rows(self, X: Any) -> Rows:
        if not self._precomputed:
            return super()._checked_new_rows(X)
        rows = as_rows(X, dtype=self._dtype)
        m, n = len(rows.array), self._core.n_samples
        if rows.array.shape[1] != n + m:
            raise ShapeError(
                f"with a precomputed kernel, learn expects X of shape (m, n + m) for m new and n = "
                f"{n} retained samples: ({m}, {n + m}); got {rows.array.shape}."
            )
        check_symmetric(rows.array[:, n:], "X[:, n:]")
        return rows

    def _checked_queries(self, X: Any) -> Array:
        check_is_fitted(self)
        if not self._precomputed:
            return super()._checked_queries(X)
        rows = as_rows(X, dtype=self._dtype)
        self._check_features(X, rows.array.shape[1])
        return rows.array

    def _learn_rows(self, rows: Rows, Y: Array) -> Array:
        if self._callable is None:
            return super()._learn_rows(rows, Y)
        function, parameters = self._callable
        new, held = rows.array, self._rows
        assert held is not None
        values = np.hstack(
            [evaluate(function, new, held, parameters), evaluate(function, new, new, parameters)]
        )
        joined = np.vstack([held, new])
        handles = super()._learn_rows(Rows(values, True), Y)
        self._rows = joined
        return handles

    def _drop_rows(self, positions: Array) -> None:
        if self._rows is not None:
            held, self._rows = self._rows, np.delete(self._rows, positions, axis=0)
            held.fill(0)

    def _share_rows(self, view: DeletableModel, positions: Array) -> None:
        assert isinstance(view, KernelModel)
        view._precomputed = self._precomputed
        view._callable = self._callable
        view._rows = None if self._rows is None else np.delete(self._rows, positions, axis=0)

    def _refresh(self) -> None:
        super()._refresh()
        if self._precomputed:
            self.n_features_in_ = int(self._core.n_samples)

    def _values(self, X: Any) -> Array:
        queries = self._checked_queries(X)
        if self._callable is not None:
            function, parameters = self._callable
            assert self._rows is not None
            queries = evaluate(function, queries, self._rows, parameters)
        values: Array = self._core.predict(queries)
        return values

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = self.kernel == "precomputed"
        return tags


class KernelInterpolator(RegressorMixin, KernelModel):  # type: ignore[misc]
    """Minimum-norm kernel regression with exact deletion of training samples.

    Among the functions that fit the retained samples best it holds the one of least norm in the
    kernel's Hilbert space: f(x) = sum_i k(x, x_i) a_i. With ``alpha > 0`` it is kernel ridge
    regression. ``forget`` gives the model that a fit on the remaining samples would give, and a
    proved bound of the distance to it, at every x.

    Parameters
    ----------
    alpha : float, default 0.0
        Penalty ``alpha ||f||_H^2`` on the squared error. 0 interpolates.
    kernel : str or callable, default "rbf"
        "linear" x.z; "rbf" exp(-gamma ||x - z||_2^2); "laplacian" exp(-gamma ||x - z||_1);
        "polynomial" (gamma x.z + coef0)^degree; "matern32" (1 + a) exp(-a) with
        a = sqrt(6 gamma) ||x - z||_2; "matern52" (1 + a + a^2 / 3) exp(-a) with
        a = sqrt(10 gamma) ||x - z||_2 (length scale l where gamma = 1 / (2 l^2)); "precomputed":
        X is the kernel matrix (n, n); or a function k(x, z, **kernel_params) of two rows, called
        n (n + 1) / 2 times at fit and taken to be symmetric.
    gamma : float, default None
        Inverse squared length of the kernel, > 0. None is 1 / n_features.
    degree : float, default 3
        Of the polynomial kernel, >= 0.
    coef0 : float, default 1
        Constant of the polynomial kernel.
    kernel_params : mapping, default None
        Keyword arguments of a callable kernel.
    copy_X : bool, default True
        Keep a copy of the rows, made once; forgotten rows are overwritten in it. With False the
        model holds the caller's array when that is C-contiguous float32 or float64, reads it and
        never writes to it: deletion then cannot overwrite the caller's rows, which stay in memory
        until the caller removes them, and the caller must not change the array while the model is
        in use. With a callable kernel the model always keeps its own copy of the rows.
    backend : {"auto", "native", "scipy"}, default "auto"
        "auto" is the compiled core, or scipy (with a warning) where that does not load.
    dtype : None, float32 or float64, default None
        Precision to work in. None follows X.

    Attributes
    ----------
    dual_coef_ : ndarray, shape (n,) or (n, t)
        The a_i, of least norm among those of the same function; (n, t) for targets (n, t).
    ids_ : ndarray, shape (n,)
        Ids of the retained samples in insertion order.
    rank_ : int
        Independent samples, by the tolerance ``max(n eps64, 8 eps) lambda_max(K)``, eps of the
        data's precision: the factorization runs in double.
    certificate_ : Certificate
        Proved distance to retraining. The kernel matrix as evaluated in working precision is taken
        as the definition of the problem.
    n_features_in_ : int
        Features; with a precomputed kernel the samples held now.
    feature_names_in_ : ndarray
        Column names, when X was a data frame with text names.

    See Also
    --------
    LinearInterpolator : The same without a kernel, in O(n p) memory.

    Notes
    -----
    One triangular factor L L^T = K + alpha I is held, n^2 numbers, beside K. Cost: fit O(n^2 p +
    n^3 / 3), ``forget`` of k samples O(k n^2), prediction O(n p) per row. A precomputed matrix is
    replaced by its symmetric part when it is symmetric only up to rounding. The minimum-norm
    interpolator is that of Definition 2 and Theorem 2 (Block, Mokhtari, Shakkottai, arXiv
    2505.22601) in the kernel's Hilbert space. A kernel matrix that is not positive semidefinite
    raises ``NotPositiveDefiniteError``.

    Examples
    --------
    >>> import numpy as np
    >>> from minnorm import KernelInterpolator
    >>> X = np.linspace(0.0, 6.0, 25)[:, np.newaxis]
    >>> y = np.sin(X[:, 0])
    >>> y[7] = 3.0
    >>> model = KernelInterpolator(kernel="matern52", gamma=0.5, backend="scipy").fit(X, y)
    >>> certificate = model.forget(7)
    >>> bool(abs(model.predict(X[[7]])[0] - np.sin(X[7, 0])) < 1e-3)
    True
    >>> certificate.n_retained, certificate.prediction_error_bound < 1e-9
    (24, True)
    """

    def predict(self, X: Any) -> Array:
        """Predictions ``k(X, X_retained) @ dual_coef_``.

        Parameters
        ----------
        X : array-like, shape (q, p)
            With a precomputed kernel, shape (q, n): kernel values with the retained samples in the
            order of ``ids_``.

        Returns
        -------
        ndarray, shape (q,) or (q, t)
            In the model's dtype. Cost O(q n (p + t)).
        """
        return self._public(self._values(X))
