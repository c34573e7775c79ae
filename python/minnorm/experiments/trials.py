"""Trials of an experiment, each kept in a file: a rerun goes on where the last one stopped."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Protocol

import torch
from torch import nn

import minnorm.torch

from ..errors import InputError
from .settings import Settings, base


class Problem(Protocol):
    """An experiment: samples and models by seed, and what is measured. A frozen dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]
    score: ClassVar[str]
    higher_is_better: ClassVar[bool]

    def model(self) -> nn.Module:
        """An untrained model."""

    def samples(self, seed: int) -> Any:
        """The samples of a trial."""

    def loaders(self, samples: Any, seed: int) -> tuple[Iterable[Any], Iterable[Any]]:
        """Batches to retain and to forget."""

    def trained(self, samples: Any, seed: int) -> nn.Module:
        """The model of all samples, those to forget included."""

    def measured(self, samples: Any, model: nn.Module) -> dict[str, Any]:
        """Plain values, that of ``score`` and a membership score among them."""


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
    """Train and keep the model of a seed, unless it is kept already."""
    path = directory / "models" / f"{seed}.pt"
    if path.exists():
        return
    model = problem.trained(problem.samples(seed), seed)
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    torch.save(model.state_dict(), temporary)
    temporary.replace(path)


def model_of(directory: Path, problem: Problem, seed: int) -> nn.Module:
    """The model of a seed, before unlearning."""
    model = problem.model()
    model.load_state_dict(torch.load(directory / "models" / f"{seed}.pt", weights_only=True))
    return model


def run(directory: Path, problem: Problem, trial: Trial) -> dict[str, Any]:
    """The result of a trial: read if it is kept, else computed and kept."""
    path = directory / "results" / trial.name
    if path.exists():
        kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return kept
    samples, model = problem.samples(trial.seed), model_of(directory, problem, trial.seed)
    before = problem.measured(samples, model)
    retain, forget = problem.loaders(samples, trial.seed)
    method = minnorm.torch.METHODS[base(trial.method)]
    start = time.perf_counter()
    history = method(model, seed=trial.seed, **trial.settings).run(
        retain, trial.epochs, forget_loader=forget
    )
    seconds = time.perf_counter() - start
    result = {
        **dataclasses.asdict(trial),
        **problem.measured(samples, model),
        "before": before,
        "seconds": seconds,
        "norm": history.norm[-1],
        "perturbations": [dataclasses.asdict(done) for done in history.perturbations],
    }
    _write(path, result)
    return result
