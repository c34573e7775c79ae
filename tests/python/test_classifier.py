"""Classifiers: targets coded -1/+1 per class, and after any history the classifier that a fit on
the retained labels would give, classes included.
"""

import numpy as np
import pytest
from sklearn.base import clone

import _exact
from _samplers import feature_points, generator, short_bits
from minnorm import (
    InputError,
    KernelInterpolatorClassifier,
    LinearInterpolator,
    LinearInterpolatorClassifier,
)

LABELS = {
    "integers": np.array([3, 7, 11]),
    "text": np.array(["cat", "dog", "eel"]),
    "booleans": np.array([False, True]),
    "negative": np.array([-5, 2]),
    "objects": np.array(["a", "bb", "ccc"], dtype=object),
}


def data(labels, n=18, p=24, seed=1):
    rng = generator(seed, len(labels))
    x = feature_points(n, p, rng)
    y = labels[np.arange(n) % len(labels)]
    return x, y


@pytest.fixture(params=["linear", "kernel"])
def classifier(request, backend):
    if request.param == "linear":
        return LinearInterpolatorClassifier(backend=backend)
    return KernelInterpolatorClassifier(kernel="laplacian", gamma=0.1, backend=backend)


def assert_same_classifier(model, x, y, z):
    fresh = clone(model).fit(x, y, ids=model.ids_)
    np.testing.assert_array_equal(model.classes_, np.unique(y))
    assert model.classes_.dtype == fresh.classes_.dtype
    assert np.shape(model.dual_coef_) == np.shape(fresh.dual_coef_)
    np.testing.assert_allclose(
        model.decision_function(z), fresh.decision_function(z), rtol=1e-9, atol=1e-9
    )
    np.testing.assert_array_equal(model.predict(z), fresh.predict(z))
    np.testing.assert_array_equal(model.predict(x), y)
    assert model.score(x, y) == 1.0


@pytest.mark.parametrize("kind", LABELS)
def test_labels_come_back_as_they_went_in(classifier, kind):
    x, y = data(LABELS[kind])
    model = classifier.fit(x, y)
    assert model.predict(x).dtype == y.dtype
    z = feature_points(7, 24, generator(2))
    values = model.decision_function(z)
    assert values.shape == ((7,) if len(LABELS[kind]) == 2 else (7, 3))
    assert_same_classifier(model, x, y, z)


def test_coding_is_plus_and_minus_one(backend):
    """Binary: one column, +1 for the second class. More: one column per class."""
    x, y = data(LABELS["integers"])
    model = LinearInterpolatorClassifier(backend=backend).fit(x, y)
    coded = np.where(y[:, None] == model.classes_, 1.0, -1.0)
    theta, intercept = _exact.linear(x, coded, fit_intercept=True)
    np.testing.assert_allclose(model.coef_.T, _exact.to_float(theta), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(model.decision_function(x), coded, atol=1e-12)
    x, y = data(LABELS["negative"])
    model = LinearInterpolatorClassifier(backend=backend).fit(x, y)
    np.testing.assert_allclose(model.decision_function(x), np.where(y == 2, 1.0, -1.0), atol=1e-12)
    assert intercept.ncols() == 3


@pytest.mark.parametrize("kind", ["integers", "text", "negative"])
def test_forget_learn_preview(classifier, kind):
    x, y = data(LABELS[kind])
    z = feature_points(7, 24, generator(3))
    model = classifier.fit(x[:14], y[:14])
    seen = model.preview([0, 4])
    values, labels = seen.decision_function(z), seen.predict(z)
    kept = np.setdiff1d(np.arange(14), [0, 4])
    model.forget([4, 0])
    np.testing.assert_allclose(values, model.decision_function(z), rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(labels, model.predict(z))
    assert_same_classifier(model, x[kept], y[kept], z)
    model.learn(x[14:], y[14:])
    kept = np.r_[kept, 14:18]
    assert_same_classifier(model, x[kept], y[kept], z)


def test_a_class_goes_with_its_last_sample_and_can_come_back(classifier):
    x, y = data(LABELS["text"], n=9)
    z = feature_points(5, 24, generator(4))
    model = classifier.fit(x, y)
    eels = np.flatnonzero(y == "eel")
    seen = model.preview(eels)
    assert list(seen.classes_) == ["cat", "dog"]
    model.forget(eels[:2])
    assert list(model.classes_) == ["cat", "dog", "eel"]
    model.forget(eels[2:])
    kept = np.flatnonzero(y != "eel")
    assert_same_classifier(model, x[kept], y[kept], z)
    model.learn(x[eels], y[eels])
    order = np.r_[kept, eels]
    assert_same_classifier(model, x[order], y[order], z)


def test_learning_a_class_that_sorts_first(classifier):
    x, y = data(LABELS["text"], n=9)
    z = feature_points(5, 24, generator(5))
    model = classifier.fit(x[:8], y[:8])
    model.learn(x[8:], np.array(["aardvark"]))
    assert_same_classifier(model, x, np.r_[y[:8], ["aardvark"]], z)


def test_one_class_is_refused_and_changes_nothing(classifier):
    x, y = data(LABELS["negative"], n=6)
    with pytest.raises(InputError, match="2 classes"):
        clone(classifier).fit(x, np.zeros(6, dtype=int))
    model = classifier.fit(x, y)
    before = model.decision_function(x)
    with pytest.raises(InputError, match="2 classes"):
        model.forget(np.flatnonzero(y == 2))
    np.testing.assert_array_equal(model.decision_function(x), before)
    assert list(model.classes_) == [-5, 2]


@pytest.mark.parametrize("kind", ["integers", "negative"])
def test_leave_one_out_labels(classifier, kind):
    """The label that a classifier of all other samples gives."""
    x, y = data(LABELS[kind], n=15)
    held_out = classifier.fit(x, y).leave_one_out()
    for i in range(15):
        kept = np.setdiff1d(np.arange(15), [i])
        fresh = clone(classifier).fit(x[kept], y[kept])
        value = fresh.decision_function(x[i : i + 1])[0]
        np.testing.assert_allclose(held_out.decision_values[i], value, rtol=1e-8, atol=1e-8)
        assert held_out.predictions[i] == fresh.predict(x[i : i + 1])[0]


def test_contradicting_labels_are_a_least_squares_vote(backend):
    """One point with labels +1, +1, -1 gets the mean, 1/3, and the certificate says so."""
    x = np.vstack([short_bits((3, 5), generator(6)), np.zeros((1, 5))])[[0, 0, 0, 1, 2]]
    y = np.array([1, 1, 0, 0, 1])
    model = LinearInterpolatorClassifier(fit_intercept=False, backend=backend).fit(x, y)
    assert model.decision_function(x)[0] == pytest.approx(1 / 3, rel=1e-12)
    assert not model.certify().interpolates
    model.forget([2])
    assert model.decision_function(x)[0] == pytest.approx(1.0, rel=1e-12)
    assert model.certify().interpolates


def test_classifier_and_regressor_share_the_solution(backend):
    x, y = data(LABELS["negative"])
    coded = np.where(y == 2, 1.0, -1.0)
    model = LinearInterpolatorClassifier(backend=backend).fit(x, y)
    regressor = LinearInterpolator(backend=backend).fit(x, coded)
    np.testing.assert_array_equal(np.ravel(model.coef_), regressor.coef_)
