"""Every test that takes `backend` runs once per backend, and a backend that does not load fails.

MINNORM_TEST_BACKENDS (comma separated, default "native,scipy") restricts the run on purpose;
nothing restricts it silently.
"""

import os

# Read by scipy when it is first imported; without it scikit-learn leaves its array-API check out.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

import pytest
from hypothesis import HealthCheck, settings

from minnorm import _backend

BACKENDS = tuple(os.environ.get("MINNORM_TEST_BACKENDS", "native,scipy").split(","))

settings.register_profile(
    "minnorm",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=30,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("minnorm")


@pytest.fixture(params=BACKENDS)
def backend(request):
    """The backend's name; resolving it here turns a missing extension into an error."""
    assert _backend.resolve(request.param).NAME == request.param
    return request.param


@pytest.fixture
def core(backend):
    """The backend's module: LinearCore, KernelCore, kernel_matrix."""
    return _backend.resolve(backend)
