"""Rows deleted from and added to a projector: the same as a fresh one, whatever came before."""

import numpy as np
import pytest

from _asserts import assert_projects
from _samplers import (
    generator,
    graded_rows,
    short_bits,
    vandermonde,
    with_condition,
    with_duplicates,
    with_rank,
    with_zero_rows,
)
from minnorm import InputError, JacobianProjector, ShapeError

pytestmark = pytest.mark.filterwarnings("error")

DTYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["double", "single"])
FACTORIZATIONS = ("auto", "cholesky", "seminormal", "qr")
P = 70

# Name -> rows of exact rank, from which the sequences draw.
POOLS = {
    "independent": lambda d: with_condition(40, P, 100.0, generator(1), d),
    "duplicates": lambda d: with_duplicates(40, P, 15, generator(2), d),
    "zero rows": lambda d: with_zero_rows(40, P, 10, generator(3), d),
    "of rank 9": lambda d: with_rank(40, P, 9, generator(4), d),
    "tall": lambda d: short_bits((40, 6), generator(5), d),
    "graded rows": lambda d: graded_rows(40, P, 1e10, generator(6), d),
}


def assert_as_fresh(projector, J, rng, **parameters):
    """Rank, spectrum and projection of a new projector of the same rows."""
    fresh = JacobianProjector(J, **parameters)
    v = rng.standard_normal((2, J.shape[1]))
    assert projector.shape == J.shape and projector.n_rows_ == len(J)
    assert projector.rank_ == fresh.rank_
    assert projector.rtol_ == fresh.rtol_
    assert projector.gram_eigenvalues_.shape == (len(J),)
    np.testing.assert_allclose(
        projector.gram_eigenvalues_, fresh.gram_eigenvalues_, rtol=1e-7, atol=1e-10
    )
    gap = np.linalg.norm(projector.project(v) - fresh.project(v))
    # What dependent rows were short of is lost: below the rank tolerance of J's precision.
    limit = 1e-11 if J.dtype == np.float64 else 1e-5
    assert gap <= limit * np.linalg.norm(v)


@DTYPES
@pytest.mark.parametrize("factorization", FACTORIZATIONS)
@pytest.mark.parametrize("name", POOLS)
def test_random_sequences(backend, name, factorization, dtype):
    pool = POOLS[name](dtype)
    rng = generator(10, list(POOLS).index(name))
    J = pool[:14]
    parameters = {"factorization": factorization, "backend": backend}
    projector = JacobianProjector(J, **parameters)
    for step in range(12):
        if step % 2:
            new = pool[rng.choice(len(pool), int(rng.integers(1, 4)), replace=False)]
            assert projector.add_rows(new) is projector
            J = np.vstack([J, new])
        else:
            gone = rng.choice(len(J), int(rng.integers(1, 5)), replace=False)
            assert projector.delete_rows(gone) is projector
            J = np.delete(J, gone, axis=0)
        assert_as_fresh(projector, J, rng, **parameters)
    assert_projects(projector, J, rng, dtype)


@DTYPES
@pytest.mark.parametrize("factorization", FACTORIZATIONS)
def test_down_to_one_row_and_up_again(backend, factorization, dtype):
    pool = with_duplicates(12, P, 4, generator(11), dtype)
    parameters = {"factorization": factorization, "backend": backend}
    projector = JacobianProjector(pool, **parameters)
    J = pool
    while len(J) > 1:
        projector.delete_rows([0])
        J = J[1:]
        assert_as_fresh(projector, J, generator(12, len(J)), **parameters)
    projector.add_rows(pool)
    assert_as_fresh(projector, np.vstack([J, pool]), generator(13), **parameters)


@pytest.mark.parametrize("factorization", FACTORIZATIONS)
def test_many_rows_at_once(backend, factorization):
    J = with_condition(60, 90, 1e3, generator(14))
    parameters = {"factorization": factorization, "backend": backend}
    projector = JacobianProjector(J, **parameters).delete_rows(np.arange(5, 45))
    rest = np.delete(J, np.arange(5, 45), axis=0)
    assert_as_fresh(projector, rest, generator(15), **parameters)
    projector.add_rows(J[5:45])
    assert_as_fresh(projector, np.vstack([rest, J[5:45]]), generator(16), **parameters)


