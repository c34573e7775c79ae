"""An experiment from seeds to figures: models, search on development seeds, reported trials."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
import json
import multiprocessing
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import minnorm

from .._progress import Progress
from ..errors import InputError
from ..torch.checks import at_least
from . import trials
from .settings import Settings

# Far from the seeds 0, 1, ... that are reported.
DEVELOPMENT = 1000

# (method, epochs, limit) -> settings to try.
Candidates = Callable[[str, int, int], list[Settings]]


@dataclasses.dataclass(frozen=True)
class Plan:
    """What to run.

    Attributes
    ----------
    methods : tuple of str
    epochs : tuple of int
        Numbers of unlearning epochs.
    trials : int
        Reported seeds 0 .. trials - 1.
    search : int
        Settings tried per method and number of epochs.
    development : int
        Seeds that they are tried on.
    jobs : int
        Processes.
    """

    methods: tuple[str, ...]
    epochs: tuple[int, ...]
    trials: int = 10
    search: int = 12
    development: int = 3
    jobs: int = 1

    def __post_init__(self) -> None:
        for name in ("trials", "search", "development", "jobs"):
            at_least(getattr(self, name), 1, name)
        for epochs in self.epochs:
            at_least(epochs, 2, "epochs")

    def check(self, allowed: Sequence[str]) -> None:
        """Raise for methods that the experiment does not have."""
        unknown = [method for method in self.methods if method not in allowed]
        if unknown or not self.methods or not self.epochs:
            raise InputError(
                f"methods must be some of {', '.join(allowed)}, and epochs some numbers; got "
                f"{', '.join(unknown) or 'none'}."
            )


def run(
    plan: Plan,
    problem: trials.Problem,
    candidates: Candidates,
    directory: Path,
    progress: bool | None = None,
) -> dict[str, Any]:
    """Run what is not there yet; returns what it wrote to ``results.json``.

    One candidate per method and number of epochs is taken without a search.
    """
    trials.claim(directory, problem)
    pairs = [(epochs, method) for epochs in plan.epochs for method in plan.methods]
    options = {pair: candidates(pair[1], pair[0], plan.search) for pair in pairs}
    searched = any(len(settings) > 1 for settings in options.values())
    tuning = [DEVELOPMENT + i for i in range(plan.development)] if searched else []
    seeds = list(range(plan.trials))
    with Pool(plan.jobs) as pool:
        prepare = functools.partial(trials.prepare, directory, problem)
        pool.map(prepare, [*tuning, *seeds], "trained models", progress)
        one = functools.partial(trials.run, directory, problem)
        tried = [
            (pair, number, trials.Trial(seed, pair[1], pair[0], setting))
            for pair in pairs
            for number, setting in enumerate(options[pair])
            for seed in tuning
        ]
        found = pool.map(one, [trial for _, _, trial in tried], "search", progress)
        scores: dict[Any, list[float]] = {}
        for (pair, number, _), result in zip(tried, found, strict=True):
            scores.setdefault((pair, number), []).append(result[problem.score])
        chosen = {
            pair: min(settings, key=lambda s: _badness(problem, scores, pair, settings.index(s)))
            for pair, settings in options.items()
        }
        wanted = [
            trials.Trial(seed, method, epochs, chosen[epochs, method])
            for epochs, method in pairs
            for seed in seeds
        ]
        results = pool.map(one, wanted, "trials", progress)
    content = {
        "versions": {
            "minnorm": minnorm.__version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
            "machine": platform.machine(),
        },
        "plan": dataclasses.asdict(plan),
        "problem": dataclasses.asdict(problem),
        "development_seeds": tuning,
        "settings": {t: {m: chosen[t, m] for m in plan.methods} for t in plan.epochs},
        problem.score: gathered(results, plan, problem.score),
        "membership": gathered(results, plan, "membership"),
        "trials": results,
    }
    (directory / "results.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
    return content


def _badness(problem: trials.Problem, scores: dict[Any, list[float]], pair: Any, n: int) -> float:
    """The median over the development seeds, smaller being better; the worst of all if diverged."""
    if (pair, n) not in scores:
        return 0.0
    median = float(np.median(scores[pair, n]))
    if np.isnan(median):
        return np.inf
    return -median if problem.higher_is_better else median


def gathered(
    results: Sequence[dict[str, Any]], plan: Plan, key: str
) -> dict[int, dict[str, list[float]]]:
    """Epochs -> method -> the values of the reported seeds."""
    return {
        epochs: {
            method: [r[key] for r in results if r["epochs"] == epochs and r["method"] == method]
            for method in plan.methods
        }
        for epochs in plan.epochs
    }


class Pool:
    """``map`` over processes of one thread each; in this process for one job."""

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._executor: concurrent.futures.Executor | None = None

    def __enter__(self) -> Pool:
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
        """The results in the order of the items."""
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
