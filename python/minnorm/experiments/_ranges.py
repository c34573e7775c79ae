"""The picture of a table: medians and central ranges by method, a panel per number of epochs."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .report import Figures, central


def draw(values: Mapping[int, Figures], label: str, title: str, path: str) -> None:
    """Write the picture.

    Parameters
    ----------
    values : mapping
        Epochs -> method -> one value per trial.
    label : str
        Of the values' axis.
    """
    methods = list(next(iter(values.values())))[::-1]
    size = (3.6 * len(values) + 1, 0.28 * len(methods) + 1.2)
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(values), squeeze=False, sharex=True, sharey=True)[0]
    for axes, (epochs, row) in zip(panels, values.items(), strict=True):
        for place, method in enumerate(methods):
            median, low, high = central(row[method])
            color = "#c0392b" if method == "MinNormOG" else "#2f5d8a"
            axes.plot([low, high], [place, place], color=color, linewidth=2, alpha=0.5)
            axes.plot([median], [place], "o", color=color)
        axes.set_yticks(range(len(methods)), methods)
        axes.set_title(f"{epochs} epochs", fontsize=10)
        axes.set_xlabel(label)
        axes.grid(axis="x", alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title)
    figure.savefig(path, dpi=100)
