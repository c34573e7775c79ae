"""Any number of threads gives the same results to rounding, and the same number the same bits."""

import os
import signal

import numpy as np
import pytest
import threadpoolctl

from _asserts import assert_exact_linear
from _samplers import generator
from minnorm import JacobianProjector, KernelInterpolator, LinearInterpolator, project_out

COUNTS = (1, 2, 3)


def by_counts(task):
    """The results of ``task`` by one, two and three threads."""
    results = []
    for count in COUNTS:
        with threadpoolctl.threadpool_limits(count):
            results.append(task())
    return results


def problem(n, p, seed, dtype=np.float64):
    rng = generator(seed)
    return rng.standard_normal((n, p)).astype(dtype), rng.standard_normal(n).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_linear_fit_and_deletion(dtype):
    x, y = problem(500, 800, 1, dtype)

    def task():
        model = LinearInterpolator().fit(x, y)
        model.forget([0, 7, 400])
        return model

    models = by_counts(task)
    for model in models:
        certificate = model.certificate_
        bound = certificate.parameter_error_bound + models[0].certificate_.parameter_error_bound
        assert np.linalg.norm(model.coef_ - models[0].coef_) <= bound
    if dtype == np.float64:
        assert_exact_linear(models[-1], np.delete(x, [0, 7, 400], 0), np.delete(y, [0, 7, 400]))


def test_kernel_fit_and_deletion():
    x, y = problem(500, 30, 2)

    def task():
        model = KernelInterpolator(kernel="matern52", gamma=0.02).fit(x, y)
        model.forget([3, 99])
        return model.predict(x[:50])

    predictions = by_counts(task)
    for other in predictions:
        np.testing.assert_allclose(other, predictions[0], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_projection(dtype):
    J, v = problem(20, 100_000, 3, dtype)[0], problem(100_000, 1, 4, dtype)[0][:, 0]

    def task():
        projector = JacobianProjector(J)
        return project_out(J, v), projector.project(v), projector.project(np.stack([v] * 6))

    results = by_counts(task)
    tolerance = 20 * np.finfo(dtype).eps * np.linalg.norm(v)
    for found in results:
        for once, reference in zip(found, results[0], strict=True):
            assert np.linalg.norm(once - reference) <= tolerance
            assert np.linalg.norm(np.atleast_2d(once) @ J.T) <= 100 * tolerance * np.sqrt(len(J))


@pytest.mark.parametrize("count", COUNTS)
def test_same_number_of_threads_same_bits(count):
    x, y = problem(500, 800, 5)
    J, v = problem(20, 100_000, 6, np.float32)[0], problem(100_000, 1, 7, np.float32)[0][:, 0]
    with threadpoolctl.threadpool_limits(count):
        first = LinearInterpolator().fit(x, y).coef_, project_out(J, v)
        again = LinearInterpolator().fit(x, y).coef_, project_out(J, v)
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_computes():
    """Threads do not survive a fork: a pool of them would leave the child waiting for ever."""
    x, y = problem(500, 800, 8)
    with threadpoolctl.threadpool_limits(2):
        expected = LinearInterpolator().fit(x, y).coef_
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:  # no exception may leave: it would run the rest of the tests twice
            verdict = b"raised"
            signal.alarm(100)  # ends a child that waits, and with it the reading below
            try:
                same = np.array_equal(LinearInterpolator().fit(x, y).coef_, expected)
                verdict = b"same" if same else b"different"
            finally:
                os.write(writing, verdict)
                os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            verdict = pipe.read()
        os.waitpid(child, 0)
    assert verdict == b"same"
