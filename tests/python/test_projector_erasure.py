"""Rows deleted from a projector are gone from its memory and from its copies."""

import copy
import pickle

import numpy as np
import pytest

from _asserts import reachable_arrays
from _samplers import generator, with_condition
from minnorm import JacobianProjector

pytestmark = pytest.mark.filterwarnings("error")

P = 70


def needle(dtype=np.float64):
    """A matrix whose row 3 holds a number that occurs nowhere else."""
    J = with_condition(8, P, 10.0, generator(35), dtype)
    J[3] = 0.123456789
    return J


def holds(projector, row):
    return any(
        array.dtype.kind == "f"
        and array.ndim == 2
        and array.shape[1] == P
        and np.any(np.all(array == row, axis=1))
        for array in reachable_arrays(projector)
    )


@pytest.mark.parametrize(
    "make", [np.asfortranarray, lambda a: a.tolist(), lambda a: a.astype(">f8")]
)
def test_a_converted_array_is_overwritten(backend, make):
    J = needle()
    projector = JacobianProjector(make(J), backend=backend)
    assert holds(projector, J[3])
    projector.delete_rows([3])
    assert not holds(projector, J[3])
    v = generator(36).standard_normal(P)
    expected = JacobianProjector(np.delete(J, 3, axis=0), backend=backend).project(v)
    np.testing.assert_allclose(projector.project(v), expected, atol=1e-13)


def test_the_array_of_the_caller_is_not(backend):
    J = needle()
    kept = J.copy()
    JacobianProjector(J, backend=backend).delete_rows([3, 5])
    np.testing.assert_array_equal(J, kept)


@pytest.mark.parametrize("how", [copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))])
def test_copies_lack_deleted_rows(backend, how):
    J = needle()
    projector = JacobianProjector(J, backend=backend).delete_rows([3])
    assert J[3].tobytes() not in pickle.dumps(projector)
    copied = how(projector)
    assert not holds(copied, J[3])
    copied.add_rows(J[3:4])
    copied.delete_rows([0])
    assert copied.n_rows_ == 7


def test_added_rows_are_overwritten_if_converted(backend):
    J = needle()
    projector = JacobianProjector(J[:3].copy(), backend=backend)
    projector.add_rows(J[3:].tolist()).delete_rows([3])
    assert not holds(projector, J[3])
    single = JacobianProjector(J[:3].astype(np.float32), backend=backend).add_rows(J[3:])
    single.delete_rows([3])
    assert not holds(single, J[3].astype(np.float32))
