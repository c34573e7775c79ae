"""Leave-one-out residuals of every sample, against one Cholesky factor and one pass over X."""

from __future__ import annotations

import numpy as np
import scipy.linalg

from minnorm import LinearInterpolator
from timing import Section, always, interleaved

ALL = "leave_one_out"
CHOLESKY = "scipy cholesky of size n"
PASS = "X.T @ a"


def measure(quick: bool, repeats: int) -> Section:
    n, p = (300, 1200) if quick else (2000, 8000)
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((n, p)), rng.standard_normal(n)
    a = rng.standard_normal(n)
    G = X @ X.T
    model = LinearInterpolator(fit_intercept=False).fit(X, y)

    def by_scipy(repeat):
        matrix = G.copy(order="F")
        return lambda: scipy.linalg.cholesky(
            matrix, lower=True, overwrite_a=True, check_finite=False
        )

    section = interleaved(
        f"leave_one_out, n = {n}, p = {p}: all samples",
        {ALL: always(model.leave_one_out), CHOLESKY: by_scipy, PASS: always(lambda: X.T @ a)},
        repeats,
    )
    section.needs(ALL, flops=n**3 / 3)
    section.needs(CHOLESKY, flops=n**3 / 3)
    section.needs(PASS, bytes=X.nbytes)
    return section
