"""Interleaved repeats: contestants take turns, so that a change of the machine meets them all."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable
from typing import Any

Task = Callable[[], object]


@dataclasses.dataclass
class Row:
    """What took how long, and what it could not do without.

    Attributes
    ----------
    times : list of float
        Seconds, one a repeat.
    flops, bytes : float
        Operations of matrix products, and memory read, that the task needs at least; 0 where no
        ceiling is stated for it.
    """

    times: list[float]
    flops: float = 0.0
    bytes: float = 0.0

    @property
    def median(self) -> float:
        return statistics.median(self.times)


@dataclasses.dataclass
class Section:
    """One table. The first row is minnorm's, the others are compared with it."""

    title: str
    rows: dict[str, Row] = dataclasses.field(default_factory=dict)
    notes: list[str] = dataclasses.field(default_factory=list)

    def needs(self, name: str, *, flops: float = 0.0, bytes: float = 0.0) -> None:
        self.rows[name].flops, self.rows[name].bytes = flops, bytes

    def dump(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def load(cls, state: dict[str, Any]) -> Section:
        rows = {name: Row(**row) for name, row in state["rows"].items()}
        return cls(state["title"], rows, state["notes"])


def seconds(task: Task) -> float:
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def interleaved(title: str, contestants: dict[str, Callable[[int], Task]], repeats: int) -> Section:
    """``contestants[name](repeat)`` prepares a task, untimed; the task it returns is timed.

    A first round is not counted, but for tasks of more than a second, whose first run is no
    slower than the next. Those of more than five run three times.
    """
    section = Section(title)
    wanted = {}
    for name, prepare in contestants.items():
        first = seconds(prepare(0))
        section.rows[name] = Row([first] if first > 1 else [])
        wanted[name] = min(repeats, 3) if first > 5 else repeats
    for repeat in range(1, repeats + 1):
        for name, prepare in contestants.items():
            row = section.rows[name]
            if len(row.times) < wanted[name]:
                row.times.append(seconds(prepare(repeat)))
    return section


def always(task: Task) -> Callable[[int], Task]:
    """A contestant that needs no preparation."""
    return lambda repeat: task
