"""ThinQR: X[basis] = L Q with orthonormal Q, through any sequence of deletions and additions."""

import copy
import pickle

import numpy as np
import pytest
from scipy.linalg import qr_delete

from _asserts import assert_thin_qr, unit_rows
from _samplers import (
    LAYOUTS,
    generator,
    graded_rows,
    one_hot,
    short_bits,
    with_condition,
    with_duplicates,
    with_rank,
    with_zero_rows,
)
from minnorm import InputError, ShapeError, ThinQR

pytestmark = pytest.mark.filterwarnings("error")

DTYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["double", "single"])
P = 60

# Name -> (X of a dtype, its rank).
MATRICES = {
    "random": lambda d: (generator(1).standard_normal((15, P)).astype(d), 15),
    "one row": lambda d: (generator(2).standard_normal((1, P)).astype(d), 1),
    "duplicates": lambda d: (with_duplicates(15, P, 6, generator(3), d), 9),
    "zero rows": lambda d: (with_zero_rows(15, P, 4, generator(4), d), 11),
    "all zero": lambda d: (np.zeros((3, P), d), 0),
    "combinations": lambda d: (with_rank(15, P, 5, generator(5), d), 5),
    "tall": lambda d: (short_bits((30, 8), generator(6), d), 8),
    "one-hot": lambda d: (one_hot(20, 6, generator(7), d), 6),
    "graded rows": lambda d: (graded_rows(15, P, 1e14, generator(8), d), 15),
    "graded spectrum": lambda d: (
        with_condition(15, P, 1e13 if d is np.float64 else 1e4, generator(9), d),
        15,
    ),
}


@DTYPES
@pytest.mark.parametrize("name", MATRICES)
def test_factors(backend, name, dtype):
    X, rank = MATRICES[name](dtype)
    qr = ThinQR(X, backend=backend)
    assert qr.rank_ == rank and qr.n_rows_ == len(X)
    assert_thin_qr(qr, X)
    assert f"rank {rank}" in repr(qr)


@DTYPES
@pytest.mark.parametrize("name", MATRICES)
def test_updates(backend, name, dtype):
    X, _ = MATRICES[name](dtype)
    pool = X
    rng = generator(10, list(MATRICES).index(name))
    qr = ThinQR(X, backend=backend)
    for step in range(10):
        if step % 2 or len(X) < 3:
            new = pool[rng.choice(len(pool), min(2, len(pool)), replace=False)]
            assert qr.add_rows(new) is qr
            X = np.vstack([X, new])
        else:
            gone = rng.choice(len(X), 2, replace=False)
            assert qr.delete_rows(gone) is qr
            X = np.delete(X, gone, axis=0)
        assert_thin_qr(qr, X, few=100.0)
        assert qr.rank_ == ThinQR(X, backend=backend).rank_


@DTYPES
def test_long_sequences_stay_orthonormal(backend, dtype):
    X = generator(11).standard_normal((20, P)).astype(dtype)
    qr = ThinQR(X, backend=backend)
    for step in range(60):
        rng = generator(12, step)
        gone = rng.choice(20, 3, replace=False)
        new = rng.standard_normal((3, P)).astype(dtype)
        qr.delete_rows(gone).add_rows(new)
        X = np.vstack([np.delete(X, gone, axis=0), new])
    assert qr.rank_ == 20
    assert_thin_qr(qr, X, few=200.0)


def test_the_same_space_as_scipy(backend):
    """qr_delete on the transposed rows, one column at a time; Q is compared as a projector."""
    X = generator(13).standard_normal((12, P))
    q, r = np.linalg.qr(X.T)
    ours = ThinQR(X, backend=backend)
    for gone in (7, 0, 9):
        q, r = qr_delete(q, r, gone, which="col")
        ours.delete_rows([gone])
        spanned = q[:, : ours.rank_]
        np.testing.assert_allclose(ours.Q_.T @ ours.Q_, spanned @ spanned.T, atol=1e-13)


def test_a_dependent_row_takes_over(backend):
    """scipy's economic qr_delete loses rank silently here; this finds the row that stays."""
    X = with_condition(6, P, 10.0, generator(14))
    for gone in range(6):
        qr = ThinQR(np.vstack([X, X]), backend=backend)
        assert qr.rank_ == 6
        qr.delete_rows([gone])
        assert qr.rank_ == 6
        assert_thin_qr(qr, np.delete(np.vstack([X, X]), gone, axis=0))
        qr.delete_rows([gone + 5])
        assert qr.rank_ == 5


