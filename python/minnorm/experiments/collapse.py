"""Representation Collapse: how far does a model fall back on the simple feature?"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from ..torch import METHODS as ALL
from . import report, runner
from .image_settings import candidates
from .representation_collapse import RepresentationCollapse

METHODS = tuple(ALL)
PROBLEM = RepresentationCollapse()
PLAN = runner.Plan(METHODS, epochs=(10, 30), trials=5)


def run(
    plan: runner.Plan,
    out: str,
    *,
    problem: RepresentationCollapse | None = None,
    settings: runner.Candidates = candidates,
    progress: bool | None = None,
) -> dict[str, Any]:
    """Run what is not there yet, print the table, write ``results.json`` and the picture.

    ``problem`` is that of digits by default, and ``settings`` those tried on it. Other parameters,
    returns and errors as for `data_poisoning.run`.
    """
    plan.check(METHODS)
    content = runner.run(plan, problem or PROBLEM, settings, Path(out), progress)
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
    if importlib.util.find_spec("matplotlib") is None:
        print("\nNo picture: it needs matplotlib, from the extra: pip install 'minnorm[plot]'.")
        return content
    from ._ranges import draw

    path = Path(out) / "collapse.png"
    title = f"Representation collapse, median and central range of {plan.trials} trials"
    draw(percent, "accuracy by colour (%)", title, str(path))
    print(f"\nPicture written to {path}.")
    return content
