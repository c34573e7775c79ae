"""Data Poisoning (Section 5.1, Appendix F.2): forget wrong points, measure the curve.

Settings are chosen on development seeds and reported on others, so no method is flattered by its
search. Every poisoned model and every trial is kept in the directory.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
import importlib.util
import json
import multiprocessing
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import minnorm
import minnorm.torch

from .._progress import Progress
from ..errors import InputError
from ..torch.checks import at_least
from . import report, trials
from .poisoning import PAPER, SMALL, data
from .settings import METHODS, Settings, candidates, paper_settings

# Far from the seeds 0, 1, ... that are reported.
DEVELOPMENT = 1000


@dataclasses.dataclass(frozen=True)
class Plan:
    """What to run.

    Attributes
    ----------
    trials : int
        Reported seeds 0 .. trials - 1.
    epochs : tuple of int
        Numbers of unlearning epochs.
    methods : tuple of str
    small : bool
        The problem of `poisoning.SMALL` instead of the paper's.
    paper_settings : bool
        Table 6 instead of a search.
    search : int
        Settings tried per method and number of epochs.
    development : int
        Seeds that they are tried on.
    jobs : int
        Processes.
    """

    trials: int = 10
    epochs: tuple[int, ...] = (10, 100, 1000)
    methods: tuple[str, ...] = METHODS
    small: bool = False
    paper_settings: bool = False
    search: int = 12
    development: int = 3
    jobs: int = 1

    def __post_init__(self) -> None:
        for name in ("trials", "search", "development", "jobs"):
            at_least(getattr(self, name), 1, name)
        object.__setattr__(self, "epochs", tuple(self.epochs))
        for epochs in self.epochs:
            at_least(epochs, 3, "epochs")
        unknown = [method for method in self.methods if method not in METHODS]
        if unknown or not self.methods or not self.epochs:
            raise InputError(
                f"methods must be some of {', '.join(METHODS)}, and epochs some numbers; got "
                f"{', '.join(unknown) or 'none'}. Methods for classifiers have no place here."
            )


# Under a minute on two processes.
SMALL_PLAN = Plan(trials=5, epochs=(100,), small=True, search=4, development=2)


def run(plan: Plan, out: str, progress: bool | None = None) -> dict[str, Any]:
    """Run what is not there yet, print the table, write ``results.json`` and ``curves.png``.

    Parameters
    ----------
    plan : Plan
    out : str
        Directory; made if need be. A rerun continues in it.
    progress : bool, optional
        As in `minnorm.torch.Unlearner.run`.

    Returns
    -------
    dict
        What ``results.json`` holds: versions, plan, settings chosen, every trial, summary.

    Raises
    ------
    InputError
        A directory that holds trials of another problem.
    """
    problem, directory = SMALL if plan.small else PAPER, Path(out)
    trials.claim(directory, problem)
    seeds = list(range(plan.trials))
    tuning = [] if plan.paper_settings else [DEVELOPMENT + i for i in range(plan.development)]
    with _Pool(plan.jobs) as pool:
        prepare = functools.partial(trials.prepare, directory, problem)
        pool.map(prepare, [*tuning, *seeds], "poisoned models", progress)
        one = functools.partial(trials.run, directory, problem)
        chosen = _chosen(plan, tuning, pool, one, progress)
        wanted = [
            trials.Trial(seed, method, epochs, chosen[epochs][method])
            for epochs in plan.epochs
            for method in plan.methods
            for seed in seeds
        ]
        results = pool.map(one, wanted, "trials", progress)
    content = _summary(plan, problem, chosen, results, len(tuning))
    (directory / "results.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
    _print(plan, content, directory)
    return content


def _chosen(
    plan: Plan,
    tuning: Sequence[int],
    pool: _Pool,
    one: Callable[[trials.Trial], dict[str, Any]],
    progress: bool | None,
) -> dict[int, dict[str, Settings]]:
    """Epochs -> method -> the setting of least median error on the development seeds."""
    pairs = [(epochs, method) for epochs in plan.epochs for method in plan.methods]
    if plan.paper_settings:
        options = {pair: [paper_settings(pair[1], pair[0])] for pair in pairs}
        found = dict.fromkeys(pairs, 0)
    else:
        options = {pair: candidates(pair[1], pair[0], plan.search) for pair in pairs}
        tried = [
            (pair, number, trials.Trial(seed, pair[1], pair[0], setting))
            for pair in pairs
            for number, setting in enumerate(options[pair])
            for seed in tuning
        ]
        results = pool.map(one, [trial for _, _, trial in tried], "search", progress)
        errors: dict[Any, list[list[float]]] = {
            pair: [[] for _ in settings] for pair, settings in options.items()
        }
        for (pair, number, _), result in zip(tried, results, strict=True):
            errors[pair][number].append(result["error"])
        # A diverged run has no error to speak of.
        found = {
            pair: int(np.argmin([np.median(np.nan_to_num(e, nan=np.inf)) for e in errors[pair]]))
            for pair in pairs
        }
    return {
        epochs: {method: options[epochs, method][found[epochs, method]] for method in plan.methods}
        for epochs in plan.epochs
    }


def _summary(
    plan: Plan,
    problem: Any,
    chosen: dict[int, dict[str, Settings]],
    results: list[dict[str, Any]],
    tuned: int,
) -> dict[str, Any]:
    def gathered(key: str) -> dict[int, dict[str, list[float]]]:
        return {
            epochs: {
                method: [r[key] for r in results if r["epochs"] == epochs and r["method"] == method]
                for method in plan.methods
            }
            for epochs in plan.epochs
        }

    return {
        "versions": {
            "minnorm": minnorm.__version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
            "machine": platform.machine(),
        },
        "plan": dataclasses.asdict(plan),
        "problem": dataclasses.asdict(problem),
        "development_seeds": [DEVELOPMENT + i for i in range(tuned)],
        "settings": chosen,
        "error": gathered("error"),
        "membership": gathered("membership"),
        "trials": results,
    }


def _print(plan: Plan, content: dict[str, Any], directory: Path) -> None:
    print(f"Largest error of the curve, median (central range) of {plan.trials} trials:\n")
    print(report.table(content["error"], published=not plan.small))
    before = [r["before"] for r in content["trials"]]
    print(
        f"\nPoisoned models: error {np.median([b['error'] for b in before]):.3g}, membership score "
        f"{np.median([b['membership'] for b in before]):.2f} (0.5 tells nothing)."
    )
    print(report.short(content["membership"], "Membership score"))
    if importlib.util.find_spec("matplotlib") is None:
        print("\nNo picture: it needs matplotlib, from the extra: pip install 'minnorm[plot]'.")
        return
    from ._curves import draw

    problem = SMALL if plan.small else PAPER
    for epochs in plan.epochs:
        shown = [r for r in content["trials"] if r["seed"] == 0 and r["epochs"] == epochs]
        path = directory / f"curves-{epochs}.png"
        draw(
            problem,
            data(problem, 0),
            shown[0]["before"]["curve"],
            {r["method"]: (r["error"], r["curve"]) for r in shown},
            f"Largest error after {epochs} epochs, seed 0",
            str(path),
        )
        print(f"Picture written to {path}.")


class _Pool:
    """``map`` over processes of one thread each; in this process for one job."""

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._executor: concurrent.futures.Executor | None = None

    def __enter__(self) -> _Pool:
        self._threads = torch.get_num_threads()
        if self._jobs > 1:
            # Forked processes would inherit the locks of torch's threads.
            self._executor = concurrent.futures.ProcessPoolExecutor(
                self._jobs,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=torch.set_num_threads,
                initargs=(1,),
            )
        else:
            torch.set_num_threads(1)  # the layers are too small to share
        return self

    def __exit__(self, *exception: Any) -> None:
        torch.set_num_threads(self._threads)
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)

    def map(
        self, function: Callable[[Any], Any], items: Sequence[Any], name: str, show: bool | None
    ) -> list[Any]:
        results: list[Any] = [None] * len(items)
        with Progress(len(items), name, show) as shown:
            if self._executor is None:
                for position, item in enumerate(items):
                    results[position] = function(item)
                    shown.advance()
                return results
            futures = {self._executor.submit(function, item): i for i, item in enumerate(items)}
            for done in concurrent.futures.as_completed(futures):
                results[futures[done]] = done.result()
                shown.advance()
        return results
