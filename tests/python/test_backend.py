"""Which backend runs, who decides it, and what importing the package does not do."""

import json
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest

import minnorm
from _samplers import feature_points, generator, targets, with_condition
from conftest import BACKENDS
from minnorm import BackendError, InputError, KernelInterpolator, LinearInterpolator, _backend

WITHOUT_EXTENSION = "import sys; sys.modules['minnorm._cpu'] = None\n"
FIT = """
import warnings, json
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from minnorm import LinearInterpolator, KernelInterpolator
    used = []
    for make in (LinearInterpolator, KernelInterpolator, LinearInterpolator):
        model = make().fit([[1.0, 2.0], [0.0, 1.0], [3.0, 1.0]], [1.0, 2.0, 3.0])
        used.append(model.forget([0]).backend)
runtime = [str(w.message) for w in caught if issubclass(w.category, RuntimeWarning)]
print(json.dumps({"used": used, "warnings": runtime}))
"""


def run(code, **environment):
    """Run `code` in a fresh interpreter; what it printed as JSON."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("MINNORM_")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_fallback_to_scipy_is_said_once():
    """No extension: scipy, and exactly one warning that says what to do, in one process."""
    result = run(WITHOUT_EXTENSION + FIT)
    assert result["used"] == ["scipy"] * 3
    assert len(result["warnings"]) == 1
    assert "scipy" in result["warnings"][0] and "compiled" in result["warnings"][0]


def test_scipy_chosen_by_the_environment_says_nothing():
    for prefix in (WITHOUT_EXTENSION, ""):
        result = run(prefix + FIT, MINNORM_BACKEND="scipy")
        assert result == {"used": ["scipy"] * 3, "warnings": []}


def test_native_requested_and_absent():
    code = """
import json
from minnorm import BackendError, LinearInterpolator
try:
    LinearInterpolator(backend="native").fit([[1.0], [2.0]], [1.0, 2.0])
except BackendError as error:
    print(json.dumps([str(error), isinstance(error, ImportError)]))
"""
    message, importable = run(WITHOUT_EXTENSION + code)
    assert "scipy" in message and importable
    message, _ = run(
        WITHOUT_EXTENSION + code.replace('backend="native"', ""), MINNORM_BACKEND="native"
    )
    assert "native" in message


def test_a_model_opens_where_no_extension_loads(backend):
    """Saved by either backend, it restores on scipy with the warning, and goes on."""
    import pickle

    x, y = with_condition(6, 9, 10.0, generator(1)), targets(6, generator(2))
    model = LinearInterpolator(backend=backend).fit(x, y)
    code = f"""
import pickle, json, warnings
warnings.simplefilter("ignore")
model = pickle.loads({pickle.dumps(model)!r})
model.forget([2])
print(json.dumps([model.certify().backend, model.coef_.tolist()]))
"""
    used, coef = run(WITHOUT_EXTENSION + code)
    model.forget([2])
    assert used == "scipy"
    np.testing.assert_allclose(coef, model.coef_, rtol=1e-10, atol=1e-13)


def test_the_argument_wins_over_the_environment(monkeypatch, backend):
    monkeypatch.setenv("MINNORM_BACKEND", "scipy")
    assert _backend.resolve("auto").NAME == "scipy"
    assert _backend.resolve(backend).NAME == backend
    monkeypatch.setenv("MINNORM_BACKEND", backend)
    assert _backend.resolve("scipy").NAME == "scipy"
    assert _backend.resolve("auto").NAME == backend


def test_unknown_names_are_refused(monkeypatch):
    with pytest.raises(InputError, match="'cuda'"):
        _backend.resolve("cuda")
    monkeypatch.setenv("MINNORM_BACKEND", "cuda")
    with pytest.raises(InputError, match="MINNORM_BACKEND"):
        LinearInterpolator().fit([[1.0], [2.0]], [1.0, 2.0])


def test_importing_the_package_is_light():
    code = """
