"""What may go into a projector and what comes out: scales, layouts, reports, errors."""

import numpy as np
import pytest

from _asserts import orthogonality
from _samplers import LAYOUTS, generator, with_condition
from minnorm import InputError, JacobianProjector, ProjectionReport, ShapeError, project_out

pytestmark = pytest.mark.filterwarnings("error")

DTYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["double", "single"])
FACTORIZATIONS = ("cholesky", "seminormal", "qr")


def eps(dtype):
    return float(np.finfo(dtype).eps)


# Scales, shapes, layouts ---------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1e200, 1e-200, 1e-305])
@pytest.mark.parametrize("factorization", ["auto", *FACTORIZATIONS])
def test_squares_neither_overflow_nor_vanish(backend, scale, factorization):
    base = with_condition(6, 40, 100.0, generator(40))
    v = generator(41).standard_normal(40)
    expected = JacobianProjector(base, factorization=factorization, backend=backend).project(v)
    scaled = np.ldexp(base, int(np.log2(scale)))
    scaled[2] *= 1e-3 if scale > 1 else 1e3
    projector = JacobianProjector(scaled, factorization=factorization, backend=backend)
    assert projector.rank_ == 6
    np.testing.assert_allclose(projector.project(v), expected, atol=1e-13)
    zero = np.vstack([scaled, np.zeros(40)])
    assert JacobianProjector(zero, factorization=factorization, backend=backend).rank_ == 6
    report = projector.project(v, return_report=True)[1]
    assert report.orthogonality <= 1e-14


def test_rows_of_every_scale_at_once(backend):
    base = with_condition(6, 40, 10.0, generator(42))
    scaled = base * np.array([1e200, 1.0, 1e-200, 1e100, 1e-290, 1e290])[:, None]
    v = generator(43).standard_normal(40)
    projected = JacobianProjector(scaled, backend=backend).project(v)
    np.testing.assert_allclose(
        projected, JacobianProjector(base, backend=backend).project(v), atol=1e-13
    )


def test_single_precision_near_its_limits(backend):
    base = with_condition(6, 40, 10.0, generator(44), np.float32)
    v = generator(45).standard_normal(40).astype(np.float32)
    expected = JacobianProjector(base, backend=backend).project(v)
    for exponent in (100, -100):
        scaled = np.ldexp(base, exponent)
        got = JacobianProjector(scaled, backend=backend).project(v)
        np.testing.assert_allclose(got, expected, atol=1e-6)
        got = JacobianProjector(base, backend=backend).project(np.ldexp(v, exponent))
        np.testing.assert_allclose(np.ldexp(got, -exponent), expected, atol=1e-6)


@pytest.mark.parametrize("exponent", [700, -700])
def test_vectors_of_any_scale(backend, exponent):
    J = with_condition(6, 40, 10.0, generator(46))
    v = generator(47).standard_normal((2, 40))
    projector = JacobianProjector(J, backend=backend)
    got, report = projector.project(np.ldexp(v, exponent), return_report=True)
    np.testing.assert_allclose(np.ldexp(got, -exponent), projector.project(v), atol=1e-14)
    assert report.orthogonality <= 1e-15
    step = projector.apply(np.ldexp(v, exponent), 0.25)
    np.testing.assert_allclose(np.ldexp(step, -exponent), projector.apply(v, 0.25), atol=1e-14)


@DTYPES
def test_special_vectors(backend, dtype):
    J = with_condition(6, 40, 10.0, generator(48), dtype)
    projector = JacobianProjector(J, backend=backend)
    zero, report = projector.project(np.zeros(40, dtype), return_report=True)
    np.testing.assert_array_equal(zero, np.zeros(40))
    assert report.orthogonality == report.norm_removed == 0.0
    inside = generator(49).standard_normal(6).astype(dtype) @ J
    left = np.linalg.norm(projector.project(inside))
    assert left <= 20 * 6 * eps(dtype) * np.linalg.norm(inside)
    outside = projector.project(generator(50).standard_normal(40).astype(dtype))
    np.testing.assert_allclose(projector.project(outside), outside, atol=20 * 6 * eps(dtype))
    together = projector.project(np.stack([inside, outside]))
    np.testing.assert_allclose(together[1], projector.project(outside), atol=1e2 * eps(dtype))


