"""Each mathematical property of the library, asserted by one named helper.

Tolerances are multiples of the unit of the model's own precision times a condition number, never
plain constants: STANDARD = 100 is the project's accuracy criterion, |error| <= 100 eps cond.
"""

import pickle

import numpy as np
from sklearn.base import clone

import _exact

STANDARD = 100.0


def columns(a):
    """`a` as (n, t): 1-D targets and coefficients become one column."""
    a = np.asarray(a)
    return a.reshape(a.shape[0], -1)


def coefficients(model):
    """`coef_` as (p, t), the orientation of the oracle."""
    coef = np.asarray(model.coef_)
    return coef.reshape(-1, coef.shape[-1]).T


def size_of(model):
    """||theta||_2, the largest over the outputs, without overflow or underflow of squares."""
    theta = coefficients(model).astype(np.float64)
    largest = np.abs(theta).max()
    return largest * np.linalg.norm(theta / largest, axis=0).max() if largest else 0.0


def epsilon(model):
    """Spacing of the precision the model works in."""
    return float(np.finfo(np.asarray(model.dual_coef_).dtype).eps)


def condition(x, fit_intercept=False):
    """||X|| over the smallest nonzero singular value of the (centred) rows, in float64.

    With an intercept the rows that matter are the centred ones, but rounding acts on X itself.
    The rank is the exact one, so a singular value of rounding size is never taken for a datum.
    """
    x = np.asarray(x, dtype=np.float64)
    rank = len(_exact.independent_rows(x, centre=fit_intercept))
    if rank == 0:
        return 1.0
    centred = x - x.mean(axis=0) if fit_intercept else x
    spectrum = np.linalg.svd(centred, compute_uv=False)
    return float(np.linalg.norm(x, 2) / spectrum[rank - 1])


def sensitivity(x, y, fit_intercept=False):
    """First-order relative sensitivity of the minimum-norm least-squares solution.

    cond(X) for consistent targets; a residual r adds cond^2 ||r|| / (||X|| ||theta||)
    (Golub & Van Loan, section 5.3.7; Wedin 1973), the worst over the outputs.
    """
    x = np.asarray(x, dtype=np.float64)
    y = columns(np.asarray(y, dtype=np.float64))
    kappa = condition(x, fit_intercept)
    theta, intercept = _exact.linear(x, y, fit_intercept=fit_intercept)
    fitted = _exact.to_float(_exact.values(x, theta, intercept))
    theta = _exact.to_float(theta)
    worst = kappa
    for j in range(y.shape[1]):
        size = np.linalg.norm(x, 2) * np.linalg.norm(theta[:, j])
        if size > 0:
            residual = np.linalg.norm(y[:, j] - fitted[:, j])
            worst = max(worst, kappa + kappa**2 * residual / size)
    return worst


def ridge_condition(x, alpha, fit_intercept=False):
    """cond(X X^T + alpha I) of the (centred) rows, with ||X|| on top: the dual system's."""
    x = np.asarray(x, dtype=np.float64)
    centred = x - x.mean(axis=0) if fit_intercept else x
    spectrum = np.linalg.svd(centred, compute_uv=False)
    smallest = spectrum[-1] if x.shape[0] <= x.shape[1] else 0.0
    return float((np.linalg.norm(x, 2) ** 2 + alpha) / (smallest**2 + alpha))


def assert_interpolates(model, x, y, factor=STANDARD):
    """f(x_i) = y_i to the rounding of evaluating f: eps (|X| |theta| + |b| + |y|)."""
    predicted = columns(model.predict(x))
    expected = columns(y)
    size = np.abs(expected) + np.abs(predicted)
    if hasattr(model, "coef_"):
        size = size + np.abs(np.asarray(x, dtype=np.float64)) @ np.abs(coefficients(model))
        size = size + np.abs(np.atleast_1d(model.intercept_))
    error = np.abs(predicted.astype(np.float64) - expected)
    assert np.all(error <= factor * epsilon(model) * size.max(axis=0)), error.max()


def assert_minimum_norm(model, x, factor=STANDARD):
    """theta has no part outside the span of the (centred) retained rows."""
    x = np.asarray(x, dtype=np.float64)
    centred = x - x.mean(axis=0) if model.fit_intercept else x
    rank = len(_exact.independent_rows(x, centre=model.fit_intercept))
    basis = np.linalg.svd(centred, full_matrices=False)[2][:rank]
    theta = coefficients(model).astype(np.float64)
    outside = np.linalg.norm(theta - basis.T @ (basis @ theta), axis=0)
    limit = factor * epsilon(model) * condition(x, model.fit_intercept)
    assert np.all(outside <= limit * np.linalg.norm(theta, axis=0)), outside.max()


