"""MinNorm-OG: theta is pulled towards zero along what no retained output depends on."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn

from ..errors import InputError
from .batches import choose, part
from .checks import at_least
from .perturbed import Perturbed
from .projection import Projected, Projection
from .restoration import Restoration, row_targets
from .rows import GradientRows, Output, Proved, checked_output
from .unlearner import Step

# Steps of restoration where none are asked for: five did better than three on the development seeds
# of Data Poisoning, ten little better than five.
_STEPS = 5


class MinNormOG(Perturbed):
    """Algorithm 1: ``theta <- theta - s P theta``, then a descent step on the retained loss.

    P projects off the span of the model gradients of retained samples, so to first order no
    retained output changes while ``||theta||`` falls: the iterates move towards the retained
    data's interpolator of least norm.

    Parameters
    ----------
    model : torch.nn.Module
        Interpolating, or nearly. Changed in place; frozen parameters stay.
    lr : float, default 1e-3
        Of the descent.
    lambda_reg : float, default 0.1
        Strength s = 1 / (1 + lambda) of the first perturbation, in (0, 1].
    gamma_reg : float, default 0.9
        Factor on the strength after each perturbation, in (0, 1].
    n_pert : int or None, default None
        Retained samples of the batch whose gradients span; as many of each class as possible.
        None takes the batch.
    t_proj : int, default 1
        Every ``t_proj``-th epoch has perturbations, one per batch, beginning with the first.
    t_gd : int, default 0
        None in the last ``t_gd`` epochs.
    rtol : float or None, default 1e-6
        Rank tolerance as in `minnorm.JacobianProjector`. The gradients of retained samples are
        nearly dependent: the many directions that they barely span are a large part of what has to
        be unlearned, and a step along them changes outputs by little. None keeps all of them.
    damping : float, default 1e-5
        tau of ``theta - J^T (J J^T + tau sigma^2 I)^-1 J theta``, sigma^2 the largest eigenvalue
        of ``J J^T``: the smooth form of ``rtol``.
    restore : int or None, default None
        Gauss-Newton steps of least norm after each perturbation,
        ``theta + J^T (J J^T + mu I)^-1 (y - f(theta))``, each kept only if it lessens the squared
        error of the chosen samples. For floating-point targets and the squared error. None takes 5
        there and 0 for other targets, losses and outputs.
    order : {"project_first", "descend_first"}, default "project_first"
        As in Algorithm 1, or as in the paper's experiments.
    projection : {"dense", "matrix_free"}, default "dense"
        "dense" stores J (m, d) where the model is, the weights of large linear layers by what
        entered and left them. Below ``rtol=1e-10``, where a Gram matrix does not resolve it, and
        for parameters of half precision, J is copied to the CPU for `minnorm.project_out`.
        "matrix_free" stores nothing but m x m numbers and a few copies of theta; the results agree
        but for rounding. It resolves a condition number of the rows of 1e7.
    output : {"auto", "each", "largest"} or callable, default "auto"
        Which outputs have gradients, as in `jacobian`; "auto" is "largest" where the targets are
        class indices, "each" where they are floating-point numbers.
    chunk : int or None, default None
        Rows of J computed together in the dense mode.
    backend : {"auto", "native", "scipy"}, default "auto"
        "native" and "scipy" use `minnorm.project_out` with that backend for every ``rtol``.
    loss, optimizer, seed
        As for every method: ``loss="auto"``, ``optimizer=torch.optim.AdamW``, ``seed=0``.

    Attributes
    ----------
    history_ : History
        Loss and ``||theta||`` per epoch; strength, rank and orthogonality per perturbation.

    Raises
    ------
    InputError, ShapeError
        Arguments outside their domains. From ``run``: a schedule without any perturbation, batches
        without samples, gradients that are not finite.

    Notes
    -----
    The step minimises ``||theta + Delta||^2 + lambda ||Delta||^2`` over Delta orthogonal to the
    gradients (Appendix E of Block, Mokhtari and Shakkottai, arXiv 2505.22601). Gradients are taken
    in eval mode: running statistics stay, dropout is off. The forward pass of the descent follows
    the projection, never the other way round. Algorithm 1 as published is ``rtol=None``,
    ``damping=0.0`` and ``restore=0``. Cost of a perturbation with m rows: m passes forward
    and back, m^2 d flops; as much again for every step of restoration; dense memory m d.

    Examples
    --------
    >>> import torch
    >>> from minnorm.torch import MinNormOG
    >>> _ = torch.manual_seed(0)
    >>> model = torch.nn.Linear(3, 1, bias=False)
    >>> x = torch.eye(3)[:2]
    >>> y = model(x).detach()
    >>> history = MinNormOG(model, lambda_reg=1.0).run([(x, y)], epochs=1)
    >>> history.perturbations[0].rank, abs(model.weight[0, 2].item()) < 1e-6
    (2, True)
    """

    def __init__(
        self,
        model: nn.Module,
        lr: float = 1e-3,
        *,
        n_pert: int | None = None,
        rtol: float | None = 1e-6,
        damping: float = 1e-5,
        restore: int | None = None,
        projection: str = "dense",
        output: Output = "auto",
        chunk: int | None = None,
        backend: str = "auto",
        **options: Any,
    ) -> None:
        super().__init__(model, lr, **options)
        self.n_pert = None if n_pert is None else at_least(n_pert, 1, "n_pert")
        self.output = checked_output(output)
        rows = None if chunk is None else at_least(chunk, 1, "chunk")
        self.projection = Projection(projection, rtol, damping, backend, rows)
        self._record = chunk is None
        squares = self.loss == "auto" and self.output in ("auto", "each")
        self.restore = restore
        if restore is None and not squares:
            self.restore = 0
        elif restore is not None and at_least(restore, 0, "restore") and not squares:
            raise InputError(
                "restore takes steps on the squared error of every output: expected loss='auto' "
                "and output 'auto' or 'each'. Set restore=0 for other losses."
            )

    def _begin(self, epochs: int, forget_loader: Iterable[Any] | None) -> None:
        super()._begin(epochs, forget_loader)
        self._proved: Proved = {}
        self._restoration = Restoration(_STEPS if self.restore is None else self.restore)

    def _perturb(self, step: Step, strength: float) -> Projected:
        batch, output = step.retain, self.output
        numbers = isinstance(batch.targets, Tensor) and batch.targets.is_floating_point()
        if output == "auto" and batch.labels is not None:
            output = "largest"
        elif output == "auto" and numbers:
            output = "each"
        positions = choose(batch, self.n_pert, self.generator)
        rows = GradientRows(self.model, part(batch, positions), output, self._record, self._proved)
        done = self.projection.perturb(rows, strength)
        if self.restore == 0 or (self.restore is None and not numbers):
            return done
        targets = row_targets(rows, batch.targets, positions)
        return dataclasses.replace(done, restored=self._restoration.restore(rows, targets))
