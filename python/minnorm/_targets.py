"""What the columns of a backend's targets Y mean: real outputs, or classes coded -1/+1.

These objects never change; every operation returns the object of the new set of samples. So an
operation that fails leaves the model's own as it was.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from ._validation import Array, as_targets, check_length
from .errors import InputError, ShapeError


@dataclasses.dataclass(frozen=True)
class RegressionTargets:
    """Real targets, passed on as they are."""

    one_dimensional: bool
    n_columns: int

    @classmethod
    def start(cls, y: Any, n_samples: int, dtype: np.dtype[Any]) -> tuple[RegressionTargets, Array]:
        """From the targets of ``fit``: the object, and Y (n, t)."""
        targets, one_dimensional = as_targets(y, n_samples, dtype)
        return cls(one_dimensional, targets.shape[1]), targets

    def join(
        self, y: Any, n_samples: int, dtype: np.dtype[Any]
    ) -> tuple[RegressionTargets, Array, Array | None]:
        """With new samples: the object, their rows of Y, and all of Y if its columns changed."""
        targets, one_dimensional = as_targets(y, n_samples, dtype)
        if (one_dimensional, targets.shape[1]) != (self.one_dimensional, self.n_columns):
            expected = "(n_samples,)" if self.one_dimensional else f"(n_samples, {self.n_columns})"
            raise ShapeError(
                f"y must have shape {expected}, as at fit; got {np.shape(y)}. The model is "
                f"unchanged."
            )
        return self, targets, None

    def drop(
        self, positions: Array, dtype: np.dtype[Any]
    ) -> tuple[RegressionTargets, Array | None]:
        """Without the samples at ``positions``: the object, and all of Y if its columns changed."""
        return self, None


@dataclasses.dataclass(frozen=True)
class ClassTargets:
    """Class labels: column j of Y is +1 for class j and -1 for the others; one column when binary.

    ``classes`` are those present, sorted, as a fit on the same samples would find them.
    """

    classes: Array
    codes: Array  # of each sample, in insertion order

    @classmethod
    def start(cls, y: Any, n_samples: int, dtype: np.dtype[Any]) -> tuple[ClassTargets, Array]:
        """From the labels of ``fit``: the object, and Y (n, t)."""
        targets = cls._of(_labels(y, n_samples))
        return targets, targets._encoded(targets.codes, dtype)

    def join(
        self, y: Any, n_samples: int, dtype: np.dtype[Any]
    ) -> tuple[ClassTargets, Array, Array | None]:
        """With new samples; a new class changes the columns.

        When the columns change, the rows returned for the new samples are placeholders of the old
        shape, and the second array replaces all of Y.
        """
        labels = _labels(y, n_samples)
        joined = ClassTargets._of(_concatenated(self.classes[self.codes], labels))
        if len(joined.classes) == len(self.classes):
            return joined, joined._encoded(joined.codes[len(self.codes) :], dtype), None
        columns = 1 if len(self.classes) == 2 else len(self.classes)
        placeholder = np.zeros((n_samples, columns), dtype=dtype)
        return joined, placeholder, joined._encoded(joined.codes, dtype)

    def drop(self, positions: Array, dtype: np.dtype[Any]) -> tuple[ClassTargets, Array | None]:
        """Without the samples at ``positions``; a class that loses its last sample goes with it."""
        codes = np.delete(self.codes, positions)
        present, recoded = np.unique(codes, return_inverse=True)
        if len(present) < 2:
            raise InputError(
                f"a classifier needs at least 2 classes; the request would leave only class "
                f"{self.classes[present].tolist()}. Keep a sample of another class. The model is "
                f"unchanged."
            )
        dropped = ClassTargets(self.classes[present], recoded)
        if len(present) == len(self.classes):
            return dropped, None
        return dropped, dropped._encoded(recoded, dtype)

    @classmethod
    def _of(cls, labels: Array) -> ClassTargets:
        try:
            classes, codes = np.unique(labels, return_inverse=True)
        except TypeError as error:
            raise InputError(
                f"class labels must be comparable with each other, all numbers or all text; got a "
                f"mixture ({error}). Convert y to one type."
            ) from error
        if len(classes) < 2:
            raise InputError(
                f"a classifier needs samples of at least 2 classes; got one class, "
                f"{classes.tolist()}. Add samples of another class."
            )
        return cls(classes, codes)

    def _encoded(self, codes: Array, dtype: np.dtype[Any]) -> Array:
        if len(self.classes) == 2:
            signs = codes[:, np.newaxis] == 1
        else:
            signs = codes[:, np.newaxis] == np.arange(len(self.classes))
        return np.where(signs, np.asarray(1, dtype), np.asarray(-1, dtype))

    def predicted(self, values: Array) -> Array:
        """Labels of decision values (q,) or (q, C)."""
        codes = (values > 0).astype(np.intp) if values.ndim == 1 else values.argmax(axis=1)
        return self.classes[codes]


def _labels(y: Any, n_samples: int) -> Array:
    if y is None:
        raise InputError(
            "This estimator requires y to be passed, but the target y is None. Pass one class "
            "label per sample."
        )
    try:
        labels: Array = column_or_1d(y, warn=True)
        if labels.dtype.kind == "f" and not np.isfinite(labels).all():
            raise InputError("Input y contains NaN or infinity: a class label is expected.")
        check_classification_targets(labels)
    except InputError:
        raise
    except (ValueError, TypeError) as error:
        raise InputError(
            f"y must hold one class label (number or text) per sample: {error}. Use a regressor "
            f"for continuous targets."
        ) from error
    check_length(len(labels), n_samples, "y")
    return labels


def _concatenated(old: Array, new: Array) -> Array:
    """Labels of both; numpy would turn numbers into text here, so that is refused."""
    families = {kind: family for family in ("biuf", "US", "O") for kind in family}
    kinds = {families.get(old.dtype.kind), families.get(new.dtype.kind)}
    if kinds == {"biuf", "US"}:
        raise InputError(
            f"class labels must be of the kind seen at fit ({old.dtype}); got {new.dtype}. The "
            f"model is unchanged."
        )
    return np.concatenate([old, new])
