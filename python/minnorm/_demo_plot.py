"""The picture of the demonstration: accuracy, time, and difference against its proved bound."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from .demo import Outcome

# Light to dark within a panel; the two models stand side by side.
_COLOURS = ("#8fb8de", "#d98c5f", "#2f5d8a")


def _grouped_bars(
    axes: Any, outcomes: Sequence[Outcome], series: Sequence[tuple[str, list[float]]], text: Any
) -> None:
    """One group of bars per model, one bar per series, each with its value above it."""
    width = 0.8 / len(series)
    for j, (label, values) in enumerate(series):
        centres = np.arange(len(outcomes)) + (j - (len(series) - 1) / 2) * width
        bars = axes.bar(centres, values, 0.92 * width, label=label, color=_COLOURS[j])
        axes.bar_label(bars, [text(value) for value in values], padding=2, fontsize=8)
    axes.set_xticks(range(len(outcomes)), [outcome.short_name for outcome in outcomes])
    axes.tick_params(axis="x", length=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.08), frameon=False, fontsize=9)


def _series(outcomes: Sequence[Outcome], name: str) -> list[tuple[str, list[float]]]:
    tables = [getattr(outcome, name) for outcome in outcomes]
    return [(key, [table[key] for table in tables]) for key in tables[0]]


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{1e3 * seconds:.3g} ms"


def draw(outcomes: Sequence[Outcome], path: str) -> None:
    """Write the picture to ``path``; its suffix chooses the format.

    Parameters
    ----------
    outcomes : sequence of Outcome
        One per model; their tables have the same rows.
    path : str
        File to write.
    """
    # A figure of its own canvas: no display is opened and no global state of pyplot is touched.
    figure = Figure(figsize=(12, 5), layout="constrained")
    FigureCanvasAgg(figure)
    accuracy, times, distance = figure.subplots(1, 3)

    percent = [(key, [100 * v for v in values]) for key, values in _series(outcomes, "accuracy")]
    _grouped_bars(accuracy, outcomes, percent, lambda value: f"{value:.1f}")
    accuracy.set_ylim(0, 108)
    accuracy.set_yticks(range(0, 101, 20))
    accuracy.set_title("Test accuracy (%)")

    seconds = _series(outcomes, "seconds")
    _grouped_bars(times, outcomes, seconds, _duration)
    _logarithmic(times, [value for _, values in seconds for value in values])
    times.set_title("Time (s)")

    # A difference of zero has no place on a logarithmic axis: its bar ends below all others.
    floor = 0.1 * min(v for o in outcomes for v in (o.difference, o.bound) if v > 0)
    compared = [
        ("largest difference in decision values", [o.difference or floor for o in outcomes]),
        ("proved bound of it", [outcome.bound for outcome in outcomes]),
    ]
    _grouped_bars(
        distance, outcomes, compared, lambda value: "0" if value == floor else f"{value:.1e}"
    )
    _logarithmic(distance, [value for _, values in compared for value in values])
    distance.set_title("Forgotten against fitted from scratch")

    figure.suptitle(
        f"Forgetting {outcomes[0].n_corrupted} corrupted labels of handwritten digits", fontsize=13
    )
    figure.savefig(path, dpi=150)


def _logarithmic(axes: Any, values: Sequence[float]) -> None:
    """Whole decades around the values, with room for the numbers above the bars."""
    low, high = np.floor(np.log10(min(values)) - 0.5), np.ceil(np.log10(max(values)) + 0.5)
    axes.set_yscale("log")
    axes.set_ylim(10.0**low, 10.0**high)
