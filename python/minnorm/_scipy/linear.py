"""LinearCore: the minimum-norm or ridge model of the rows now held.

Invariant: `_rows`, `_samples`, `_factor`, `_system`, `_found` and `_certificate` describe one set
of samples. A change computes all of them first and assigns last, so a call either completes
or leaves the object as it was; only then are forgotten rows overwritten.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minnorm._scipy import linear_factor, linear_solve, linear_update
from minnorm._scipy.dual_system import DualSystem
from minnorm._scipy.floating_point import checks_itself
from minnorm._scipy.linear_factor import LinearFactor, tolerance
from minnorm._scipy.rows import Rows
from minnorm._scipy.samples import Samples
from minnorm._scipy.scaling import Array, Positions, norm_up, scaled, shift_columns
from minnorm.errors import InputError, ShapeError


@checks_itself
class LinearCore:
    """Linear model f(x) = theta^T x + b with exact deletion and insertion of samples.

    X (n, p) C-ordered float32 or float64, Y (n, t) of the same dtype. keep="own": X may be
    overwritten where rows are forgotten; "copy": a copy is; "borrow": X is never written.
    alpha >= 0 in user units; factorization "auto" | "cholesky" | "qr".
    Cost of fit: n^2 p + 2 n^3 / 3 flops by Gram and Cholesky, about five times that by QR.
    """

    backend = "scipy"

    def __init__(
        self,
        X: Array,
        Y: Array,
        *,
        keep: str,
        alpha: float,
        fit_intercept: bool,
        factorization: str,
    ) -> None:
        if X.ndim != 2 or Y.ndim != 2 or X.shape[0] != Y.shape[0] or X.shape[0] == 0:
            raise ShapeError(
                f"expected X (n, p) and Y (n, t) with n >= 1, got {X.shape} and {Y.shape}"
            )
        if not alpha >= 0.0:
            raise InputError(f"expected alpha >= 0, got {alpha}")
        if factorization not in ("auto", "cholesky", "qr"):
            raise InputError(
                f"expected factorization 'auto', 'cholesky' or 'qr', got {factorization!r}"
            )
        self._alpha = float(alpha)
        self._fit_intercept = bool(fit_intercept)
        self._factorization = factorization
        rows = Rows.of(X.copy() if keep == "copy" else X, keep != "borrow")
        self._commit(rows, Samples.first(Y), self._refactor(rows))

    # ---- state -------------------------------------------------------------------------------

    def _refactor(self, rows: Rows) -> LinearFactor:
        return linear_factor.fresh(
            rows,
            alpha=self._alpha,
            intercept=self._fit_intercept,
            factorization=self._factorization,
        )

    def _commit(self, rows: Rows, samples: Samples, held: LinearFactor) -> None:
        """Solve for the new state, then make it the object's state."""
        system = DualSystem(held.L, held.basis, held.dependents, held.W, self._fit_intercept)
        found = linear_solve.solve(rows, held, system, samples.targets)
        certificate = linear_solve.certificate(rows, held, system, found)
        certificate["n_forgotten"] = samples.n_forgotten
        self._rows, self._samples, self._factor = rows, samples, held
        self._system, self._found, self._certificate = system, found, certificate
        rows.compact()

    @property
    def n_samples(self) -> int:
        return self._rows.n_samples

    @property
    def n_features(self) -> int:
        return self._rows.n_features

    @property
    def n_targets(self) -> int:
        return int(self._samples.targets.shape[1])

    @property
    def rank(self) -> int:
        """Number of (affinely, with intercept) independent rows."""
        return int(self._factor.basis.size)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._rows.dtype

    @property
    def handles(self) -> NDArray[np.int64]:
        return self._samples.handles.copy()

    @property
    def targets(self) -> Array:
        return self._samples.targets.copy()

    @property
    def coef(self) -> Array:
        """theta (t, p), user units."""
        found = self._found
        shift = found.target_exponents - self._factor.exponent
        return np.ascontiguousarray(shift_columns(found.theta, shift).T)

    @property
    def intercept(self) -> Array:
        """b (t,), user units; zero without intercept."""
        return shift_columns(self._found.intercept[None, :], self._found.target_exponents)[0]

    @property
    def dual_coef(self) -> Array:
        """Minimum-norm a (n, t) with theta = X^T a, user units; pinv(X X^T) y without intercept."""
        found = self._found
        spread = self._system.spread(found.dual[self._factor.basis])
        return shift_columns(spread, found.target_exponents - 2 * self._factor.exponent)

    @property
    def certificate(self) -> dict[str, Any]:
        return dict(self._certificate)

    # ---- forgetting and learning -------------------------------------------------------------

    def _forgotten(
        self, handles: NDArray[np.int64], *, shared: bool
    ) -> tuple[Rows, Samples, LinearFactor]:
        positions = self._samples.positions_of(handles)
        samples = self._samples.without(positions)
        rows = self._rows.without(positions, shared=shared)
        held = linear_update.without(self._factor, rows, positions)
        if held is None:
            held = self._refactor(rows)
            held = replace(held, method=f"{held.method}+refit")
        return rows, samples, held

    def forget(self, handles: NDArray[np.int64]) -> None:
        """Delete samples. Cost: O(k n^2) on the factor and one pass over X for k samples."""
        self._commit(*self._forgotten(handles, shared=False))

    def preview(self, handles: NDArray[np.int64]) -> LinearCore:
        """The core `forget` would give. Shares the rows, never writes to them, and is valid
        until this object changes."""
        other = LinearCore.__new__(LinearCore)
        other._alpha, other._fit_intercept = self._alpha, self._fit_intercept
        other._factorization = self._factorization
        other._commit(*self._forgotten(handles, shared=True))
        return other

    def learn(self, X_new: Array, Y_new: Array, owns_rows: bool) -> NDArray[np.int64]:
        """Add samples; their handles (m,). Cost: O(m n p + n^2 p), the latter to prove sigma."""
        if X_new.ndim != 2 or X_new.shape[1] != self.n_features or X_new.shape[0] == 0:
            raise ShapeError(
                f"expected new rows (m, {self.n_features}) with m >= 1, got {X_new.shape}"
            )
        if Y_new.ndim != 2 or Y_new.shape[0] != X_new.shape[0]:
            raise ShapeError(f"expected {X_new.shape[0]} new targets, got shape {Y_new.shape}")
        samples = self._samples.with_new(Y_new)
        rows = self._rows.with_new(X_new, owns_rows)
        held = linear_update.learned(self._factor, rows)
        if held is None:
            held = self._refactor(rows)
        self._commit(rows, samples, held)
        return samples.handles[-X_new.shape[0] :].copy()

    def set_targets(self, Y: Array) -> None:
        """Replace the targets of all retained samples, (n, t'). Cost: solves and one pass."""
        self._commit(self._rows, self._samples.with_targets(Y), self._factor)

    # ---- leave-one-out -----------------------------------------------------------------------

    def leave_one_out(self) -> Array:
        """y_i - prediction at x_i of the model without sample i, (n, t), user units.

        alpha > 0, or i essential to the rank: a_i / N_ii, N the (1,1) block of the inverse of the
        bordered system. Otherwise r_i / (1 - h_i): the others still span x_i.
        Cost: n^3 / 3 flops.
        """
        if self.n_samples < 2:
            raise InputError("expected at least 2 samples to leave one out, got 1")
        system, found = self._system, self._found
        residual = np.zeros_like(found.dual)
        # The threshold by which `linear_update.without` finds a dependent untouched.
        reach = 0.25 * tolerance(self._rows, linear_update.scale(self._factor))
        essential = system.essential(self._factor.lengths, reach)
        alone = essential[system.basis]
        if alone.any():
            own = system.basis[alone]
            residual[own] = found.dual[own] / system.inverse_diagonal()[alone, None]
        if not essential.all():
            gaps = system.leverage_gaps()[:, None]
            rest = ~essential
            residual[rest] = found.residual[rest] / gaps[rest]
        return shift_columns(residual, found.target_exponents)

    def influence(self, positions: Positions) -> Array:
        """Rows X^T N e_i (m, p): coef without i = coef - loo_i * row. O(m (n^2 + n p)) flops."""
        directions = self._directions(positions)[0]
        e = self._factor.exponent
        theta, _ = self._rows.fused(self._system.scatter(directions), e, back=False)
        return np.ascontiguousarray(scaled(theta, -e).T)

    def influence_intercept(self, positions: Positions) -> Array:
        """(m,): intercept without i = intercept - loo_i * value."""
        return self._directions(positions)[1]

    def _directions(self, positions: Positions) -> tuple[Array, Array]:
        """N W_full^+ e_i (r, m) and the intercept of the model fitted to e_i (m,)."""
        units = np.zeros((self.n_samples, len(positions)), dtype=self.dtype)
        units[positions, np.arange(len(positions))] = 1
        return self._system.dual(self._system.fitted(units))

    # ---- persistence -------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Plain arrays and scalars from which either backend restores the model."""
        held, samples = self._factor, self._samples
        return {
            "kind": "linear",
            "version": 1,
            "X": self._rows.gather(),
            "Y": samples.targets.copy(),
            "handles": samples.handles.copy(),
            "next_handle": samples.next_handle,
            "n_forgotten": samples.n_forgotten,
            "alpha": self._alpha,
            "fit_intercept": self._fit_intercept,
            "factorization": self._factorization,
            "factored_by": held.factored_by,
            "method": held.method,
            "exponent": held.exponent,
            "offset": held.offset,
            "L": np.ascontiguousarray(held.L),
            "basis": held.basis.copy(),
            "dependents": held.dependents.copy(),
            "W": held.W.copy(),
            "sigma_min_bound": held.sigma,
            "sum_squares": held.norm**2,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> LinearCore:
        """The core of `state`, with its own copy of the rows. Cost: solves and three passes."""
        self = cls.__new__(cls)
        self._alpha = float(state["alpha"])
        self._fit_intercept = bool(state["fit_intercept"])
        self._factorization = str(state["factorization"])
        rows = Rows.of(np.array(state["X"], order="C"), True)
        exponent = int(state["exponent"])
        scaled_alpha = np.ldexp(self._alpha, -2 * exponent)
        row_norms = rows.row_norms(rows.exponent(), exponent)
        held = LinearFactor(
            L=np.array(state["L"], dtype=rows.dtype, order="F"),
            basis=np.array(state["basis"], dtype=np.int64),
            dependents=np.array(state["dependents"], dtype=np.int64),
            W=np.array(state["W"], dtype=rows.dtype, order="C").reshape(
                len(state["dependents"]), len(state["basis"])
            ),
            method=str(state["method"]),
            factored_by=str(state["factored_by"]),
            sigma=float(state["sigma_min_bound"]),
            exponent=exponent,
            offset=float(state["offset"]) if self._fit_intercept else 0.0,
            alpha=float(scaled_alpha),
            row_norms=row_norms,
            decided_norm=norm_up(row_norms),
        )
        samples = Samples(
            np.array(state["handles"], dtype=np.int64),
            np.array(state["Y"], dtype=rows.dtype, order="C"),
            int(state["next_handle"]),
            int(state["n_forgotten"]),
        )
        self._commit(rows, samples, held)
        return self
