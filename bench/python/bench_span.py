"""More of the retain set in the span than the batch: MinNorm-OG on digits, no setting searched.

    python bench/python/bench_span.py DIRECTORY [--seeds 4]

Models are trained into DIRECTORY, seconds each.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch

from machine import print_machine
from minnorm.experiments import trials
from minnorm.experiments.erasure import LabelErasure
from minnorm.experiments.representation_collapse import RepresentationCollapse
from minnorm.experiments.runner import DEVELOPMENT
from minnorm.torch import MinNormOG
from minnorm.torch.batches import Batch

# Problem, epochs, measures, schedules.
CASES: tuple[tuple[Any, int, tuple[str, str], tuple[dict[str, Any], ...]], ...] = (
    (
        RepresentationCollapse(),
        30,
        ("accuracy", "retain_accuracy"),
        (
            {"lr": 3e-3, "lambda_reg": 0.1, "gamma_reg": 0.9, "t_gd": 6},
            {"lr": 3e-3, "lambda_reg": 0.3, "gamma_reg": 0.9, "t_gd": 6},
        ),
    ),
    (
        LabelErasure(),
        5,
        ("quality", "forget_error"),
        (
            {"lr": 1e-3, "lambda_reg": 0.1, "gamma_reg": 0.9},
            {"lr": 1e-3, "lambda_reg": 0.3, "gamma_reg": 0.8},
        ),
    ),
)


class AllAccessible(MinNormOG):
    """The gradients of every accessible retained sample, whatever the batch of the descent."""

    def __init__(self, model: Any, accessible: Batch, **options: Any) -> None:
        super().__init__(model, **options)
        self.accessible = accessible

    def _perturb(self, step, strength):
        return super()._perturb(step._replace(retain=self.accessible), strength)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--seeds", type=int, default=4)
    options = parser.parse_args()
    torch.set_num_threads(1)
    seeds = [DEVELOPMENT + i for i in range(options.seeds)]
    print_machine()
    print(f"- torch {torch.__version__}; seeds {seeds}; medians")
    for problem, epochs, measures, schedules in CASES:
        directory = options.directory / type(problem).__name__
        trials.claim(directory, problem)
        for schedule in schedules:
            found: dict[str, list[list[float]]] = {"batch": [], "all accessible": []}
            for seed in seeds:
                trials.prepare(directory, problem, seed)
                samples = problem.samples(seed)
                retain, forget = problem.loaders(samples, seed)
                inputs, targets = (torch.cat(parts) for parts in zip(*retain, strict=True))
                for span, results in found.items():
                    model = trials.model_of(directory, problem, seed)
                    given = {"seed": seed, **schedule}
                    if span == "batch":
                        method = MinNormOG(model, **given)
                    else:
                        method = AllAccessible(model, Batch((inputs,), targets), **given)
                    method.run(retain, epochs, forget_loader=forget, progress=False)
                    measured = problem.measured(samples, model)
                    results.append([measured[name] for name in measures])
            for span, results in found.items():
                shown = zip(measures, np.median(results, axis=0), strict=True)
                text = ", ".join(f"{name} {value:.3g}" for name, value in shown)
                print(f"{type(problem).__name__} {schedule}, span of {span}: {text}", flush=True)


if __name__ == "__main__":
    main()
