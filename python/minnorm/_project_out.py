"""One projection off the span of model gradients, with two reads of the Jacobian."""

from __future__ import annotations

from typing import Any

from ._projector_base import HeldProjector, checked, held_of
from ._validation import finite


def project_out(
    jacobian: Any,
    vector: Any,
    *,
    strength: float | None = None,
    rtol: float | None = None,
    damping: float = 0.0,
    damping_relative: bool = False,
    factorization: str = "auto",
    backend: str = "auto",
    return_report: bool = False,
) -> Any:
    """``P v``, or ``v - strength P v``: the projection off the rows of ``jacobian``, once.

    As ``JacobianProjector(jacobian, ...).project(vector)`` with one read of J less: ``J v`` is
    formed together with the Gram matrix. Two reads in all where that is good enough.

    Parameters
    ----------
    jacobian : array-like (m, p), numpy.memmap, torch tensor or LinearOperator
    vector : array-like or tensor, shape (p,) or (k, p)
    strength : float or None, default None
        None returns ``P v``; a number returns ``v - strength P v``.
    rtol, damping, damping_relative, factorization, backend
        As for `JacobianProjector`.
    return_report : bool, default False
        Also return a `ProjectionReport`.

    Returns
    -------
    projected : ndarray or tensor
        Of the kind, shape and dtype of ``vector``.
    report : ProjectionReport
        Only with ``return_report=True``.

    Raises
    ------
    InputError, ShapeError
        As for `JacobianProjector` and its `project`.

    Examples
    --------
    >>> from minnorm import project_out
    >>> project_out([[0.0, 2.0, 0.0]], [3.0, 4.0, 5.0], backend="scipy").tolist()
    [3.0, 0.0, 5.0]
    >>> project_out([[0.0, 2.0, 0.0]], [3.0, 4.0, 5.0], strength=0.5, backend="scipy").tolist()
    [1.5, 4.0, 2.5]
    """
    parameters = checked(rtol, damping, damping_relative, factorization, backend)
    chosen = None if strength is None else finite(strength, "strength")
    held = held_of(jacobian)
    V, back = held.vectors(vector)
    projector = HeldProjector._of(held, parameters, V)
    return projector._finished(V, back, chosen, return_report, True)
