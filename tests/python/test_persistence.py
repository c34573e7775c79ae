"""Pickle, deepcopy, clone, grid search and joblib: a saved model is the model, and goes on."""

import copy
import io
import pickle

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import minnorm
from _asserts import assert_exact_linear
from _samplers import degenerate_samples, feature_points, generator, targets, with_condition
from conftest import BACKENDS
from minnorm import (
    KernelInterpolator,
    KernelInterpolatorClassifier,
    LinearInterpolator,
    LinearInterpolatorClassifier,
    _backend,
)

X = with_condition(12, 18, 100.0, generator(1))
Y = targets(12, generator(2), outputs=2)
LABELS = np.array(["a", "b", "c"] * 4)


def through_joblib(model):
    buffer = io.BytesIO()
    joblib.dump(model, buffer)
    buffer.seek(0)
    return joblib.load(buffer)


COPIES = {
    "pickle": lambda m: pickle.loads(pickle.dumps(m)),
    "oldest pickle": lambda m: pickle.loads(pickle.dumps(m, protocol=2)),
    "deepcopy": copy.deepcopy,
    "joblib": through_joblib,
}


def product(a, b):
    return float(a @ b)


TWICE = np.vstack([X[:6], X[:6]])

MODELS = {
    "linear": lambda b: LinearInterpolator(backend=b).fit(X, Y),
    "ridge": lambda b: LinearInterpolator(alpha=0.3, backend=b).fit(X, Y[:, 0]),
    "ill-conditioned": lambda b: LinearInterpolator(fit_intercept=False, backend=b).fit(
        with_condition(12, 18, 1e10, generator(3)), Y
    ),
    "rank-deficient": lambda b: LinearInterpolator(backend=b).fit(TWICE, Y),
    "no copy": lambda b: LinearInterpolator(copy_X=False, backend=b).fit(X, Y),
    "kernel": lambda b: KernelInterpolator(kernel="matern32", gamma=0.2, backend=b).fit(X, Y),
    "kernel ridge": lambda b: KernelInterpolator(alpha=0.1, backend=b).fit(X, Y),
    "duplicates": lambda b: KernelInterpolator(kernel="laplacian", backend=b).fit(TWICE, Y),
    "precomputed": lambda b: KernelInterpolator(kernel="precomputed", backend=b).fit(
        X @ X.T + np.eye(12), Y
    ),
    "callable": lambda b: KernelInterpolator(kernel=product, backend=b).fit(X, Y),
    "classifier": lambda b: LinearInterpolatorClassifier(backend=b).fit(X, LABELS),
    "kernel classifier": lambda b: KernelInterpolatorClassifier(backend=b).fit(
        X, LABELS, ids=[f"s{i}" for i in range(12)]
    ),
}


def queries(model, n):
    return (X @ X.T)[:4, :n] if getattr(model, "kernel", None) == "precomputed" else X[:4]


def assert_same_answers(one, other, exact=True):
    n = len(one.ids_)
    assert list(one.ids_) == list(other.ids_)
    compare = np.testing.assert_array_equal if exact else near
    values = [
        m.decision_function(queries(m, n)) if hasattr(m, "classes_") else m.predict(queries(m, n))
        for m in (one, other)
    ]
    compare(*values)
    compare(one.dual_coef_, other.dual_coef_)
    assert one.rank_ == other.rank_
    assert one.n_features_in_ == other.n_features_in_
    counts = [(m.certify().n_retained, m.certify().n_forgotten) for m in (one, other)]
    assert counts[0] == counts[1]


def near(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6 * max(1.0, np.abs(b).max()))


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("name", MODELS)
def test_a_copy_is_the_same_model_and_goes_on(backend, name, way):
    """Same answers, the same after the same deletions, and independence of the original."""
    model = MODELS[name](backend)
    model.forget([model.ids_[3]])
    twin = COPIES[way](model)
    assert type(twin) is type(model)
    assert_same_answers(model, twin, exact=False)
    before = model.dual_coef_.copy()
    gone = [twin.ids_[i] for i in (0, 5)]
    twin.forget(gone)
    assert len(model.ids_) == 11
    np.testing.assert_array_equal(model.dual_coef_, before)
    model.forget(gone)
    assert_same_answers(model, twin, exact=False)
    assert twin.certify().n_forgotten == 3


@pytest.mark.parametrize("name", MODELS)
def test_saving_twice_gives_the_same_bytes(backend, name):
    model = MODELS[name](backend)
    assert pickle.dumps(model) == pickle.dumps(model)


