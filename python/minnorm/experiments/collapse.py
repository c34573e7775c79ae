"""Representation Collapse at small scale: how far does a model fall back on the simple feature?"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np

from ..torch import METHODS as ALL
from . import report, runner
from .coloured_digits import ColouredDigits
from .settings import Settings

METHODS = tuple(ALL)
PROBLEM = ColouredDigits()
PLAN = runner.Plan(METHODS, epochs=(10, 30), trials=5)

_SHRINKING: dict[str, tuple[Any, ...]] = {
    "lambda_reg": (0.1, 0.3),
    "gamma_reg": (0.6, 0.8, 0.9),
    "t_proj": (1, 2),
    "t_gd": (0.2, 0.5),  # of the epochs
}

_GRID: dict[str, dict[str, tuple[Any, ...]]] = {
    "MinNormOG": _SHRINKING,
    "Shrink": _SHRINKING,
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


def candidates(method: str, epochs: int, limit: int) -> list[Settings]:
    """At most ``limit`` settings, a random part of the grid; the same for every run."""
    axes = {"lr": (1e-2, 3e-3, 1e-3), **_GRID.get(method, {})}
    if "t_gd" in axes:
        axes["t_gd"] = tuple(int(part * epochs) for part in axes["t_gd"])
    grid = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    order = np.random.default_rng(0).permutation(len(grid))
    return [grid[i] for i in order[:limit]]


def run(plan: runner.Plan, out: str, *, progress: bool | None = None) -> dict[str, Any]:
    """Run what is not there yet, print the table, write ``results.json``.

    Parameters, returns and errors as for `data_poisoning.run`.
    """
    plan.check(METHODS)
    content = runner.run(plan, PROBLEM, candidates, Path(out), progress)
    percent = {
        epochs: {method: [100 * value for value in values] for method, values in row.items()}
        for epochs, row in content["accuracy"].items()
    }
    print(
        f"Accuracy by colour on test images (%), median (central range) of {plan.trials} trials:\n"
    )
    print(report.table(percent, published=False))
    before = [trial["before"] for trial in content["trials"]]
    print(
        f"\nTrained models: accuracy by colour "
        f"{100 * np.median([b['accuracy'] for b in before]):.3g} %, membership score "
        f"{np.median([b['membership'] for b in before]):.2f} (0.5 tells nothing)."
    )
    print(report.short(content["membership"], "Membership score"))
    kept = runner.gathered(content["trials"], plan, "retain_accuracy")
    print(report.short(kept, "Accuracy on retained images"))
    return content
