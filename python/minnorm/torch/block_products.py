"""Products A B^T of blocks of gradients, in the precision of sums."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .parameters import wide

# Columns of a block that are brought to double precision together.
_PANEL = 1 << 13


def product(A: Tensor, B: Tensor) -> Tensor:
    """A B^T, in double precision on the CPU (single on devices without it)."""
    dtype = wide(A.device)
    total = torch.zeros(len(A), len(B), dtype=dtype, device=A.device)
    for a, b in zip(torch.split(A, _PANEL, 1), torch.split(B, _PANEL, 1), strict=True):
        left = a.to(dtype)
        total.addmm_(left, (left if A is B else b.to(dtype)).T)
    return total.cpu().double()


def add_pairs(G: Tensor, block: Callable[[int, int], Tensor], step: int) -> None:
    """``G += A A^T`` for A (m, k) known by blocks of ``step`` rows, two of which are held."""
    m = len(G)
    for i in range(0, m, step):
        left = block(i, min(i + step, m))
        G[i : i + step, i : i + step] += product(left, left)
        for j in range(i + step, m, step):
            found = product(left, block(j, min(j + step, m)))
            G[i : i + step, j : j + step] += found
            G[j : j + step, i : i + step] += found.T
