"""The fitted state of an estimator: a backend's core, ids and targets of the same samples.

Every fitted attribute is a copy of what the core says, set by ``_refresh`` after each change. A
saved model is plain arrays of the retained samples alone; the core is rebuilt from them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from . import _backend
from ._sample_ids import SampleIds
from ._targets import ClassTargets, RegressionTargets
from ._validation import Array, Rows, as_owned_rows, as_rows
from .certificate import Certificate
from .errors import InputError, ShapeError

# Recomputed from the core, so that a saved model holds them once.
_REFRESHED = ("coef_", "intercept_", "dual_coef_", "ids_", "rank_", "certificate_", "classes_")


class FittedModel(BaseEstimator):  # type: ignore[misc]
    """State, its checks against new arrays, and its persistence."""

    _kind: str  # "linear" or "kernel": the norm that certificates speak of
    _targets_type: type[RegressionTargets] | type[ClassTargets] = RegressionTargets

    # The constructor arguments used here; each subclass documents its own.
    backend: str
    copy_X: bool
    dtype: Any

    # Fitted state.
    _core: Any
    _ids: SampleIds
    _targets: Any
    _changes: int  # counts fits, deletions and insertions: what borrows from the core compares it
    _fitted_alpha: float  # constructor arguments may change after fit; these two are the model's
    _fitted_copy_X: bool
    _dtype: np.dtype[Any]
    n_features_in_: int
    coef_: Array
    intercept_: Any
    dual_coef_: Array
    ids_: Array
    rank_: int
    certificate_: Certificate

    # ---- rows

    def _checked_rows(self, X: Any) -> Rows:
        return as_rows(X, dtype=self.dtype)

    def _checked_new_rows(self, X: Any) -> Rows:
        rows = as_rows(X, dtype=self._dtype)
        self._check_features(X, rows.array.shape[1])
        return rows

    def _checked_queries(self, X: Any) -> Array:
        """Rows to predict at, in the model's dtype."""
        check_is_fitted(self)
        return self._checked_new_rows(X).array

    def _check_features(self, X: Any, n_features: int) -> None:
        if n_features != self.n_features_in_:
            raise ShapeError(
                f"X has {n_features} features, but {type(self).__name__} is expecting "
                f"{self.n_features_in_} features as input. Pass the columns used at fit, in their "
                f"order."
            )
        try:
            validate_data(self, X, skip_check_array=True, reset=False)
        except ValueError as error:  # names of data frame columns
            raise InputError(str(error)) from error

    def _record_features(self, X: Any) -> None:
        """Set ``n_features_in_`` and, of a data frame, ``feature_names_in_``."""
        validate_data(self, X, skip_check_array=True, reset=True)

    def _learn_rows(self, rows: Rows, Y: Array) -> Array:
        rows = as_owned_rows(rows, copy=self._fitted_copy_X)
        handles: Array = self._core.learn(rows.array, Y, rows.fresh)
        return handles

    def _drop_rows(self, positions: Array) -> None:
        """Called after the core has forgotten the samples at ``positions``."""

    def _share_rows(self, view: Any, positions: Array) -> None:
        """Give a preview what it needs beside its core."""

    # ---- fitted attributes

    def _refresh(self) -> None:
        """Set every fitted attribute from the core."""
        self.ids_ = self._ids.array
        self.rank_ = int(self._core.rank)
        self.dual_coef_ = self._public(self._core.dual_coef)
        self.certificate_ = self._read_certificate()

    def _read_certificate(self) -> Certificate:
        return Certificate.from_core(
            self._core.certificate,
            kind=self._kind,
            backend=self._core.backend,
            alpha=self._fitted_alpha,
        )

    def _public(self, values: Array) -> Array:
        """(n, t) as the caller's targets had it: (n,) if they were one-dimensional."""
        if isinstance(self._targets, RegressionTargets) and self._targets.one_dimensional:
            return values[:, 0]
        return values

    # ---- scikit-learn protocol

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_core")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        if self._targets_type is RegressionTargets:
            tags.target_tags.multi_output = True
        return tags

    def __getstate__(self) -> dict[str, Any]:
        """Plain arrays of the retained samples alone; the core is rebuilt from them."""
        state = dict(super().__getstate__())
        if "_core" in state:
            state["_core"] = state["_core"].state()
            for name in _REFRESHED:
                state.pop(name, None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "_core" in state:
            self._core = _backend.restore(state["_core"], self.backend)
            self._refresh()
