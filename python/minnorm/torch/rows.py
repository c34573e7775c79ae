"""Which scalars of a model's output are differentiated: one row of the Jacobian each.

Invariant: row i is the gradient of ``outputs[sample_i, column_i]``, with ``column_i`` fixed when
the rows were chosen: a product with J sees the same function as J itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from .._validation import one_of
from ..errors import InputError, ShapeError
from .parameters import Named, Parameters, evaluating
from .recording import Recording

OUTPUTS = ("auto", "each", "largest")

Output = str | Callable[[Any], Tensor]

# Graph and shapes -> whether samples were seen to have positions of their own in all layers.
Proved = dict[Any, bool]


def checked_output(output: Any) -> Output:
    """A callable, or one of the names."""
    return output if callable(output) else one_of(output, OUTPUTS, "output")


def as_inputs(inputs: Any, device: torch.device) -> tuple[Tensor, ...]:
    """The model's arguments, samples along the first axis of each, on its device."""
    given = tuple(inputs) if isinstance(inputs, tuple | list) else (inputs,)
    if not given or not all(isinstance(x, Tensor) and x.ndim for x in given):
        raise InputError(
            f"inputs must be a tensor of samples, or a tuple of such for a model with several "
            f"arguments; got {type(inputs).__name__}."
        )
    lengths = {len(x) for x in given}
    if len(lengths) > 1:
        raise ShapeError(f"all inputs must hold the same number of samples; got {sorted(lengths)}.")
    if lengths == {0}:
        raise InputError(
            "inputs hold no sample: expected at least one gradient. Check how they were selected; "
            "to an empty span every direction is orthogonal."
        )
    return tuple(x.to(device) for x in given)


def _check_samples_independent(model: nn.Module) -> None:
    for name, module in model.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is None:
            raise InputError(
                f"the output of a sample must not depend on the others; {name} normalises by the "
                f"batch, having no running statistics. Create it with track_running_stats=True, "
                f"or use a GroupNorm."
            )


class GradientRows:
    """The rows of the Jacobian at the model's present parameters, and how to evaluate them.

    Parameters
    ----------
    model : nn.Module
    inputs : tensor (n, ...) or tuple of such
    output : {"auto", "each", "largest"} or callable
        As in `jacobian`.
    record : bool
        Keep the graph of the pass that chooses the outputs for the first `recorded`, where every
        sample has one row. Holds the activations of all samples until then.
    proved : dict, optional
        What `LayerFactors` has found out about graphs, to be shared by the rows of one run.
    """

    def __init__(
        self,
        model: nn.Module,
        inputs: Any,
        output: Output = "auto",
        record: bool = False,
        proved: Proved | None = None,
    ) -> None:
        self.output = checked_output(output)
        self.model, self.parameters = model, Parameters(model)
        _check_samples_independent(model)
        self.inputs = as_inputs(inputs, self.parameters.device)
        self.proved: Proved = {} if proved is None else proved
        self._recording: Recording | None = None
        n = len(self.inputs[0])
        if record:
            recording = self._pass(self.inputs)
            outputs = recording.outputs.detach()
        else:
            with torch.no_grad(), evaluating(model):
                outputs = self._scalars(model(*self.inputs), n)
        r = outputs.shape[1]
        if self.output == "largest" or (self.output == "auto" and r > 1):
            self.samples, self.columns = torch.arange(n), outputs.argmax(1)
        else:
            self.samples = torch.arange(n).repeat_interleave(r)
            self.columns = torch.arange(r, device=outputs.device).repeat(n)
        self.samples = self.samples.to(self.parameters.device)
        if record and len(self) == n:
            self._recording = recording

    def __len__(self) -> int:
        return len(self.samples)

    def _scalars(self, outputs: Any, n: int) -> Tensor:
        """(n, r): the numbers of each sample that may be differentiated."""
        if callable(self.output):
            outputs = self.output(outputs)
        if not isinstance(outputs, Tensor):
            raise InputError(
                f"the model must return a tensor of outputs; got {type(outputs).__name__}. For "
                f"several heads pass a callable as output, from what the model returns to a "
                f"tensor (samples,) or (samples, numbers)."
            )
        if outputs.ndim == 0 or len(outputs) != n:
            raise ShapeError(
                f"the outputs must have one row per sample: expected {n}, got shape "
                f"{tuple(outputs.shape)}."
            )
        return outputs.reshape(n, -1)

    def values(self, theta: Named) -> Tensor:
        """The scalars (m,) at the parameters theta, in one forward pass of all samples."""
        outputs = self._scalars(
            functional_call(self.model, dict(theta), self.inputs), len(self.inputs[0])
        )
        return outputs[self.samples, self.columns]

    @property
    def is_recorded(self) -> bool:
        """Whether the next `recorded` of all rows needs no new pass."""
        return self._recording is not None

    def recorded(self, start: int, stop: int) -> tuple[Recording, Tensor]:
        """A pass with a graph in which no two rows share activations, and rows start .. stop - 1.

        The pass that chose the outputs where it was kept, on the first call; else a new one.
        """
        kept, self._recording = self._recording, None
        if kept is None or not kept.is_current() or (start, stop) != (0, len(self)):
            samples = self.samples[start:stop]
            kept = self._pass(tuple(x[samples] for x in self.inputs))
        with torch.enable_grad():
            return kept, kept.outputs.gather(1, self.columns[start:stop, None])[:, 0]

    def _pass(self, inputs: tuple[Tensor, ...]) -> Recording:
        def run() -> Tensor:
            return self._scalars(self.model(*inputs), len(inputs[0]))

        with evaluating(self.model):
            return Recording(self.model, self.parameters.named.values(), run)

    def block(self, start: int, stop: int, names: Sequence[str]) -> dict[str, Tensor]:
        """Rows start .. stop - 1 in the columns of these parameters, (rows, *shape) each."""
        theta = self.parameters.detached()
        moving = {name: theta[name] for name in names}

        def scalar(part: Named, column: Tensor, *x: Tensor) -> Tensor:
            outputs = functional_call(
                self.model, {**theta, **part}, tuple(sample.unsqueeze(0) for sample in x)
            )
            return self._scalars(outputs, 1)[0].gather(0, column.reshape(1))[0]

        samples = self.samples[start:stop]
        inputs = tuple(x[samples] for x in self.inputs)
        axes = (None, 0, *(0 for _ in inputs))
        with evaluating(self.model):
            return vmap(grad(scalar), in_dims=axes)(moving, self.columns[start:stop], *inputs)
