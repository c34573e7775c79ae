"""How the time of `forget` grows with n, p and k, and the slopes on logarithmic scales."""

from __future__ import annotations

import dataclasses
import statistics

import numpy as np

from minnorm import KernelInterpolator, LinearInterpolator
from timing import seconds


@dataclasses.dataclass
class Curve:
    """Median seconds against one size, the others fixed."""

    size: str
    fixed: str
    at: list[int]
    medians: list[float]
    bound: float

    def slope(self) -> tuple[float, float]:
        """The fitted exponent and its standard error."""
        x, t = np.log(self.at), np.log(self.medians)
        centred = x - x.mean()
        slope = float(centred @ t / (centred @ centred))
        left = t - t.mean() - slope * centred
        variance = float(left @ left) / max(len(x) - 2, 1)
        return slope, float(np.sqrt(variance / (centred @ centred)))


def curve(size, fixed, at, make, bound, repeats) -> Curve:
    """``make(value)`` prepares a deletion, untimed, each time it is asked; sizes take turns."""
    deletions = [make(value) for value in at]
    times: list[list[float]] = [[] for _ in at]
    for repeat in range(repeats + 1):
        for prepare, taken in zip(deletions, times, strict=True):
            t = seconds(prepare())
            if repeat > 0:
                taken.append(t)
    return Curve(size, fixed, list(at), [statistics.median(taken) for taken in times], bound)


def deletion(estimator, X, y, k: int, rng):
    """Deletes k samples drawn anew each time, of a model that keeps 95% of its samples or more."""
    model = estimator.fit(X, y)

    def prepare():
        if len(model.ids_) - k < 0.95 * len(X):
            model.fit(X, y)
        gone = rng.choice(model.ids_, k, replace=False)
        return lambda: model.forget(gone)

    return prepare


def measure(quick: bool, repeats: int) -> list[Curve]:
    rng = np.random.default_rng(0)

    def kernel(n):
        X, y = rng.standard_normal((n, 20)), rng.standard_normal(n)
        return deletion(KernelInterpolator(kernel="rbf", gamma=0.1), X, y, 1, rng)

    def linear(n, p, k):
        X, y = rng.standard_normal((n, p)), rng.standard_normal(n)
        return deletion(LinearInterpolator(fit_intercept=False), X, y, k, rng)

    sizes = (200, 400, 800) if quick else (1000, 1400, 2000, 2800, 4000)
    features = (1000, 2000, 4000) if quick else (4000, 8000, 16_000, 32_000, 64_000)
    counts = (1, 2, 4) if quick else (1, 2, 4, 8, 16, 32, 64)
    n, p = (400, 800) if quick else (2000, 2500)
    return [
        curve("n", "kernel model, 20 features, k = 1", sizes, kernel, 2.0, repeats),
        curve(
            "p",
            f"linear, n = {n // 4}, k = 1",
            features,
            lambda p: linear(n // 4, p, 1),
            1.0,
            repeats,
        ),
        curve("k", f"linear, n = {n}, p = {p}", counts, lambda k: linear(n, p, k), 1.0, repeats),
    ]
