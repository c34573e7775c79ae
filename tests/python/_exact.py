"""The oracle: every solution as an enclosure, computed in ball arithmetic (python-flint `arb_mat`).

Invariant: what leaves this module is a rigorous enclosure of the mathematical answer for the
floating-point data as given, with a relative radius below 2^-80, or an exception. The working
precision doubles until that holds, so neither the condition number nor the scale of the data
matters. Nothing here shares a method with the library: means are exact sums, ranks are taken
modulo a prime of 61 bits, and systems are solved by `arb_mat.solve`.
"""

import contextlib
import math

import flint
import numpy as np

PRIME = (1 << 61) - 1
FIRST_PRECISION = 256
LAST_PRECISION = 1 << 15
RELATIVE_RADIUS = 2.0**-80
NEGLIGIBLE = flint.arb(2) ** -1100


@contextlib.contextmanager
def precision(bits):
    """Set flint's working precision for the block."""
    before = flint.ctx.prec
    flint.ctx.prec = bits
    try:
        yield
    finally:
        flint.ctx.prec = before


def ball_matrix(a):
    """Enclose a float matrix; a float is a dyadic rational, so the balls have radius zero."""
    a = np.atleast_2d(np.asarray(a, dtype=np.float64))
    return flint.arb_mat(a.shape[0], a.shape[1], a.ravel().tolist())


def _zeros(rows, columns):
    return flint.arb_mat(rows, columns)


def _take(m, rows):
    table = m.table()
    return flint.arb_mat(len(rows), m.ncols(), [v for i in rows for v in table[i]])


def _column_means(m):
    ones = flint.arb_mat(1, m.nrows(), [1] * m.nrows())
    return ones * m * (flint.arb(1) / m.nrows())


def _centred(m):
    ones = flint.arb_mat(m.nrows(), 1, [1] * m.nrows())
    return m - ones * _column_means(m)


def _ridge(g, alpha):
    n = g.nrows()
    penalty = flint.arb(float(alpha))
    return g + flint.arb_mat(n, n, [penalty if i == j else 0 for i in range(n) for j in range(n)])


def _converged(m):
    """Is every column enclosed to RELATIVE_RADIUS of its largest entry?

    A column whose exact value is zero never has a small *relative* radius; it is accepted once no
    float can tell it from zero.
    """
    table = m.table()
    for j in range(m.ncols()):
        largest = radius = highest = flint.arb(0)
        for row in table:
            if not row[j].is_finite():
                return False
            largest = largest.max(row[j].abs_lower())
            highest = highest.max(row[j].abs_upper())
            radius = radius.max(row[j].rad())
        if not (radius <= largest * RELATIVE_RADIUS or highest <= NEGLIGIBLE):
            return False
    return True


def _adaptively(compute):
    """Run `compute` with doubling precision until its first result is enclosed tightly."""
    bits = FIRST_PRECISION
    while bits <= LAST_PRECISION:
        with precision(bits):
            try:
                result = compute()
            except ZeroDivisionError:
                result = None
            if result is not None and _converged(result[0]):
                return result
        bits *= 2
    raise ArithmeticError("the oracle did not converge: the system is exactly singular")


# Exact rank ---------------------------------------------------------------------------------


