"""`forget` over sizes, numbers of samples and precisions, against Gram + Cholesky of the rest."""

from __future__ import annotations

import numpy as np
import scipy.linalg

from minnorm import LinearInterpolator
from timing import Section, always, interleaved

SIZES = ((500, 2000), (1000, 4000), (1000, 16000), (2000, 8000))
COUNTS = (1, 10, 100)


def one(n: int, p: int, k: int, dtype: str, repeats: int) -> Section:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p)).astype(dtype)
    y = rng.standard_normal(n).astype(dtype)
    rest, targets = X[k:], y[k:]
    model = LinearInterpolator(fit_intercept=False).fit(X, y)

    def by_gram():
        factor = scipy.linalg.cho_factor(
            rest @ rest.T, lower=True, overwrite_a=True, check_finite=False
        )
        return rest.T @ scipy.linalg.cho_solve(factor, targets, check_finite=False)

    def forget(repeat):
        # The model is fitted again, untimed, when a fifth of its samples is gone.
        nonlocal model
        if len(model.ids_) < 0.8 * n + k:
            model = LinearInterpolator(fit_intercept=False).fit(X, y)
        gone = rng.choice(model.ids_, k, replace=False)
        return lambda: model.forget(gone)

    return interleaved(
        f"n = {n}, p = {p}, k = {k}, {dtype}",
        {"forget": forget, "Gram matrix, Cholesky": always(by_gram)},
        repeats,
    )


def measure(quick: bool, repeats: int) -> list[Section]:
    sizes = ((200, 800),) if quick else SIZES
    counts = (1, 10) if quick else COUNTS
    return [
        one(n, p, k, dtype, repeats)
        for dtype in ("float64", "float32")
        for n, p in sizes
        for k in counts
    ]