@pytest.mark.parametrize("scale", [1e200, 1e-200])
def test_extreme_scales(backend, scale):
    base = with_condition(6, P, 10.0, generator(15))
    X = np.vstack([base[:4] * scale, base[4:], base[:1]])
    qr = ThinQR(X, backend=backend)
    assert qr.rank_ == 6
    qr.delete_rows([1]).add_rows(base[1:2] * scale)
    assert qr.rank_ == 6
    lengths = np.abs(X[np.append(np.delete(np.arange(7), 1), 1)][qr.basis_]).max(axis=1)
    held = np.vstack([np.delete(X, 1, axis=0), X[1:2]])[qr.basis_]
    gap = held / lengths[:, None] - (qr.L_ / lengths[:, None]) @ qr.Q_
    assert np.abs(gap).max() <= 1e-14


def test_the_tolerance_is_a_distance_of_unit_rows(backend):
    X = with_condition(8, P, 1e6, generator(16))
    spectrum = np.linalg.svd(unit_rows(X), compute_uv=False)
    ranks = [ThinQR(X, rtol=t**2, backend=backend).rank_ for t in (1e-8, 1e-4, 1e-2)]
    assert ranks[0] == 8 > ranks[1] > ranks[2] >= 1
    assert abs(ranks[1] - np.sum(spectrum > 1e-4 * spectrum[0])) <= 1


def test_layouts(backend):
    X = with_condition(5, P, 10.0, generator(17))
    expected = ThinQR(X, backend=backend)
    for name, layout in LAYOUTS.items():
        got = ThinQR(layout(X), backend=backend)
        np.testing.assert_allclose(got.Q_, expected.Q_, atol=1e-14, err_msg=name)
        np.testing.assert_array_equal(got.basis_, expected.basis_)


@pytest.mark.parametrize(
    ("X", "error", "words"),
    [
        (np.ones((0, 5)), ShapeError, ["0 sample"]),
        (np.ones(5), ShapeError, ["2D"]),
        (np.full((2, 5), np.nan), InputError, ["NaN"]),
        (np.ones((2, 5)) * 1j, InputError, ["omplex"]),
    ],
)
def test_matrices_that_cannot_be_used(backend, X, error, words):
    with pytest.raises(error) as caught:
        ThinQR(X, backend=backend)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_updates_that_cannot_be_done(backend):
    X = with_condition(5, P, 10.0, generator(18))
    qr = ThinQR(X, backend=backend)
    before = qr.Q_.copy()
    for rows in ([5], [0, 0], [], range(5)):
        with pytest.raises(InputError):
            qr.delete_rows(rows)
    for new in (np.ones((2, P + 1)), np.ones((0, P)), np.full((1, P), np.inf)):
        with pytest.raises(InputError):
            qr.add_rows(new)
    with pytest.raises(InputError, match="rtol"):
        ThinQR(X, rtol=-1.0, backend=backend)
    with pytest.raises(InputError, match="rtol"):
        ThinQR(X, rtol=2.0, backend=backend)
    np.testing.assert_array_equal(qr.Q_, before)
    assert_thin_qr(qr, X)


@DTYPES
def test_a_saved_basis_goes_on_as_before(backend, dtype):
    X = np.vstack([with_condition(9, P, 1e3, generator(18), dtype), np.zeros((1, P), dtype)])
    X = np.vstack([X, 1e20 * X[:2]])
    qr = ThinQR(X, backend=backend).delete_rows([4])
    for saved in (pickle.loads(pickle.dumps(qr)), copy.deepcopy(qr)):
        for name in ("Q_", "L_", "basis_", "dependents_", "weights_"):
            np.testing.assert_array_equal(getattr(saved, name), getattr(qr, name))
        saved.delete_rows([0]).add_rows(X[:2])
        assert_thin_qr(saved, np.vstack([np.delete(X, [4, 0], axis=0), X[:2]]), few=100.0)
        assert qr.n_rows_ == 11


def test_a_saved_basis_opens_in_the_other_backend(monkeypatch):
    X = with_duplicates(8, P, 3, generator(19))
    qr = ThinQR(X).delete_rows([2])
    state = pickle.dumps(qr)
    for other in ("native", "scipy"):
        monkeypatch.setenv("MINNORM_BACKEND", other)
        opened = pickle.loads(state)
        assert opened._core.backend == other
        assert_thin_qr(opened.delete_rows([0]), np.delete(X, [2, 0], axis=0))


def test_the_basis_handed_out_cannot_change_it(backend):
    qr = ThinQR(with_condition(4, P, 10.0, generator(20)), backend=backend)
    with pytest.raises(ValueError, match="read-only"):
        qr.Q_[0, 0] = 7.0
    assert qr.Q_ is qr.Q_
    before = qr.Q_
    assert qr.delete_rows([1]).Q_ is not before and qr.Q_.shape == (3, P)
