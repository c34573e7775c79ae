"""Ids stay with their samples, and whatever is refused is named and leaves the model unchanged."""

import numpy as np
import pytest

import minnorm
from _asserts import assert_unchanged, snapshot
from _samplers import generator, targets, with_condition
from minnorm import (
    InputError,
    KernelInterpolator,
    LinearInterpolator,
    NotPositiveDefiniteError,
    ShapeError,
    UnknownSampleError,
)

N, P = 8, 12
X = with_condition(N, P, 10.0, generator(1))
Y = targets(N, generator(2))


@pytest.fixture(params=["linear", "kernel", "precomputed"])
def model(request, backend):
    if request.param == "linear":
        return LinearInterpolator(backend=backend).fit(X, Y)
    if request.param == "kernel":
        return KernelInterpolator(kernel="rbf", gamma=0.5, backend=backend).fit(X, Y)
    return KernelInterpolator(kernel="precomputed", backend=backend).fit(X @ X.T, Y)


@pytest.fixture
def linear(backend):
    return LinearInterpolator(backend=backend).fit(X, Y)


# Ids ----------------------------------------------------------------------------------------


def test_ids_are_stable(model):
    """A sample keeps its id whatever is deleted before it; new ones continue the count."""
    assert list(model.ids_) == list(range(N))
    model.forget([0, 3])
    assert list(model.ids_) == [1, 2, 4, 5, 6, 7]
    model.forget(4)
    assert list(model.ids_) == [1, 2, 5, 6, 7]


def test_default_ids_are_never_reused(linear):
    linear.forget([7])
    linear.learn(X[7:], Y[7:])
    assert list(linear.ids_) == [*range(7), 8]
    linear.forget([8, 2])
    linear.learn(X[2:3], Y[2:3])
    assert linear.ids_[-1] == 9


@pytest.mark.parametrize(
    "request_",
    [
        [5, 1, 3],
        (3, 5, 1),
        np.array([1, 5, 3]),
        np.array([5, 3, 1], dtype=np.uint8),
        np.array([1.0, 3.0, 5.0]),
        {1, 3, 5},
        range(1, 6, 2),
        lambda: (i for i in (3, 1, 5)),  # a generator, made anew for each backend
        [np.int64(1), np.int16(3), 5],
        np.array([1, 9, 3, 9, 5, 9])[::2],
        np.array([1, 3, 5]).astype(">i8"),
    ],
    ids=lambda r: type(r).__name__,
)
def test_any_order_and_container_of_ids(linear, backend, request_):
    linear.forget(request_() if callable(request_) else request_)
    kept = [0, 2, 4, 6, 7]
    fresh = LinearInterpolator(backend=backend).fit(X[kept], Y[kept])
    assert list(linear.ids_) == kept
    np.testing.assert_allclose(linear.coef_, fresh.coef_, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "ids",
    [
        ["a", "b", "c", "d", "e", "f", "g", "h"],
        np.array(["x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7"]),
        [10, 20, 30, 5, 4, 3, 2, 1],
        [("u", 1), ("u", 2), ("v", 1), 3, "z", 2.5, None, b"q"],
        [-1, -2, -3, -4, -5, -6, -7, -8],
        [2**70 + i for i in range(8)],
    ],
    ids=["letters", "numpy text", "unsorted", "mixed hashables", "negative", "huge"],
)
def test_ids_of_the_caller(backend, ids):
    model = LinearInterpolator(backend=backend).fit(X, Y, ids=ids)
    assert list(model.ids_) == list(ids)
    model.forget([ids[6], ids[0]])
    kept = [1, 2, 3, 4, 5, 7]
    assert list(model.ids_) == [ids[i] for i in kept]
    fresh = LinearInterpolator(backend=backend).fit(X[kept], Y[kept])
    np.testing.assert_allclose(model.coef_, fresh.coef_, rtol=1e-10, atol=1e-12)
    model.learn(X[[0]], Y[[0]], ids=["new"])
    assert model.ids_[-1] == "new"
    with pytest.raises(UnknownSampleError):
        model.forget([ids[0]])


def test_ids_follow_samples_through_the_dual_coefficients(backend):
    """dual_coef_[k] belongs to ids_[k]: theta is their combination of the rows with those ids."""
    model = LinearInterpolator(fit_intercept=False, backend=backend).fit(X, Y, ids=list("hgfedcba"))
    row = dict(zip("hgfedcba", X, strict=True))
    for gone in (["h"], ["a", "e"]):
        model.forget(gone)
        combined = sum(a * row[i] for i, a in zip(model.ids_, model.dual_coef_, strict=True))
        np.testing.assert_allclose(model.coef_, combined, rtol=1e-11, atol=1e-13)


