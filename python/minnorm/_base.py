"""What one does to a fitted model: forget, learn, preview, certify, leave one out; by sample id.

Each operation first computes all that can fail, then changes the core (which is itself all or
nothing), then the rest. So an operation either completes or leaves the model as it was.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, TypeVar

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ._fitted import FittedModel
from ._sample_ids import SampleIds
from ._targets import ClassTargets
from ._validation import Array, Rows
from .certificate import Certificate
from .errors import InputError
from .leave_one_out import LeaveOneOut
from .preview import BorrowedCore, Preview

Self = TypeVar("Self", bound="DeletableModel")


class DeletableModel(FittedModel):
    """An estimator whose training samples can be deleted exactly, and added, by id."""

    # ---- what a subclass provides

    @abstractmethod
    def _check_parameters(self) -> dict[str, Any]:
        """Constructor arguments checked, as the core wants them."""

    @abstractmethod
    def _build(self, rows: Rows, Y: Array, parameters: dict[str, Any]) -> dict[str, Any]:
        """The attributes to set: ``_core``, fitted, and what else the subclass keeps."""

    @abstractmethod
    def _values(self, X: Any) -> Array:
        """Values (q, t) of the model at the rows of ``X``."""

    # ---- fit, forget, learn

    def fit(self: Self, X: Any, y: Any, ids: Any = None) -> Self:
        """Fit the model, replacing an earlier fit.

        Parameters
        ----------
        X : array-like, shape (n, p)
            Samples as rows. float32 stays float32; every other real dtype becomes float64.
        y : array-like, shape (n,) or (n, t)
            Targets; for a classifier class labels, shape (n,).
        ids : sequence of n unique hashables, default 0 .. n-1
            A sample keeps its id for good, whatever is deleted before it.

        Returns
        -------
        self

        Raises
        ------
        InputError, ShapeError
            Arrays or parameters that cannot be used; an earlier fit stays as it was.

        Notes
        -----
        Cost O(n^2 p + n^3), see the class.
        """
        parameters = self._check_parameters()
        rows = self._checked_rows(X)
        targets, Y = self._targets_type.start(y, len(rows.array), rows.array.dtype)
        sample_ids = SampleIds()
        proposed = sample_ids.propose(ids, len(rows.array))
        built = self._build(rows, Y, parameters)
        sample_ids.add(proposed, built["_core"].handles, default=ids is None)

        self._record_features(X)
        for name, value in built.items():
            setattr(self, name, value)
        self._ids = sample_ids
        self._targets = targets
        self._fitted_alpha = parameters["alpha"]
        self._fitted_copy_X = bool(self.copy_X)
        self._dtype = rows.array.dtype
        self._changes = getattr(self, "_changes", 0) + 1
        self._refresh()
        return self

    def forget(self, ids: Any) -> Certificate:
        """Delete samples exactly: the result is the model of the remaining data.

        Parameters
        ----------
        ids : hashable or iterable of k hashables
            Ids of retained samples, in any order, each once. A tuple that is an id is one id.

        Returns
        -------
        Certificate
            What was done, and the proved distance to retraining on the remaining samples.

        Raises
        ------
        UnknownSampleError
            An id that no retained sample has, or no longer has.
        InputError
            No id, a repeated id, all ids, or (classifiers) fewer than two classes would remain.
            The model is unchanged after any error.

        Notes
        -----
        Rotations of the triangular factor, O(k n^2), then one pass over the rows, O(n p) (linear)
        or O(n^2) (kernel). Deletion never worsens the conditioning (Cauchy interlacing).
        """
        check_is_fitted(self)
        chosen = self._ids.select(ids)
        handles = self._ids.handles(chosen)
        positions = np.searchsorted(self._core.handles, handles)
        targets, Y = self._targets.drop(positions, self._dtype)
        self._core.forget(handles)
        self._changes += 1
        self._ids.remove(chosen)
        self._drop_rows(positions)
        self._targets = targets
        if Y is not None:
            self._core.set_targets(Y)
        self._refresh()
        return self.certificate_

    def learn(self: Self, X: Any, y: Any, ids: Any = None) -> Self:
        """Add samples: the result is the model of all samples now held.

        Parameters
        ----------
        X : array-like, shape (m, p)
            New samples as rows. With a precomputed kernel, shape (m, n + m): the kernel of the new
            samples with the n retained ones, in the order of ``ids_``, then with each other.
        y : array-like, shape (m,) or (m, t)
            Their targets, of the form used at fit. A classifier may see new classes here.
        ids : sequence of m unique hashables, optional
            New ids. By default the next integers never used before.

        Returns
        -------
        self

        Raises
        ------
        InputError, ShapeError
            Arrays that cannot be used, or ids already taken; the model is unchanged.

        Notes
        -----
        Rows appended to the triangular factor, O(m n^2 + m n p).
        """
        check_is_fitted(self)
        rows = self._checked_new_rows(X)
        targets, Y_new, Y = self._targets.join(y, len(rows.array), self._dtype)
        proposed = self._ids.propose(ids, len(rows.array))
        handles = self._learn_rows(rows, Y_new)
        self._changes += 1
        self._ids.add(proposed, handles, default=ids is None)
        self._targets = targets
        if Y is not None:
            self._core.set_targets(Y)
        self._refresh()
        return self

    def preview(self, ids: Any) -> Preview:
        """What ``forget(ids)`` would give; the model is not changed.

        Parameters
        ----------
        ids : hashable or iterable of k hashables
            As for ``forget``.

        Returns
        -------
        Preview
            The fitted attributes and predictions of the model without these samples.

        Raises
        ------
        UnknownSampleError, InputError
            As ``forget``.

        Notes
        -----
        Cost O(k n^2 + n p) and memory O(n^2 + p); the rows are shared with the model, not copied.
        """
        check_is_fitted(self)
        chosen = self._ids.select(ids)
        handles = self._ids.handles(chosen)
        positions = np.searchsorted(self._core.handles, handles)
        targets, Y = self._targets.drop(positions, self._dtype)
        core = self._core.preview(handles)
        if Y is not None:
            core.set_targets(Y)

        view = type(self)(**self.get_params(deep=False))
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self, name):
                setattr(view, name, getattr(self, name))
        view._core = BorrowedCore(core, self, "this preview")
        view._ids = self._ids.without(chosen)
        view._targets = targets
        for name in ("_fitted_alpha", "_fitted_copy_X", "_dtype"):
            setattr(view, name, getattr(self, name))
        view._changes = 0
        self._share_rows(view, positions)
        view._refresh()
        return Preview(view)

    def certify(self) -> Certificate:
        """The certificate of the model as it is now.

        Returns
        -------
        Certificate
            Proved distance to the model retrained from scratch on the retained samples.

        Notes
        -----
        The bounds were evaluated with the solution, from its measured residual and a lower bound of
        the least singular value that deletions inherit; reading them costs O(1).
        """
        check_is_fitted(self)
        self.certificate_ = self._read_certificate()
        return self.certificate_

    def leave_one_out(self) -> LeaveOneOut:
        """Held-out prediction and residual of every sample, without fitting n models.

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
        the dual coefficients and M the inverse Gram matrix. Cost O(n^3 / 3).
        """
        return self._leave_one_out()

    def _leave_one_out(self, **extra: Any) -> LeaveOneOut:
        residuals = self._held_out_residuals()
        values = self._core.targets - residuals
        if isinstance(self._targets, ClassTargets):
            decision = values[:, 0] if values.shape[1] == 1 else values
            extra = {**extra, "decision_values": decision}
            predictions = self._targets.predicted(decision)
            binary = values.shape[1] == 1
        else:
            predictions = self._public(values)
            binary = self._targets.one_dimensional
        return LeaveOneOut(
            ids=self.ids_.copy(),
            predictions=predictions,
            residuals=residuals[:, 0] if binary else residuals,
            **extra,
        )

    def _held_out_residuals(self) -> Array:
        check_is_fitted(self)
        if len(self.ids_) < 2:
            raise InputError(
                "leave_one_out needs at least 2 samples; the model holds 1, and without it there "
                "is no data."
            )
        residuals: Array = self._core.leave_one_out()
        return residuals
