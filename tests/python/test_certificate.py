"""The certificate's bound is never below the truth, and near it when cond <= 1e6.

Two thousand random cases, ill-conditioned and adversarial ones among them, against ball
arithmetic. A case is a function of its number, so a failure names what to rerun.
"""

import numpy as np
import pytest

import _exact
from _asserts import (
    assert_bound_holds_kernel,
    assert_bound_holds_linear,
    condition,
    epsilon,
    size_of,
)
from _samplers import (
    generator,
    graded_rows,
    hidden_direction,
    nearly_parallel,
    orthonormal,
    short_bits,
    vandermonde,
    with_condition,
    with_duplicates,
    with_rank,
    with_zero_rows,
)
from minnorm import KernelInterpolator, LinearInterpolator

CASES = 2000
BLOCKS = 20
WITHIN = 1e3
pytestmark = pytest.mark.filterwarnings("error")


def drawn_rows(kind, rng, dtype):
    """Rows of one of the kinds of sample; those with `exact` rank keep it whatever the scale."""
    n = int(rng.integers(2, 13))
    p = int(rng.integers(n, 25))
    largest = 12 if dtype is np.float64 else 4
    exponent = rng.uniform(0, largest)
    if kind == "condition":
        return with_condition(n, p, 10.0**exponent, rng, dtype)
    if kind == "graded":
        return graded_rows(n, p, 10.0**exponent, rng, dtype)
    if kind == "parallel":
        return nearly_parallel(n, p, 10.0**-exponent, rng, dtype)
    if kind == "hidden":
        return hidden_direction(10.0**-exponent, p + 2, rng, dtype)
    if kind == "vandermonde":
        return vandermonde(min(n, 7 if dtype is np.float64 else 4), p, rng, dtype)
    if kind == "duplicates":
        return with_duplicates(n + 1, p, 1 + n // 3, rng, dtype)
    if kind == "zero rows":
        return with_zero_rows(n + 1, p, 1, rng, dtype)
    if kind == "tall":
        return short_bits((p, n), rng, dtype)
    assert kind == "rank"
    return with_rank(n + 2, p, max(1, n // 2), rng, dtype)


FULL_RANK = ("condition", "graded", "parallel", "hidden", "vandermonde")


KINDS = (*FULL_RANK, "duplicates", "zero rows", "tall", "rank")


def drawn_targets(x, kind, rng):
    """Random, consistent, of one huge component, or nearly inconsistent targets."""
    n, outputs = len(x), int(rng.integers(1, 3))
    style = int(rng.integers(0, 4))
    y = rng.standard_normal((n, outputs))
    if style == 1:
        y = np.asarray(x, dtype=np.float64) @ short_bits((x.shape[1], outputs), rng)
    elif style == 2:
        y[rng.integers(0, n)] *= 1e8
    elif style == 3:
        consistent = np.asarray(x, dtype=np.float64) @ rng.standard_normal((x.shape[1], outputs))
        y = consistent + 1e-9 * y
    return y.astype(x.dtype)


def linear_case(number):
    """Rows, targets, the options of the model, the requests, of case `number`."""
    rng = generator(1000, number)
    dtype = np.float32 if number % 5 == 4 else np.float64
    kind = KINDS[number % len(KINDS)]
    x = drawn_rows(kind, rng, dtype)
    y = drawn_targets(x, kind, rng)
    options = {
        "alpha": float(10.0 ** rng.uniform(-6, 2)) if rng.integers(0, 4) == 0 else 0.0,
        "fit_intercept": bool(rng.integers(0, 2)),
        "factorization": ("auto", "auto", "qr", "cholesky")[rng.integers(0, 4)],
    }
    # The data keeps its relations under a power of two: 1e-150 .. 1e150, single 1e-12 .. 1e12.
    reach = 498 if dtype is np.float64 else 40
    scale = 2.0 ** int(rng.integers(-reach, reach + 1)) if number % 2 else 1.0
    rows = (x * dtype(scale)).astype(dtype)
    options["alpha"] *= scale**2
    if not (np.isfinite(options["alpha"]) and options["alpha"] < np.finfo(dtype).max / 1e3):
        options["alpha"] = 0.0
    requests = []
    held = list(range(len(x)))
    while len(held) > 2 and len(requests) < 2:
        gone = rng.choice(held, int(rng.integers(1, max(2, len(held) // 2))), replace=False)
        held = [i for i in held if i not in gone]
        requests.append(gone)
    return kind, rows, y, options, requests, np.array(held)


@pytest.mark.parametrize("block", range(BLOCKS))
def test_linear_bound_is_never_below_the_truth(backend, block):
    for number in range(block, CASES, BLOCKS):
        kind, x, y, options, requests, held = linear_case(number)
        model = LinearInterpolator(backend=backend, **options).fit(x, y)
        for gone in requests:
            model.forget(gone)
        rank = None
        if options["alpha"] == 0 and kind in FULL_RANK:
            rank = len(held)
        exact = _exact.linear(
            x[held], y[held], alpha=options["alpha"], fit_intercept=options["fit_intercept"]
        )
        try:
            assert_bound_holds_linear(model, x[held], y[held], exact)
        except AssertionError as error:
            raise AssertionError(f"case {number}: {kind}, {options}") from error
        if rank is not None:
            assert model.rank_ == rank, number


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("exponent", range(7))
def test_linear_bound_is_near_the_truth(backend, exponent, fit_intercept):
    """A typical ratio of at most 1e3 for a fit; after deletions it is that of the whole data.

    A deletion inherits sigma_min of the data before it, by interlacing: valid, and costing nothing,
    but short of sigma_min of what is retained by whatever the deletion improved.
    """
    ratios = []
    for number in range(20):
        rng = generator(2000, exponent, number)
        n = int(rng.integers(4, 12))
        x = with_condition(n, int(rng.integers(n + 1, 25)), 10.0**exponent, rng)
        y = rng.standard_normal(n)
        model = LinearInterpolator(fit_intercept=fit_intercept, backend=backend).fit(x, y)
        true, bound = assert_bound_holds_linear(model, x, y)
        # A result that happens to be correctly rounded has an error far below any bound: the
        # rounding of the stored coefficients is the least that a bound can speak of.
        ratios.append(bound / max(true, epsilon(model) * size_of(model)))
        model.forget([0, n - 1])
        _, bound = assert_bound_holds_linear(model, x[1:-1], y[1:-1])
        reach = epsilon(model) * condition(x, fit_intercept) * size_of(model)
        assert bound <= WITHIN * reach, number
    assert np.median(ratios) <= WITHIN, ratios
    assert np.max(ratios) <= 100 * WITHIN, ratios


@pytest.mark.parametrize("exponent", range(0, 7, 2))
def test_kernel_bound_is_near_the_truth(backend, exponent):
    ratios = []
    for number in range(10):
        rng = generator(3000, exponent, number)
        k = gram_matrix(int(rng.integers(4, 12)), 10.0**exponent, rng)
        y = rng.standard_normal(len(k))
        model = KernelInterpolator(kernel="precomputed", backend=backend).fit(k, y)
        model.forget([0])
        true, bound = assert_bound_holds_kernel(model, k[1:, 1:], y[1:])
        size = _exact.rkhs_norm(k[1:, 1:], _exact.kernel(k[1:, 1:], y[1:]))
        ratios.append(bound / max(true, epsilon(model) * size))
    assert np.median(ratios) <= WITHIN, ratios


def gram_matrix(n, condition_number, rng, dtype=np.float64):
    q = orthonormal(n, n, rng)
    k = (q.T * np.logspace(0, -np.log10(condition_number), n)) @ q
    return ((k + k.T) / 2).astype(dtype)


def kernel_case(number):
    rng = generator(4000, number)
    dtype = np.float32 if number % 5 == 4 else np.float64
    n = int(rng.integers(3, 13))
    if number % 3 == 2:
        x = with_rank(n, n + 3, max(1, n // 2), rng, dtype)
        k = x @ x.T
    else:
        k = gram_matrix(n, 10.0 ** rng.uniform(0, 12 if dtype is np.float64 else 4), rng, dtype)
    y = rng.standard_normal((n, int(rng.integers(1, 3)))).astype(dtype)
    reach = 498 if dtype is np.float64 else 40
    scale = 2.0 ** int(rng.integers(-reach, reach + 1)) if number % 2 else 1.0
    alpha = float(10.0 ** rng.uniform(-4, 1)) * scale if rng.integers(0, 4) == 0 else 0.0
    gone = rng.choice(n, int(rng.integers(1, n - 1)), replace=False)
    return (k * dtype(scale)).astype(dtype), y, alpha, gone


@pytest.mark.parametrize("block", range(5))
def test_kernel_bound_is_never_below_the_truth(backend, block):
    for number in range(block, 500, 5):
        k, y, alpha, gone = kernel_case(number)
        model = KernelInterpolator(kernel="precomputed", alpha=alpha, backend=backend).fit(k, y)
        model.forget(gone)
        held = np.setdiff1d(np.arange(len(k)), gone)
        try:
            assert_bound_holds_kernel(model, k[np.ix_(held, held)], y[held])
        except AssertionError as error:
            raise AssertionError(f"case {number}, alpha = {alpha}") from error
