"""The scipy cores check their numbers themselves: numpy's "invalid" flag, which a BLAS may raise on
memory that is no part of a product, is neither a warning nor an error there."""

import numpy as np
import pytest

from minnorm import _scipy
from minnorm._scipy.floating_point import checks_itself

pytestmark = pytest.mark.filterwarnings("error")


@checks_itself
class Careless:
    def __init__(self):
        self.found = np.array([np.inf]) - np.inf

    @property
    def value(self):
        """What was found."""
        return np.array([np.inf]) - np.inf

    @classmethod
    def made(cls):
        np.array([np.inf]) - np.inf
        return cls()


def test_invalid_is_ignored_in_methods_properties_and_class_methods():
    with np.errstate(invalid="raise"):
        assert np.isnan(Careless.made().value).all()
        with pytest.raises(FloatingPointError):
            np.array([np.inf]) - np.inf
    assert Careless.value.__doc__ == "What was found."


@pytest.mark.parametrize("core", ["KernelCore", "LinearCore", "ProjectorCore", "ThinQRCore"])
def test_every_core_is_covered(core):
    for name, member in vars(getattr(_scipy, core)).items():
        if callable(member):
            assert hasattr(member, "__wrapped__"), name
