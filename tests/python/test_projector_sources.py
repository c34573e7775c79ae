"""However the Jacobian comes, in rows, layers, from disk or as products: the same projection."""

import copy
import os
import pickle
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from _asserts import orthogonality, svd_complement
from _samplers import generator, with_condition, with_duplicates
from minnorm import InputError, JacobianProjector, ShapeError, _memmap, project_out

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


# Memory-mapped files -------------------------------------------------------------------------


def test_pages_are_given_back_only_where_the_mapping_is_shared(tmp_path):
    J = rows(np.float64)
    for mode, shared in (("r", True), ("r+", True), ("c", False)):
        array = mapped(J, tmp_path / mode, mode)
        for view in (array, np.asarray(array), array[2:5, ::1], np.asarray(array)[:, 3:]):
            assert (_memmap.mapping_of(view) is not None) == shared
    assert _memmap.mapping_of(J) is None


def test_release_touches_the_pages_of_its_columns(tmp_path):
    """Everything is still there afterwards, in all parts of a file with an offset."""
    J = generator(6).standard_normal((3, 5000))
    path = tmp_path / "offset"
    path.write_bytes(b"x" * 4096 + J.tobytes())
    array = np.memmap(path, J.dtype, "r+", 4096, J.shape)
    array[1, 7] = J[1, 7] = 3.5
    release = _memmap.PageRelease(_memmap.split([np.asarray(array)]))
    assert release
    for first, last in ((0, 100), (0, 5000), (4000, 5000), (17, 18)):
        release(first, last)
        np.testing.assert_array_equal(array, J)
    assert not _memmap.PageRelease([[J]])


def test_changes_of_a_private_mapping_survive(backend, tmp_path):
    J = rows(np.float64)
    array = mapped(J, tmp_path / "private", "c")
    array[2] = J[2] = 0.0
    v = generator(7).standard_normal(P)
    np.testing.assert_allclose(
        project_out(array, v, backend=backend), svd_complement(J, v, M - 1), atol=1e-13
    )
    np.testing.assert_array_equal(array[2], np.zeros(P))


STREAM = """
import pathlib, sys
import numpy as np
from minnorm import JacobianProjector, project_out

path, backend, factorization = sys.argv[1:]
project_out(np.eye(3, 2000, dtype=np.float32), np.ones(2000, np.float32), backend=backend)
def peak():
    return int(pathlib.Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024
J = np.memmap(path, np.float32, "r", shape=(40, 4_000_000))
before = peak()
v = np.ones(J.shape[1], np.float32)
projected, report = project_out(
    J, v, factorization=factorization, return_report=True, backend=backend
)
assert report.rank == 40 and report.orthogonality < 1e-6
print(peak() - before)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="reads the peak from /proc")
@pytest.mark.parametrize("factorization", ["auto", "seminormal"])
def test_a_large_file_does_not_stay_in_memory(backend, tmp_path, factorization):
    """640 MB in a sparse file, read two or three times; a quarter of it resident at most."""
    path = tmp_path / "large"
    m, p = 40, 4_000_000
    with open(path, "wb") as file:
        file.truncate(4 * m * p)
        line = generator(8).standard_normal((m, 900)).astype(np.float32)
        for i in range(m):
            file.seek(4 * (i * p + 70_001 * i))
            file.write(line[i].tobytes())
    done = subprocess.run(
        [sys.executable, "-c", STREAM, str(path), backend, factorization],
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 160 << 20


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


# Memory and copies ---------------------------------------------------------------------------


def peak_of(action):
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("factorization", ["auto", "seminormal"])
@DTYPES
def test_no_copy_of_the_rows(backend, dtype, factorization):
    """Whole, a slice of columns, every other row, batches and layers: panels only."""
    wide = generator(15).standard_normal((160, 80_000)).astype(dtype)
    J = wide[::2, 1_000:-1_000]
    v = np.ones((1, J.shape[1]), dtype)
    quarter = J.nbytes / 4
    settings = {"factorization": factorization, "backend": backend}
    sources = {
        "view": lambda: JacobianProjector(J, **settings),
        "rows": lambda: JacobianProjector.from_row_blocks([J[:30], J[30:]], **settings),
        "layers": lambda: JacobianProjector.from_column_blocks(
            [J[:, :9000], J[:, 9000:]], **settings
        ),
    }
    for name, make in sources.items():
        assert peak_of(make) < quarter, name
        projector = make()
        assert peak_of(lambda p=projector: p.project(v)) < quarter, name
        assert peak_of(lambda p=projector: p.delete_rows([3])) < quarter, name
        assert peak_of(lambda p=projector: p.add_rows(J[:1])) < quarter, name
    assert peak_of(lambda: project_out(J, v, **settings)) < quarter
    assert peak_of(lambda: project_out(np.asfortranarray(J), v, **settings)) > J.nbytes


@DTYPES
def test_orthonormal_rows_are_all_that_is_stored(backend, dtype):
    J = generator(16).standard_normal((60, 30_000)).astype(dtype)
    stored = 8 * J.size
    peak = peak_of(lambda: JacobianProjector(J, factorization="qr", backend=backend))
    assert peak < 1.5 * stored


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