# Requests that are refused --------------------------------------------------------------------


@pytest.mark.parametrize("method", ["forget", "preview"])
@pytest.mark.parametrize(
    ("request_", "error", "names"),
    [
        ([2, 99], UnknownSampleError, ["99"]),
        (["2"], UnknownSampleError, ["'2'"]),
        ([-1], UnknownSampleError, ["-1"]),
        ([2.5], UnknownSampleError, ["2.5"]),
        ([1, 5, 1], InputError, ["1", "more than once"]),
        ([], InputError, ["at least one", "empty"]),
        (np.array([], dtype=int), InputError, ["at least one", "empty"]),
        (range(N), InputError, ["at least one sample must remain"]),
        ([[1], [2]], InputError, ["hashable"]),
        (np.array([[1, 2]]), InputError, ["flat"]),
        (np.arange(N) < 2, InputError, ["mask"]),
        ([float("nan")], InputError, ["NaN"]),
    ],
)
def test_refused_requests(model, method, request_, error, names):
    before = snapshot(model)
    with pytest.raises(error) as caught:
        getattr(model, method)(request_)
    for name in names:
        assert name in str(caught.value)
    assert_unchanged(model, before)


@pytest.mark.parametrize("method", ["forget", "preview"])
def test_already_forgotten(model, method):
    model.forget([2, 5])
    before = snapshot(model)
    with pytest.raises(UnknownSampleError) as caught:
        getattr(model, method)([1, 5, 2])
    message = str(caught.value)
    assert "5" in message and "2" in message and "already forgotten" in message
    assert not message.startswith("'"), "a KeyError's text must not be quoted"
    assert_unchanged(model, before)


def test_the_last_sample_stays(model):
    model.forget(range(N - 1))
    before = snapshot(model)
    with pytest.raises(InputError, match="must remain"):
        model.forget([N - 1])
    assert_unchanged(model, before)


def test_errors_are_what_callers_catch():
    assert issubclass(InputError, ValueError)
    assert issubclass(ShapeError, InputError)
    assert issubclass(UnknownSampleError, KeyError)
    assert issubclass(NotPositiveDefiniteError, np.linalg.LinAlgError)
    assert issubclass(minnorm.RankError, np.linalg.LinAlgError)
    assert issubclass(minnorm.BackendError, ImportError)
    for name in ("InputError", "UnknownSampleError", "NotPositiveDefiniteError", "BackendError"):
        assert issubclass(getattr(minnorm, name), minnorm.MinnormError)


# Bad arrays -----------------------------------------------------------------------------------


def with_entry(a, value):
    a = a.copy()
    a.flat[3] = value
    return a


def ragged():
    return [[1.0] * P, [1.0] * (P - 1)]


BAD_ROWS = {
    "NaN": (with_entry(X[:2], np.nan), Y[:2], InputError, ["NaN"]),
    "infinity": (with_entry(X[:2], -np.inf), Y[:2], InputError, ["infinity"]),
    "NaN in y": (X[:2], np.array([1.0, np.nan]), InputError, ["y", "NaN"]),
    "infinity in y": (X[:2], np.array([np.inf, 1.0]), InputError, ["y", "infinity"]),
    "complex": (X[:2] + 1j, Y[:2], InputError, ["omplex"]),
    "complex y": (X[:2], Y[:2] + 1j, InputError, ["omplex"]),
    "complex without imaginary part": (X[:2] + 0j, Y[:2], InputError, ["omplex"]),
    "ragged": (ragged(), Y[:2], InputError, ["rectangular"]),
    "text": (np.full((2, P), "a"), Y[:2], InputError, ["real numbers"]),
    "objects": (np.full((2, P), object(), dtype=object), Y[:2], InputError, ["object"]),
    "dates": (np.full((2, P), np.datetime64("2020-01-01")), Y[:2], InputError, ["real numbers"]),
    "one-dimensional": (X[0], Y[:1], ShapeError, ["2D", "(12,)"]),
    "three-dimensional": (X[:2, :, None], Y[:2], ShapeError, ["2D", "(2, 12, 1)"]),
    "no rows": (X[:0], Y[:0], ShapeError, ["0 sample"]),
    "y too short": (X[:3], Y[:2], ShapeError, ["expected 3", "got 2"]),
    "y too long": (X[:2], Y[:5], ShapeError, ["expected 2", "got 5"]),
    "y missing": (X[:2], None, InputError, ["y"]),
    "y of three dimensions": (X[:2], np.zeros((2, 1, 1)), ShapeError, ["(2, 1, 1)"]),
}
BAD_TO_LEARN = {
    "feature too few": (X[:2, :-1], Y[:2], ShapeError, ["12", "11"]),
    "feature too many": (np.ones((2, P + 1)), Y[:2], ShapeError, ["12", "13"]),
    "y with columns": (X[:2], np.zeros((2, 3)), ShapeError, ["(2, 3)"]),
}


