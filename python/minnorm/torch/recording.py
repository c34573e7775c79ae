"""One forward pass with a graph, what its layers saw, and whether the graph has other ways.

Invariant: a layer that `sole_passages` returns was called once in the pass, on an input that is
still what it was; every path from the scalars to its parameters comes from its output, and none
from what made its input. The input and the derivatives by the output then determine the gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node, get_gradient_edge

from .layer_rules import RULES


class Call(NamedTuple):
    """One call of a layer: its input, its output's shape and place in the graph."""

    x: Tensor
    version: int
    shape: torch.Size
    node: Node | None  # what made x, if anything that has a gradient
    edge: Any


class Recording:
    """A forward pass under hooks.

    Parameters
    ----------
    model : nn.Module
    trained : iterable of parameters
        Those that may change between the pass and its use.
    run : callable
        () -> tensor: the pass, whose outputs keep their graph.
    """

    def __init__(
        self, model: nn.Module, trained: Iterable[Tensor], run: Callable[[], Tensor]
    ) -> None:
        # None stands for a call that no rule covers.
        self.calls: dict[nn.Module, list[Call | None]] = {}
        self._parameters = list(trained)
        handles = [
            # Before the hooks of others, which may replace the output.
            layer.register_forward_hook(self._record, prepend=True)
            for layer in model.modules()
            if _follows_a_rule(layer)
        ]
        try:
            with torch.enable_grad():
                self.outputs = run()
        finally:
            for handle in handles:
                handle.remove()
        self._versions = [value._version for value in self._parameters]

    def is_current(self) -> bool:
        """Whether the parameters are still those of the pass."""
        return self._versions == [value._version for value in self._parameters]

    def _record(self, layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        # Without a graph nothing passes, and the layer counts as not called.
        if not isinstance(output, Tensor) or not output.requires_grad:
            return
        call = None
        if inputs and isinstance(inputs[0], Tensor):
            x, values = inputs[0].detach(), list(layer.parameters(recurse=False))
            dtypes = {x.dtype, output.dtype, *(value.dtype for value in values)}
            # functional_call puts other tensors in the place of the parameters.
            plain = len(dtypes) == 1 and all(value.is_leaf for value in values)
            if plain and not x.is_inference() and RULES[type(layer)].fits(layer, x):
                # The output's own edge: an operation in place moves the tensor to another.
                node = get_gradient_edge(inputs[0]).node if inputs[0].requires_grad else None
                call = Call(x, x._version, output.shape, node, get_gradient_edge(output))
        self.calls.setdefault(layer, []).append(call)

    def sole_passages(self, scalars: Tensor) -> tuple[dict[nn.Module, Call], tuple[Any, ...]]:
        """The layers of the invariant with their calls, and a signature of the graph.

        Cost: one walk over the nodes of the graph.
        """
        graph = Graph(scalars)
        once: dict[nn.Module, Call] = {}
        for layer, calls in self.calls.items():
            call = calls[0]
            if len(calls) > 1 or call is None or call.x._version != call.version:
                continue
            trained = [p for p in layer.parameters(recurse=False) if p.requires_grad]
            if trained and all(graph.leads_through(p, call) for p in trained):
                once[layer] = call
        return once, graph.signature


def _follows_a_rule(layer: nn.Module) -> bool:
    """Exactly a known type with the forward method of that type."""
    if type(layer) not in RULES or "forward" in vars(layer):
        return False
    # Hooks of all modules run before those of one.
    return not getattr(nn.modules.module, "_global_forward_hooks", None)


class Graph:
    """The graph behind a tensor, with the nodes that use each node."""

    def __init__(self, scalars: Tensor) -> None:
        root = scalars.grad_fn
        order: dict[Node, int] = {root: 0} if root is not None else {}
        self._root = root
        self._users: dict[Node, list[Node]] = {node: [] for node in order}
        names: list[Any] = []
        waiting = list(order)
        while waiting:
            node = waiting.pop()
            names.append((order[node], node.name()))
            for following, _ in node.next_functions:
                if following is None:
                    names.append(None)
                    continue
                if following not in order:
                    order[following] = len(order)
                    self._users[following] = []
                    waiting.append(following)
                names.append(order[following])
                self._users[following].append(node)
        self.signature = tuple(names)

    def leads_through(self, parameter: Tensor, call: Call) -> bool:
        """Whether the graph leads to the parameter by this call alone, and not behind its input."""
        leaf = get_gradient_edge(parameter).node
        if leaf not in self._users:
            return False
        seen, waiting = {leaf}, [leaf]
        while waiting:
            node = waiting.pop()
            if node is self._root or node is call.node:
                return False
            for user in self._users[node]:
                if user is not call.edge.node and user not in seen:
                    seen.add(user)
                    waiting.append(user)
        return True


def shapes(calls: Iterable[Call]) -> tuple[Any, ...]:
    """Of inputs and outputs, but for their first axes."""
    return tuple((call.x.shape[1:], call.shape[1:]) for call in calls)
