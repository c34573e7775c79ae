"""Products with a Jacobian that never exists: J v, J^T u and J J^T.

J v is one forward-mode pass, J^T u one backward pass of ``sum_i u_i f_i(theta)``. The Gram matrix
is a sum over parameters of products of small blocks, each discarded after use.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.func import jvp, vjp

from .layer_factors import LayerFactors, plain_layers
from .parameters import Named, evaluating, norm, wide
from .rows import GradientRows

# Columns of a block that are brought to double precision together.
_PANEL = 1 << 13
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

    Blocks hold one copy of theta at most. Parameters that are small enough are taken together
    with all rows; a larger one by the factors of its layer; where there are none, by pairs of
    blocks of rows. Cost: m passes forward and back per group of parameters, one such for all
    factors, m^2 / 2 c per parameter taken by pairs with c rows to a block; and m^2 d.
    """
    m, sizes = len(rows), rows.parameters.sizes
    room = max(rows.parameters.size, _LEAST)
    # Half the room for a block, half for the gradients it is put together from.
    large = [name for name, size in sizes.items() if 2 * m * size > room]
    G = torch.zeros(m, m, dtype=torch.float64)
    for names in _groups([name for name in sizes if name not in large], sizes, room // (2 * m)):
        block = _block(rows, 0, m, names)
        G += _product(block, block)
    by_pairs = large
    if large:
        by_factors, factored = _by_factors(rows, large, room)
        if _agrees(rows, by_factors, factored):
            G += by_factors
            by_pairs = [name for name in large if name not in factored]
    for name in by_pairs:
        _add_pairs(G, rows, name, max(1, room // (3 * sizes[name])))
    return G


def _by_factors(rows: GradientRows, large: list[str], room: int) -> tuple[Tensor, list[str]]:
    """What large layers with factors contribute, and the names of their weights."""
    total = torch.zeros(len(rows), len(rows), dtype=torch.float64)
    layers = {name: layer for name, layer in plain_layers(rows).items() if name in large}
    factors, done = LayerFactors(rows, layers), []
    for name in layers:
        numbers = factors.numbers(name)
        if numbers is not None and numbers <= room:
            total += factors.gram(name, room)
            done.append(name)
    return total, done


def _agrees(rows: GradientRows, G: Tensor, names: list[str]) -> bool:
    """Whether ``u^T G u = ||J^T u||^2`` in the columns of these, for signs u.

    A forward method that also uses a layer's weight without calling the layer has a gradient that
    no hook sees.
    """
    if not names:
        return True
    u = 1.0 - 2.0 * torch.randint(2, (len(rows),), generator=torch.Generator().manual_seed(0))
    pulled = transposed(rows, u.to(rows.parameters.device))
    square = norm({name: pulled[name] for name in names}) ** 2
    u = u.double()
    return abs(float(u @ G @ u) - square) <= 1e-3 * float(G.trace())


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


def _product(A: Tensor, B: Tensor) -> Tensor:
    """A B^T in double precision."""
    dtype = wide(A.device)
    total = torch.zeros(len(A), len(B), dtype=dtype, device=A.device)
    for a, b in zip(torch.split(A, _PANEL, 1), torch.split(B, _PANEL, 1), strict=True):
        total += a.to(dtype) @ b.to(dtype).T
    return total.cpu().double()


def _add_pairs(G: Tensor, rows: GradientRows, name: str, step: int) -> None:
    m = len(rows)
    for i in range(0, m, step):
        left = _block(rows, i, min(i + step, m), [name])
        G[i : i + step, i : i + step] += _product(left, left)
        for j in range(i + step, m, step):
            product = _product(left, _block(rows, j, min(j + step, m), [name]))
            G[i : i + step, j : j + step] += product
            G[j : j + step, i : i + step] += product.T
