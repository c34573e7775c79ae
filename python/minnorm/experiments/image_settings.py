"""Settings that are tried in the experiments on images; the values are those for digits."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from .settings import Settings

_GRID: dict[str, dict[str, tuple[Any, ...]]] = {
    "NGP": {"lambda_ga": (0.001, 0.01, 0.1, 1.0)},
    "NGD": {"sigma": (0.1, 0.5, 1.0)},
    "Ridge": {"lambda_reg": (0.1, 1.0, 3.0), "gamma_reg": (0.3, 0.6, 0.9)},
    "L1Sparse": {"lambda_reg": (0.0001, 0.001, 0.01, 0.1)},
    "SCRUB": {
        "lambda_reg": (0.1, 1.0, 3.0),
        "lambda_ga": (0.001, 0.01, 0.1, 1.0),
        "t_gd": (0.2, 0.5),
    },
    "NPO": {"lambda_reg": (0.1, 1.0, 3.0)},
    "SalUn": {"lambda_ga": (0.001, 0.01, 0.1, 1.0)},
}


def candidates(
    method: str,
    epochs: int,
    limit: int,
    *,
    strengths: tuple[float, ...] = (0.1, 0.3),
    decays: tuple[float, ...] = (0.6, 0.8, 0.9),
    rates: tuple[float, ...] = (1e-2, 3e-3, 1e-3),
    spacings: tuple[int, ...] = (1, 2),
    fixed: Mapping[str, Settings] | None = None,
) -> list[Settings]:
    """At most ``limit`` settings, a random part of the grid; the same for every run.

    MinNormOG and Shrink have one schedule, of these strengths, decays and epochs from one
    perturbation to the next. ``fixed`` has, by method, what is the same in all its settings.
    """
    axes = {"lr": rates, **_GRID.get(method, {})}
    if method in ("MinNormOG", "Shrink"):
        axes |= {"lambda_reg": strengths, "gamma_reg": decays, "t_proj": spacings}
        axes["t_gd"] = (0.2, 0.5)
    if "t_gd" in axes:  # of the epochs
        axes["t_gd"] = tuple(int(part * epochs) for part in axes["t_gd"])
    same = (fixed or {}).get(method, {})
    grid = [
        {**dict(zip(axes, values, strict=True)), **same}
        for values in itertools.product(*axes.values())
    ]
    order = np.random.default_rng(0).permutation(len(grid))
    return [grid[i] for i in order[:limit]]