@pytest.mark.parametrize("exponent", [6, 9, 13])
def test_ill_conditioned_rows(backend, exponent):
    J = with_condition(14, 80, 10.0**exponent, generator(17, exponent))
    projector = JacobianProjector(J[:11], backend=backend)
    projector.delete_rows([2, 7]).add_rows(J[11:]).delete_rows([0])
    held = np.vstack([np.delete(J[:11], [2, 7], axis=0), J[11:]])[1:]
    assert projector.rank_ == len(held)
    assert_projects(projector, held, generator(18), np.float64)


@pytest.mark.parametrize("exponent", [6, 7, 9, 13])
@pytest.mark.parametrize("factorization", FACTORIZATIONS)
def test_rows_dependent_to_single_precision_only(backend, exponent, factorization):
    """What a dependent row lacks to lie in the span counts once it is in the basis itself."""
    for number in range(4):
        rng = generator(40, exponent, number)
        J = with_condition(24, 150, 10.0**exponent, rng, np.float32)
        projector = JacobianProjector(J, factorization=factorization, backend=backend)
        for _ in range(3):
            gone = rng.choice(len(J), 3, replace=False)
            new = J[gone[:2]]
            projector.delete_rows(gone).add_rows(new)
            J = np.vstack([np.delete(J, gone, axis=0), new])
        for dtype in (np.float32, np.float64):
            assert_projects(projector, J, rng, dtype)


@pytest.mark.parametrize("factorization", ["auto", "qr"])
@pytest.mark.parametrize("shape", [(25, 100), (30, 14)])
def test_rows_dependent_to_rounding_only(backend, shape, factorization):
    """A spectrum that runs into rounding: whichever rows remain, they are projected off."""
    for number in range(6):
        rng = generator(41, shape[1], number)
        J = vandermonde(*shape, rng)
        if number % 2:
            J = with_condition(min(shape), max(shape), 1e16, rng)
            J = J if len(J) == shape[0] else J.T
        projector = JacobianProjector(J, factorization=factorization, backend=backend)
        for _ in range(4):
            gone = rng.choice(len(J), 3, replace=False)
            new = J[gone[:2]]
            projector.delete_rows(gone).add_rows(new)
            J = np.vstack([np.delete(J, gone, axis=0), new])
            assert projector.rank_ <= min(J.shape)
        assert_projects(projector, J, rng, np.float64)


def test_an_addition_that_asks_for_another_factorization(backend):
    J = with_condition(8, P, 10.0, generator(19))
    projector = JacobianProjector(J, backend=backend)
    assert projector.factorization_ == "cholesky"
    near = J[:1] + 1e-7 * with_condition(1, P, 1.0, generator(20))
    nearer = J[1:2] + 1e-12 * with_condition(1, P, 1.0, generator(21))
    projector.add_rows(near)
    assert projector.factorization_ == "seminormal" and projector.rank_ == 9
    projector.add_rows(nearer)
    assert projector.factorization_ == "qr" and projector.rank_ == 10
    assert_projects(projector, np.vstack([J, near, nearer]), generator(22), np.float64)


@pytest.mark.parametrize(
    "parameters", [{"rtol": 1e-3}, {"damping": 0.1}, {"rtol": 1e-3, "damping": 1.0}]
)
def test_truncation_and_damping_follow(backend, parameters):
    J = with_condition(12, P, 1e3, generator(23))
    J /= np.linalg.norm(J, axis=1, keepdims=True)
    settings = {**parameters, "backend": backend}
    projector = JacobianProjector(J[:10], **settings).delete_rows([1, 4]).add_rows(J[10:])
    held = np.vstack([np.delete(J[:10], [1, 4], axis=0), J[10:]])
    fresh = JacobianProjector(held, **settings)
    v = generator(24).standard_normal(P)
    assert projector.rank_ == fresh.rank_
    np.testing.assert_allclose(projector.project(v), fresh.project(v), atol=1e-10)


