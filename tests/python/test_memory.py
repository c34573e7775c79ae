"""copy_X=False makes no n x p copy anywhere; the default makes exactly one.

Measured twice: by tracemalloc, which sees every numpy allocation, and by the growth of the peak
resident size in a process of its own, which also sees what C++ allocates.
"""

import json
import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from _samplers import generator
from minnorm import KernelInterpolator, LinearInterpolator, unlearn_linear

N, P = 48, 40_000


def rows(dtype=np.float64):
    """Well-conditioned rows, 15 MB in double precision."""
    return generator(1).standard_normal((N, P)).astype(dtype)


def peak_of(action):
    """Peak of the memory allocated by `action`, in bytes, over what was held before."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("factorization", ["auto", "qr"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["double", "single"])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_no_copy_anywhere(backend, dtype, fit_intercept, factorization):
    """A few vectors of length p are n times smaller than the rows: well below half of them."""
    x, y = rows(dtype), generator(2).standard_normal(N).astype(dtype)
    half = x.nbytes / 2
    before = x.copy()
    x.setflags(write=False)
    model = LinearInterpolator(
        copy_X=False, fit_intercept=fit_intercept, factorization=factorization, backend=backend
    )
    assert peak_of(lambda: model.fit(x, y)) < half
    assert peak_of(lambda: model.forget([3])) < half
    assert peak_of(lambda: model.preview([5, 6])) < half
    assert peak_of(lambda: model.leave_one_out(parameters=True)) < half
    assert peak_of(lambda: model.certify()) < half
    assert peak_of(lambda: model.predict(x)) < half
    assert peak_of(lambda: model.forget([0, 1, 2, 4, 5, 6])) < half
    np.testing.assert_array_equal(x, before)


def test_no_copy_when_the_gram_path_is_given_up(backend):
    """Nearly equal rows: auto factors the Gram matrix, then the rows, without copying them."""
    x = rows()
    x[1] = x[0] + 1e-9 * x[1]
    y = generator(3).standard_normal(N)
    model = LinearInterpolator(copy_X=False, fit_intercept=False, backend=backend)
    assert peak_of(lambda: model.fit(x, y)) < x.nbytes / 2
    assert peak_of(lambda: model.forget([4])) < x.nbytes / 2


def test_no_copy_of_rank_deficient_rows(backend):
    x = rows()
    x[5] = x[2]
    x[7] = 0.0
    y = generator(4).standard_normal(N)
    model = LinearInterpolator(copy_X=False, backend=backend)
    assert peak_of(lambda: model.fit(x, y)) < x.nbytes / 2
    assert model.rank_ == N - 1
    assert peak_of(lambda: model.forget([2])) < x.nbytes / 2
    assert model.rank_ == N - 1


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["double", "single"])
def test_the_default_makes_exactly_one_copy(backend, dtype):
    x, y = rows(dtype), generator(5).standard_normal(N).astype(dtype)
    model = LinearInterpolator(backend=backend)
    peak = peak_of(lambda: model.fit(x, y))
    assert (x.nbytes if backend == "scipy" else 0) <= peak < 1.5 * x.nbytes
    x[:] = np.nan  # the model has a copy, whoever made it
    assert peak_of(lambda: model.forget([3])) < x.nbytes / 2
    assert peak_of(lambda: model.preview([4])) < x.nbytes / 2
    assert np.isfinite(model.coef_).all()


@pytest.mark.parametrize("make", [np.asfortranarray, lambda a: a[::-1], lambda a: a.astype(">f8")])
@pytest.mark.parametrize("copy", [True, False])
def test_a_conversion_is_the_one_copy(backend, make, copy):
    """An array that must be converted is copied once by the conversion, and not again."""
    x, y = make(rows()), generator(6).standard_normal(N)
    model = LinearInterpolator(copy_X=copy, backend=backend)
    peak = peak_of(lambda: model.fit(x, y))
    assert x.nbytes <= peak < 1.5 * x.nbytes


def test_kernel_models_copy_no_rows(backend):
    """With p >> n the kernel matrix is small; the rows are read in place."""
    x, y = rows(), generator(7).standard_normal(N)
    for kernel in ("linear", "rbf", "laplacian"):
        model = KernelInterpolator(kernel=kernel, gamma=1e-5, copy_X=False, backend=backend)
        assert peak_of(lambda m=model: m.fit(x, y)) < x.nbytes / 2
        assert peak_of(lambda m=model: m.forget([3])) < x.nbytes / 2
        # Blocks of rows, not all of them at once.
        assert peak_of(lambda m=model: m.predict(x[:2])) < 0.75 * x.nbytes
        owner = KernelInterpolator(kernel=kernel, gamma=1e-5, backend=backend)
        assert x.nbytes <= peak_of(lambda m=owner: m.fit(x, y)) < 1.5 * x.nbytes


def test_unlearn_linear_copies_no_rows(backend):
    x, theta = rows(), np.ones(P)
    assert peak_of(lambda: unlearn_linear(theta, x, backend=backend)) < x.nbytes / 2


SCRIPT = """
import json, pathlib, resource, sys
import numpy as np
from minnorm import LinearInterpolator

backend, copy, factorization = sys.argv[1], sys.argv[2] == "copy", sys.argv[3]
rng = np.random.default_rng(0)
small = LinearInterpolator(backend=backend).fit(rng.standard_normal((24, 300)), np.ones(24))
small.forget([0])
small.predict(np.ones((2, 300)))
n, p = 24, 500_000
x = np.empty((n, p))
rng.standard_normal(out=x)
y = rng.standard_normal(n)
def peak():
    # Of this program alone; on Linux ru_maxrss would include the parent's, from before exec.
    status = pathlib.Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
before = peak()
model = LinearInterpolator(copy_X=copy, factorization=factorization, backend=backend).fit(x, y)
model.forget([3])
model.preview([5]).coef_
model.leave_one_out()
model.forget([0, 1, 8])
print(json.dumps({"growth": peak() - before, "rows": x.nbytes}))
"""


@pytest.mark.parametrize("factorization", ["auto", "qr"])
@pytest.mark.parametrize("copy", ["copy", "no copy"])
def test_resident_size(backend, copy, factorization):
    """The same with C++ allocations: 96 MB of rows, and the growth of the process's peak."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, backend, copy, factorization],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    measured = json.loads(done.stdout)
    if copy == "copy":
        assert 0.9 * measured["rows"] <= measured["growth"] < 1.5 * measured["rows"]
    else:
        assert measured["growth"] < 0.5 * measured["rows"]
