"""Rows deleted from an orthonormal basis, against scipy's qr_delete."""

from __future__ import annotations

import numpy as np
import scipy.linalg

from minnorm import ThinQR
from timing import Section, interleaved

THIN, DELETE = "ThinQR.delete_rows", "scipy.linalg.qr_delete"


def measure(quick: bool, repeats: int, k: int) -> Section:
    """k scattered rows out of n of width p; scipy's holds X^T = Q R and takes them one by one."""
    n, p = (50, 2000) if quick else (200, 20_000)
    rng = np.random.default_rng(1)
    X = rng.standard_normal((n, p))
    Q, R = np.linalg.qr(X.T)
    gone = [np.sort(rng.choice(n, k, replace=False)) for _ in range(repeats + 1)]

    def ours(repeat):
        basis = ThinQR(X)
        return lambda: basis.delete_rows(gone[repeat])

    def by_scipy(repeat):
        held = [Q.copy(order="F"), R.copy(order="F")]

        def task():
            for column in gone[repeat][::-1]:
                held[:] = scipy.linalg.qr_delete(
                    *held, column, which="col", overwrite_qr=True, check_finite=False
                )

        return task

    section = interleaved(
        f"{k} of {n} rows of {p} deleted from an orthonormal basis, float64",
        {THIN: ours, DELETE: by_scipy},
        repeats,
    )
    section.needs(THIN, bytes=8.0 * n * p)
    return section