def _residues(a, centre):
    """Integers modulo PRIME proportional to `a` (or to n times `a` with its columns centred)."""
    a = np.atleast_2d(np.asarray(a, dtype=np.float64))
    pairs = [float(v).as_integer_ratio() for v in a.ravel()]
    common = max(q for _, q in pairs)
    integers = np.array([p * (common // q) for p, q in pairs], dtype=object).reshape(a.shape)
    if centre:
        integers = integers * a.shape[0] - integers.sum(axis=0)
    return [[int(v) % PRIME for v in row] for row in integers]


def independent_rows(x, *, centre=False):
    """Positions of a maximal set of linearly independent rows, exactly (greedy, first come).

    Elimination modulo a 61-bit prime: the chosen rows are certainly independent over the
    rationals, and a row could be missed only if the prime divides a minor.
    """
    residues = _residues(x, centre)
    if not residues or not residues[0]:
        return []
    transposed = [list(column) for column in zip(*residues, strict=True)]
    reduced, rank = flint.nmod_mat(transposed, PRIME).rref()
    table = reduced.tolist()
    return [next(j for j, v in enumerate(table[i]) if int(v) != 0) for i in range(rank)]


# Linear models ------------------------------------------------------------------------------


def linear(x, y, *, alpha=0.0, fit_intercept=False, basis=None):
    """Enclose the minimum-norm least-squares (or ridge) coefficients of the data.

    Parameters
    ----------
    x : (n, p) float array
    y : (n,) or (n, t) float array
    alpha : ridge penalty on the coefficients (the intercept is free)
    fit_intercept : solve for a free intercept as well. Minimising over it first leaves the
        problem in the centred data, for interpolation, least squares and ridge alike.
    basis : positions of rows that *define* the row space; the other rows are then replaced by
        their orthogonal projections on it. Default: an exactly independent set, for which the
        projection changes nothing.

    Returns
    -------
    (theta, intercept) : arb_mat (p, t) and arb_mat (1, t)
    """
    x = np.atleast_2d(np.asarray(x))
    y = np.asarray(y)
    y = y.reshape(y.shape[0], -1)
    if basis is None and alpha == 0:
        basis = independent_rows(x, centre=fit_intercept)
    if alpha == 0 and len(basis) == 0:
        with precision(FIRST_PRECISION):
            b = _column_means(ball_matrix(y)) if fit_intercept else _zeros(1, y.shape[1])
            return _zeros(x.shape[1], y.shape[1]), b

    def compute():
        xb, yb = ball_matrix(x), ball_matrix(y)
        xc, yc = (_centred(xb), _centred(yb)) if fit_intercept else (xb, yb)
        if alpha:
            theta = xc.transpose() * _ridge(xc * xc.transpose(), alpha).solve(yc)
        else:
            theta = _pinv_apply(xc, yc, basis)
        if not fit_intercept:
            return theta, _zeros(1, y.shape[1])
        return theta, _column_means(yb) - _column_means(xb) * theta

    return _adaptively(compute)


def _pinv_apply(x, y, basis):
    """pinv(W R) y with R = x[basis] and W = x R^T (R R^T)^-1: R^T (R R^T)^-1 (W^T W)^-1 W^T y."""
    rows = _take(x, basis)
    gram = rows * rows.transpose()
    if len(basis) == x.nrows():
        return rows.transpose() * gram.solve(_take(y, basis))
    w = gram.solve(rows * x.transpose()).transpose()
    fitted = (w.transpose() * w).solve(w.transpose() * y)
    return rows.transpose() * gram.solve(fitted)


def row_space_projection(x, theta):
    """Enclose the projections of the rows of theta (t, p) or (p,) onto the row space of x: (p, t).

    They are the minimum-norm interpolators of the exact targets x theta.
    """
    basis = independent_rows(x)

    def compute():
        rows = ball_matrix(np.asarray(x)[basis])
        parameters = ball_matrix(np.asarray(theta).reshape(-1, x.shape[1])).transpose()
        gram = rows * rows.transpose()
        return (rows.transpose() * gram.solve(rows * parameters),)

    return _adaptively(compute)[0]


# Kernel models ------------------------------------------------------------------------------


def kernel(k, y, *, alpha=0.0, basis=None):
    """Enclose the dual coefficients of a kernel model, given its Gram matrix as floats.

    With K = W K_BB W^T, where W = K_{:,B} K_BB^-1, the minimum-norm least-squares function is
    sum_j beta_j k(x_j, .) over B, with beta = K_BB^-1 (W^T W)^-1 W^T y.

    Returns
    -------
    dual : arb_mat (n, t), zero outside the basis.
    """
    k = np.asarray(k)
    y = np.asarray(y)
    y = y.reshape(y.shape[0], -1)
    n = k.shape[0]
    if basis is None:
        basis = list(range(n)) if alpha else independent_rows(k)

    def compute():
        kb, yb = ball_matrix(k), ball_matrix(y)
        if alpha:
            return (_ridge(kb, alpha).solve(yb),)
        columns = _take(kb, basis)  # K is symmetric
        core = _take(columns.transpose(), basis)
        if len(basis) == n:
            beta = core.solve(_take(yb, basis))
        else:
            w = core.solve(columns).transpose()
            beta = core.solve((w.transpose() * w).solve(w.transpose() * yb))
        dual = _zeros(n, yb.ncols())
        for row, position in enumerate(basis):
            for j in range(yb.ncols()):
                dual[position, j] = beta[row, j]
        return (dual,)

    return _adaptively(compute)[0]


def rkhs_distance(k, dual, exact_dual):
    """Lower end of the largest ||f_hat - f*|| in the space of the kernel, over the outputs."""
    with precision(4 * FIRST_PRECISION):
        difference = ball_matrix(_two_dimensional(dual)) - exact_dual
        squared = difference.transpose() * ball_matrix(k) * difference
        return _largest_root(squared[j, j] for j in range(squared.nrows()))


def rkhs_norm(k, exact_dual):
    """Upper end of the largest ||f*|| over the outputs."""
    with precision(4 * FIRST_PRECISION):
        squared = exact_dual.transpose() * ball_matrix(k) * exact_dual
        return max(float(abs(squared[j, j]).upper().sqrt().upper()) for j in range(squared.nrows()))


# Measuring ----------------------------------------------------------------------------------


def _two_dimensional(a):
    a = np.asarray(a)
    return a.reshape(a.shape[0], -1)


def _largest_root(squares):
    """Largest square root, rounded towards zero: the lower end of each enclosure."""
    largest = 0.0
    for value in squares:
        low = value.lower()
        if low > 0:
            largest = max(largest, float(low.sqrt().lower()))
    return largest


def _sum_of_squares(m, j):
    total = flint.arb(0)
    for i in range(m.nrows()):
        total += m[i, j] * m[i, j]
    return total


def distance(approximate, exact):
    """Lower end of the largest column-wise 2-norm of `approximate - exact` ((p, t) against arb)."""
    with precision(4 * FIRST_PRECISION):
        difference = ball_matrix(_two_dimensional(approximate)) - exact
        return _largest_root(_sum_of_squares(difference, j) for j in range(difference.ncols()))


def relative_error(approximate, exact):
    """Largest column-wise ||approximate - exact|| / ||exact||; 0 where both vanish."""
    worst = 0.0
    with precision(4 * FIRST_PRECISION):
        difference = ball_matrix(_two_dimensional(approximate)) - exact
        for j in range(exact.ncols()):
            error = _sum_of_squares(difference, j)
            size = _sum_of_squares(exact, j)
            if error.upper() <= 0:
                continue
            if not size.lower() > 0:
                return math.inf
            worst = max(worst, float((error / size).sqrt().mid()))
    return worst


def product_norm(a, b):
    """||a b||_F for float matrices, from exact products and sums."""
    with precision(4 * FIRST_PRECISION):
        product = ball_matrix(a) * ball_matrix(b)
        total = sum((v * v for row in product.table() for v in row), flint.arb(0))
        return float(total.upper().sqrt().upper())


def norm(exact):
    """Upper end of the largest column-wise 2-norm."""
    with precision(4 * FIRST_PRECISION):
        return max(
            float(_sum_of_squares(exact, j).upper().sqrt().upper()) for j in range(exact.ncols())
        )


def column(exact, j):
    """Column j, (p, 1)."""
    return flint.arb_mat(exact.nrows(), 1, [row[j] for row in exact.table()])


def to_float(exact):
    """Midpoints, correctly rounded to float64."""
    return np.array([[float(v.mid()) for v in row] for row in exact.table()])


def values(x, theta, intercept):
    """Enclose x theta + intercept, (q, t)."""
    with precision(4 * FIRST_PRECISION):
        xb = ball_matrix(x)
        ones = flint.arb_mat(xb.nrows(), 1, [1] * xb.nrows())
        return xb * theta + ones * intercept
