"""The picture of Data Poisoning: what each method makes of one poisoned curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .poisoning import Data, Problem


def draw(
    problem: Problem,
    samples: Data,
    before: Sequence[float],
    curves: Mapping[str, tuple[float, Sequence[float]]],
    title: str,
    path: str,
) -> None:
    """Write the picture; a panel per method, its curve over the poisoned one.

    Parameters
    ----------
    before : sequence of float
        The poisoned model at evenly spaced points of the domain.
    curves : mapping
        Method to its error and its values at the same points.
    """
    columns = min(3, len(curves))
    rows = -(-len(curves) // columns)
    # A figure of its own canvas: no display is opened and no global state of pyplot is touched.
    figure = Figure(figsize=(4.5 * columns, 2.6 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    panels = np.ravel(figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True))
    for axes, (method, (error, curve)) in zip(panels, curves.items(), strict=False):
        x = np.linspace(-problem.radius, problem.radius, len(curve))
        axes.plot(x, np.sin(x), color="#bbbbbb", linewidth=3, label="sin x")
        axes.plot(x, before, color="#8fb8de", linewidth=1, label="poisoned")
        axes.plot(x, curve, color="#2f5d8a", linewidth=1.5, label="unlearned")
        axes.plot(*(part[:, 0].numpy() for part in samples.retain), "k.", markersize=4)
        axes.plot(*(part[:, 0].numpy() for part in samples.forget), "x", color="#c0392b")
        axes.set_title(f"{method}: {error:.3g}", fontsize=10)
        axes.set_ylim(-3, 3)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in panels[len(curves) :]:
        axes.set_visible(False)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    figure.suptitle(title)
    figure.savefig(path, dpi=130)
