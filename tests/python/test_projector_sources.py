"""However the Jacobian comes, in rows, layers, from disk or as products: the same projection."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from _asserts import orthogonality, svd_complement
from _samplers import generator, with_condition, with_duplicates
from minnorm import InputError, JacobianProjector, ShapeError

pytestmark = pytest.mark.filterwarnings("error")

DTYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["double", "single"])
M, SHAPES = 10, ((4, 5), (30,), (), (2, 3, 7))
SIZES = [int(np.prod(shape)) for shape in SHAPES]
P = sum(SIZES)
EDGES = np.cumsum(SIZES)[:-1]
AGREE = {np.float64: 1e-12, np.float32: 1e-6}


def rows(dtype, *seed):
    return with_condition(M, P, 50.0, generator(1, *seed), dtype)


def layers(J):
    """Views of J, each (m, *shape)."""
    parts = np.split(J, EDGES, axis=1)
    return [part.reshape(len(J), *shape) for part, shape in zip(parts, SHAPES, strict=True)]


def slices(v):
    parts = np.split(v, EDGES, axis=-1)
    return [
        part.reshape((*v.shape[:-1], *shape)) for part, shape in zip(parts, SHAPES, strict=True)
    ]


def mapped(J, path, mode="r"):
    J.tofile(path)
    return np.memmap(path, J.dtype, mode, shape=J.shape)


def projectors(J, path, **parameters):
    """Name -> a projector of J from another source."""
    products = (lambda v: J @ v, lambda u: J.T @ u, J.shape, J.dtype)
    return {
        "row blocks": JacobianProjector.from_row_blocks(
            (J[:3], J[3:4], J[4:4], J[4:]), **parameters
        ),
        "column blocks": JacobianProjector.from_column_blocks(layers(J), **parameters),
        "memmap": JacobianProjector(mapped(J, path), **parameters),
        "operator": JacobianProjector(aslinearoperator(J), **parameters),
        "products": JacobianProjector.from_operator(*products, **parameters),
        "products, Gram formed": JacobianProjector.from_operator(*products, "form", **parameters),
        "products, Gram given": JacobianProjector.from_operator(
            *products, J.astype(np.float64) @ J.astype(np.float64).T, **parameters
        ),
    }


@DTYPES
@pytest.mark.parametrize(
    "parameters",
    [{}, {"damping": 0.01}, {"damping": 0.1, "damping_relative": True}],
    ids=["projection", "damped", "damped relative"],
)
def test_all_sources_agree(backend, tmp_path, dtype, parameters):
    J = rows(dtype)
    v = generator(2).standard_normal((2, P)).astype(dtype)
    whole = JacobianProjector(J, backend=backend, **parameters)
    expected = whole.project(v).astype(np.float64)
    size = np.linalg.norm(expected)
    made = projectors(J, tmp_path / "rows", backend=backend, **parameters)
    for name, projector in made.items():
        assert projector.shape == J.shape
        got, report = projector.project(v, return_report=True)
        assert got.dtype == dtype
        assert np.linalg.norm(got - expected) <= AGREE[dtype] * size, name
        step = projector.apply(v, 0.3)
        assert np.linalg.norm(step - (v - 0.3 * expected)) <= 2 * AGREE[dtype] * size, name
        a = projector.coefficients(v[0])
        assert a.shape == (M,)
        assert np.linalg.norm(v[0] - J.T @ a - expected[0]) <= 4 * AGREE[dtype] * size, name
        if not parameters:
            assert report.orthogonality <= 20 * M * np.finfo(dtype).eps, name
        by_products = name in ("operator",) or name.startswith("products")
        assert (report.iterations is not None) == by_products
        assert ("iterations" in str(report)) == by_products


# Row blocks and layers -----------------------------------------------------------------------


def test_a_generator_of_batches(backend):
    J = rows(np.float64)
    batches = (J[i : i + 4] for i in range(0, M, 4))
    projector = JacobianProjector.from_row_blocks(batches, backend=backend)
    assert projector.n_rows_ == M
    mixed = JacobianProjector.from_row_blocks([J[:5].astype(np.float32), J[5:]], backend=backend)
    v = generator(3).standard_normal(P)
    np.testing.assert_allclose(mixed.project(v), projector.project(v), atol=1e-4)


def test_slices_come_back_as_slices(backend):
    J = rows(np.float64)
    projector = JacobianProjector.from_column_blocks(layers(J), backend=backend)
    v = generator(4).standard_normal((3, P))
    whole = projector.project(v)
    for given, expected in ((v[0], whole[0]), (v, whole)):
        got, report = projector.project(slices(given), return_report=True)
        assert isinstance(got, list) and report.rank == M
        for part, wanted in zip(got, slices(expected), strict=True):
            assert part.shape == wanted.shape
            np.testing.assert_allclose(part, wanted, atol=1e-14)
        step = projector.apply(tuple(slices(given)), 0.5)
        for part, wanted in zip(step, slices(given - 0.5 * expected), strict=True):
            np.testing.assert_allclose(part, wanted, atol=1e-14)
        a = projector.coefficients(slices(given))
        np.testing.assert_allclose(a, projector.coefficients(given), atol=1e-13)
    single = [part.astype(np.float32) if i else part for i, part in enumerate(slices(v[0]))]
    assert [part.dtype for part in projector.project(single)] == [np.float64] + [np.float32] * 3


def test_rows_of_layers_are_added_as_layers(backend):
    J, new = rows(np.float64), rows(np.float64, 1)[:2]
    v = generator(5).standard_normal(P)
    expected = JacobianProjector(np.vstack([J, new]), backend=backend).project(v)
    for more in (new, layers(new)):
        projector = JacobianProjector.from_column_blocks(layers(J), backend=backend)
        np.testing.assert_allclose(projector.add_rows(more).project(v), expected, atol=1e-13)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: JacobianProjector.from_row_blocks([]), InputError, ["no rows"]),
        (lambda: JacobianProjector.from_row_blocks([np.ones((0, 3))]), InputError, ["no rows"]),
        (
            lambda: JacobianProjector.from_row_blocks([np.ones((1, 3)), np.ones((1, 4))]),
            ShapeError,
            ["expected 3", "got 4", "row_blocks[1]"],
        ),
        (lambda: JacobianProjector.from_row_blocks(3), InputError, ["iterable"]),
        (lambda: JacobianProjector.from_column_blocks([]), InputError, ["empty"]),
        (lambda: JacobianProjector.from_column_blocks([np.ones((0, 3))]), InputError, ["no rows"]),
        (lambda: JacobianProjector.from_column_blocks([1.0]), ShapeError, ["single number"]),
        (
            lambda: JacobianProjector.from_column_blocks([np.ones((2, 3)), np.ones((3, 3))]),
            ShapeError,
            ["expected 2", "got 3", "column_blocks[1]"],
        ),
    ],
)
def test_blocks_that_cannot_be_used(make, error, words):
    with pytest.raises(error) as caught:
        make()
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_slices_that_do_not_fit(backend):
    projector = JacobianProjector.from_column_blocks(layers(rows(np.float64)), backend=backend)
    parts = slices(np.ones(P))
    with pytest.raises(ShapeError, match="one slice per layer"):
        projector.project(parts[:2])
    parts[1] = np.ones(31)
    with pytest.raises(ShapeError, match=r"v\[1\] must have the shape"):
        projector.project(parts)


# Products ------------------------------------------------------------------------------------


@pytest.mark.parametrize("exponent", [0, 3, 6, 9])
def test_a_gram_matrix_makes_iterations_few(exponent):
    """LSMR needs more steps the worse the condition; preconditioned, a few in every case."""
    J = with_condition(M, P, 10.0**exponent, generator(9, exponent))
    v = generator(10).standard_normal(P)
    limit = 20 * M * np.finfo(float).eps
    plain = JacobianProjector.from_operator(lambda x: J @ x, lambda u: J.T @ u, J.shape)
    assert plain.rank_ is None and plain.gram_eigenvalues_ is None and plain.condition_ is None
    assert plain.factorization_ == "lsmr"
    projected, report = plain.project(v, return_report=True)
    assert report.rank is None and "unknown rank" in str(report)
    assert orthogonality(J, projected, v) <= limit
    assert report.orthogonality <= limit
    formed = JacobianProjector.from_operator(
        lambda x: J @ x, lambda u: J.T @ u, J.shape, gram="form"
    )
    assert formed.factorization_ == "cholesky+lsmr"
    if exponent <= 6:
        assert formed.rank_ == M
        projected, report = formed.project(v, return_report=True)
        assert orthogonality(J, projected, v) <= limit
        assert report.iterations <= 8


def test_rank_deficient_products(backend):
    J = with_duplicates(9, 40, 4, generator(11))
    v = generator(12).standard_normal(40)
    for gram in (None, "form"):
        projector = JacobianProjector.from_operator(
            lambda x: J @ x, lambda u: J.T @ u, J.shape, gram=gram
        )
        assert projector.rank_ == (None if gram is None else 5)
        np.testing.assert_allclose(projector.project(v), svd_complement(J, v, 5), atol=1e-12)


@pytest.mark.parametrize("gram", [None, "form"])
@pytest.mark.parametrize("m", [1, 2, 5])
def test_small_and_zero_operators(m, gram):
    for J in (np.zeros((m, 9)), generator(19, m).standard_normal((m, 9))):
        given = (lambda v, J=J: J @ v, lambda u, J=J: J.T @ u, J.shape)
        for parameters in ({}, {"damping": 0.1}, {"damping": 0.1, "damping_relative": True}):
            projector = JacobianProjector.from_operator(*given, gram=gram, **parameters)
            v = generator(20).standard_normal((2, 9))
            expected = JacobianProjector(J, backend="scipy", **parameters).project(v)
            np.testing.assert_allclose(projector.project(v), expected, atol=1e-13)
            np.testing.assert_array_equal(projector.project(0 * v), 0 * v)


def test_truncation_of_products(backend):
    J = with_condition(8, 40, 1e4, generator(13))
    v = generator(14).standard_normal(40)
    for parameters in ({}, {"damping": 1e-3}, {"damping": 1e-3, "damping_relative": True}):
        whole = JacobianProjector(J, rtol=1e-3, backend=backend, **parameters)
        products = JacobianProjector.from_operator(
            lambda x: J @ x, lambda u: J.T @ u, J.shape, gram="form", rtol=1e-3, **parameters
        )
        assert 0 < products.rank_ == whole.rank_ < 8
        np.testing.assert_allclose(products.project(v), whole.project(v), atol=1e-10)
    with pytest.raises(InputError, match="gram"):
        JacobianProjector.from_operator(lambda x: x, lambda u: u, (4, 4), rtol=1e-3)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        ({"shape": (0, 4)}, InputError, ["no rows"]),
        ({"shape": (4, 0)}, ShapeError, ["column"]),
        ({"dtype": np.int64}, InputError, ["int64"]),
        ({"gram": "guess"}, InputError, ["'form'"]),
        ({"gram": np.eye(3)}, ShapeError, ["(4, 4)", "(3, 3)"]),
        ({"gram": np.full((4, 4), np.nan)}, InputError, ["gram", "NaN"]),
    ],
)
def test_operators_that_cannot_be_used(make, error, words):
    given = {"matvec": lambda x: x, "rmatvec": lambda u: u, "shape": (4, 4), **make}
    with pytest.raises(error) as caught:
        JacobianProjector.from_operator(**given)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_products_that_are_not_finite():
    with pytest.raises(InputError, match="matvec returned NaN"):
        JacobianProjector.from_operator(lambda x: np.full(4, np.nan), lambda u: u, (4, 4)).project(
            np.ones(4)
        )


def test_rows_of_an_operator_stay():
    projector = JacobianProjector(aslinearoperator(np.eye(3, 5)))
    with pytest.raises(InputError, match="delete_rows needs the rows"):
        projector.delete_rows([0])
    with pytest.raises(InputError, match="add_rows needs the rows"):
        projector.add_rows(np.ones((1, 5)))


# Copies --------------------------------------------------------------------------------------


COPIES = {
    "pickle": lambda p: pickle.loads(pickle.dumps(p)),
    "oldest pickle": lambda p: pickle.loads(pickle.dumps(p, protocol=2)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("how", COPIES)
def test_copies_go_on_by_themselves(backend, tmp_path, how):
    J, v = rows(np.float64), generator(17).standard_normal(P)
    made = {
        "whole": JacobianProjector(J, rtol=1e-12, damping=0.1, backend=backend),
        "converted": JacobianProjector(np.asfortranarray(J), backend=backend),
        "row blocks": JacobianProjector.from_row_blocks([J[:4], J[4:]], backend=backend),
        "layers": JacobianProjector.from_column_blocks(layers(J), backend=backend),
        "memmap": JacobianProjector(mapped(J, tmp_path / "rows"), backend=backend),
    }
    for name, projector in made.items():
        projector.delete_rows([2])
        copied = COPIES[how](projector)
        expected = projector.project(v)
        np.testing.assert_allclose(copied.project(v), expected, atol=1e-13, err_msg=name)
        assert copied.rtol_ == projector.rtol_ and copied.n_rows_ == M - 1
        copied.delete_rows([0, 5])
        np.testing.assert_array_equal(projector.project(v), expected, err_msg=name)
        twin = projector.delete_rows([0, 5]).project(v)
        np.testing.assert_allclose(copied.project(v), twin, atol=1e-13, err_msg=name)
    if how != "copy":
        parts = COPIES[how](made["layers"]).project(slices(v))
        assert [part.shape for part in parts] == list(SHAPES)


def test_an_operator_that_can_be_pickled():
    J = rows(np.float64)
    projector = JacobianProjector(Products(J))
    v = generator(18).standard_normal(P)
    copied = pickle.loads(pickle.dumps(projector))
    np.testing.assert_allclose(copied.project(v), projector.project(v), atol=1e-14)


class Products(LinearOperator):
    def __init__(self, J):
        self.J = J
        super().__init__(J.dtype, J.shape)

    def _matvec(self, v):
        return self.J @ v

    def _rmatvec(self, u):
        return self.J.T @ u


def test_importing_minnorm_imports_nothing_optional():
    script = (
        "import sys, minnorm; minnorm.JacobianProjector, minnorm.ThinQR, minnorm.project_out; "
        "sys.exit(any(name in sys.modules for name in ('torch', 'jax', 'matplotlib')))"
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
