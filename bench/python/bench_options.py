"""Which options of MinNorm-OG help on Data Poisoning: the development seeds, two schedules.

    python bench/python/bench_options.py DIRECTORY [--epochs 10 100 1000] [--seeds 4]

DIRECTORY is that of `minnorm experiment data-poisoning --out DIRECTORY`; poisoned models that it
does not hold are trained, a minute each. What is not an option of the library is a class here.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import torch

from machine import print_machine
from minnorm.experiments import poisoning, trials
from minnorm.experiments.runner import DEVELOPMENT
from minnorm.experiments.settings import paper_settings
from minnorm.torch import MinNormOG, Retrain, Shrink
from minnorm.torch.batches import Batch
from minnorm.torch.restoration import Restoration
from minnorm.torch.rows import GradientRows


class EndsAtLeastNorm(MinNormOG):
    """The last perturbation has strength 1: it ends at the least norm of its linear model."""

    def _perturb(self, step, strength):
        last = (step.epochs - self.t_gd - 1) // self.t_proj * self.t_proj
        return super()._perturb(step, 1.0 if step.epoch == last else strength)


class WithRidge(MinNormOG):
    """A decaying ridge in the descent, from 1e-3 and by 0.9 an epoch."""

    def _objective(self, step):
        squares = sum(value.square().sum() for value in self.parameters.named.values())
        return super()._objective(step) + 1e-3 * 0.9**step.epoch * squares


class HoldsOutputs(MinNormOG):
    """Restores the outputs from before the perturbation, instead of the targets."""

    def _perturb(self, step, strength):
        with torch.no_grad():
            before = self.model(*step.retain.inputs)
        retain = Batch(step.retain.inputs, before)
        return super()._perturb(step._replace(retain=retain), strength)


class ShrinkRestored(Shrink):
    """The control with the restoration of MinNorm-OG."""

    def _begin(self, epochs, forget_loader):
        super()._begin(epochs, forget_loader)
        self._restoration = Restoration(5)

    def _perturb(self, step, strength):
        done = super()._perturb(step, strength)
        rows = GradientRows(self.model, step.retain.inputs, "each")
        restored = self._restoration.restore(rows, step.retain.targets[:, 0])
        return dataclasses.replace(done, restored=restored)


class RetrainRestored(Retrain):
    """The steps of restoration on a fresh initialisation: what they do where nothing is known."""

    def __init__(self, model, lr, *, seed=0, **schedule):
        super().__init__(model, lr, seed=seed)

    def _begin(self, epochs, forget_loader):
        super()._begin(epochs, forget_loader)
        self._restoration = Restoration(5)

    def _before_step(self, step):
        rows = GradientRows(self.model, step.retain.inputs, "each")
        self._restoration.restore(rows, step.retain.targets[:, 0])


FIRST = {"damping": 0.0, "restore": 0}
DAMPED = {"damping": 1e-5, "restore": 0}
OURS = {"damping": 1e-5, "restore": 5}

VARIANTS: tuple[tuple[str, Any, dict[str, Any]], ...] = (
    ("published: every direction that rounding can tell", MinNormOG, {"rtol": None, **FIRST}),
    ("`rtol=1e-6`", MinNormOG, FIRST),
    ("`damping=1e-4`", MinNormOG, {**FIRST, "damping": 1e-4}),
    ("`damping=1e-5`", MinNormOG, DAMPED),
    ("`damping=1e-6`", MinNormOG, {**FIRST, "damping": 1e-6}),
    ("`damping=1e-5`, ending at the least norm", EndsAtLeastNorm, DAMPED),
    ("`damping=1e-5`, decaying ridge", WithRidge, DAMPED),
    ("`damping=1e-5`, outputs restored to those before, 5 steps", HoldsOutputs, OURS),
    ("`damping=1e-5, restore=1`", MinNormOG, {**OURS, "restore": 1}),
    ("`damping=1e-5, restore=5` (default)", MinNormOG, OURS),
    ("`damping=1e-5, restore=5`, ending at the least norm", EndsAtLeastNorm, OURS),
    ("Shrink", Shrink, {}),
    ("Shrink with 5 steps of restoration", ShrinkRestored, {}),
    ("Retrain with 5 steps of restoration an epoch", RetrainRestored, {}),
)


def schedules(epochs: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """That of Table 6, and a strong one."""
    published = paper_settings("Shrink", epochs)
    return published, {**published, "lambda_reg": 0.3}


def error(directory: Path, seed: int, method: Any, epochs: int, settings: dict[str, Any]) -> float:
    samples = poisoning.PAPER.samples(seed)
    model = trials.model_of(directory, poisoning.PAPER, seed)
    method(model, seed=seed, **settings).run([samples.retain], epochs, progress=False)
    return poisoning.PAPER.measured(samples, model)["error"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--epochs", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--seeds", type=int, default=4)
    options = parser.parse_args()
    torch.set_num_threads(1)
    seeds = [DEVELOPMENT + i for i in range(options.seeds)]
    trials.claim(options.directory, poisoning.PAPER)
    for seed in seeds:
        trials.prepare(options.directory, poisoning.PAPER, seed)
    print_machine()
    print(f"- torch {torch.__version__}; seeds {seeds}; median (least, largest)\n")
    columns = [(T, n) for T in options.epochs for n in range(2)]
    heads = [f"{T}, {('published', 'strong')[n]}" for T, n in columns]
    print("| |", " | ".join(heads), "|\n|" + " --- |" * (len(heads) + 1))
    for name, method, setting in VARIANTS:
        cells = []
        for epochs, n in columns:
            full = {**schedules(epochs)[n], **setting}
            found = [error(options.directory, seed, method, epochs, full) for seed in seeds]
            cells.append(f"{np.median(found):.2f} ({min(found):.2f}, {max(found):.2f})")
        print(f"| {name} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
