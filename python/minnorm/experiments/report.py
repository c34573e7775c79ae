"""Tables of medians and central ranges, the published figures under ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .settings import PUBLISHED

Figures = Mapping[str, Sequence[float]]


def central(values: Sequence[float]) -> tuple[float, float, float]:
    """Median, and the range without a fifth of the trials at each end (two of ten)."""
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    cut = len(ordered) // 5
    kept = ordered[cut : len(ordered) - cut]
    return float(np.median(ordered)), float(kept[0]), float(kept[-1])


def _cell(figures: tuple[float, float, float] | None) -> str:
    if figures is None:
        return "-"
    median, low, high = (f"{v:.3g}" if abs(v) < 1000 else f"{v:.0f}" for v in figures)
    return f"{median} ({low}, {high})"


def table(errors: Mapping[int, Figures], published: bool) -> str:
    """A Markdown table: a row per number of epochs, the paper's figures under it."""
    methods = list(next(iter(errors.values())))
    lines = [["T", *methods], ["---"] * (len(methods) + 1)]
    for epochs, row in errors.items():
        lines.append([str(epochs), *(_cell(central(row[method])) for method in methods)])
        if published and epochs in PUBLISHED:
            lines.append(["published", *(_cell(PUBLISHED[epochs].get(m)) for m in methods)])
    widths = [max(len(line[i]) for line in lines) for i in range(len(methods) + 1)]
    return "\n".join(
        "| "
        + " | ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    )


def short(scores: Mapping[int, Figures], name: str) -> str:
    """One line per number of epochs with the median of each method."""
    return "\n".join(
        f"{name}, T = {epochs}: "
        + ", ".join(f"{method} {np.median(values):.2f}" for method, values in row.items())
        for epochs, row in scores.items()
    )
