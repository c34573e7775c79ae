"""The projector of a Jacobian known by its products only: J v and J^T u.

P v = v - M^T x, where x minimises ||v - M^T x||^2 + mu ||x||^2 by LSMR and M combines the rows of
J. Without a Gram matrix M = J. With one, M is made orthonormal by its factor (or with damping the
problem is preconditioned by that of M M^T + mu I), so LSMR is done in a step or two however
ill-conditioned J is. It is repeated on what is left: "twice is enough".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.linalg import solve_triangular
from scipy.sparse.linalg import LinearOperator, eigsh, lsmr

from ._jacobian import NO_ROWS, vectors
from ._validation import Array, as_rows
from .errors import InputError, ShapeError

NO_UPDATES = (
    "{} needs the rows of J; this projector has only its products. Build a new projector from an "
    "operator with other rows."
)

_ROUNDS = 6
_U = 2.0**-52


class OperatorJacobian:
    """J (m, p) as a pair of products, and its Gram matrix where it is given or formed."""

    parameter_shapes: Sequence[tuple[int, ...]] | None = None

    def __init__(self, operator: LinearOperator, gram: Any = None) -> None:
        m, p = operator.shape
        if m == 0:
            raise InputError(NO_ROWS)
        if p == 0:
            raise ShapeError(f"J must have at least one column; got shape {operator.shape}.")
        self.operator, self.n_rows, self.n_columns = operator, int(m), int(p)
        dtype = np.dtype(np.float64 if operator.dtype is None else operator.dtype)
        if dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
            raise InputError(f"the operator's dtype must be float32 or float64; got {dtype}.")
        self.dtype = dtype
        self.products = 0
        self.gram: Array | None = None
        if isinstance(gram, str):
            if gram != "form":
                raise InputError(f"gram must be None, 'form' or an array; got {gram!r}.")
            self.gram = self._formed()
        elif gram is not None:
            self.gram = as_rows(gram, dtype=np.float64, name="gram").array
            if self.gram.shape != (m, m):
                raise ShapeError(f"gram must have shape ({m}, {m}); got {self.gram.shape}.")

    def times(self, v: Array) -> Array:
        """J v (m,) in double precision."""
        return self._product(self.operator.matvec, v, self.n_rows, "matvec")

    def transposed(self, u: Array) -> Array:
        """J^T u (p,) in double precision."""
        return self._product(self.operator.rmatvec, u, self.n_columns, "rmatvec")

    def _product(self, of: Callable[[Array], Any], x: Array, size: int, name: str) -> Array:
        self.products += 1
        result = np.asarray(of(x.astype(self.dtype, copy=False)), dtype=np.float64).reshape(-1)
        if result.size != size:
            raise ShapeError(f"{name} must return {size} numbers; got {result.size}.")
        if not np.isfinite(result).all():
            raise InputError(
                f"{name} returned NaN or infinity; expected finite numbers. Check the gradients."
            )
        return result

    def _formed(self) -> Array:
        """J J^T by m products each way."""
        G = np.empty((self.n_rows, self.n_rows))
        for i in range(self.n_rows):
            unit = np.zeros(self.n_rows)
            unit[i] = 1.0
            G[:, i] = self.times(self.transposed(unit))
        return (G + G.T) / 2

    def vectors(self, v: Any) -> tuple[Array, Callable[[Array], Any]]:
        return vectors(v, self.n_columns)

    def detached(self) -> OperatorJacobian:
        """Itself: an operator is pickled if it can be."""
        return self

    def core(self, **settings: Any) -> OperatorCore:
        return OperatorCore(self, **settings)


class OperatorCore:
    """The interface of a backend's ProjectorCore, for an operator."""

    backend = "scipy"

    def __init__(
        self,
        jacobian: OperatorJacobian,
        *,
        rtol: float | None,
        damping: float,
        damping_relative: bool,
        factorization: str,
    ) -> None:
        m = jacobian.n_rows
        if rtol is not None and jacobian.gram is None:
            raise InputError(
                f"rtol needs the Gram matrix: LSMR alone finds no rank. Expected rtol=None, got "
                f"{rtol!r}; pass gram='form' or the matrix itself."
            )
        self._jacobian = jacobian
        self.n_rows, self.n_columns, self.dtype = m, jacobian.n_columns, jacobian.dtype
        self.factorization = "lsmr" if jacobian.gram is None else "cholesky+lsmr"
        default = float((max(m, 16) * float(np.finfo(jacobian.dtype).eps)) ** 2)
        self.rtol = default if rtol is None else rtol
        self.rank: int | None = None
        self.gram_eigenvalues: Array | None = None
        self.condition: float | None = None
        # Rows of M are combinations of those of J: M = combine J; x = precondition y.
        self._combine: Array | None = None
        self._precondition: Array | None = None
        if jacobian.gram is None:
            self.norm = self._largest_singular_value()
            self._mu = damping * self.norm**2 if damping_relative else damping
        else:
            self._from_gram(jacobian.gram, rtol, default, damping, damping_relative)

    def _from_gram(
        self, G: Array, rtol: float | None, default: float, damping: float, relative: bool
    ) -> None:
        from ._scipy import row_space
        from ._scipy.spectral_filter import SpectralFilter

        selection = math.sqrt(default if rtol is None else min(rtol, default))
        coordinates = row_space.from_gram(G, selection)
        truncation = rtol if rtol is not None and rtol > default else None
        spectrum = SpectralFilter(
            coordinates,
            coordinates.exponents,
            truncation=truncation,
            damping=0.0,
            relative=False,
        )
        self.rank, self.norm = spectrum.rank, spectrum.norm
        self.gram_eigenvalues, self.condition = spectrum.gram_eigenvalues, spectrum.condition
        self._mu = damping * spectrum.kept_norm**2 if relative else damping
        # Q = L^-1 T J_B, and the directions kept: orthonormal rows as combinations of those of J.
        orthonormal = spectrum.directions.T @ coordinates.to_rows(np.eye(coordinates.rank)).T
        if self._mu == 0.0:
            self._combine = orthonormal
            return
        if truncation is not None:
            self._combine = coordinates.unscaled @ spectrum.directions @ orthonormal
            G = self._combine @ G @ self._combine.T
        shifted = G.copy()
        shifted.flat[:: shifted.shape[0] + 1] += self._mu
        L = np.linalg.cholesky(shifted)
        self._precondition = solve_triangular(L, np.eye(L.shape[0]), lower=True).T

    def _largest_singular_value(self) -> float:
        """||J||_2 by Lanczos steps on J J^T."""
        m, J = self.n_rows, self._jacobian
        square = LinearOperator(
            (m, m), matvec=lambda u: J.times(J.transposed(np.ravel(u))), dtype=np.float64
        )
        if m <= 2:
            return math.sqrt(float(np.linalg.eigvalsh(square @ np.eye(m))[-1].clip(0)))
        start = np.random.default_rng(0).standard_normal(m)
        if not square.matvec(start).any():
            return 0.0
        value = eigsh(square, k=1, v0=start, return_eigenvectors=False, tol=1e-14)[0]
        return math.sqrt(max(float(value), 0.0))

    # ---- projecting --------------------------------------------------------------------------

    def project(
        self, V: Array, strength: float | None, first: bool
    ) -> tuple[Array, dict[str, Any]]:
        before = self._jacobian.products
        found = [self._solved(v) for v in V]
        out = np.array([f.left for f in found], dtype=V.dtype)
        report = {
            "rank": self.rank,
            "rtol": self.rtol,
            "orthogonality": max(f.orthogonality for f in found),
            "norm_removed": max(f.removed for f in found),
            "passes": self._jacobian.products - before,
            "reorthogonalised": any(f.rounds > 1 for f in found),
            "factorization": self.factorization,
            "iterations": sum(f.iterations for f in found),
        }
        if strength is not None:
            out = (V - strength * out.astype(np.float64)).astype(V.dtype)
        return out, report

    def coefficients(self, V: Array) -> Array:
        return np.array([self._rows_of(self._solved(v).x) for v in V])

    def delete_rows(self, positions: Array) -> None:
        raise InputError(NO_UPDATES.format("delete_rows"))

    def add_rows(self, blocks: Sequence[Sequence[Array]]) -> None:
        raise InputError(NO_UPDATES.format("add_rows"))

    def _rows_of(self, x: Array) -> Array:
        return x if self._combine is None else x @ self._combine

    def _times(self, v: Array) -> Array:
        c = self._jacobian.times(v)
        return c if self._combine is None else self._combine @ c

    def _transposed(self, x: Array) -> Array:
        return self._jacobian.transposed(self._rows_of(x))

    def _solved(self, v: Array) -> _Solution:
        """LSMR, repeated on the remainder until a further round no longer halves J P v."""
        target = v.astype(np.float64)
        size = float(np.linalg.norm(target))
        eps = max(float(np.finfo(v.dtype).eps), float(np.finfo(self.dtype).eps))
        limit, previous = max(self.n_rows, 4) * eps, math.inf
        root = math.sqrt(self._mu)
        width = self.n_rows if self._combine is None else self._combine.shape[0]
        x, left, iterations, rounds = np.zeros(width), target, 0, 0
        while True:
            # The gradient of the objective in x: zero at the solution, with or without damping.
            rounded = left.astype(v.dtype).astype(np.float64)
            slope = self._times(rounded) - self._mu * x
            error = self._relative(slope, size)
            if error <= limit or 2 * error > previous or rounds == _ROUNDS or not width:
                break
            previous, rounds = error, rounds + 1
            step, steps = self._step(left, root * x, root)
            x, iterations = x + step, iterations + steps
            # From the last remainder: J^T x itself is rounded at cond(J) times this level.
            left = left - self._transposed(step)
        products = (
            slope if self._combine is None and not self._mu else self._jacobian.times(rounded)
        )
        removed = float(np.linalg.norm(target - left))
        return _Solution(left, x, iterations, rounds, self._relative(products, size), removed)

    def _relative(self, products: Array, size: float) -> float:
        unit = size * self.norm if self._combine is None or self._mu else size
        return float(np.linalg.norm(products)) / unit if unit else 0.0

    def _step(self, left: Array, pulled: Array, root: float) -> tuple[Array, int]:
        """Step d of least ||left - M^T d||^2 + ||pulled + root d||^2, and the iterations."""
        P = self._precondition
        width, p = pulled.size, self.n_columns

        def down(y: Array) -> Array:
            x = np.ravel(y) if P is None else P @ np.ravel(y)
            return np.concatenate([self._transposed(x), root * x])

        def up(u: Array) -> Array:
            x = self._times(np.ravel(u)[:p]) + root * np.ravel(u)[p:]
            return x if P is None else P.T @ x

        A = LinearOperator((p + width, width), matvec=down, rmatvec=up, dtype=np.float64)
        found = lsmr(
            A,
            np.concatenate([left, -pulled]),
            atol=_U,
            btol=_U,
            conlim=0.0,
            maxiter=10 * width + 50,
        )
        y = found[0] if P is None else P @ found[0]
        return y, int(found[2])


class _Solution:
    """P v before rounding, x with P v = v - M^T x, and what it took."""

    def __init__(
        self,
        left: Array,
        x: Array,
        iterations: int,
        rounds: int,
        orthogonality: float,
        removed: float,
    ) -> None:
        self.left, self.x, self.iterations, self.rounds = left, x, iterations, rounds
        self.orthogonality, self.removed = orthogonality, removed
