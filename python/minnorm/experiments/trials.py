"""Trials of Data Poisoning, each kept in a file: a rerun goes on where the last one stopped."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

import minnorm.torch

from ..errors import InputError
from .membership import membership_score
from .poisoning import Data, Problem, data, error, grid, poisoned
from .settings import Settings

# Every tenth point of the grid is enough to draw.
_EVERY = 10


@dataclasses.dataclass(frozen=True)
class Trial:
    """One method with one setting on one poisoned model."""

    seed: int
    method: str
    epochs: int
    settings: Settings

    @property
    def name(self) -> str:
        """Of its file: settings that differ have names that differ."""
        text = json.dumps(self.settings, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        return f"{self.seed}-{self.method}-{self.epochs}-{digest}.json"


def claim(directory: Path, problem: Problem) -> None:
    """Make the directory ready for results of this problem, and of no other."""
    described = json.loads(json.dumps(dataclasses.asdict(problem)))
    for part in ("models", "results"):
        (directory / part).mkdir(parents=True, exist_ok=True)
    record = directory / "problem.json"
    if record.exists():
        held = json.loads(record.read_text(encoding="utf-8"))
        if held != described:
            raise InputError(
                f"{directory} holds trials of another problem: expected {described}, got {held}. "
                f"Name another directory, or remove it."
            )
    else:
        _write(record, described)


def _write(path: Path, content: Any) -> None:
    """All of it or nothing: an interrupted run leaves no half of a file."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(content), encoding="utf-8")
    temporary.replace(path)


def prepare(directory: Path, problem: Problem, seed: int) -> None:
    """Train and keep the poisoned model of a seed, unless it is kept already."""
    path = directory / "models" / f"{seed}.pt"
    if path.exists():
        return
    model = poisoned(problem, data(problem, seed), seed)
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    torch.save(model.state_dict(), temporary)
    temporary.replace(path)


def model_of(directory: Path, problem: Problem, seed: int) -> nn.Module:
    """The poisoned model of a seed."""
    model = problem.model()
    model.load_state_dict(torch.load(directory / "models" / f"{seed}.pt", weights_only=True))
    return model


def run(directory: Path, problem: Problem, trial: Trial) -> dict[str, Any]:
    """The result of a trial: read if it is kept, else computed and kept."""
    path = directory / "results" / trial.name
    if path.exists():
        kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return kept
    samples, model = data(problem, trial.seed), model_of(directory, problem, trial.seed)
    before = copy.deepcopy(model)
    method = minnorm.torch.METHODS[trial.method]
    start = time.perf_counter()
    history = method(model, seed=trial.seed, **trial.settings).run(
        [samples.retain], trial.epochs, forget_loader=[samples.forget]
    )
    result = {
        **dataclasses.asdict(trial),
        **measured(problem, samples, model),
        "before": measured(problem, samples, before),
        "seconds": time.perf_counter() - start,
        "norm": history.norm[-1],
        "perturbations": [dataclasses.asdict(done) for done in history.perturbations],
    }
    _write(path, result)
    return result


@torch.no_grad()
def measured(problem: Problem, samples: Data, model: nn.Module) -> dict[str, Any]:
    """Error, membership score, retained loss, and the curve."""
    losses = {name: (model(x) - y).square() for name, (x, y) in dataclasses.asdict(samples).items()}
    return {
        "error": error(problem, model),
        "membership": membership_score(-losses["forget"], -losses["held_out"]),
        "retain_loss": float(losses["retain"].mean()),
        "curve": model(grid(problem)[::_EVERY])[:, 0].tolist(),
    }
