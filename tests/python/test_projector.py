"""JacobianProjector is orthogonal, of the right rank, and equal to the SVD's projector."""

import numpy as np
import pytest

import _exact
from _asserts import STANDARD, assert_projects, orthogonality, svd_complement, unit_rows
from _samplers import (
    generator,
    graded_rows,
    nearly_parallel,
    orthonormal,
    short_bits,
    with_condition,
    with_duplicates,
    with_rank,
    with_zero_rows,
)
from minnorm import JacobianProjector

pytestmark = pytest.mark.filterwarnings("error")

DTYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["double", "single"])
FACTORIZATIONS = ("cholesky", "seminormal", "qr")
M, P = 18, 150


def eps(dtype):
    return float(np.finfo(dtype).eps)


# Name -> (J of a dtype, its exact rank; None where the rank depends on the tolerance).
JACOBIANS = {
    "random": lambda d: (generator(1).standard_normal((M, P)).astype(d), M),
    "one row": lambda d: (generator(2).standard_normal((1, P)).astype(d), 1),
    "duplicate rows": lambda d: (with_duplicates(M, P, 5, generator(3), d), M - 5),
    "zero rows": lambda d: (with_zero_rows(M, P, 4, generator(4), d), M - 4),
    "all zero": lambda d: (np.zeros((3, P), d), 0),
    "combinations": lambda d: (with_rank(M, P, 7, generator(5), d), 7),
    "more rows than columns": lambda d: (short_bits((40, 12), generator(6), d), 12),
    "tall of low rank": lambda d: (with_rank(40, 12, 5, generator(7), d), 5),
    "one column": lambda d: (short_bits((6, 1), generator(8), d) + 2, 1),
    "square": lambda d: (short_bits((12, 12), generator(9), d), 12),
    "nearly parallel": lambda d: (nearly_parallel(M, P, 1e-3, generator(10), d), M),
    **{
        f"graded rows 1e{e}": lambda d, e=e: (graded_rows(M, P, 10.0**e, generator(11, e), d), M)
        for e in (2, 7, 14)
    },
    **{
        f"graded spectrum 1e{e}": lambda d, e=e: (
            with_condition(M, P, 10.0**e, generator(12, e), d),
            M if d is np.float64 or e <= 4 else None,
        )
        for e in (0, 2, 4, 6, 8, 10, 12, 14)
    },
}


@DTYPES
@pytest.mark.parametrize("vector_dtype", [np.float64, np.float32], ids=["of double", "of single"])
@pytest.mark.parametrize("name", JACOBIANS)
def test_orthogonal_idempotent_symmetric(backend, name, dtype, vector_dtype):
    J, rank = JACOBIANS[name](dtype)
    projector = JacobianProjector(J, backend=backend)
    assert projector.shape == J.shape and projector.n_rows_ == len(J)
    if rank is not None:
        assert projector.rank_ == rank
    assert_projects(projector, J, generator(20), vector_dtype)


@DTYPES
@pytest.mark.parametrize("factorization", FACTORIZATIONS)
@pytest.mark.parametrize("name", [n for n in JACOBIANS if "spectrum" not in n])
def test_every_factorization_does_ordinary_rows(backend, name, factorization, dtype):
    J, rank = JACOBIANS[name](dtype)
    projector = JacobianProjector(J, factorization=factorization, backend=backend)
    assert projector.factorization_ == factorization and projector.rank_ == rank
    assert_projects(projector, J, generator(21), dtype)


def test_what_auto_chooses(backend):
    def chosen(condition, dtype):
        J = with_condition(M, P, condition, generator(22), dtype)
        return JacobianProjector(J, backend=backend).factorization_

    assert [chosen(c, np.float64) for c in (1e2, 1e6, 1e11)] == list(FACTORIZATIONS)
    assert chosen(1e4, np.float32) == "cholesky"
    duplicates = with_duplicates(M, P, 3, generator(23), np.float64)
    assert JacobianProjector(duplicates, backend=backend).factorization_ == "seminormal"
    single = duplicates.astype(np.float32)
    assert JacobianProjector(single, backend=backend).factorization_ == "cholesky"


@pytest.mark.parametrize(
    ("name", "dtype"),
    [(n, d) for n in JACOBIANS for d in (np.float64, np.float32) if JACOBIANS[n](d)[1] is not None],
)
def test_agrees_with_the_svd(backend, name, dtype):
    """To the precision of the sums, times the condition of the row space."""
    J, rank = JACOBIANS[name](dtype)
    projector = JacobianProjector(J, backend=backend)
    v = generator(24).standard_normal((2, J.shape[1]))
    spectrum = np.linalg.svd(unit_rows(J), compute_uv=False)
    condition = spectrum[0] / spectrum[rank - 1] if rank else 1.0
    gap = np.linalg.norm(projector.project(v) - svd_complement(J, v, rank), axis=1)
    assert np.all(gap <= STANDARD * eps(np.float64) * condition * np.linalg.norm(v, axis=1))
    np.testing.assert_allclose(
        projector.gram_eigenvalues_[:rank], spectrum[:rank] ** 2, rtol=1e-6, atol=1e-14
    )
    assert projector.gram_eigenvalues_.shape == (len(J),)
    if condition < 1e6:
        assert projector.condition_ == pytest.approx(condition, rel=1e-3)


