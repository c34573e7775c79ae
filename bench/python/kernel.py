"""One sample out of a kernel model, against Cholesky of the remaining kernel matrix."""

from __future__ import annotations

import numpy as np
import scipy.linalg
from scipy.spatial.distance import cdist

from minnorm import KernelInterpolator
from timing import Section, always, interleaved

FORGET = "forget"
CHOLESKY = "cho_factor, cho_solve of the kernel matrix"
READ_TWICE = "a matrix of L's size read once: its triangle twice"


def measure(quick: bool, repeats: int) -> Section:
    """The baseline gets the kernel matrix ready-made, and may overwrite it."""
    n, features = (800, 50) if quick else (4000, 50)
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((n, features)), rng.standard_normal(n)
    order = rng.permutation(n)
    kept = np.setdiff1d(np.arange(n), order[:1])
    gamma = 1.0 / features
    K = np.exp(-gamma * cdist(X[kept], X[kept], "sqeuclidean"))
    targets = y[kept]

    def by_cholesky(matrix):
        factor = scipy.linalg.cho_factor(matrix, lower=True, overwrite_a=True, check_finite=False)
        return scipy.linalg.cho_solve(factor, targets, check_finite=False)

    def prepared(repeat):
        matrix = K.copy(order="F")
        return lambda: by_cholesky(matrix)

    model = KernelInterpolator(kernel="rbf", gamma=gamma).fit(X, y)
    flat = K.ravel()
    section = interleaved(
        f"kernel, n = {n}, {features} features: one sample deleted",
        {
            FORGET: lambda repeat: lambda: model.forget([int(order[repeat])]),
            READ_TWICE: always(lambda: np.dot(flat, flat)),
            CHOLESKY: prepared,
        },
        repeats,
    )
    once = KernelInterpolator(kernel="rbf", gamma=gamma).fit(X, y)
    once.forget([int(order[0])])
    reference = by_cholesky(K.copy(order="F"))
    difference = np.linalg.norm(once.dual_coef_ - reference) / np.linalg.norm(reference)
    section.notes = [
        f"relative difference from the Cholesky baseline {difference:.1e}",
        *str(once.certify()).splitlines(),
    ]
    # The factor turned (a third of it, read and written) and read by one substitution, and
    # half of K read for the residual.
    section.needs(FORGET, bytes=8.0 * n * n * (1 / 3 + 1 / 2 + 1 / 2))
    section.needs(READ_TWICE, bytes=K.nbytes)
    section.needs(CHOLESKY, flops=n**3 / 3)
    return section
