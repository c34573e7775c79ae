"""KernelCore: the minimum-RKHS-norm or kernel ridge model of the samples now held.

Invariant as in ``linear``: a change computes the whole new state first and assigns it last.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minnorm._scipy import kernel_factor, kernel_solve
from minnorm._scipy.dual_system import DualSystem
from minnorm._scipy.floating_point import checks_itself
from minnorm._scipy.gram import Gram
from minnorm._scipy.kernel_factor import KernelFactor
from minnorm._scipy.kernels import (
    KERNELS,
    copy_duplicates,
    gathered_rows,
    gram_matrix,
    kernel_matrix,
)
from minnorm._scipy.rows import Rows
from minnorm._scipy.samples import Samples
from minnorm._scipy.scaling import Array, norm_up, shift_columns
from minnorm.errors import InputError, ShapeError

_QUERIES = 4096


@checks_itself
class KernelCore:
    """Kernel model f(x) = sum_j beta_j k(x, x_j) with exact deletion and insertion.

    X (n, p), or the (n, n) kernel matrix for kernel="precomputed"; Y (n, t) of the same dtype.
    owns_rows=True: X may be overwritten where samples are forgotten; False: never written.
    Cost of fit: n^2 p + 2 n^3 / 3 flops; memory: K and L, 2 n^2 numbers.
    """

    backend = "scipy"

    def __init__(
        self,
        X: Array,
        Y: Array,
        *,
        kernel: str,
        gamma: float,
        degree: float,
        coef0: float,
        alpha: float,
        owns_rows: bool,
    ) -> None:
        if X.ndim != 2 or Y.ndim != 2 or X.shape[0] != Y.shape[0] or X.shape[0] == 0:
            raise ShapeError(
                f"expected X (n, p) and Y (n, t) with n >= 1, got {X.shape} and {Y.shape}"
            )
        if not alpha >= 0.0:
            raise InputError(f"expected alpha >= 0, got {alpha}")
        if kernel not in (*KERNELS, "precomputed"):
            raise InputError(
                f"expected a kernel in {', '.join(KERNELS)} or precomputed, got {kernel!r}"
            )
        self._alpha = float(alpha)
        self._kernel = kernel
        self._parameters = (float(gamma), float(degree), float(coef0))
        rows: Rows | None = None
        if kernel == "precomputed":
            if X.shape[0] != X.shape[1]:
                raise ShapeError(f"expected a square kernel matrix, got shape {X.shape}")
            gram = Gram.of(X, owns_rows)
        else:
            rows = Rows.of(X, owns_rows)
            gram = Gram.of(gram_matrix(X, kernel, *self._parameters), True)
        self._commit(rows, gram, Samples.first(Y), kernel_factor.fresh(gram, alpha=self._alpha))

    # ---- state -------------------------------------------------------------------------------

    def _commit(self, rows: Rows | None, gram: Gram, samples: Samples, held: KernelFactor) -> None:
        """Solve for the new state, then make it the object's state."""
        system = DualSystem(held.L, held.basis, held.dependents, held.W, False)
        found = kernel_solve.solve(gram, held, system, samples.targets)
        certificate = kernel_solve.certificate(gram, held, system, found)
        certificate["n_forgotten"] = samples.n_forgotten
        self._rows, self._gram, self._samples, self._factor = rows, gram, samples, held
        self._system, self._found, self._certificate = system, found, certificate
        gram.compact()
        if rows is not None:
            rows.compact()

    @property
    def n_samples(self) -> int:
        return self._gram.n_samples

    @property
    def n_features(self) -> int:
        """Features of a sample; for a precomputed kernel the number of retained samples."""
        return self.n_samples if self._rows is None else self._rows.n_features

    @property
    def n_targets(self) -> int:
        return int(self._samples.targets.shape[1])

    @property
    def rank(self) -> int:
        return int(self._factor.basis.size)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._gram.array.dtype

    @property
    def handles(self) -> NDArray[np.int64]:
        return self._samples.handles.copy()

    @property
    def targets(self) -> Array:
        return self._samples.targets.copy()

    @property
    def dual_coef(self) -> Array:
        """Minimum-norm dual (n, t), user units: pinv(K) y, or (K + alpha I)^-1 y."""
        spread = self._system.spread(self._found.beta[self._factor.basis])
        return shift_columns(spread, self._dual_exponents())

    def _dual_exponents(self) -> NDArray[np.int64]:
        exponents: NDArray[np.int64] = self._found.target_exponents - self._factor.exponent
        return exponents

    @property
    def certificate(self) -> dict[str, Any]:
        return dict(self._certificate)

    # ---- prediction --------------------------------------------------------------------------

    def predict(self, Z: Array) -> Array:
        """f at the rows of Z (q, t). Z (q, p); precomputed: k(Z, retained samples) (q, n).

        Cost: 2 q r (p + t) flops; kernel values are formed in blocks, never q x n at once.
        """
        if Z.ndim != 2 or Z.shape[1] != self.n_features:
            raise ShapeError(f"expected inputs (q, {self.n_features}), got shape {Z.shape}")
        beta = shift_columns(self._found.beta, self._dual_exponents())
        if self._rows is None:
            precomputed: Array = Z @ beta
            return precomputed
        out = np.zeros((Z.shape[0], self.n_targets), dtype=self.dtype)
        step = gathered_rows(self.n_features)
        for i0 in range(0, self.rank, step):
            positions = self._factor.basis[i0 : i0 + step]
            support = self._rows.gather(positions)
            for q0 in range(0, Z.shape[0], _QUERIES):
                z = Z[q0 : q0 + _QUERIES]
                block = kernel_matrix(z, support, self._kernel, *self._parameters)
                out[q0 : q0 + _QUERIES] += block @ beta[positions]
        return out

    # ---- forgetting and learning -------------------------------------------------------------

    def _forgotten(
        self, handles: NDArray[np.int64], *, shared: bool
    ) -> tuple[Rows | None, Gram, Samples, KernelFactor]:
        positions = self._samples.positions_of(handles)
        rows = None if self._rows is None else self._rows.without(positions, shared=shared)
        gram = self._gram.without(positions, shared=shared)
        held = kernel_factor.without(self._factor, gram, positions)
        if held is None:
            held = kernel_factor.fresh(gram, alpha=self._alpha)
            held = replace(held, method=f"{held.method}+refit")
        return rows, gram, self._samples.without(positions), held

    def forget(self, handles: NDArray[np.int64]) -> None:
        """Delete samples. Cost: O(k n^2) for k samples."""
        self._commit(*self._forgotten(handles, shared=False))

    def preview(self, handles: NDArray[np.int64]) -> KernelCore:
        """The core `forget` would give; shares rows and K, valid until this object changes."""
        other = KernelCore.__new__(KernelCore)
        other._alpha, other._kernel = self._alpha, self._kernel
        other._parameters = self._parameters
        other._commit(*self._forgotten(handles, shared=True))
        return other

    def learn(self, X_new: Array, Y_new: Array, owns_rows: bool) -> NDArray[np.int64]:
        """Add samples; their handles (m,). Precomputed: X_new (m, n + m) is
        [k(new, retained), k(new, new)]. Cost: O(m n p + m n^2 + n^3 / 3)."""
        m, n = X_new.shape[0], self.n_samples
        width = n + m if self._rows is None else self.n_features
        if X_new.ndim != 2 or m == 0 or X_new.shape[1] != width:
            raise ShapeError(f"expected new rows (m, {width}) with m >= 1, got {X_new.shape}")
        if Y_new.ndim != 2 or Y_new.shape[0] != m:
            raise ShapeError(f"expected {m} new targets, got shape {Y_new.shape}")
        samples = self._samples.with_new(Y_new)
        rows = self._rows
        if rows is None:
            cross, corner = X_new[:, :n], X_new[:, n:]
        else:
            corner = gram_matrix(X_new, self._kernel, *self._parameters)
            cross = np.empty((m, n), dtype=self.dtype)
            step = gathered_rows(self.n_features)
            for i0 in range(0, n, step):
                i1 = min(i0 + step, n)
                held_rows = rows.gather(np.arange(i0, i1))
                cross[:, i0:i1] = kernel_matrix(X_new, held_rows, self._kernel, *self._parameters)
            rows = rows.with_new(X_new, owns_rows)
        gram = self._gram.with_new(cross, corner)
        if rows is not None:
            copy_duplicates(gram.array, rows.keys())
        held = kernel_factor.learned(self._factor, gram)
        if held is None:
            held = kernel_factor.fresh(gram, alpha=self._alpha)
        self._commit(rows, gram, samples, held)
        return samples.handles[-m:].copy()

    def set_targets(self, Y: Array) -> None:
        """Replace the targets of all retained samples, (n, t'). Cost: O(n^2 t')."""
        self._commit(self._rows, self._gram, self._samples.with_targets(Y), self._factor)

    # ---- leave-one-out -----------------------------------------------------------------------

    def leave_one_out(self) -> Array:
        """y_i - prediction at x_i of the model without sample i, (n, t). n^3 / 3 flops.

        beta_i / M_ii where i is essential (or alpha > 0), else r_i / (1 - h_i).
        """
        if self.n_samples < 2:
            raise InputError("expected at least 2 samples to leave one out, got 1")
        system, found, held = self._system, self._found, self._factor
        residual = np.zeros_like(found.beta)
        # The threshold by which `kernel_factor.without` finds a dependent untouched.
        tol = kernel_factor.tolerance(self._gram, kernel_factor.scale(held))
        essential = system.essential(np.sqrt(held.row_norms), 0.25 * float(np.sqrt(tol)))
        alone = essential[system.basis]
        if alone.any():
            own = system.basis[alone]
            residual[own] = found.beta[own] / system.inverse_diagonal()[alone, None]
        if not essential.all():
            rest = ~essential
            residual[rest] = found.residual[rest] / system.leverage_gaps()[rest, None]
        return shift_columns(residual, found.target_exponents)

    # ---- persistence -------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Plain arrays and scalars from which either backend restores the model."""
        held, samples = self._factor, self._samples
        gamma, degree, coef0 = self._parameters
        return {
            "kind": "kernel",
            "version": 1,
            "X": None if self._rows is None else self._rows.gather(),
            "K": self._gram.gather(),
            "Y": samples.targets.copy(),
            "handles": samples.handles.copy(),
            "next_handle": samples.next_handle,
            "n_forgotten": samples.n_forgotten,
            "alpha": self._alpha,
            "fit_intercept": False,
            "factorization": "cholesky",
            "factored_by": "cholesky",
            "method": held.method,
            "exponent": held.exponent,
            "offset": 0.0,
            "L": np.ascontiguousarray(held.L),
            "basis": held.basis.copy(),
            "dependents": held.dependents.copy(),
            "W": held.W.copy(),
            "sigma_min_bound": held.lambda_min,
            "sum_squares": held.norm**2,
            "kernel": self._kernel,
            "gamma": gamma,
            "degree": degree,
            "coef0": coef0,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> KernelCore:
        """The core of `state`, with its own copies. Cost: O(n^2 t)."""
        self = cls.__new__(cls)
        self._alpha = float(state["alpha"])
        self._kernel = str(state["kernel"])
        self._parameters = (
            float(state["gamma"]),
            float(state["degree"]),
            float(state["coef0"]),
        )
        gram = Gram.of(np.array(state["K"], order="C"), True)
        X = state["X"]
        rows = None if X is None else Rows.of(np.array(X, order="C"), True)
        exponent = int(state["exponent"])
        row_norms = gram.row_norms(exponent)
        dtype = gram.array.dtype
        held = KernelFactor(
            L=np.array(state["L"], dtype=dtype, order="F"),
            basis=np.array(state["basis"], dtype=np.int64),
            dependents=np.array(state["dependents"], dtype=np.int64),
            W=np.array(state["W"], dtype=dtype, order="C").reshape(
                len(state["dependents"]), len(state["basis"])
            ),
            method=str(state["method"]),
            lambda_min=float(state["sigma_min_bound"]),
            exponent=exponent,
            alpha=float(np.ldexp(self._alpha, -exponent)),
            row_norms=row_norms,
            decided_norm=norm_up(row_norms),
        )
        samples = Samples(
            np.array(state["handles"], dtype=np.int64),
            np.array(state["Y"], dtype=dtype, order="C"),
            int(state["next_handle"]),
            int(state["n_forgotten"]),
        )
        self._commit(rows, gram, samples, held)
        return self
