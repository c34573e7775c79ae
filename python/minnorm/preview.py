"""What ``forget`` would give, from the model's own rows and factor; the model is not changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import InputError

if TYPE_CHECKING:
    from ._base import DeletableModel

_READABLE = frozenset(
    {
        "certificate_",
        "certify",
        "classes_",
        "coef_",
        "decision_function",
        "dual_coef_",
        "ids_",
        "intercept_",
        "leave_one_out",
        "n_features_in_",
        "predict",
        "rank_",
        "score",
    }
)


class BorrowedCore:
    """A core that may be used only while the model it borrows its rows from is unchanged."""

    def __init__(self, core: Any, owner: DeletableModel, what: str) -> None:
        self._core = core
        self._owner = owner
        self._owner_core = owner._core  # kept alive: the borrowed core points into its rows
        self._changes = owner._changes
        self._what = what

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if self._owner._changes != self._changes:
            raise InputError(
                f"{self._what} shares the rows of its model, which has changed since. Ask the "
                f"model again for a current one."
            )
        return getattr(self._core, name)


class Preview:
    """The model that ``forget(ids)`` would leave, for reading only.

    It has the fitted attributes of its model (``coef_``, ``intercept_``, ``dual_coef_``, ``ids_``,
    ``rank_``, ``certificate_``, ``classes_``: those that the model has) and ``predict``,
    ``decision_function``, ``score``, ``leave_one_out`` and ``certify``. It holds no copy of the
    samples: once the model forgets, learns or is fitted again, whatever needs the samples (the
    predictions of a kernel model, ``leave_one_out``, ``certify``) raises ``InputError``; the
    attributes, and with them the predictions of a linear model, stay.

    Examples
    --------
    >>> from minnorm import LinearInterpolator
    >>> model = LinearInterpolator(backend="scipy").fit([[0.0], [1.0], [2.0]], [0.0, 1.0, 9.0])
    >>> preview = model.preview(2)
    >>> bool(abs(preview.predict([[3.0]])[0] - 3.0) < 1e-12), model.ids_.tolist()
    (True, [0, 1, 2])
    """

    def __init__(self, view: DeletableModel) -> None:
        self._view = view

    def __getattr__(self, name: str) -> Any:
        if name in _READABLE:
            return getattr(self._view, name)
        raise AttributeError(
            f"{type(self).__name__!r} object has no attribute {name!r}; it can only be read. Call "
            f"forget on the model to carry the deletion out."
        )

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *(name for name in _READABLE if hasattr(self, name))})

    def __reduce__(self) -> Any:
        raise TypeError(
            "a Preview shares the rows of its model and cannot be saved; save the model."
        )

    def __repr__(self) -> str:
        return f"Preview({self._view!r}, n_retained={len(self._view.ids_)})"
