"""The picture of Label Erasure: what each method loses against what it leaves; both are errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_MARKERS = "os^Dv<>pPX*h"
# Where the logarithmic scales end: a smaller error of colours is none to the eye.
_FLOOR = 1e-5


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
        # No lines: points chosen on other seeds need not be in order on these.
        axes.plot(
            [max(1.0 - quality, _FLOOR) for quality, _ in points],
            [max(error, _FLOOR) for _, error in points],
            _MARKERS[place % len(_MARKERS)],
            color="#c0392b" if strong else f"C{place % 10}",
            markersize=9 if strong else 6,
            zorder=3 if strong else 2,
            label=method,
        )
    axes.set_xlabel("wrong numbers on gray test images: 1 - retain quality")
    axes.set_ylabel(f"forget error: mean of (1 - P(gray))², at least {_FLOOR:g}")
    axes.set(xscale="log", yscale="log", xlim=(0.01, 1.0), ylim=(_FLOOR / 2, 1.5))
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right center", frameon=False)
    axes.set_title(title)
    figure.savefig(path, dpi=100)
