"""scikit-learn's own estimator checks, all four estimators on every backend; none excused."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from conftest import BACKENDS
from minnorm import (
    KernelInterpolator,
    KernelInterpolatorClassifier,
    LinearInterpolator,
    LinearInterpolatorClassifier,
)

ESTIMATORS = (
    LinearInterpolator,
    KernelInterpolator,
    LinearInterpolatorClassifier,
    KernelInterpolatorClassifier,
)


@parametrize_with_checks([make(backend=b) for b in BACKENDS for make in ESTIMATORS])
def test_estimator_check(estimator, check):
    check(estimator)
