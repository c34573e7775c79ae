"""What every projector has, however its Jacobian came: a core, its attributes, its copies.

The state that persists is plain arrays and parameters; the core is built from them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from scipy.sparse.linalg import LinearOperator

from . import _backend
from ._jacobian import JacobianBlocks
from ._operator import OperatorJacobian
from ._validation import Array, non_negative, one_of
from .errors import InputError
from .projection_report import ProjectionReport

if TYPE_CHECKING:
    from typing_extensions import Self

FACTORIZATIONS = ("auto", "cholesky", "seminormal", "qr")

Held = JacobianBlocks | OperatorJacobian


def held_of(J: Any) -> Held:
    """The rows of an array-like, or the products of a linear operator."""
    return OperatorJacobian(J) if isinstance(J, LinearOperator) else JacobianBlocks.whole(J)


def checked(
    rtol: float | None = None,
    damping: float = 0.0,
    damping_relative: bool = False,
    factorization: str = "auto",
    backend: str = "auto",
) -> dict[str, Any]:
    """The parameters of a projector, in their domains."""
    tolerance = None if rtol is None else non_negative(rtol, "rtol")
    if tolerance is not None and tolerance >= 1.0:
        raise InputError(
            f"rtol must be below 1, the largest eigenvalue relative to itself; got {rtol!r}."
        )
    return {
        "rtol": tolerance,
        "damping": non_negative(damping, "damping"),
        "damping_relative": bool(damping_relative),
        "factorization": one_of(factorization, FACTORIZATIONS, "factorization"),
        "backend": backend,
    }


class HeldProjector:
    """The core of the rows held; `JacobianProjector` is its public face."""

    _blocks: Held
    _core: _backend.ProjectorCore

    @classmethod
    def _of(cls, held: Held, parameters: dict[str, Any], vectors: Array | None = None) -> Self:
        made = cls.__new__(cls)
        made._build(held, parameters, vectors)
        return made

    def _build(self, held: Held, parameters: dict[str, Any], vectors: Array | None = None) -> None:
        self._blocks, self._parameters = held, parameters
        settings = {name: value for name, value in parameters.items() if name != "backend"}
        backend = _backend.resolve(parameters["backend"])
        if isinstance(held, OperatorJacobian):
            self._core = held.core(**settings)
            return
        self._core = backend.ProjectorCore(
            held.columns, vectors=vectors, release=held.release or None, **settings
        )

    # ---- what is held ------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, int]:
        return self._core.n_rows, self._core.n_columns

    @property
    def n_rows_(self) -> int:
        return self._core.n_rows

    @property
    def rank_(self) -> int | None:
        return self._core.rank

    @property
    def rtol_(self) -> float:
        return self._core.rtol

    @property
    def gram_eigenvalues_(self) -> Array | None:
        return self._core.gram_eigenvalues

    @property
    def condition_(self) -> float | None:
        return self._core.condition

    @property
    def factorization_(self) -> str:
        return self._core.factorization

    def __repr__(self) -> str:
        m, p = self.shape
        return f"<JacobianProjector of {m} rows, {p} columns, rank {self.rank_}>"

    # ---- projecting --------------------------------------------------------------------------

    def _projected(self, v: Any, strength: float | None, report: bool) -> Any:
        V, back = self._blocks.vectors(v)
        return self._finished(V, back, strength, report, False)

    def _finished(
        self,
        V: Array,
        back: Callable[[Array], Any],
        strength: float | None,
        report: bool,
        first: bool,
    ) -> Any:
        out, measured = self._core.project(V, strength, first)
        if not report:
            return back(out)
        return back(out), ProjectionReport.from_core(
            measured,
            n_rows=self._core.n_rows,
            damping=self._parameters["damping"],
            backend=self._core.backend,
        )

    # ---- copies ------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        """Plain arrays and parameters; deleted rows are not in them. Factored anew on loading."""
        return {"blocks": self._blocks.detached(), "parameters": self._parameters}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._build(state["blocks"], state["parameters"])

    def __copy__(self) -> Self:
        copied = type(self).__new__(type(self))
        copied.__setstate__(self.__getstate__())
        return copied
