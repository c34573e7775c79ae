"""Unlearning for any torch model: MinNorm-OG (Algorithm 1), its baselines, per-sample gradients.

Needs the extra ``torch``. ``import minnorm`` never loads this package. Inside it ``import torch``
is the library: imports are absolute.
"""

from __future__ import annotations

from ..errors import BackendError

try:
    import torch as _library  # noqa: F401
except ImportError as error:
    raise BackendError(
        "minnorm.torch needs torch, which is not installed. Install the extra: pip install "
        "'minnorm[torch]'."
    ) from error

from .baselines import GA, GD, NGD, NGP, L1Sparse, Retrain, Ridge
from .classification import NPO, SCRUB, SalUn
from .history import History, Perturbation
from .jacobian import jacobian
from .min_norm_og import MinNormOG
from .perturbed import Shrink
from .unlearner import Unlearner

METHODS: dict[str, type[Unlearner]] = {
    method.__name__: method
    for method in (
        *(Retrain, MinNormOG, GD, GA, NGP, NGD, Ridge, L1Sparse, Shrink),
        *(SCRUB, NPO, SalUn),
    )
}

__all__ = [
    "GA",
    "GD",
    "METHODS",
    "NGD",
    "NGP",
    "NPO",
    "SCRUB",
    "History",
    "L1Sparse",
    "MinNormOG",
    "Perturbation",
    "Retrain",
    "Ridge",
    "SalUn",
    "Shrink",
    "Unlearner",
    "jacobian",
]
