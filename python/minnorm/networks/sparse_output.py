"""Output weights with at most s nonzero entries and the same retained outputs (Lemma 6).

Every solution here is kept relative to the row space of the features, not to the features: with V
(h, s) an orthonormal basis of the span of the retained feature vectors phi_i, a change Delta of the
weights satisfies |<Delta, phi_i>| <= ||V^T Delta|| ||phi_i|| for each sample. V is perfectly
conditioned however ill-conditioned the features are, so ||V^T Delta|| stays at rounding, and with
it each output's change relative to its own ||phi_i||. The same holds in the units of any diagonal
D > 0: features Phi D, weights z = D^-1 c.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg
import scipy.optimize

from .._validation import Array
from .certificate import norm

_EPS = float(np.finfo(np.float64).eps)

# Feasibility that HiGHS is asked for: its least, then its default. The support is all that is
# taken from it.
_FEASIBILITY = (1e-10, 1e-7)
# ||V^T Delta|| relative to the weights that a support one column too small could not explain.
_CONSISTENT = 1e-12
# Change of an output, relative to the sum of its terms' sizes, with which a vertex is accepted.
_KEPT = 1e-11


def _unit_rows(features: Array) -> Array:
    """The rows that do not vanish, scaled to norm 1 without over- or underflow of squares."""
    largest = np.max(np.abs(features), axis=1, initial=0.0)
    rows: Array = features[largest > 0] / largest[largest > 0, np.newaxis]
    rows /= np.linalg.norm(rows, axis=1)[:, np.newaxis]
    return rows


def row_space(features: Array, rtol: float) -> Array:
    """Orthonormal columns V (h, s) spanning the rows of ``features`` (n, h), of numerical rank s.

    Rows are scaled to norm 1, so that a sample counts by its direction alone. QR of the rows with
    column pivoting puts them in the order of their distance from the span of those before;
    s counts distances above rtol. Cost O(n h min(n, h)).
    """
    rows = _unit_rows(features)
    if not rows.size:
        return np.zeros((features.shape[1], 0))
    Q, R, _ = scipy.linalg.qr(
        rows.T, mode="economic", pivoting=True, overwrite_a=True, check_finite=False
    )
    s = int(np.sum(np.abs(np.diag(R)) > rtol))
    return np.ascontiguousarray(Q[:, :s])


def _chosen_columns(V: Array) -> tuple[Array, Array]:
    """s columns of V^T (s, h) that are independent, and all of V^T in their basis.

    V^T has rank s exactly, so nothing is decided here; pivoting keeps T = (V_S^T)^-1 V^T small
    (its entries are below 1 in practice) and V_S well-conditioned.

    Returns
    -------
    chosen : ndarray, shape (s,)
    T : ndarray, shape (s, h)
        Columns ``chosen`` of T are the identity.
    """
    h, s = V.shape
    R, pivots = scipy.linalg.qr(V.T, mode="r", pivoting=True, check_finite=False)
    T = np.empty((s, h))
    T[:, pivots[:s]] = np.eye(s)
    T[:, pivots[s:]] = scipy.linalg.solve_triangular(R[:s, :s], R[:s, s:], check_finite=False)
    return pivots[:s], T


def _solution_on(chosen: Array, T: Array, V: Array, z: Array) -> Array:
    """The weights supported on ``chosen`` with V^T times them equal to V^T z; z (h, t).

    z_S + T_N z_N, one triangular solve away from z: entries that nothing replaces stay as they are.
    One step of refinement removes the rounding of T.
    """
    solution = np.zeros_like(z)
    others = np.ones(len(z), dtype=bool)
    others[chosen] = False
    solution[chosen] = z[chosen] + T[:, others] @ z[others]
    solution[chosen] += scipy.linalg.solve(V[chosen].T, V.T @ (z - solution), check_finite=False)
    return solution


def basic_weights(features: Array, c: Array, rtol: float) -> tuple[Array, int]:
    """Weights (t, h) with the products c features^T and at most s nonzero columns (Lemma 6).

    Elimination by a basis of the orthogonal complement in reduced column echelon form is solving
    for s pivot columns; pivoted QR chooses them so that no small pivot is divided by. In units of
    ``||c_i||`` the columns are the neurons' contributions to the outputs, and the largest that are
    independent are chosen. Cost O(n h min(n, h)).

    Parameters
    ----------
    features : ndarray, shape (n, h)
    c : ndarray, shape (t, h)
        No column vanishes.

    Returns
    -------
    weights : ndarray, shape (t, h)
    s : int
    """
    units = np.array([norm(column) for column in c.T])
    units /= np.max(units, initial=0.0) or 1.0  # the products with the features cannot overflow
    V = row_space(features * units, rtol)
    h, s = V.shape
    if s == 0:
        return np.zeros_like(c), 0
    if s == h:  # independent neurons: no other weights have these outputs
        return c.copy(), s
    chosen, T = _chosen_columns(V)
    return _solution_on(chosen, T, V, (c / units).T).T * units, s


def least_1_norm_weights(features: Array, c: Array, rtol: float) -> tuple[Array, int] | None:
    """A vertex of ``min ||x||_1`` subject to ``features x = features c``, and s.

    A linear program in the positive and negative parts of x, by the dual simplex method of HiGHS,
    in units in which the columns of the features have norm 1, and in a basis in which s of them
    are the identity. The support of the vertex is then solved for in full precision.

    Parameters
    ----------
    features : ndarray, shape (n, h)
    c : ndarray, shape (h,)

    Returns
    -------
    tuple (weights (h,), s) or None
        None where HiGHS does not converge, or the support it finds does not carry the outputs to
        rounding.
    """
    rows = _unit_rows(features)
    sizes = np.linalg.norm(rows, axis=0)
    # The others have no part in any retained output.
    live = np.flatnonzero(sizes > np.finfo(np.float64).tiny)
    units = 1.0 / sizes[live]
    V = row_space(rows[:, live] * units, rtol)
    h, s = V.shape
    weights = np.zeros_like(c)
    z = (c[live] / units)[:, np.newaxis]
    if s == h:
        weights[live] = c[live]
        return weights, s
    chosen, T = _chosen_columns(V)
    support = _support_of_vertex(T, _solution_on(chosen, T, V, z)[chosen, 0], units)
    if support is None:
        return None
    weights[live] = _on_support(support, V, z)[:, 0] * units
    # Terms far above those before would cancel in the outputs: their rounding counts too.
    error = np.abs(rows @ (weights - c)) + _EPS * (np.abs(rows) @ np.abs(weights))
    return (weights, s) if np.all(error <= _KEPT * (np.abs(rows) @ np.abs(c))) else None


def _support_of_vertex(T: Array, values: Array, cost: Array) -> Array | None:
    """Positions of the nonzero entries of a vertex of min cost |x| subject to T x = values."""
    h = T.shape[1]
    scale = float(np.max(np.abs(values))) or 1.0
    cost = cost / np.max(cost)
    for tolerance in _FEASIBILITY:
        result = scipy.optimize.linprog(
            np.concatenate([cost, cost]),
            A_eq=np.hstack([T, -T]),
            b_eq=values / scale,
            bounds=(0, None),
            method="highs-ds",
            options={
                # Presolve finds nothing in a dense matrix and costs a third of the time.
                "presolve": False,
                "primal_feasibility_tolerance": tolerance,
                "dual_feasibility_tolerance": tolerance,
            },
        )
        if result.status == 0:
            return np.flatnonzero(result.x[:h] - result.x[h:])
    return None


def _on_support(support: Array, V: Array, z: Array) -> Array:
    """The solution on the support of a vertex.

    A simplex vertex has at most s nonzero entries in independent columns, so the least-squares
    solution is the only one. Where the tolerance of the program left out an entry that is needed,
    further columns are chosen by their part outside the span of the support, up to s.
    """
    if not len(support):
        return np.zeros_like(z)
    s = V.shape[1]
    target = V.T @ z
    Q, R, pivots = scipy.linalg.qr(V[support].T, mode="economic", pivoting=True, check_finite=False)
    k = int(np.sum(np.abs(np.diag(R)) > s * _EPS))
    support, Q = support[pivots[:k]], Q[:, :k]
    if np.linalg.norm(target - Q @ (Q.T @ target)) > _CONSISTENT * np.linalg.norm(z):
        outside = V.T - Q @ (Q.T @ V.T)
        outside[:, support] = 0.0
        _, more = scipy.linalg.qr(outside, mode="r", pivoting=True, check_finite=False)
        support = np.concatenate([support, more[: s - k]])
    solution = np.zeros_like(z)
    for _ in range(2):  # the solution and one step of refinement
        step = scipy.linalg.lstsq(V[support].T, V.T @ (z - solution), check_finite=False)[0]
        solution[support] += step
    return solution
