"""Per-sample gradients of a model's output: the rows that MinNorm-OG projects off."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .checks import at_least
from .layer_factors import BLOCK, LayerFactors
from .rows import GradientRows, Output


def jacobian(
    model: nn.Module, inputs: Any, output: Output = "auto", chunk: int | None = None
) -> Tensor:
    """J (m, d): row i is the gradient of one scalar output with respect to all parameters.

    Parameters
    ----------
    model : torch.nn.Module
        On any device, of any real dtype. Taken in eval mode for the time of the call: dropout is
        the identity, batch normalisation uses its running statistics and does not touch them.
    inputs : tensor, shape (n, ...), or tuple of such
        Samples; a tuple for a model of several arguments. Moved to the model's device.
    output : {"auto", "each", "largest"} or callable, default "auto"
        "each" gives one row per number that the model returns (regression), sample by sample;
        "largest" one row per sample, for the largest number, its index held fixed (logits of a
        classifier). "auto" is "each" for models of one output, else "largest". A callable maps
        what the model returns for b samples to a tensor (b,) or (b, r), r rows per sample: for
        several heads, or any other function of the outputs.
    chunk : int or None, default None
        Rows computed together. None takes as many as fit in 64 MB of single precision.

    Returns
    -------
    tensor, shape (m, d)
        d counts the parameters with ``requires_grad``, in the order of ``model.parameters()``,
        flattened; frozen ones are left out and shared ones counted once. On the model's device,
        in the widest dtype of its parameters.

    Raises
    ------
    InputError, ShapeError
        No samples, no trainable parameters, outputs that are no tensor with one row per sample,
        a normalisation without running statistics.

    Notes
    -----
    Linear, convolutional and normalising layers that are called once: from what entered them and
    the derivatives by what left them, of one forward and one backward pass for a block of rows, of
    whose graph a second backward pass shows that it keeps samples apart. The other parameters by
    ``torch.func``: vmap of grad. Cost: m passes forward and back; memory m d and the activations of
    a block. The outputs of a sample must not depend on the others. The gradients of Algorithm 1 of
    Block, Mokhtari and Shakkottai, arXiv 2505.22601.

    Examples
    --------
    >>> import torch
    >>> from minnorm.torch import jacobian
    >>> model = torch.nn.Linear(2, 1)
    >>> jacobian(model, torch.tensor([[3.0, 4.0], [5.0, 6.0]])).tolist()
    [[3.0, 4.0, 1.0], [5.0, 6.0, 1.0]]
    """
    return dense(GradientRows(model, inputs, output), chunk)


def dense(rows: GradientRows, chunk: int | None = None) -> Tensor:
    """The matrix of all rows, computed block by block; at once where the rows were recorded."""
    parameters, m = rows.parameters, len(rows)
    step = rows_at_once(rows, chunk)
    J = torch.empty(m, parameters.size, dtype=parameters.dtype, device=parameters.device)
    for start in range(0, m, step):
        stop = min(start + step, m)
        factors = LayerFactors(rows, start, stop)
        fill(J[start:stop], rows, start, list(parameters.sizes), factors)
    return J


def rows_at_once(rows: GradientRows, chunk: int | None) -> int:
    """How many rows share a pass."""
    if chunk is not None:
        return at_least(chunk, 1, "chunk")
    return len(rows) if rows.is_recorded else max(1, BLOCK // rows.parameters.size)


def fill(
    out: Tensor, rows: GradientRows, start: int, names: list[str], factors: LayerFactors
) -> None:
    """Rows from ``start`` on in the columns of these: by factors, else one by one."""
    sizes, n = [rows.parameters.sizes[name] for name in names], len(out)
    parts = dict(zip(names, torch.split(out, sizes, 1), strict=True))
    for name in factors:
        if name in parts:
            factors.write(name, parts.pop(name))
    if not parts:
        return
    step = max(1, BLOCK // sum(rows.parameters.sizes[name] for name in parts))
    for i in range(0, n, step):
        stop = min(i + step, n)
        for name, block in rows.block(start + i, start + stop, list(parts)).items():
            parts[name][i:stop] = block.flatten(1)