def assert_in_the_span_of_the_dual(model, x, factor=STANDARD):
    """theta = X^T dual_coef_ to the rounding of that sum, and sum(dual) = 0 with an intercept."""
    x = np.asarray(x, dtype=np.float64)
    dual = columns(model.dual_coef_).astype(np.float64)
    size = np.linalg.norm(np.abs(x).T @ np.abs(dual), axis=0)
    error = np.linalg.norm(coefficients(model) - x.T @ dual, axis=0)
    eps = epsilon(model)
    assert np.all(error <= factor * eps * size + np.finfo(np.float64).tiny), (error, size)
    # Of rank 0, centred, dual is zero and what is computed is rounding alone.
    if model.fit_intercept and _exact.independent_rows(x, centre=True):
        total = np.abs(dual.sum(axis=0))
        assert np.all(total <= factor * eps * np.abs(dual).sum(axis=0) * condition(x, True))


def assert_exact_linear(model, x, y, factor=STANDARD, like=None):
    """`coef_` and `intercept_` equal the enclosed solution to 100 eps times the sensitivity.

    `like`: the estimator whose parameters apply, where `model` is a preview of it.
    """
    alpha, fit_intercept = (like or model).alpha, (like or model).fit_intercept
    theta, intercept = _exact.linear(x, y, alpha=alpha, fit_intercept=fit_intercept)
    if alpha:
        kappa = ridge_condition(x, alpha, fit_intercept)
    else:
        kappa = sensitivity(x, y, fit_intercept)
    limit = factor * epsilon(model) * kappa
    spectral = max(np.linalg.norm(x, 2), np.finfo(float).tiny)
    found, targets = coefficients(model), columns(y)
    for j in range(targets.shape[1]):
        exact = _exact.column(theta, j)
        error = _exact.relative_error(found[:, [j]], exact)
        if not error <= limit:
            # Targets orthogonal to the row space have theta = 0: only an absolute error makes
            # sense.
            scale = np.linalg.norm(targets[:, j]) / spectral
            absolute = _exact.distance(found[:, [j]], exact)
            assert _exact.norm(exact) <= epsilon(model) * scale, (error, limit)
            assert absolute <= limit * scale, (absolute, limit * scale)
    if fit_intercept:
        size = _exact.norm(theta) * np.linalg.norm(x, axis=1).max() + np.abs(columns(y)).max()
        offset = _exact.distance(np.atleast_1d(model.intercept_)[None, :], intercept)
        assert offset <= limit * size, (offset, limit * size)


def assert_same_as_refit(model, x, y):
    """A clone fitted on the retained data gives the same model.

    The two proved bounds add up to a bound on their difference, so the comparison needs no
    tolerance of its own; the ids, the shapes and the rank must agree as they are.
    """
    fresh = clone(model).fit(x, y, ids=model.ids_)
    assert list(fresh.ids_) == list(model.ids_)
    assert fresh.n_features_in_ == model.n_features_in_
    assert fresh.rank_ == model.rank_
    assert np.shape(fresh.dual_coef_) == np.shape(model.dual_coef_)
    assert np.asarray(fresh.dual_coef_).dtype == np.asarray(model.dual_coef_).dtype
    certificates = [model.certify(), fresh.certify()]
    assert certificates[0].n_retained == certificates[1].n_retained == len(x)
    assert certificates[0].interpolates == certificates[1].interpolates
    slack = sum(c.parameter_error_bound for c in certificates)
    assert np.isfinite(slack)
    if hasattr(model, "coef_"):
        assert np.shape(fresh.coef_) == np.shape(model.coef_)
        assert np.shape(fresh.intercept_) == np.shape(model.intercept_)
        gap = coefficients(model).astype(np.float64) - coefficients(fresh)
        assert np.linalg.norm(gap, axis=0).max() <= slack
        shift = np.abs(np.atleast_1d(model.intercept_) - np.atleast_1d(fresh.intercept_)).max()
        assert shift <= sum(c.intercept_error_bound for c in certificates)
    return fresh


def assert_bound_holds_linear(model, x, y, exact=None):
    """No proved bound is below the true distance to the exact solution; returns both."""
    theta, intercept = exact or _exact.linear(
        x, y, alpha=model.alpha, fit_intercept=model.fit_intercept
    )
    certificate = model.certify()
    true = _exact.distance(coefficients(model), theta)
    assert true <= certificate.parameter_error_bound, (true, certificate.to_dict())
    if model.fit_intercept:
        offset = _exact.distance(np.atleast_1d(model.intercept_)[None, :], intercept)
        assert offset <= certificate.intercept_error_bound, (offset, certificate.to_dict())
    return true, certificate.parameter_error_bound


def assert_bound_holds_kernel(model, k, y, basis=None):
    """The same in the RKHS of the Gram matrix `k` (floats, in the order of `ids_`)."""
    exact = _exact.kernel(k, y, alpha=model.alpha, basis=basis)
    true = _exact.rkhs_distance(k, model.dual_coef_, exact)
    certificate = model.certify()
    assert true <= certificate.parameter_error_bound, (true, certificate.to_dict())
    return true, certificate.parameter_error_bound


