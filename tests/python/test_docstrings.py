"""The examples in the docstrings run, and give what they show."""

import doctest
import importlib
import importlib.util
import pkgutil

import pytest

import minnorm

HAS_TORCH = importlib.util.find_spec("torch") is not None


def modules():
    """Every module of the package that can be imported here; extensions and entry points aside."""
    for found in pkgutil.walk_packages(minnorm.__path__, "minnorm.", onerror=lambda name: None):
        name = found.name
        needs_torch = name.split(".")[1] in ("torch", "experiments")
        if name.rpartition(".")[2] in ("__main__", "_cpu") or "._core_" in name:
            continue
        if not needs_torch or HAS_TORCH:
            yield name


@pytest.mark.parametrize("name", sorted(modules()))
def test_examples(name):
    module = importlib.import_module(name)
    failed, _ = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert failed == 0


def test_the_public_classes_have_examples():
    finder = doctest.DocTestFinder()
    for name in minnorm.__all__:
        item = getattr(minnorm, name)
        if isinstance(item, type) and not issubclass(item, Exception):
            found = finder.find(item, name, globs={})
            if name not in WITHOUT_EXAMPLES:
                assert any(test.examples for test in found), name


# Results, shown in the examples of the methods that return them.
WITHOUT_EXAMPLES = {"LeaveOneOut", "NetworkCertificate", "Preview", "ProjectionReport"}
