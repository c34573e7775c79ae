"""Choice of the backend: the compiled core, or numpy and scipy alone; never a silent change.

Both backends are modules with ``LinearCore``, ``KernelCore``, ``ProjectorCore``, ``ThinQRCore``,
``kernel_matrix`` and ``NAME``.
"""

from __future__ import annotations

import functools
import importlib
import os
import warnings
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from ._validation import Array, one_of
from .errors import BackendError

NAMES = ("auto", "native", "scipy")


class Core(Protocol):
    """What the estimators use of a backend's model. Samples are in insertion order."""

    @property
    def n_samples(self) -> int: ...
    @property
    def rank(self) -> int: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def backend(self) -> str: ...
    @property
    def handles(self) -> Array: ...
    @property
    def targets(self) -> Array: ...
    @property
    def dual_coef(self) -> Array: ...
    @property
    def certificate(self) -> Mapping[str, Any]: ...
    def forget(self, handles: Array) -> None: ...
    def learn(self, X_new: Array, Y_new: Array, owns_rows: bool) -> Array: ...
    def set_targets(self, Y: Array) -> None: ...
    def preview(self, handles: Array) -> Core: ...
    def leave_one_out(self) -> Array: ...
    def state(self) -> dict[str, Any]: ...


class LinearCore(Core, Protocol):
    @property
    def coef(self) -> Array: ...
    @property
    def intercept(self) -> Array: ...
    def influence(self, positions: Array) -> Array: ...
    def influence_intercept(self, positions: Array) -> Array: ...


class KernelCore(Core, Protocol):
    def predict(self, Z: Array) -> Array: ...


class ProjectorCore(Protocol):
    """What `JacobianProjector` uses of a backend. Rows are positions in the order held."""

    @property
    def n_rows(self) -> int: ...
    @property
    def n_columns(self) -> int: ...
    @property
    def rank(self) -> int | None: ...
    @property
    def rtol(self) -> float: ...
    @property
    def gram_eigenvalues(self) -> Array | None: ...
    @property
    def condition(self) -> float | None: ...
    @property
    def norm(self) -> float: ...
    @property
    def factorization(self) -> str: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def backend(self) -> str: ...
    def project(
        self, V: Array, strength: float | None, first: bool
    ) -> tuple[Array, dict[str, Any]]: ...
    def coefficients(self, V: Array) -> Array: ...
    def delete_rows(self, positions: Array) -> None: ...
    def add_rows(self, blocks: Sequence[Sequence[Array]]) -> None: ...


class ThinQRCore(Protocol):
    """What `ThinQR` uses of a backend: X[basis] = L Q, X[dependents] = weights X[basis]."""

    @property
    def Q(self) -> Array: ...
    @property
    def L(self) -> Array: ...
    @property
    def basis(self) -> Array: ...
    @property
    def dependents(self) -> Array: ...
    @property
    def weights(self) -> Array: ...
    @property
    def rank(self) -> int: ...
    @property
    def n_rows(self) -> int: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def backend(self) -> str: ...
    @property
    def n_columns(self) -> int: ...
    def delete_rows(self, positions: Array) -> None: ...
    def add_rows(self, X_new: Array) -> None: ...
    def state(self) -> dict[str, Any]: ...


@functools.cache
def _native() -> ModuleType | ImportError:
    """The compiled backend, or why it does not load. Tried once."""
    try:
        return importlib.import_module(f"{__package__}._native")
    except ImportError as error:
        return error


@functools.cache
def _warn_fallback(cause: str) -> None:
    """Once per process: the cache remembers that it was said."""
    warnings.warn(
        f"minnorm's compiled backend does not load ({cause}). Using the scipy backend: the same "
        f"results, slower. Set backend='scipy' or MINNORM_BACKEND=scipy to choose it knowingly.",
        RuntimeWarning,
        stacklevel=2,
    )


def _scipy() -> ModuleType:
    return importlib.import_module(f"{__package__}._scipy")


def resolve(name: str = "auto") -> ModuleType:
    """The backend module.

    Parameters
    ----------
    name : {"auto", "native", "scipy"}
        "auto" follows the environment variable ``MINNORM_BACKEND`` when it is set. Otherwise it is
        the compiled backend, or scipy with one ``RuntimeWarning`` where that does not load.

    Raises
    ------
    InputError
        Another name, here or in ``MINNORM_BACKEND``.
    BackendError
        "native" was asked for and does not load.
    """
    if one_of(name, NAMES, "backend") == "auto":
        name = one_of(os.environ.get("MINNORM_BACKEND") or "auto", NAMES, "MINNORM_BACKEND")
    if name == "scipy":
        return _scipy()
    native = _native()
    if isinstance(native, ModuleType):
        return native
    if name == "native":
        raise BackendError(
            f"backend='native' was requested, but no extension module loads ({native}). Reinstall "
            f"minnorm with a C++17 compiler at hand, or use backend='scipy'."
        ) from native
    _warn_fallback(str(native))
    return _scipy()


def restore(state: Mapping[str, Any], prefer: str = "auto") -> Any:
    """The core saved by ``core.state()``, in the preferred backend or the one that loads here.

    A model saved with ``backend="native"`` opens where no extension loads: both backends read the
    same state. That case warns as "auto" does.
    """
    if prefer == "native" and not isinstance(_native(), ModuleType):
        prefer = "auto"
    backend = resolve(prefer)
    cores = {
        "linear": backend.LinearCore,
        "kernel": backend.KernelCore,
        "thin_qr": backend.ThinQRCore,
    }
    return cores[state["kind"]].from_state(state)
