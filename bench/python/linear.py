"""One sample out of a linear model, against fitting the rest again."""

from __future__ import annotations

import numpy as np
import scipy.linalg

from minnorm import LinearInterpolator
from timing import Section, always, interleaved

FORGET, CENTRED = "forget", "forget, with an intercept"
LSTSQ = "numpy.linalg.lstsq"
GRAM = "X @ X.T, cho_factor, cho_solve, X.T @ a"
QR = "numpy.linalg.qr(X.T), solve_triangular, Q @ z"
DELETE = "scipy qr_delete, solve_triangular, Q @ z"
PASS = "X.T @ a"


def measure(quick: bool, repeats: int) -> Section:
    """n samples of p Gaussian features without an intercept; the rest is given contiguous.

    ``qr_delete`` may overwrite a copy of Q and R that is made untimed.
    """
    n, p = (300, 1200) if quick else (2000, 8000)
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((n, p)), rng.standard_normal(n)
    order = rng.permutation(n)
    kept = np.setdiff1d(np.arange(n), order[:1])
    rest, targets = X[kept], y[kept]
    Q, R = np.linalg.qr(X.T)

    def by_gram():
        factor = scipy.linalg.cho_factor(
            rest @ rest.T, lower=True, overwrite_a=True, check_finite=False
        )
        return rest.T @ scipy.linalg.cho_solve(factor, targets, check_finite=False)

    def by_qr():
        basis, triangle = np.linalg.qr(rest.T)
        return basis @ scipy.linalg.solve_triangular(triangle, targets, trans=1, check_finite=False)

    def by_qr_delete(repeat):
        basis, triangle = Q.copy(order="F"), R.copy(order="F")
        gone = int(order[repeat])
        wanted = np.delete(y, gone)

        def task():
            q, r = scipy.linalg.qr_delete(
                basis, triangle, gone, which="col", overwrite_qr=True, check_finite=False
            )
            return q @ scipy.linalg.solve_triangular(r, wanted, trans=1, check_finite=False)

        return task

    plain = LinearInterpolator(fit_intercept=False).fit(X, y)
    centred = LinearInterpolator(fit_intercept=True).fit(X, y)
    a = rng.standard_normal(n)
    section = interleaved(
        f"linear, n = {n}, p = {p}: one sample deleted",
        {
            FORGET: lambda repeat: lambda: plain.forget([int(order[repeat])]),
            CENTRED: lambda repeat: lambda: centred.forget([int(order[repeat])]),
            PASS: always(lambda: X.T @ a),
            DELETE: by_qr_delete,
            GRAM: always(by_gram),
            QR: always(by_qr),
            LSTSQ: always(lambda: np.linalg.lstsq(rest, targets, rcond=None)),
        },
        repeats,
    )
    once = LinearInterpolator(fit_intercept=False).fit(X, y)
    once.forget([int(order[0])])
    reference = by_gram()
    difference = np.linalg.norm(once.coef_ - reference) / np.linalg.norm(reference)
    section.notes = [
        f"relative difference from the Cholesky baseline {difference:.1e}",
        *str(once.certify()).splitlines(),
    ]
    # One read of X, and the triangle read and written: a third of it on average.
    section.needs(FORGET, bytes=X.nbytes + 8.0 * n * n / 3)
    section.needs(PASS, bytes=X.nbytes)
    section.needs(GRAM, flops=float(n) ** 2 * p + n**3 / 3)
    return section