@pytest.mark.parametrize("method", ["fit", "learn"])
@pytest.mark.parametrize("name", BAD_ROWS)
def test_bad_arrays(linear, method, name):
    x, y, error, names = BAD_ROWS[name]
    before = snapshot(linear)
    with pytest.raises(error) as caught:
        getattr(linear, method)(x, y)
    for expected in names:
        assert expected in str(caught.value)
    assert_unchanged(linear, before)


@pytest.mark.parametrize("name", BAD_TO_LEARN)
def test_bad_arrays_to_learn(linear, name):
    x, y, error, names = BAD_TO_LEARN[name]
    before = snapshot(linear)
    with pytest.raises(error) as caught:
        linear.learn(x, y)
    for expected in names:
        assert expected in str(caught.value)
    assert_unchanged(linear, before)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("width", [P - 1, P + 3])
def test_bad_arrays_to_predict(linear, bad, width):
    before = snapshot(linear)
    with pytest.raises(InputError, match=r"NaN|infinity"):
        linear.predict(with_entry(X, bad))
    with pytest.raises(ShapeError) as caught:
        linear.predict(np.ones((2, width)))
    assert str(P) in str(caught.value) and str(width) in str(caught.value)
    assert_unchanged(linear, before)


@pytest.mark.parametrize(
    ("ids", "names"),
    [
        ([1, 2, 3, 4, 5, 6, 7], ["expected 8", "got 7"]),
        ([1, 2, 3, 4, 5, 6, 7, 7], ["7", "unique"]),
        ("abcdefgh", ["sequence"]),
        ([[i] for i in range(8)], ["hashable"]),
        ({1, 2, 3, 4, 5, 6, 7, 8}, ["sequence"]),
        (5, ["sequence"]),
        ([1, 2, 3, 4, 5, 6, 7, float("nan")], ["NaN"]),
        ([0, 1, 2, 3, 4, 5, 1.0, 7], ["1", "unique"]),
    ],
)
def test_bad_ids_at_fit(linear, ids, names):
    before = snapshot(linear)
    with pytest.raises(InputError) as caught:
        linear.fit(X, Y, ids=ids)
    for expected in names:
        assert expected in str(caught.value)
    assert_unchanged(linear, before)


@pytest.mark.parametrize("ids", [[3, 90], [90, 90], [90]])
def test_bad_ids_at_learn(linear, ids):
    before = snapshot(linear)
    with pytest.raises(InputError):
        linear.learn(X[:2], Y[:2], ids=ids)
    assert_unchanged(linear, before)


# Bad parameters -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "names"),
    [
        ({"alpha": -1.0}, ["alpha", ">= 0", "-1.0"]),
        ({"alpha": np.nan}, ["alpha", "nan"]),
        ({"alpha": np.inf}, ["alpha", "inf"]),
        ({"alpha": "1"}, ["alpha", "'1'"]),
        ({"factorization": "svd"}, ["factorization", "'auto'", "'svd'"]),
        ({"backend": "fortran"}, ["backend", "'native'", "'fortran'"]),
        ({"dtype": "float16"}, ["dtype", "float16"]),
        ({"dtype": "numbers"}, ["dtype", "numbers"]),
    ],
)
def test_bad_parameters_of_linear_models(backend, parameters, names):
    with pytest.raises(InputError) as caught:
        LinearInterpolator(**{"backend": backend, **parameters}).fit(X, Y)
    for expected in names:
        assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("parameters", "names"),
    [
        ({"alpha": -1e-9}, ["alpha", ">= 0"]),
        ({"kernel": "gaussian"}, ["kernel", "'rbf'", "'gaussian'"]),
        ({"kernel": 3}, ["kernel", "3"]),
        ({"gamma": -0.5}, ["gamma", "-0.5"]),
        ({"gamma": 0.0}, ["gamma", "0.0"]),
        ({"kernel": "polynomial", "degree": -1}, ["degree", "-1"]),
        ({"kernel": "polynomial", "coef0": np.nan}, ["coef0", "nan"]),
    ],
)
def test_bad_parameters_of_kernel_models(backend, parameters, names):
    with pytest.raises(InputError) as caught:
        KernelInterpolator(**{"backend": backend, **parameters}).fit(X, Y)
    for expected in names:
        assert expected in str(caught.value)


