"""Theorem 4: the factors of least total norm of a given linear predictor."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from .._validation import Array
from .certificate import norm


def singular_triplets(W: Array) -> tuple[Array, Array, Array]:
    """U (t, r), sigma (r,) and V^T (r, p) of W = U diag(sigma) V^T, r the numerical rank.

    Singular values up to max(t, p) eps sigma_1 are those of rounding. They are left out: their
    part in W is rounding, but their L-th roots would be a part of the factors that is not.
    """
    if len(W) == 1:
        rho = norm(W)
        r = int(rho > 0)
        return np.ones((1, r)), np.array([rho])[:r], (W / rho if r else W[:0])
    U, sigma, Vt = np.linalg.svd(W, full_matrices=False)
    r = int(np.sum(sigma > max(W.shape) * np.finfo(np.float64).eps * sigma[0]))
    return U[:, :r], sigma[:r], Vt[:r]


def least_norm(sigma: Array, depth: int) -> float:
    """``sqrt(L sum_i sigma_i^(2/L))``: the least 2-norm of L factors with these singular values."""
    return float(np.sqrt(depth * np.sum(sigma ** (2.0 / depth))))


def balanced_factors(W: Array, widths: Sequence[int], rank: int) -> list[Array]:
    """Factors A_1, ..., A_{L-1}, C of W (t, p), through hidden layers of the given widths.

    With W = U diag(sigma) V^T, every factor takes the L-th root of the singular values:
    A_1 = E_1 S V^T, A_l = E_l S E_{l-1}^T and C = U S E_{L-1}^T, S = diag(sigma)^(1/L), where E_l
    (h_l, r) has orthonormal columns. Here E_l is the first r unit vectors, so only the first r
    neurons of each layer are in use. At most ``rank`` singular values are taken.
    """
    U, sigma, Vt = singular_triplets(W)
    r = min(len(sigma), rank)
    root = sigma[:r] ** (1.0 / (len(widths) + 1))
    first = np.zeros((widths[0], W.shape[1]))
    first[:r] = root[:, np.newaxis] * Vt[:r]
    factors = [first]
    for below, above in itertools.pairwise(widths):
        middle = np.zeros((above, below))
        middle[range(r), range(r)] = root
        factors.append(middle)
    last = np.zeros((len(W), widths[-1]))
    last[:, :r] = U[:, :r] * root
    return [*factors, last]
