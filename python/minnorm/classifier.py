"""Least-squares classifiers on -1/+1 coded classes, over the linear and the kernel model.

The classes are always those of the retained samples: one that loses its last sample disappears, as
in a fit on what remains.
"""

from __future__ import annotations

from typing import Any

from sklearn.base import ClassifierMixin

from ._base import DeletableModel
from ._targets import ClassTargets
from ._validation import Array
from .kernel import KernelModel
from .linear import LinearModel


class _Classifier(ClassifierMixin, DeletableModel):  # type: ignore[misc]
    """Decision values and labels over the columns of -1/+1 coded targets."""

    _targets_type = ClassTargets
    classes_: Array

    def decision_function(self, X: Any) -> Array:
        """Confidence per class, the fitted value of its -1/+1 code.

        Parameters
        ----------
        X : array-like, shape (q, p)
            With a precomputed kernel, shape (q, n).

        Returns
        -------
        ndarray, shape (q,) or (q, C)
            Binary: positive for ``classes_[1]``. Otherwise one column per class.
        """
        values = self._values(X)
        return values[:, 0] if values.shape[1] == 1 else values

    def predict(self, X: Any) -> Array:
        """Class labels.

        Parameters
        ----------
        X : array-like, shape (q, p)
            With a precomputed kernel, shape (q, n).

        Returns
        -------
        ndarray, shape (q,)
            The class of the largest decision value.
        """
        values = self.decision_function(X)
        labels: Array = self._targets.predicted(values)
        return labels

    def _refresh(self) -> None:
        super()._refresh()
        self.classes_ = self._targets.classes


class LinearInterpolatorClassifier(_Classifier, LinearModel):
    """Minimum-norm linear classifier with exact deletion of training samples.

    ``LinearInterpolator`` on targets that are +1 for a sample's class and -1 for the others: one
    column per class, one in all when there are two. Forgetting the last sample of a class removes
    the class; ``learn`` may bring new ones.

    Parameters
    ----------
    alpha : float, default 0.0
        Penalty ``alpha ||theta||_2^2`` on the squared error, in squared units of X. 0 interpolates.
    fit_intercept : bool, default True
        Add an intercept, which is not penalised.
    factorization : {"auto", "qr", "cholesky"}, default "auto"
        As in ``LinearInterpolator``.
    copy_X : bool, default True
        Keep a copy of the rows, made once; forgotten rows are overwritten in it. With False the
        model holds the caller's array and never writes to it: deletion then cannot overwrite the
        caller's rows. See ``LinearInterpolator``.
    backend : {"auto", "native", "scipy"}, default "auto"
        "auto" is the compiled core, or scipy (with a warning) where that does not load.
    dtype : None, float32 or float64, default None
        Precision to work in. None follows X.

    Attributes
    ----------
    classes_ : ndarray, shape (C,)
        Labels of the classes present, sorted.
    coef_ : ndarray, shape (1, p) or (C, p)
        Coefficients; one row when there are two classes.
    intercept_ : ndarray, shape (1,) or (C,)
        Intercepts.
    dual_coef_ : ndarray, shape (n, 1) or (n, C)
        ``coef_ = (X.T @ dual_coef_).T``.
    ids_, rank_, certificate_, n_features_in_, feature_names_in_
        As in ``LinearInterpolator``. The certificate bounds every output column.

    Notes
    -----
    Cost and source as in ``LinearInterpolator``; the factor does not depend on the number of
    classes.

    Examples
    --------
    >>> import numpy as np
    >>> from minnorm import LinearInterpolatorClassifier
    >>> rng = np.random.default_rng(0)
    >>> X, y = rng.normal(size=(6, 20)), np.array(["a", "b", "c", "a", "b", "a"])
    >>> model = LinearInterpolatorClassifier(backend="scipy").fit(X, y)
    >>> model.predict(X).tolist()
    ['a', 'b', 'c', 'a', 'b', 'a']
    >>> certificate = model.forget(2)
    >>> model.classes_.tolist(), model.coef_.shape
    (['a', 'b'], (1, 20))
    """


class KernelInterpolatorClassifier(_Classifier, KernelModel):
    """Minimum-norm kernel classifier with exact deletion of training samples.

    ``KernelInterpolator`` on targets that are +1 for a sample's class and -1 for the others: one
    column per class, one in all when there are two. Forgetting the last sample of a class removes
    the class; ``learn`` may bring new ones.

    Parameters
    ----------
    alpha : float, default 0.0
        Penalty ``alpha ||f||_H^2`` on the squared error. 0 interpolates.
    kernel, gamma, degree, coef0, kernel_params
        The kernel, as in ``KernelInterpolator``.
    copy_X : bool, default True
        Keep a copy of the rows, made once; forgotten rows are overwritten in it. With False the
        model holds the caller's array and never writes to it: deletion then cannot overwrite the
        caller's rows. See ``KernelInterpolator``.
    backend : {"auto", "native", "scipy"}, default "auto"
        "auto" is the compiled core, or scipy (with a warning) where that does not load.
    dtype : None, float32 or float64, default None
        Precision to work in. None follows X.

    Attributes
    ----------
    classes_ : ndarray, shape (C,)
        Labels of the classes present, sorted.
    dual_coef_ : ndarray, shape (n, 1) or (n, C)
        Weights of the retained samples; one column when there are two classes.
    ids_, rank_, certificate_, n_features_in_, feature_names_in_
        As in ``KernelInterpolator``. The certificate bounds every output column.

    Notes
    -----
    Cost and source as in ``KernelInterpolator``; the factor does not depend on the number of
    classes.

    Examples
    --------
    >>> import numpy as np
    >>> from minnorm import KernelInterpolatorClassifier
    >>> X = np.array([[0.0], [1.0], [4.0], [5.0]])
    >>> model = KernelInterpolatorClassifier(backend="scipy").fit(X, [0, 0, 1, 1], ids=list("abcd"))
    >>> certificate = model.forget(["b"])
    >>> model.predict([[0.5], [4.5]]).tolist(), model.ids_.tolist()
    ([0, 1], ['a', 'c', 'd'])
    """
