"""Products with a Jacobian that never exists: J v, J^T u and J J^T.

J v is one forward-mode pass, J^T u one backward pass of ``sum_i u_i f_i(theta)``. The Gram matrix
is a sum over parameters of products of small blocks, each discarded after use.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.func import jvp, vjp

from .block_products import add_pairs, product
from .layer_factors import LayerFactors
from .parameters import Named, evaluating
from .rows import GradientRows

# Numbers that blocks may always hold, however small the model: 16 MB in single precision.
_LEAST = 1 << 22


def times(rows: GradientRows, v: Named) -> Tensor:
    """J v (m,), for v by parameter.

    Where an operation of the model has no forward mode, the rows are formed and multiplied, a few
    at a time: m passes instead of one, no more than the Gram matrix takes.
    """
    try:
        with evaluating(rows.model):
            made: Tensor = jvp(rows.values, (rows.parameters.detached(),), (dict(v),))[1]
        return made.detach()
    except NotImplementedError:
        return _times_by_rows(rows, v)


def _times_by_rows(rows: GradientRows, v: Named) -> Tensor:
    step = max(1, _LEAST // (2 * rows.parameters.size))
    names, parts = list(rows.parameters.sizes), []
    for start in range(0, len(rows), step):
        blocks = rows.block(start, min(start + step, len(rows)), names)
        products = [block.flatten(1) @ v[name].reshape(-1) for name, block in blocks.items()]
        parts.append(torch.stack(products).sum(0))
    return torch.cat(parts)


def transposed(rows: GradientRows, u: Tensor) -> dict[str, Tensor]:
    """J^T u by parameter, u (m,)."""
    with evaluating(rows.model):
        pulled = vjp(rows.values, rows.parameters.detached())
        (g,) = pulled[1](u.to(pulled[0]))
    return {name: part.detach() for name, part in g.items()}


def gram(rows: GradientRows) -> Tensor:
    """J J^T (m, m), summed in double precision (single on devices without it), on the CPU.

    Layers with factors by these. Of the other parameters those that are small enough are taken
    together with all rows, larger ones by pairs of blocks of rows. Blocks hold one copy of theta
    at most. Cost: a pass forward and back of m rows for all factors, one per group of parameters,
    m / 2 c such for every parameter taken by pairs with c rows to a block; and m^2 d.
    """
    m, sizes = len(rows), rows.parameters.sizes
    room = max(rows.parameters.size, _LEAST)
    G = torch.zeros(m, m, dtype=torch.float64)
    factors = LayerFactors(rows)
    for name in factors:
        G += factors.gram(name, room)
    others = [name for name in sizes if name not in factors]
    del factors
    # Half the room for a block, half for the gradients it is put together from.
    large = [name for name in others if 2 * m * sizes[name] > room]
    small = [name for name in others if name not in large]
    for names in _groups(small, sizes, room // (2 * m)):
        block = _block(rows, 0, m, names)
        G += product(block, block)
    for name in large:
        blocks = functools.partial(_block, rows, names=[name])
        add_pairs(G, blocks, max(1, room // (3 * sizes[name])))
    return G


def _groups(names: list[str], sizes: dict[str, int], limit: int) -> Iterator[list[str]]:
    """Consecutive parameters of at most ``limit`` numbers together."""
    group: list[str] = []
    for name in names:
        if group and sum(sizes[other] for other in group) + sizes[name] > limit:
            yield group
            group = []
        group.append(name)
    if group:
        yield group


def _block(rows: GradientRows, start: int, stop: int, names: list[str]) -> Tensor:
    parts = list(rows.block(start, stop, names).values())
    flat = [part.reshape(stop - start, -1) for part in parts]
    return flat[0] if len(flat) == 1 else torch.cat(flat, dim=1)
