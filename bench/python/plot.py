"""Time of `forget` against n, p and k on logarithmic axes, with the fitted slopes."""

from __future__ import annotations

from growth import Curve


def draw(curves: list[Curve], path: str) -> None:
    """Needs matplotlib (extra ``plot``); the ending of ``path`` says the format."""
    try:
        import matplotlib
    except ModuleNotFoundError:
        raise SystemExit("--plot needs matplotlib: pip install 'minnorm[plot]'") from None
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import numpy as np

    figure, axes = plt.subplots(1, len(curves), figsize=(4 * len(curves), 3.6))
    for axis, curve in zip(np.atleast_1d(axes), curves, strict=True):
        at, medians = np.array(curve.at, float), 1e3 * np.array(curve.medians)
        slope, error = curve.slope()
        middle = np.exp(np.log(medians).mean() - slope * np.log(at).mean())
        axis.loglog(at, medians, "o", color="black")
        label = f"slope {slope:.2f} $\\pm$ {error:.2f}"
        axis.loglog(at, middle * at**slope, "-", color="grey", label=label)
        axis.set_xlabel(curve.size)
        axis.set_title(curve.fixed, fontsize=9)
        axis.set_xticks(at, [f"{value:.0f}" for value in at], fontsize=7)
        axis.minorticks_off()
        axis.legend(frameon=False)
    np.atleast_1d(axes)[0].set_ylabel("forget, ms")
    figure.tight_layout()
    figure.savefig(path, dpi=150)
