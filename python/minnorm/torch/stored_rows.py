"""J in memory, the large weights of layers at one position by their factors."""

from __future__ import annotations

import torch
from torch import Tensor

from .block_products import product
from .jacobian import fill, rows_at_once
from .layer_factors import LayerFactors
from .parameters import Named
from .rows import GradientRows

# Numbers of a weight from which on its factors are quicker than its columns.
_LARGE = 1 << 13
# Under this name: all parameters whose columns are stored, as one vector.
_REST = ""


class StoredRows:
    """Rows whose columns are numbers, or ``d_i x_i^T`` for the weights of some linear layers.

    Invariant: `times`, `transposed` and `gram` are products with the matrix of `jacobian.dense`,
    on vectors as `split` makes them.
    """

    def __init__(self, rows: GradientRows, chunk: int | None = None) -> None:
        parameters, m = rows.parameters, len(rows)
        step = rows_at_once(rows, chunk)
        self._parameters = parameters
        self._pairs: dict[str, tuple[Tensor, Tensor]] = {}
        factors = LayerFactors(rows, 0, min(step, m))
        if step >= m:
            large = [name for name in factors if parameters.sizes[name] >= _LARGE]
            found = {name: factors.single(name) for name in large}
            self._pairs = {name: pair for name, pair in found.items() if pair is not None}
        self._names = [name for name in parameters.sizes if name not in self._pairs]
        size = sum(parameters.sizes[name] for name in self._names)
        self._J = torch.empty(m, size, dtype=parameters.dtype, device=parameters.device)
        for start in range(0, m, step):
            stop = min(start + step, m)
            if start:
                factors = LayerFactors(rows, start, stop)
            fill(self._J[start:stop], rows, start, self._names, factors)

    def gram(self) -> Tensor:
        """J J^T (m, m) in double precision, on the CPU."""
        G = product(self._J, self._J)
        for x, d in self._pairs.values():
            G += product(x, x) * product(d, d)
        return G

    def times(self, v: Named) -> Tensor:
        """J v (m,)."""
        total = self._J @ v[_REST]
        for name, (x, d) in self._pairs.items():
            total += ((x @ v[name].T) * d).sum(1)
        return total

    def transposed(self, u: Tensor) -> dict[str, Tensor]:
        """J^T u."""
        parts = {name: (d * u[:, None]).T @ x for name, (x, d) in self._pairs.items()}
        return {_REST: self._J.T @ u, **parts}

    def split(self) -> dict[str, Tensor]:
        """A copy of theta."""
        theta, dtype = self._parameters.detached(), self._parameters.dtype
        flat = [theta[name].reshape(-1).to(dtype) for name in self._names]
        parts = {name: theta[name].clone() for name in self._pairs}
        return {_REST: torch.cat(flat) if flat else self._J.new_zeros(0), **parts}

    def subtract(self, v: dict[str, Tensor], strength: float) -> None:
        """theta - strength v, written into the model."""
        theta, sizes = self._parameters.detached(), self._parameters.sizes
        parts = torch.split(v.pop(_REST), [sizes[name] for name in self._names])
        for name, part in (*zip(self._names, parts, strict=True), *v.items()):
            theta[name].sub_(part.view(theta[name].shape), alpha=strength)
