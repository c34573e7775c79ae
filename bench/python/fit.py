"""The fit of a linear model by its Gram matrix, against the same by scipy."""

from __future__ import annotations

import numpy as np
import scipy.linalg

from minnorm import LinearInterpolator
from timing import Section, always, interleaved

FIT = "fit"
SCIPY = "scipy: X @ X.T, cho_factor, cho_solve, X.T @ a, y - X @ theta"


def measure(quick: bool, repeats: int) -> Section:
    """``fit`` also copies X, bounds sigma_min by a second factorisation, and certifies."""
    n, p = (300, 1200) if quick else (2000, 8000)
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((n, p)), rng.standard_normal(n)

    def by_scipy():
        factor = scipy.linalg.cho_factor(X @ X.T, lower=True, overwrite_a=True, check_finite=False)
        theta = X.T @ scipy.linalg.cho_solve(factor, y, check_finite=False)
        return theta, np.linalg.norm(y - X @ theta)

    section = interleaved(
        f"fit, n = {n}, p = {p}",
        {
            FIT: always(lambda: LinearInterpolator(fit_intercept=False).fit(X, y)),
            SCIPY: always(by_scipy),
        },
        repeats,
    )
    for name in (FIT, SCIPY):
        section.needs(name, flops=float(n) ** 2 * p + n**3 / 3, bytes=2.0 * X.nbytes)
    return section
