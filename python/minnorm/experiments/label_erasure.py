"""Multi-class label erasure: how much of the colours is forgotten, at what price?"""

from __future__ import annotations

import functools
import importlib.util
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..torch import METHODS as ALL
from . import image_settings, report, runner, trials
from .erasure import LabelErasure
from .settings import Settings

METHODS = tuple(ALL)
PROBLEM = LabelErasure()
PLAN = runner.Plan(METHODS, epochs=(5, 10), trials=5, search=12, development=2)

candidates = functools.partial(
    image_settings.candidates, strengths=(0.01, 0.03, 0.1, 0.3), decays=(0.4, 0.8, 0.9)
)


class Point(NamedTuple):
    """A setting and what it reaches, mean over seeds: quality better high, error better low."""

    quality: float
    error: float
    settings: Settings


def run(
    plan: runner.Plan,
    out: str,
    *,
    problem: LabelErasure | None = None,
    settings: runner.Candidates = candidates,
    progress: bool | None = None,
) -> dict[str, Any]:
    """Run what is not there yet, print tables, write ``results.json`` and the fronts' picture.

    The table has the setting that came nearest to (1, 0) on the development seeds. A method's front
    is made of the settings that no other of its settings beat in both measures there; what is drawn
    is what they reach on the reported seeds.

    ``problem`` is that of digits by default, and ``settings`` those tried on it. Other parameters,
    returns and errors as for `data_poisoning.run`.
    """
    plan.check(METHODS)
    directory, problem = Path(out), problem or PROBLEM
    content = runner.run(plan, problem, settings, directory, progress)
    for key, name in (
        ("forget_error", "Forget error (0 is best)"),
        ("quality", "Retain quality: accuracy by content on gray test images (1 is best)"),
    ):
        print(f"{name}, median (central range) of {plan.trials} trials:\n")
        print(report.table(runner.gathered(content["trials"], plan, key), published=False) + "\n")
    print(report.short(content["membership"], "Membership score"))
    one = functools.partial(trials.run, directory, problem)
    content["fronts"] = fronts(plan, one, settings, content["development_seeds"], progress)
    (directory / "results.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
    if importlib.util.find_spec("matplotlib") is None:
        print("\nNo picture: it needs matplotlib, from the extra: pip install 'minnorm[plot]'.")
        return content
    from ._fronts import draw

    for epochs in plan.epochs:
        path = directory / f"fronts-{epochs}.png"
        lines = {
            method: [(point["quality"], point["error"]) for point in points]
            for method, points in content["fronts"][epochs].items()
        }
        draw(lines, f"Label erasure after {epochs} epochs, mean of {plan.trials} trials", str(path))
        print(f"Picture written to {path}.")
    return content


def fronts(
    plan: runner.Plan,
    one: Callable[[trials.Trial], dict[str, Any]],
    candidates: runner.Candidates,
    tuning: list[int],
    progress: bool | None,
) -> dict[int, dict[str, list[dict[str, Any]]]]:
    """Epochs -> method -> the settings of the front, by quality, and what they reach."""
    found: dict[int, dict[str, list[dict[str, Any]]]] = {}
    with runner.Pool(plan.jobs) as pool:

        def reached(
            method: str, epochs: int, options: list[Settings], seeds: Sequence[int]
        ) -> list[Point]:
            wanted = [trials.Trial(seed, method, epochs, s) for s in options for seed in seeds]
            results = pool.map(one, wanted, f"front of {method}", progress)
            pairs = np.array([[r["quality"], r["forget_error"]] for r in results])
            means = pairs.reshape(len(options), len(seeds), 2).mean(1).tolist()
            return [
                Point(quality, error, s) for (quality, error), s in zip(means, options, strict=True)
            ]

        for epochs in plan.epochs:
            found[epochs] = {}
            for method in plan.methods:
                options = candidates(method, epochs, plan.search)
                if tuning:
                    best = undominated(reached(method, epochs, options, tuning))
                    options = [point.settings for point in best]
                points = reached(method, epochs, options, range(plan.trials))
                points.sort(key=lambda point: point.quality)
                found[epochs][method] = [point._asdict() for point in points]
    return found


def undominated(points: list[Point]) -> list[Point]:
    """Those that no other is at least as good as in both measures and better in one."""

    def beats(a: Point, b: Point) -> bool:
        at_least = a.quality >= b.quality and a.error <= b.error
        return at_least and (a.quality > b.quality or a.error < b.error)

    return [point for point in points if not any(beats(other, point) for other in points)]