import json, sys
import minnorm
before = sorted(sys.modules)
minnorm.LinearInterpolator, minnorm.KernelInterpolator, minnorm.unlearn_linear
minnorm.LinearInterpolator(backend="scipy").fit([[1.0], [2.0]], [1.0, 2.0])
print(json.dumps([before, sorted(sys.modules)]))
"""
    before, after = run(code)
    for heavy in ("numpy", "scipy", "sklearn"):
        assert heavy not in before
    for optional in ("torch", "dask", "distributed", "matplotlib", "pandas"):
        assert optional not in before
    for optional in ("torch", "dask", "matplotlib"):
        assert optional not in after


def test_public_names():
    for name in minnorm.__all__:
        assert getattr(minnorm, name) is not None
    assert set(minnorm.__all__) <= set(dir(minnorm))
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = minnorm.no_such_name
    assert minnorm.__version__[0].isdigit()


def test_backends_agree(backend, core):
    """Both give the scipy backend's answers, states and kernels."""
    reference = _backend.resolve("scipy")
    x, y = feature_points(12, 20, generator(3)), targets(12, generator(4), outputs=2)
    fitted = [LinearInterpolator(backend=b).fit(x, y) for b in (backend, "scipy")]
    for model in fitted:
        model.forget([1, 5])
    np.testing.assert_allclose(fitted[0].coef_, fitted[1].coef_, rtol=1e-9, atol=1e-12)
    states = [model._core.state() for model in fitted]
    assert set(states[0]) == set(states[1])
    for key in states[0]:
        assert np.shape(states[0][key]) == np.shape(states[1][key]), key
    assert fitted[0].certify().to_dict().keys() == fitted[1].certify().to_dict().keys()
    fitted = [KernelInterpolator(backend=b).fit(x, y) for b in (backend, "scipy")]
    assert set(fitted[0]._core.state()) == set(fitted[1]._core.state())
    for name in ("linear", "rbf", "laplacian", "polynomial", "matern32", "matern52"):
        arguments = (x, x[:3], name)
        parameters = {"gamma": 0.1, "degree": 2, "coef0": 0.5}
        np.testing.assert_allclose(
            core.kernel_matrix(*arguments, **parameters),
            reference.kernel_matrix(*arguments, **parameters),
            rtol=1e-10,
            atol=1e-12,
        )


def test_no_warnings_in_ordinary_use(backend):
    x, y = feature_points(12, 20, generator(5)), targets(12, generator(6))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for model in (LinearInterpolator(backend=backend), KernelInterpolator(backend=backend)):
            model.fit(np.vstack([x, x[:2], np.zeros((1, 20))]), np.r_[y, 0.0, 1.0, 2.0])
            model.forget([0, 13])
            model.learn(x[:1], y[:1])
            model.leave_one_out()
            model.preview([2])


def test_core_checks_what_python_checked(core):
    """Handles are checked again in the core, which stays as it was."""
    x, y = feature_points(5, 8, generator(7)), targets(5, generator(8), outputs=1)
    linear = core.LinearCore(x, y, keep="copy", alpha=0.0, fit_intercept=True, factorization="auto")
    kernel = core.KernelCore(
        x.copy(), y, kernel="rbf", gamma=0.1, degree=3, coef0=1.0, alpha=0.0, owns_rows=True
    )
    for model in (linear, kernel):
        before = model.dual_coef.copy()
        for handles, error in (
            ([9], minnorm.UnknownSampleError),
            ([1, 1], InputError),
            ([], InputError),
            ([0, 1, 2, 3, 4], InputError),
        ):
            for method in (model.forget, model.preview):
                with pytest.raises(error):
                    method(np.array(handles, dtype=np.int64))
        np.testing.assert_array_equal(model.dual_coef, before)
        np.testing.assert_array_equal(model.handles, np.arange(5))
        assert model.backend == core.NAME


if "native" in BACKENDS:
    LEVEL = """
import json
from minnorm import LinearInterpolator, _native
x = [[1.0, 2.0, 0.5], [0.0, 1.0, 3.0]]
coef = LinearInterpolator(backend="native").fit(x, [1.0, 2.0]).coef_.tolist()
print(json.dumps([_native.LEVEL, _native._cpu_level(), _native._module.__name__, coef]))
"""

    def family_of(level):
        from minnorm import _native

        return next(f for f in _native._FAMILIES if level in f)

    def test_the_best_level_is_taken():
        level, available, name, _ = run(LEVEL)
        assert level == available
        assert name.endswith(level)

    def test_every_level_up_to_the_cpus_loads_and_agrees():
        _, available, _, expected = run(LEVEL)
        family = family_of(available)
        for requested in family[: family.index(available) + 1]:
            level, _, name, coef = run(LEVEL, MINNORM_CPU_LEVEL=requested)
            assert level == requested
            assert name.endswith(requested)
            np.testing.assert_allclose(coef, expected, rtol=1e-13)

    def test_a_level_beyond_the_cpus_is_clamped():
        from minnorm import _native

        assert _native._candidates("base", "v4") == ("base",)
        assert _native._candidates("v3", "v4") == ("v3", "base")
        assert _native._candidates("v4", "v3") == ("v3", "base")
        assert _native._candidates("v4", None) == ("v4", "v3", "base")
        _, available, _, _ = run(LEVEL)
        level, _, _, _ = run(LEVEL, MINNORM_CPU_LEVEL=family_of(available)[-1])
        assert level == available

    def test_an_unknown_level_is_refused():
        code = """
import json
from minnorm import InputError, LinearInterpolator
try:
    LinearInterpolator().fit([[1.0], [2.0]], [1.0, 2.0])
except InputError as error:
    print(json.dumps(str(error)))
"""
        message = run(code, MINNORM_CPU_LEVEL="v9")
        assert "MINNORM_CPU_LEVEL" in message and "v9" in message

    def test_auto_is_native_where_it_loads():
        assert run(FIT) == {"used": ["native"] * 3, "warnings": []}
        assert issubclass(BackendError, ImportError)
