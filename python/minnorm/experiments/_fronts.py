"""The picture of Label Erasure: what each method keeps against what it forgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_MARKERS = "os^Dv<>pPX*h"


def draw(
    fronts: Mapping[str, Sequence[tuple[float, float]]],
    title: str,
    path: str,
) -> None:
    """Write the picture.

    Parameters
    ----------
    fronts : mapping
        Method to the (quality, forget error) of its settings, by quality.
    """
    figure = Figure(figsize=(7.5, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for place, (method, points) in enumerate(fronts.items()):
        strong = method == "MinNormOG"
        axes.plot(
            [quality for quality, _ in points],
            [error for _, error in points],
            marker=_MARKERS[place % len(_MARKERS)],
            color="#c0392b" if strong else f"C{place % 10}",
            linewidth=2.5 if strong else 1,
            markersize=6,
            zorder=3 if strong else 2,
            label=method,
        )
    axes.plot([1], [0], "k*", markersize=14, label="ideal", clip_on=False)
    axes.set_xlabel("retain quality: accuracy by number on gray test images")
    axes.set_ylabel("forget error: mean of (1 - P(gray))²")
    axes.set_xlim(0, 1.01)
    axes.set_ylim(-0.02, 1)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right center", frameon=False)
    axes.set_title(title)
    figure.savefig(path, dpi=100)
