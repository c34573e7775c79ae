"""After forget, nothing that the model holds or saves contains the forgotten samples.

The search is by value: the eight (four) bytes of every feature, target and kernel value of a
forgotten sample in the pickle, and its mantissa in every reachable array and in the core's state,
so that a copy scaled by a power of two is found as well.
"""

import copy
import pickle

import numpy as np
import pytest

from _asserts import reachable_arrays
from _samplers import feature_points, generator, targets
from minnorm import KernelInterpolator, LinearInterpolator, LinearInterpolatorClassifier

N, P = 12, 17


def mantissas(values):
    return np.unique(np.abs(np.frexp(np.asarray(values))[0]))


def assert_erased(model, gone, kept):
    """No value of `gone` is in the model, the pickle or the core's state; all of `kept` are.

    That the retained values *are* found shows that the search works on this model.
    """
    saved = pickle.dumps(model)
    for value in np.ravel(gone):
        assert value.tobytes() not in saved
        assert value.tobytes()[::-1] not in saved
    state = model.__getstate__()
    arrays = [a for a in reachable_arrays([model, state]) if a.dtype.kind == "f"]
    held = np.concatenate([mantissas(a) for a in arrays])
    wanted = mantissas(gone)
    assert not np.isin(wanted[wanted > 0], held).any()
    for value in np.ravel(kept):
        assert value.tobytes() in saved


@pytest.mark.parametrize("reload", [False, True], ids=["as it is", "reloaded"])
@pytest.mark.parametrize("alpha", [0.0, 0.1])
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["double", "single"])
@pytest.mark.parametrize("factorization", ["auto", "qr"])
def test_linear_models(backend, factorization, dtype, alpha, reload):
    """First, last and middle rows, one by one and together, learned ones too."""
    x, y = feature_points(N, P, generator(1), dtype), targets(N, generator(2), dtype, outputs=2)
    model = LinearInterpolator(alpha=alpha, factorization=factorization, backend=backend)
    model.fit(x[:9], y[:9])
    model.learn(x[9:], y[9:])
    if reload:
        model = pickle.loads(pickle.dumps(model))
    gone = []
    for request in ([0], [11], [4, 9, 5], [1, 2, 3, 6]):
        model.forget(request)
        gone += request
        kept = np.setdiff1d(np.arange(N), gone)
        assert_erased(model, np.hstack([x, y])[gone], np.hstack([x, y])[kept])


@pytest.mark.parametrize("kernel", ["linear", "rbf", "laplacian", "matern52"])
def test_kernel_models(backend, core, kernel):
    """Rows, targets and the kernel values that the rows had with the retained ones."""
    x, y = feature_points(N, P, generator(3)), targets(N, generator(4))
    model = KernelInterpolator(kernel=kernel, gamma=0.05, backend=backend).fit(x[:9], y[:9])
    model.learn(x[9:], y[9:])
    k = core.kernel_matrix(x, x, kernel, gamma=0.05, degree=3, coef0=1.0)
    off_diagonal = ~np.eye(N, dtype=bool)
    gone = []
    for request in ([0], [11], [4, 9, 5]):
        model.forget(request)
        gone += request
        kept = np.setdiff1d(np.arange(N), gone)
        assert_erased(model, np.column_stack([x, y])[gone], np.column_stack([x, y])[kept])
        # Unit diagonals are everybody's; the others are the sample's own.
        assert_erased(model, k[gone][off_diagonal[gone]], y[kept])


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["double", "single"])
@pytest.mark.parametrize("learned", [False, True])
def test_precomputed_kernels(backend, dtype, learned):
    """Rows and columns of the Gram matrix of the forgotten samples, the diagonal included."""
    x = feature_points(N, P, generator(5), np.float64)
    k = x @ x.T
    k = ((k + k.T) / 2).astype(dtype)
    y = targets(N, generator(6), dtype)
    first = 8 if learned else N
    model = KernelInterpolator(kernel="precomputed", backend=backend)
    model.fit(np.ascontiguousarray(k[:first, :first]), y[:first])
    if learned:
        model.learn(k[first:], y[first:])
    gone = []
    for request in ([0], [11], [4, 9, 5]):
        model.forget(request)
        gone += request
        kept = np.setdiff1d(np.arange(N), gone)
        assert_erased(model, np.r_[k[gone].ravel(), y[gone]], k[np.ix_(kept, kept)])