@DTYPES
def test_layouts(backend, dtype):
    J = with_condition(6, 90, 10.0, generator(51), dtype)
    v = generator(52).standard_normal((2, 90)).astype(dtype)
    expected = JacobianProjector(J, backend=backend).project(v)
    for name, layout in LAYOUTS.items():
        got = project_out(layout(J), layout(v), backend=backend)
        np.testing.assert_allclose(got, expected, atol=8 * eps(dtype), err_msg=name)


def test_nothing_is_written_to(backend):
    J, v = with_condition(5, 30, 10.0, generator(53)), np.ones(30)
    before = J.copy()
    J.setflags(write=False)
    v.setflags(write=False)
    projector = JacobianProjector(J, backend=backend)
    projector.project(v)
    projector.delete_rows([1]).add_rows(J[:1])
    np.testing.assert_array_equal(J, before)
    np.testing.assert_array_equal(v, np.ones(30))


def test_other_dtypes_are_converted(backend):
    J = [[1, 0, 0], [0, 2, 0]]
    for v in ([3, 4, 5], np.array([3, 4, 5], np.int8), np.array([3, 4, 5], np.float16)):
        got = project_out(J, v, backend=backend)
        assert got.dtype == np.float64
        np.testing.assert_allclose(got, [0, 0, 5], atol=1e-15)


# Results and reports -------------------------------------------------------------------------


@DTYPES
def test_two_reads_and_a_report(backend, dtype):
    J = generator(54).standard_normal((12, 3000)).astype(dtype)
    v = generator(55).standard_normal(3000).astype(dtype)
    projected, report = project_out(J, v, return_report=True, backend=backend)
    assert isinstance(report, ProjectionReport)
    assert report.passes == 2 and not report.reorthogonalised
    assert report.factorization == "cholesky" and report.backend == backend
    assert report.rank == report.n_rows == 12 and report.iterations is None
    assert report.norm_removed == pytest.approx(np.linalg.norm(v - projected), rel=1e-5)
    measured = orthogonality(J, projected, v)
    assert report.orthogonality == pytest.approx(measured, rel=1e-2, abs=1e-18)
    assert report.to_dict()["passes"] == 2
    assert "12 rows of rank 12" in str(report) and "2 passes" in str(report)
    again = JacobianProjector(J, backend=backend).project(v, return_report=True)[1]
    assert again.passes == 2


def test_a_third_read_is_reported(backend):
    J = with_condition(12, 300, 1e6, generator(56))
    v = generator(57).standard_normal(300)
    report = project_out(J, v, return_report=True, backend=backend)[1]
    assert report.passes > 2 and report.reorthogonalised and "reorthogonalised" in str(report)


@DTYPES
def test_apply_and_coefficients(backend, dtype):
    J = with_condition(9, 80, 1e3, generator(58), dtype)
    J = np.vstack([J, J[:2], np.zeros((1, 80), dtype)])
    v = generator(59).standard_normal((3, 80)).astype(dtype)
    projector = JacobianProjector(J, backend=backend)
    projected = projector.project(v)
    tolerance = {"atol": 50 * eps(dtype)}
    np.testing.assert_allclose(projector.apply(v, 1.0), v - projected, **tolerance)
    np.testing.assert_allclose(projector.apply(v, 0.25), v - 0.25 * projected, **tolerance)
    np.testing.assert_array_equal(projector.apply(v, 0.0), v)
    np.testing.assert_allclose(
        project_out(J, v[0], strength=0.5, backend=backend), projector.apply(v[0], 0.5), **tolerance
    )
    a = projector.coefficients(v)
    assert a.shape == (3, 12) and a.dtype == np.float64
    np.testing.assert_allclose(v - a @ J.astype(np.float64), projected, **tolerance)
    np.testing.assert_array_equal(projector.coefficients(v[0]).shape, (12,))