@pytest.mark.parametrize("exponent", [0, 4, 7, 10, 13])
def test_against_ball_arithmetic(backend, exponent):
    J = with_condition(8, 30, 10.0**exponent, generator(25, exponent))
    v = generator(26).standard_normal((2, 30))
    removed = v - JacobianProjector(J, backend=backend).project(v)
    true = _exact.distance(removed.T, _exact.row_space_projection(J, v))
    assert true <= STANDARD * eps(np.float64) * 10.0**exponent * np.linalg.norm(v)


@pytest.mark.parametrize(
    "name", ["duplicate rows", "zero rows", "combinations", "tall of low rank"]
)
def test_dependent_rows_against_ball_arithmetic(backend, name):
    J, _ = JACOBIANS[name](np.float64)
    v = generator(27).standard_normal(J.shape[1])
    removed = v - JacobianProjector(J, backend=backend).project(v)
    true = _exact.distance(removed, _exact.row_space_projection(J, v))
    assert true <= 100 * STANDARD * eps(np.float64) * np.linalg.norm(v)


# Tolerance and damping -----------------------------------------------------------------------


def with_spectrum(values, p, rng, dtype):
    """Rows of equal length with these singular values: every row has the same weights."""
    m = len(values)
    k = np.arange(m)
    waves = np.cos(np.pi * (k[:, None] + 0.5) * k[None, :] / m) * np.sqrt(2.0 / m)
    waves[:, 0] /= np.sqrt(2.0)
    return ((waves * np.asarray(values)) @ orthonormal(m, p, rng)).astype(dtype)


@DTYPES
@pytest.mark.parametrize("factorization", ["auto", *FACTORIZATIONS])
def test_truncation_is_that_of_the_scaled_rows(backend, factorization, dtype):
    """Rows of any length: rtol acts on the unit-length rows, as the SVD of those shows."""
    values = np.array([1.0, 0.5, 0.2, 0.1, 1e-2, 1e-5, 5e-6, 2e-6])
    J = with_spectrum(values, 60, generator(30), np.float64)
    J = (J * np.logspace(0, 5, 8)[:, None]).astype(dtype)
    spectrum = np.linalg.svd(unit_rows(J), compute_uv=False) ** 2
    rtol = np.sqrt(spectrum[4] * spectrum[5]) / spectrum[0]
    projector = JacobianProjector(J, rtol=rtol, factorization=factorization, backend=backend)
    assert projector.rank_ == 5 and projector.rtol_ == rtol
    v = generator(31).standard_normal(60)
    gap = np.linalg.norm(projector.project(v) - svd_complement(J, v, 5))
    # The subspace moves by the backward error over the gap of what was factored.
    separation = rtol if projector.factorization_ == "cholesky" else np.sqrt(rtol)
    assert gap <= STANDARD * eps(np.float64) / separation * np.linalg.norm(v)
    assert projector.condition_ == pytest.approx(np.sqrt(spectrum[0] / spectrum[4]), rel=1e-4)


def test_a_tolerance_below_rounding_keeps_what_double_precision_sees(backend):
    J = with_condition(6, 40, 1e9, generator(32), np.float32)
    v = generator(33).standard_normal(40)
    usual = JacobianProjector(J, backend=backend)
    exact = JacobianProjector(J, rtol=0.0, backend=backend)
    assert usual.rank_ < exact.rank_ == 6
    assert orthogonality(J, exact.project(v), v) <= 120 * eps(np.float64)
    twice = np.vstack([J, J[:2]])
    assert JacobianProjector(twice, rtol=0.0, backend=backend).rank_ == 6


@DTYPES
@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("factorization", FACTORIZATIONS)
@pytest.mark.parametrize("mu", [1e-4, 0.3, 50.0])
def test_damping_is_the_tikhonov_form(backend, mu, relative, factorization, dtype):
    J = generator(34).standard_normal((9, 70)).astype(dtype)
    J[4] = J[1]  # its square counts twice
    J[7] = 0
    v = generator(35).standard_normal((2, 70))
    projector = JacobianProjector(
        J,
        damping=mu,
        damping_relative=relative,
        factorization=factorization,
        backend=backend,
    )
    wide = J.astype(np.float64)
    G = wide @ wide.T
    G += (mu * np.linalg.eigvalsh(G)[-1] if relative else mu) * np.eye(9)
    expected = v - (np.linalg.solve(G, wide @ v.T)).T @ wide
    np.testing.assert_allclose(projector.project(v), expected, atol=1e-11)
    a = projector.coefficients(v)
    np.testing.assert_allclose(v - a @ wide, expected, atol=1e-11)


def test_damping_of_what_truncation_keeps(backend):
    values = np.array([1.0, 0.7, 0.3, 1e-4, 5e-5])
    J = with_spectrum(values, 40, generator(36), np.float64)
    spectrum, basis = np.linalg.svd(unit_rows(J), full_matrices=False)[1:]
    projector = JacobianProjector(J, rtol=1e-4, damping=0.05, backend=backend)
    assert projector.rank_ == int(np.sum(spectrum**2 > 1e-4 * spectrum[0] ** 2)) == 3
    kept = J @ basis[:3].T
    v = generator(37).standard_normal(40)
    inner = np.linalg.solve(kept.T @ kept + 0.05 * np.eye(3), kept.T @ (kept @ (basis[:3] @ v)))
    np.testing.assert_allclose(projector.project(v), v - basis[:3].T @ inner, atol=1e-10)