def unit_rows(j):
    """Rows of unit length in float64; zero rows stay. Free of overflow and underflow."""
    j = np.asarray(j, dtype=np.float64)
    largest = np.abs(j).max(axis=1, keepdims=True)
    j = j / np.where(largest > 0, largest, 1.0)
    lengths = np.linalg.norm(j, axis=1, keepdims=True)
    return j / np.where(lengths > 0, lengths, 1.0)


def svd_complement(j, v, rank):
    """P v by the leading `rank` right singular vectors of the rows scaled to unit length."""
    basis = np.linalg.svd(unit_rows(j), full_matrices=False)[2][:rank]
    v = np.asarray(v, dtype=np.float64)
    return v - (v @ basis.T) @ basis


def orthogonality(j, projected, v):
    """The largest ||J P v|| / (||J|| ||v||), its numerator exact."""
    j, p = np.asarray(j, dtype=np.float64), np.atleast_2d(projected).astype(np.float64)
    sizes = np.linalg.norm(np.atleast_2d(v).astype(np.float64), axis=1) * np.linalg.norm(j, 2)
    found = [_exact.product_norm(j, row[:, None]) for row in p]
    return max(f / s if s else f for f, s in zip(found, sizes, strict=True))


def assert_projects(projector, j, rng, dtype, factor=20.0):
    """||J P v|| <= 20 m eps ||J|| ||v||, and P is idempotent and symmetric to the same level."""
    m, p = j.shape
    limit = factor * m * max(np.finfo(dtype).eps, np.finfo(j.dtype).eps)
    v = rng.standard_normal((2, p)).astype(dtype)
    once = projector.project(v)
    assert once.dtype == dtype and once.shape == v.shape
    sizes = np.linalg.norm(v.astype(np.float64), axis=1)
    assert orthogonality(j, once, v) <= limit
    again = projector.project(once).astype(np.float64)
    assert np.all(np.linalg.norm(again - once, axis=1) <= limit * sizes)
    wide, onto = v.astype(np.float64), once.astype(np.float64)
    assert abs(wide[0] @ onto[1] - onto[0] @ wide[1]) <= limit * sizes[0] * sizes[1]


def assert_thin_qr(qr, x, few=16.0):
    """X[basis] = L Q, X[dependents] = W X[basis], Q orthonormal; L lower with positive diagonal."""
    eps = np.finfo(x.dtype).eps
    q, low = qr.Q_.astype(np.float64), qr.L_.astype(np.float64)
    r = qr.rank_
    assert q.shape == (r, x.shape[1]) and low.shape == (r, r) and qr.n_rows_ == len(x)
    assert qr.Q_.dtype == qr.L_.dtype == x.dtype
    assert np.array_equal(low, np.tril(low)) and np.all(np.diag(low) > 0)
    assert sorted([*qr.basis_, *qr.dependents_]) == list(range(len(x)))
    assert np.abs(q @ q.T - np.eye(r)).max(initial=0) <= few * eps
    lengths = np.linalg.norm(x.astype(np.float64), axis=1)
    gap = np.linalg.norm(x[qr.basis_] - low @ q, axis=1)
    assert np.all(gap <= few * np.sqrt(r + 1) * eps * lengths[qr.basis_])
    if r:
        weights = qr.weights_.astype(np.float64)
        gap = np.linalg.norm(x[qr.dependents_] - weights @ x[qr.basis_], axis=1)
        reach = lengths[qr.dependents_] + np.abs(weights) @ lengths[qr.basis_]
        assert np.all(gap <= few * len(x) * eps * reach)


def snapshot(model):
    """Everything a model holds, as bytes: equal snapshots mean an unchanged model."""
    return pickle.dumps(model)


def assert_unchanged(model, before):
    """The full state equals an earlier `snapshot`."""
    assert snapshot(model) == before


def reachable_arrays(root):
    """Every numpy array reachable from `root` through attributes, containers and array bases."""
    seen, stack, arrays = set(), [root], []
    while stack:
        item = stack.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, np.ndarray):
            arrays.append(item)
            if item.base is not None:
                stack.append(item.base)
            if item.dtype == object:
                stack.extend(item.ravel().tolist())
        elif isinstance(item, dict):
            stack.extend(item.keys())
            stack.extend(item.values())
        elif isinstance(item, (list, tuple, set, frozenset)):
            stack.extend(item)
        elif type(item).__module__.startswith("minnorm"):
            stack.extend(vars(item).values() if hasattr(item, "__dict__") else ())
            for cls in type(item).__mro__:
                for name in getattr(cls, "__slots__", ()):
                    if hasattr(item, name):
                        stack.append(getattr(item, name))
    return arrays
