"""The dual system on the independent rows, with the others folded in by least squares.

W_full has the identity on the basis B and W on the dependents D, so X~ = W_full X_B. With
f_B = W_full^+ f the least-squares fit of f, the minimum-norm model solves, on B only,
    [G 1; 1^T 0] [beta; b] = [f_B; 0]     (without intercept: G beta = f_B),    G = L L^T.
Because 1^T beta = 0, G may be X X^T + s^2 1 1^T for any s. M = G^-1, u = M 1.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from minnorm._scipy import factor
from minnorm._scipy.scaling import Array, Positions


class DualSystem:
    """Solves on L (r, r), basis (r,), dependents (d,), W (d, r). Immutable."""

    def __init__(
        self, L: Array, basis: Positions, dependents: Positions, W: Array, intercept: bool
    ) -> None:
        self.L, self.basis, self.dependents, self.W = L, basis, dependents, W
        self.intercept = intercept
        self.n_samples = basis.size + dependents.size

    # ---- least squares over the dependents ---------------------------------------------------

    @cached_property
    def _outer(self) -> Array:
        """Cholesky factor of I + W W^T (d <= r) or of I + W^T W: eigenvalues at least 1."""
        W = self.W
        small = W @ W.T if self._few else W.T @ W
        small.flat[:: small.shape[0] + 1] += small.dtype.type(1)
        lower: Array = cho_factor(small, lower=True, check_finite=False)[0]
        return lower

    @property
    def _few(self) -> bool:
        return self.W.shape[0] <= self.W.shape[1]

    def _outer_solve(self, right: Array) -> Array:
        """(I + W W^T)^-1 right, right (d, t)."""
        if self._few:
            result: Array = cho_solve((self._outer, True), right, check_finite=False)
            return result
        inner = cho_solve((self._outer, True), self.W.T @ right, check_finite=False)
        return right - self.W @ inner

    def _inner_solve(self, right: Array) -> Array:
        """(I + W^T W)^-1 right, right (r, t)."""
        if self._few:
            return right - self.W.T @ self._outer_solve(self.W @ right)
        result: Array = cho_solve((self._outer, True), right, check_finite=False)
        return result

    def fitted(self, f: Array) -> Array:
        """f_B = W_full^+ f (r, t) for f (n, t)."""
        on_basis: Array = f[self.basis]
        if not self.dependents.size or not self.basis.size:
            return on_basis
        if self._few:
            gap = f[self.dependents] - self.W @ on_basis
            return on_basis + self.W.T @ self._outer_solve(gap)
        return self._inner_solve(on_basis + self.W.T @ f[self.dependents])

    def spread(self, beta: Array) -> Array:
        """(W_full^+)^T beta (n, t): the minimum-norm dual over all samples."""
        out = np.zeros((self.n_samples, beta.shape[1]), dtype=beta.dtype)
        if self.dependents.size and self.basis.size:
            inner = self._inner_solve(beta)
            out[self.basis] = inner
            out[self.dependents] = self.W @ inner
        else:
            out[self.basis] = beta
        return out

    def scatter(self, beta: Array) -> Array:
        """beta (r, t) on the basis, zero elsewhere: (n, t)."""
        out = np.zeros((self.n_samples, beta.shape[1]), dtype=beta.dtype)
        out[self.basis] = beta
        return out

    # ---- the bordered system -----------------------------------------------------------------

    def apply_inverse(self, right: Array) -> Array:
        """M right for right (r, t)."""
        return factor.solve_transposed(self.L, factor.solve(self.L, right))

    @cached_property
    def u(self) -> Array:
        """M 1 (r, 1)."""
        return self.apply_inverse(np.ones((self.basis.size, 1), dtype=self.L.dtype))

    def dual(self, f: Array) -> tuple[Array, Array]:
        """(beta (r, t), b (t,)) for f (r, t): b = u^T f / 1^T u, beta = M f - b u.

        b is zero without intercept.
        """
        if not (self.intercept and self.basis.size):
            return self.apply_inverse(f), np.zeros(f.shape[1], dtype=f.dtype)
        b = (self.u.T @ f)[0] / self.u.sum()
        return self.apply_inverse(f) - self.u * b, b

    # ---- leave-one-out -----------------------------------------------------------------------

    def leverage_gaps(self) -> Array:
        """1 - h_i (n,), h_i the leverage of sample i in the least squares over W_full.

        For i in B: [W^T (I + W W^T)^-1 W]_ii; for i in D: [(I + W W^T)^-1]_ii. Both are sums of
        squares for d <= r, so small values keep their relative accuracy.
        """
        gaps = np.zeros(self.n_samples, dtype=self.L.dtype)
        if not self.dependents.size:
            return gaps
        if not self.basis.size:
            gaps[:] = 1
            return gaps
        if self._few:
            half = solve_triangular(self._outer, self.W, lower=True, check_finite=False)
            gaps[self.basis] = (half * half).sum(axis=0)
            root = solve_triangular(
                self._outer, np.eye(self.W.shape[0], dtype=half.dtype), lower=True
            )
            gaps[self.dependents] = (root * root).sum(axis=0)
        else:
            right = cho_solve((self._outer, True), self.W.T, check_finite=False)
            gaps[self.basis] = np.einsum("dr,rd->r", self.W, right)
            gaps[self.dependents] = 1 - np.einsum("dr,rd->d", self.W, right)
        return gaps

    def inverse_diagonal(self) -> Array:
        """diag(N) (r,), N = M - u u^T / (1^T u) with intercept, else M. r^3 / 3 flops."""
        V = factor.inverse(self.L)
        diagonal: Array = np.einsum("ij,ij->j", V, V)
        if self.intercept:
            diagonal = diagonal - self.u[:, 0] ** 2 / self.u.sum()
        return diagonal

    def essential(self, lengths: NDArray[np.float64], reach: float) -> NDArray[np.bool_]:
        """Which samples no dependent leans on (n,): i in B with |W_di| lengths_i <= reach."""
        mask = np.zeros(self.n_samples, dtype=bool)
        heaviest = np.abs(self.W).max(axis=0) if self.W.shape[0] else np.zeros(self.basis.size)
        mask[self.basis] = heaviest * lengths[self.basis] <= reach
        return mask