def square_distance(a, b):
    return float(1.0 / (1.0 + np.sum((a - b) ** 2)))


def test_callable_kernels(backend):
    x, y = feature_points(N, P, generator(7)), targets(N, generator(8))
    model = KernelInterpolator(kernel=square_distance, backend=backend).fit(x, y)
    for gone in ([0], [0, 11, 6]):
        model.forget([gone[-1]] if len(gone) == 1 else [11, 6])
        kept = np.setdiff1d(np.arange(N), gone)
        values = [square_distance(x[i], x[j]) for i in gone for j in range(N) if i != j]
        assert_erased(model, np.r_[x[gone].ravel(), y[gone], values], x[kept])


def test_rank_deficient_rows(backend):
    """Dependent rows are held in a place of their own; they go from there too."""
    x, y = feature_points(N, P, generator(9)), targets(N, generator(10))
    x[6] = 2 * x[1] - 0.5 * x[2]
    x[7] = x[3] + x[4]
    for order in ([6, 1], [1, 6], [7, 3, 2]):
        model = LinearInterpolator(backend=backend).fit(x, y)
        for i in order:
            model.forget([i])
        kept = np.setdiff1d(np.arange(N), order)
        # A value may be shared up to a power of two by construction; those are not secrets.
        own = ~np.isin(np.abs(np.frexp(x[order])[0]), mantissas(x[kept]))
        assert_erased(model, np.r_[x[order][own], y[order]], x[kept])


def test_many_rows_and_a_refit(backend):
    """So many rows that the backend factors anew instead of updating."""
    x, y = feature_points(60, 80, generator(11)), targets(60, generator(12))
    model = LinearInterpolator(backend=backend).fit(x, y)
    gone = generator(13).choice(60, 52, replace=False)
    model.forget(gone)
    kept = np.setdiff1d(np.arange(60), gone)
    assert_erased(model, np.column_stack([x, y])[gone][:, :9], x[kept])
    assert_erased(model, y[gone], y[kept])


def test_saved_without_a_copy_of_the_rows(backend):
    """With copy_X=False the rows stay in the caller's array, but nothing saved has them."""
    x, y = feature_points(N, P, generator(14)), targets(N, generator(15))
    model = LinearInterpolator(copy_X=False, backend=backend).fit(x, y)
    model.forget([2, 5])
    saved = pickle.dumps(model)
    for value in np.r_[x[[2, 5]].ravel(), y[[2, 5]]]:
        assert value.tobytes() not in saved
    kept = np.setdiff1d(np.arange(N), [2, 5])
    assert_erased(copy.deepcopy(model), np.column_stack([x, y])[[2, 5]], x[kept])


def test_labels_of_a_forgotten_class(backend):
    x = feature_points(N, P, generator(16))
    y = np.array(["common"] * 6 + ["usual"] * 5 + ["unmistakable"])
    model = LinearInterpolatorClassifier(backend=backend).fit(x, y)
    assert "unmistakable".encode("utf-32-le") in pickle.dumps(model)
    model.forget([11])
    saved = pickle.dumps(model)
    for encoding in ("utf-8", "utf-32-le"):
        assert "unmistakable".encode(encoding) not in saved


def test_ids_of_forgotten_samples(backend):
    """A name can be a secret too: ids of forgotten samples are not kept."""
    x, y = feature_points(4, 9, generator(17)), targets(4, generator(18))
    ids = ["alice", "bertrand", "cecilia", "dagobert"]
    model = LinearInterpolator(backend=backend).fit(x, y, ids=ids)
    model.forget(["bertrand"])
    saved = pickle.dumps(model)
    for encoding in ("utf-8", "utf-32-le"):
        assert "bertrand".encode(encoding) not in saved
    assert b"cecilia" in saved or "cecilia".encode("utf-32-le") in saved