def test_bad_precomputed_kernels(backend):
    model = KernelInterpolator(kernel="precomputed", backend=backend).fit(X @ X.T, Y)
    before = snapshot(model)
    with pytest.raises(ShapeError, match="square"):
        model.fit(X, Y)
    skew = X @ X.T
    skew[0, 1] += 0.5
    with pytest.raises(InputError, match="symmetric"):
        model.fit(skew, Y)
    with pytest.raises(ShapeError) as caught:
        model.learn(X[:2] @ X[:5].T, Y[:2])
    assert "(2, 5)" in str(caught.value) or "5" in str(caught.value)
    wide = np.zeros((2, N + 2))
    wide[:, N:] = [[1.0, 0.3], [0.9, 1.0]]
    with pytest.raises(InputError, match="symmetric"):
        model.learn(wide, Y[:2])
    with pytest.raises(ShapeError) as caught:
        model.predict(np.ones((3, N + 1)))
    assert "8" in str(caught.value) and "9" in str(caught.value)
    assert_unchanged(model, before)


@pytest.mark.parametrize("alpha", [0.0, 0.1])
def test_kernel_matrices_that_are_not_positive_definite(backend, alpha):
    """Refused with the parameter to change; learning an indefinite extension changes nothing."""
    indefinite = np.array([[1.0, 2.0], [2.0, 1.0]])
    with pytest.raises(NotPositiveDefiniteError) as caught:
        KernelInterpolator(kernel="precomputed", alpha=alpha, backend=backend).fit(
            indefinite, [1.0, 2.0]
        )
    assert any(word in str(caught.value) for word in ("alpha", "kernel"))
    negative = -np.eye(3)
    with pytest.raises(NotPositiveDefiniteError):
        KernelInterpolator(kernel="precomputed", alpha=alpha, backend=backend).fit(
            negative, np.ones(3)
        )
    model = KernelInterpolator(kernel="precomputed", alpha=alpha, backend=backend)
    model.fit(np.eye(2), [1.0, 2.0])
    before = snapshot(model)
    with pytest.raises(NotPositiveDefiniteError):
        model.learn(np.array([[3.0, 0.0, 1.0]]), [1.0])
    assert_unchanged(model, before)


def test_a_polynomial_kernel_that_is_not_positive_definite(backend):
    """A negative coef0 makes the polynomial kernel indefinite; the message names what to change."""
    x = np.array([[0.1, 0.0], [0.0, 0.1], [1.0, 1.0]])
    model = KernelInterpolator(
        kernel="polynomial", degree=3, gamma=1.0, coef0=-1.0, backend=backend
    )
    with pytest.raises(NotPositiveDefiniteError) as caught:
        model.fit(x, np.ones(3))
    assert "coef0" in str(caught.value) or "alpha" in str(caught.value)


def test_methods_before_fit(backend):
    from sklearn.exceptions import NotFittedError

    model = LinearInterpolator(backend=backend)
    for call in (
        lambda: model.predict(X),
        lambda: model.forget([0]),
        lambda: model.learn(X, Y),
        lambda: model.preview([0]),
        lambda: model.leave_one_out(),
        lambda: model.certify(),
    ):
        with pytest.raises(NotFittedError):
            call()


def test_previews_end_with_a_change_of_the_model(model):
    seen = model.preview([1])
    assert list(seen.ids_) == [0, *range(2, N)]
    model.forget([0])
    with pytest.raises(InputError, match="changed"):
        seen.leave_one_out()
    with pytest.raises(AttributeError, match="forget"):
        seen.forget([2])


def test_refused_forget_after_a_preview(model):
    """A preview made before a refused request is still good: nothing changed."""
    seen = model.preview([1])
    with pytest.raises(UnknownSampleError):
        model.forget([77])
    assert len(seen.leave_one_out().predictions) == N - 1


def test_features_seen_at_fit(linear):
    assert linear.n_features_in_ == P
    assert linear.rank_ == N
    linear.forget([1])
    assert linear.rank_ == N - 1