@pytest.mark.parametrize("factorization", ["auto", *FACTORIZATIONS])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@DTYPES
def test_a_row_that_is_not_finite_is_named(backend, dtype, value, factorization):
    J = generator(60).standard_normal((9, 300)).astype(dtype)
    J[6, 123] = value
    with pytest.raises(InputError, match=r"row 6\b"):
        JacobianProjector(J, factorization=factorization, backend=backend)


@pytest.mark.parametrize(
    ("J", "error", "words"),
    [
        (np.ones((0, 5)), InputError, ["no rows", "at least one"]),
        (np.ones((3, 0)), ShapeError, ["column"]),
        (np.ones(5), ShapeError, ["(samples, parameters)", "reshape"]),
        (np.ones((2, 3, 4)), ShapeError, ["from_column_blocks"]),
        (np.ones((2, 5)) * 1j, InputError, ["omplex"]),
        ([[1.0, 2.0], [3.0]], ShapeError, ["rectangular"]),
        ([["a", "b"]], InputError, ["real numbers"]),
    ],
)
def test_jacobians_that_cannot_be_used(backend, J, error, words):
    with pytest.raises(error) as caught:
        JacobianProjector(J, backend=backend)
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize(
    ("v", "error", "words"),
    [
        (np.ones(4), ShapeError, ["(5,)", "(4,)"]),
        (np.ones((2, 4)), ShapeError, ["(k, 5)", "(2, 4)"]),
        (np.ones((0, 5)), ShapeError, ["(0, 5)"]),
        (1.0, ShapeError, ["()"]),
        (np.full(5, np.nan), InputError, ["NaN"]),
        (np.ones(5) * 1j, InputError, ["omplex"]),
    ],
)
def test_vectors_that_cannot_be_used(backend, v, error, words):
    J = np.ones((2, 5))
    for call in (JacobianProjector(J, backend=backend).project, lambda v: project_out(J, v)):
        with pytest.raises(error) as caught:
            call(v)
        assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({"rtol": -1e-3}, "rtol"),
        ({"rtol": 1.0}, "rtol"),
        ({"rtol": np.nan}, "rtol"),
        ({"damping": -1.0}, "damping"),
        ({"damping": np.inf}, "damping"),
        ({"factorization": "svd"}, "factorization"),
        ({"backend": "cuda"}, "backend"),
    ],
)
def test_parameters_outside_their_domain(parameters, name):
    with pytest.raises(InputError, match=name):
        JacobianProjector(np.ones((2, 5)), **parameters)
    with pytest.raises(InputError, match=name):
        project_out(np.ones((2, 5)), np.ones(5), **parameters)


def test_a_strength_that_is_no_number(backend):
    projector = JacobianProjector(np.ones((2, 5)), backend=backend)
    for strength in (np.nan, np.inf, "all", None):
        with pytest.raises(InputError, match="strength"):
            projector.apply(np.ones(5), strength)


@pytest.mark.parametrize("k", [1, 4, 5, 9])
@pytest.mark.parametrize("p", [40, 64, 100, 5000])
def test_what_is_measured_is_what_is_stored(backend, k, p):
    """Rounding the result to single precision is the largest part of |J P v|, and is in it."""
    J = generator(60, k, p).standard_normal((10, p)).astype(np.float32)
    V = generator(61, k, p).standard_normal((k, p)).astype(np.float32)
    projected, report = project_out(J, V, return_report=True, backend=backend)
    measured = max(orthogonality(J, out, v) for out, v in zip(projected, V, strict=True))
    assert report.orthogonality == pytest.approx(measured, rel=2e-2, abs=1e-17)
