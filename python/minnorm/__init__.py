"""Exact deletion of training samples from minimum-norm linear and kernel models.

``import minnorm`` loads nothing else: each public name is imported on first use, so that the
command line answers at once and no optional dependency is touched.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .certificate import Certificate
    from .classifier import KernelInterpolatorClassifier, LinearInterpolatorClassifier
    from .errors import (
        BackendError,
        InputError,
        MinnormError,
        NotPositiveDefiniteError,
        RankError,
        ShapeError,
        UnknownSampleError,
    )
    from .kernel import KernelInterpolator
    from .leave_one_out import LeaveOneOut
    from .linear import LinearInterpolator
    from .networks import (
        LinearNetwork,
        NetworkCertificate,
        TwoLayerPerceptron,
        loss_gradient_update,
    )
    from .preview import Preview
    from .projection import unlearn_linear
    from .projection_report import ProjectionReport
    from .projector import JacobianProjector, project_out
    from .thin_qr import ThinQR

    __version__: str

# Public name -> the module that defines it.
_HOME = {
    "BackendError": "errors",
    "Certificate": "certificate",
    "InputError": "errors",
    "JacobianProjector": "projector",
    "KernelInterpolator": "kernel",
    "KernelInterpolatorClassifier": "classifier",
    "LeaveOneOut": "leave_one_out",
    "LinearInterpolator": "linear",
    "LinearInterpolatorClassifier": "classifier",
    "LinearNetwork": "networks",
    "MinnormError": "errors",
    "NetworkCertificate": "networks",
    "NotPositiveDefiniteError": "errors",
    "Preview": "preview",
    "ProjectionReport": "projection_report",
    "RankError": "errors",
    "ShapeError": "errors",
    "ThinQR": "thin_qr",
    "TwoLayerPerceptron": "networks",
    "UnknownSampleError": "errors",
    "loss_gradient_update": "networks",
    "project_out": "projector",
    "unlearn_linear": "projection",
}

__all__ = [
    "BackendError",
    "Certificate",
    "InputError",
    "JacobianProjector",
    "KernelInterpolator",
    "KernelInterpolatorClassifier",
    "LeaveOneOut",
    "LinearInterpolator",
    "LinearInterpolatorClassifier",
    "LinearNetwork",
    "MinnormError",
    "NetworkCertificate",
    "NotPositiveDefiniteError",
    "Preview",
    "ProjectionReport",
    "RankError",
    "ShapeError",
    "ThinQR",
    "TwoLayerPerceptron",
    "UnknownSampleError",
    "__version__",
    "loss_gradient_update",
    "project_out",
    "unlearn_linear",
]


def _version() -> str:
    from importlib import metadata

    try:
        return metadata.version("minnorm")
    except metadata.PackageNotFoundError:
        # A source tree on the path has no metadata; a local version label sorts below any release.
        return "0+not.installed"


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value: Any = _version()
    elif name in _HOME:
        value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
