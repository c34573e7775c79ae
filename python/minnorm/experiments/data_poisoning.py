"""Data Poisoning (Section 5.1, Appendix F.2): forget wrong points, measure the curve.

Settings are chosen on development seeds and reported on others, so no method is flattered by its
search. Every poisoned model and every trial is kept in the directory.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from . import report, runner
from .poisoning import PAPER, SMALL
from .settings import EPOCHS, METHODS, candidates, paper_settings

PLAN = runner.Plan(METHODS, EPOCHS)
# Under a minute on two processes.
SMALL_PLAN = runner.Plan(METHODS, epochs=(100,), trials=5, search=4, development=2)


def run(
    plan: runner.Plan,
    out: str,
    *,
    small: bool = False,
    paper: bool = False,
    progress: bool | None = None,
) -> dict[str, Any]:
    """Run what is not there yet, print the table, write ``results.json`` and the curves.

    Parameters
    ----------
    plan : Plan
    out : str
        Directory; made if need be. A rerun continues in it.
    small : bool
        `poisoning.SMALL` instead of the paper's problem.
    paper : bool
        The settings of Table 6 instead of a search.
    progress : bool, optional
        As in `minnorm.torch.Unlearner.run`.

    Returns
    -------
    dict
        What ``results.json`` holds: versions, plan, settings chosen, every trial, summary.

    Raises
    ------
    InputError
        A directory that holds trials of another problem; methods for classifiers.
    """
    plan.check(METHODS)
    problem, directory = SMALL if small else PAPER, Path(out)
    content = runner.run(
        plan,
        problem,
        (lambda method, epochs, limit: [paper_settings(method, epochs)]) if paper else candidates,
        directory,
        progress,
    )
    print(f"Largest error of the curve, median (central range) of {plan.trials} trials:\n")
    print(report.table(content["error"], published=not small))
    before = [trial["before"] for trial in content["trials"]]
    print(
        f"\nPoisoned models: error {np.median([b['error'] for b in before]):.3g}, membership score "
        f"{np.median([b['membership'] for b in before]):.2f} (0.5 tells nothing)."
    )
    print(report.short(content["membership"], "Membership score"))
    if importlib.util.find_spec("matplotlib") is None:
        print("\nNo picture: it needs matplotlib, from the extra: pip install 'minnorm[plot]'.")
        return content
    from ._curves import draw

    for epochs in plan.epochs:
        shown = [r for r in content["trials"] if r["seed"] == 0 and r["epochs"] == epochs]
        path = directory / f"curves-{epochs}.png"
        draw(
            problem,
            problem.samples(0),
            shown[0]["before"]["curve"],
            {r["method"]: (r["error"], r["curve"]) for r in shown},
            f"Largest error after {epochs} epochs, seed 0",
            str(path),
        )
        print(f"Picture written to {path}.")
    return content