@pytest.mark.parametrize("scale", [1e200, 1e-200])
def test_rows_of_extreme_scale_come_and_go(backend, scale):
    J = with_condition(8, P, 10.0, generator(25))
    v = generator(26).standard_normal(P)
    projector = JacobianProjector(J[:5], backend=backend).add_rows(J[5:] * scale)
    expected = JacobianProjector(J, backend=backend).project(v)
    np.testing.assert_allclose(projector.project(v), expected, atol=1e-13)
    projector.delete_rows([0, 6])
    expected = JacobianProjector(np.delete(J, [0, 6], axis=0), backend=backend).project(v)
    np.testing.assert_allclose(projector.project(v), expected, atol=1e-13)
    projector.add_rows(J[[0, 6]])
    assert projector.rank_ == 8


def test_deleting_a_duplicate_leaves_its_twin(backend):
    J = with_condition(6, P, 10.0, generator(27))
    v = generator(28).standard_normal(P)
    expected = JacobianProjector(J, backend=backend).project(v)
    twice = np.vstack([J, J])
    for gone in (np.arange(6), np.arange(6, 12), np.array([0, 7, 2, 9, 4, 11])):
        projector = JacobianProjector(twice, backend=backend).delete_rows(gone)
        assert projector.rank_ == 6
        np.testing.assert_allclose(projector.project(v), expected, atol=1e-12)


def test_ways_to_name_rows(backend):
    J = with_condition(7, P, 10.0, generator(29))
    v = generator(30).standard_normal(P)
    expected = JacobianProjector(np.delete(J, [1, 6], axis=0), backend=backend).project(v)
    mask = np.zeros(7, bool)
    mask[[1, 6]] = True
    for rows in ([6, 1], (1, -1), np.array([1, 6], np.uint8), mask, mask.tolist()):
        got = JacobianProjector(J, backend=backend).delete_rows(rows).project(v)
        np.testing.assert_allclose(got, expected, atol=1e-14)
    assert JacobianProjector(J, backend=backend).delete_rows(3).n_rows_ == 6


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([7], ["7 rows held", "got 7"]),
        ([-8], ["got -8"]),
        ([1, 1], ["distinct", "1"]),
        ([1, -6], ["distinct", "1"]),
        ([], ["empty"]),
        (range(7), ["all 7"]),
        ([0.5], ["integers"]),
        ([[1, 2]], ["integers"]),
        (["a"], ["integers"]),
        (np.ones(6, bool), ["(7,)", "(6,)"]),
    ],
)
def test_rows_that_cannot_be_deleted(backend, rows, words):
    J = with_condition(7, P, 10.0, generator(31))
    v = generator(32).standard_normal(P)
    projector = JacobianProjector(J, backend=backend)
    before = projector.project(v)
    with pytest.raises(InputError) as caught:
        projector.delete_rows(rows)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    np.testing.assert_array_equal(projector.project(v), before)


@pytest.mark.parametrize("factorization", FACTORIZATIONS)
@pytest.mark.parametrize(
    ("new", "error", "words"),
    [
        (np.ones((1, P + 1)), ShapeError, [str(P), str(P + 1)]),
        (np.ones((0, P)), InputError, ["no rows"]),
        (np.ones(P), ShapeError, ["J_new"]),
        (np.full((2, P), np.nan), InputError, ["row 0"]),
        (np.ones((1, P)) * 1j, InputError, ["omplex"]),
    ],
)
def test_rows_that_cannot_be_added(backend, new, error, words, factorization):
    """Nothing has changed: not the rows, not the answers."""
    J = with_condition(7, P, 10.0, generator(33))
    v = generator(34).standard_normal(P)
    projector = JacobianProjector(J, factorization=factorization, backend=backend)
    before = projector.project(v)
    with pytest.raises(error) as caught:
        projector.add_rows(new)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert projector.shape == (7, P)
    np.testing.assert_array_equal(projector.project(v), before)
    projector.add_rows(2 * J[:2]).delete_rows([0])
    assert projector.n_rows_ == 8
