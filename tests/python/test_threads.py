"""The GIL is released around numerical work, and models used by several threads stay right."""

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from _asserts import assert_exact_linear
from _samplers import feature_points, generator, targets, with_condition
from minnorm import KernelInterpolator, LinearInterpolator


def test_separate_models_in_separate_threads(backend):
    """Fit, forget, learn and leave-one-out, interleaved: bit by bit the single-threaded answers."""

    def history(seed):
        rng = generator(1, seed)
        x, y = rng.standard_normal((60, 90)), rng.standard_normal((60, 2))
        results = []
        for model in (
            LinearInterpolator(backend=backend),
            KernelInterpolator(kernel="laplacian", gamma=0.05, backend=backend),
        ):
            model.fit(x[:50], y[:50])
            for i in range(0, 40, 3):
                model.forget([i])
            model.learn(x[50:], y[50:])
            model.forget([1, 2, 55])
            results += [model.predict(x), model.leave_one_out().predictions]
        return results

    expected = [history(seed) for seed in range(6)]
    with ThreadPoolExecutor(6) as pool:
        threaded = list(pool.map(history, range(6)))
    for got, want in zip(threaded, expected, strict=True):
        for a, b in zip(got, want, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("kind", ["linear", "kernel"])
def test_many_threads_read_one_model(backend, kind):
    """predict, preview, leave_one_out and certify change nothing, so they may run together."""
    x, y = feature_points(50, 70, generator(2)), targets(50, generator(3))
    model = (
        LinearInterpolator(backend=backend)
        if kind == "linear"
        else KernelInterpolator(kernel="rbf", gamma=0.01, backend=backend)
    ).fit(x, y)
    prediction, held_out = model.predict(x), model.leave_one_out().predictions
    previews = [model.preview([i]).predict(x) for i in range(8)]
    start = threading.Barrier(8)

    def read(i):
        start.wait()
        for _ in range(5):
            np.testing.assert_array_equal(model.predict(x), prediction)
            np.testing.assert_array_equal(model.preview([i]).predict(x), previews[i])
            np.testing.assert_array_equal(model.leave_one_out().predictions, held_out)
            assert model.certify().n_retained == 50

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(read, range(8)))


def test_one_array_under_several_models(backend):
    """copy_X=False: several models read the caller's array at once and delete different rows."""
    x, y = with_condition(20, 40, 100.0, generator(4)), targets(20, generator(5))
    x.setflags(write=False)

    def history(first):
        model = LinearInterpolator(copy_X=False, backend=backend).fit(x, y)
        for i in range(first, 20, 5):
            model.forget([i])
        return model

    with ThreadPoolExecutor(5) as pool:
        for first, model in enumerate(pool.map(history, range(5))):
            kept = np.setdiff1d(np.arange(20), np.arange(first, 20, 5))
            assert_exact_linear(model, x[kept], y[kept])


def releases_the_gil(actions):
    """Does another thread get to run during one of `actions`, if only a released GIL lets it?

    With a switch interval of minutes no thread is made to give up the GIL; `time.sleep(0)` in the
    other thread does so of its own accord. So it runs during an action only if that releases it.
    There are several actions because a released GIL is an offer: a busy machine may not take it.
    """
    ticks, stop, ready = 0, threading.Event(), threading.Event()

    def tick():
        nonlocal ticks
        while not stop.is_set():
            ticks += 1
            ready.set()
            time.sleep(0)

    before = sys.getswitchinterval()
    sys.setswitchinterval(600.0)
    other = threading.Thread(target=tick, daemon=True)
    try:
        other.start()
        ready.wait()
        first = ticks
        for action in actions:
            action()
            if ticks > first:
                return True
        return False
    finally:
        stop.set()
        sys.setswitchinterval(before)
        other.join()


def test_the_measure_of_the_gil():
    """The measure itself: pure Python keeps the GIL, a matrix product of numpy does not."""
    a = np.ones((300, 300))
    assert not releases_the_gil([lambda: sum(range(100_000))] * 5)
    assert releases_the_gil([lambda: a @ a] * 200)


@pytest.mark.parametrize("kind", ["linear", "kernel"])
def test_the_gil_is_released(core, kind):
    """Around every method of the cores that computes: called directly, without the Python layer."""
    n, p = 400, 600
    x, y = feature_points(n, p, generator(6)), targets(n, generator(7), outputs=1)
    new, new_y = feature_points(20, p, generator(8)), targets(20, generator(9), outputs=1)

    def make():
        if kind == "linear":
            options = {"alpha": 0.0, "fit_intercept": True, "factorization": "auto"}
            return core.LinearCore(x, y, keep="borrow", **options)
        options = {"kernel": "rbf", "gamma": 1e-3, "degree": 3, "coef0": 1.0, "alpha": 0.0}
        return core.KernelCore(x, y, owns_rows=False, **options)

    assert releases_the_gil([make] * 200)
    model = make()
    positions = np.arange(200)
    others = [np.arange(i, i + 10) for i in range(0, 300, 10)]
    assert releases_the_gil([lambda h=h: model.preview(h) for h in others])
    assert releases_the_gil([lambda: model.set_targets(2 * y)] * 5000)
    assert releases_the_gil([model.leave_one_out] * 500)
    if kind == "linear":
        assert releases_the_gil([lambda: model.influence(positions)] * 500)
    else:
        assert releases_the_gil([lambda: model.predict(x)] * 500)
    assert releases_the_gil([lambda: model.learn(new, new_y, False)] * 20)
    assert releases_the_gil([lambda h=h: model.forget(h) for h in others])
    restore = type(model).from_state
    state = model.state()
    assert releases_the_gil([lambda: restore(state)] * 500)