@pytest.mark.parametrize("name", MODELS)
def test_backends_read_each_others_state(backend, name):
    """A state saved by one backend, restored by the other, goes on to the same answers."""
    model = MODELS[name](backend)
    model.forget([model.ids_[2]])
    for other in BACKENDS:
        state = model._core.state()
        moved = _backend.restore(state, other)
        assert moved.backend == other
        near(moved.dual_coef, np.reshape(model.dual_coef_, moved.dual_coef.shape))
        back = _backend.restore(moved.state(), backend)
        assert back.backend == backend
        handles = moved.handles[[1, 4]]
        for restored in (moved, back):
            restored.forget(handles)
        model_again = copy.deepcopy(model)
        model_again.forget([model_again.ids_[i] for i in (1, 4)])
        for restored in (moved, back):
            expected = np.reshape(model_again.dual_coef_, restored.dual_coef.shape)
            near(restored.dual_coef, expected)


def test_copies_of_rank_deficient_models_promote_rows(backend):
    sample = degenerate_samples()[0]
    model = LinearInterpolator(fit_intercept=False, backend=backend).fit(sample.x, sample.y)
    model = pickle.loads(pickle.dumps(model))
    held = list(range(len(sample.x)))
    for i in list(held[:-1]):
        model.forget([i])
        held.remove(i)
        model = pickle.loads(pickle.dumps(model))
        assert_exact_linear(model, sample.x[held], sample.y[held])


def test_a_restored_model_owns_its_rows(backend):
    x = X.copy()
    model = LinearInterpolator(copy_X=False, backend=backend).fit(x, Y)
    twin = pickle.loads(pickle.dumps(model))
    expected = copy.deepcopy(model)
    x[:] = 1e3
    twin.forget([1])
    expected.forget([1])
    np.testing.assert_array_equal(twin.coef_, expected.coef_)


def test_ids_and_counters_survive(backend):
    model = LinearInterpolator(backend=backend).fit(X, Y)
    model.forget([11, 3])
    twin = pickle.loads(pickle.dumps(model))
    twin.learn(X[:1], Y[:1])
    assert list(twin.ids_) == [0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 12]
    with pytest.raises(minnorm.UnknownSampleError, match="already forgotten"):
        twin.forget([3])


@pytest.mark.parametrize("name", MODELS)
def test_clone_is_unfitted_with_the_same_parameters(backend, name):
    model = MODELS[name](backend)
    twin = clone(model)
    assert twin.get_params() == model.get_params()
    assert not hasattr(twin, "dual_coef_")
    assert len(model.ids_) == 12


def test_unfitted_models_can_be_saved(backend):
    model = LinearInterpolator(alpha=2.0, backend=backend)
    for way in COPIES.values():
        assert way(model).get_params() == model.get_params()


def test_grid_search(backend):
    rng = generator(4)
    x = feature_points(40, 6, rng)
    y = x @ rng.standard_normal(6) + 0.3 * rng.standard_normal(40)
    search = GridSearchCV(LinearInterpolator(backend=backend), {"alpha": [0.0, 1e-3, 1e6]}, cv=4)
    search.fit(x, y)
    assert search.best_params_["alpha"] < 1.0
    assert search.best_score_ > 0.7
    search = GridSearchCV(
        KernelInterpolator(alpha=1e-3, backend=backend),
        {"kernel": ["rbf", "laplacian"], "gamma": [1e-3, 10.0]},
        cv=3,
    ).fit(x, y)
    assert search.best_params_["gamma"] == 1e-3
    search.best_estimator_.forget([0])


def test_grid_search_over_precomputed_kernels(backend):
    """The pairwise tag makes scikit-learn cut rows and columns."""
    x = feature_points(24, 5, generator(5))
    y = x[:, 0]
    scores = cross_val_score(
        KernelInterpolator(kernel="precomputed", alpha=1e-6, backend=backend), x @ x.T, y, cv=3
    )
    assert scores.min() > 0.99


def test_pipeline_and_joblib_workers(backend):
    rng = generator(6)
    x = feature_points(30, 8, rng)
    y = (x[:, 0] > 0).astype(int)
    pipeline = make_pipeline(StandardScaler(), KernelInterpolatorClassifier(backend=backend))
    assert cross_val_score(pipeline, x, y, cv=3, n_jobs=2).mean() > 0.5
    pipeline.fit(x, y)
    pipeline[-1].forget([0, 7])
    twin = pickle.loads(pickle.dumps(pipeline))
    np.testing.assert_array_equal(twin.predict(x), pipeline.predict(x))
