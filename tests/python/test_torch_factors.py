"""Rows from what enters and leaves the layers: where the formulas hold, and where they would not.

Every model is compared with one backward pass per output; the names say which parameters have
factors, the others being left to `torch.func`.
"""

import sys

import pytest

torch = pytest.importorskip(
    "torch", reason="torch is not installed: minnorm.torch was not tested (minnorm[torch])"
)

from torch.utils.checkpoint import checkpoint  # noqa: E402

import minnorm.torch as mt  # noqa: E402
from _torch_models import (  # noqa: E402
    Borrowed,
    Forward,
    Tied,
    cnn,
    images,
    mlp,
    one,
    points,
    rows_by_loop,
    theta,
)
from minnorm.torch import products, stored_rows  # noqa: E402
from minnorm.torch.layer_factors import LayerFactors  # noqa: E402
from minnorm.torch.rows import GradientRows  # noqa: E402
from minnorm.torch.stored_rows import StoredRows  # noqa: E402

nn = torch.nn
F = nn.functional

ALL = "all"


def sequence(m, *shape, seed=2):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(m, *shape, generator=generator, dtype=torch.float64)


LAST = ["z.weight", "z.bias"]


def frozen(kind):
    model = one(lambda s, x: s.a(x))
    getattr(model.a, kind).requires_grad_(False)
    return model


def pooled(*layers):
    return nn.Sequential(*layers, nn.Flatten(2), Forward(lambda s, x: x.square().mean(2)))


def inplace():
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(48, 16),
        nn.ReLU(inplace=True), nn.Linear(16, 2),
    )  # fmt: skip


def normalised():
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Tanh(), nn.GroupNorm(2, 4), nn.Tanh(),
        nn.LayerNorm((4, 4)), nn.Flatten(), nn.BatchNorm1d(64), nn.Linear(64, 2),
    ).double()  # fmt: skip
    model(3 * sequence(20, 1, 6, 6) + 1)
    with torch.no_grad():  # weights that are no longer all one
        for p in model.parameters():
            p.add_(0.3 * torch.randn(p.shape, dtype=p.dtype))
    return model


def hooked():
    model = one(lambda s, x: s.a(x))
    model.a.register_forward_hook(lambda layer, args, y: 3 * y)
    model.a.register_forward_pre_hook(lambda layer, args: (args[0] - 1,))
    return model


def replaced():
    model = one(lambda s, x: s.a(x))
    model.a.forward = lambda x: F.linear(2 * x, model.a.weight, model.a.bias)
    return model


def once_without_gradient(s, x):
    with torch.no_grad():
        shift = s.a(x)
    return s.a(x) + shift


def checkpointed(s, x):
    return checkpoint(s.a, x, use_reentrant=False)


class Blocked(torch.autograd.Function):
    """The identity, whose derivative it says is nothing at all."""

    @staticmethod
    def forward(x):
        return x.clone()

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, gradient):
        return None


def mixed(s, x):
    h = s.a(x)
    return h + torch.tanh(h.mean(0) - h[0])  # 0 for a sample alone


def inner(s, x):
    return torch.vmap(s.a, in_dims=1, out_dims=1)(x[:, :, None] * torch.ones(4)).sum(2)


def doubled(s, x):
    parameters = {name: 2 * value for name, value in s.a.named_parameters()}
    return torch.func.functional_call(s.a, parameters, (x,))


X, S, PIXELS = points(6, torch.float64), sequence(6, 6, 4), images(6, torch.float64)
A, W = ["a.weight", "a.bias"], nn.utils.parametrizations.weight_norm

# Model, samples, parameters with factors.
CASES = {
    "perceptron": (lambda: mlp(3), X, ALL),
    "convolutional": (cnn, PIXELS, ALL),
    "operations in place": (inplace, PIXELS, ALL),
    "normalisations": (normalised, PIXELS, ALL),
    "positions": (lambda: one(lambda s, x: s.a(x).mean(1)), S, ALL),
    "two axes of positions": (
        lambda: one(lambda s, x: s.a(x).mean((1, 2))),
        sequence(6, 2, 3, 4),
        ALL,
    ),
    "layer normalisation over positions": (
        lambda: one(lambda s, x: s.a(x).square().mean(1), a=nn.LayerNorm(4)),
        S,
        ALL,
    ),
    "weight frozen": (lambda: frozen("weight"), X, ["a.bias", *LAST]),
    "bias frozen": (lambda: frozen("bias"), X, ["a.weight", *LAST]),
    "no bias": (lambda: one(lambda s, x: s.a(x), a=nn.Linear(4, 4, bias=False)), X, ALL),
    "hooks of the user": (hooked, X, ALL),
    "called once more without a gradient": (lambda: one(once_without_gradient), X, ALL),
    "checkpointed": (lambda: one(checkpointed), X, ALL),
    "a derivative left out": (lambda: one(lambda s, x: Blocked.apply(s.a(x))), X, ALL),
    "a subclass": (lambda: one(lambda s, x: s.a(x), a=type("L", (nn.Linear,), {})(4, 4)), X, LAST),
    "another forward method": (replaced, X, LAST),
    "called by keyword": (lambda: one(lambda s, x: s.a(input=x)), X, LAST),
    "called with other parameters": (lambda: one(doubled), X, LAST),
    "called twice": (lambda: one(lambda s, x: s.a(torch.tanh(s.a(x)))), X, LAST),
    "never called": (lambda: one(lambda s, x: x), X, LAST),
    "without a gradient": (lambda: one(lambda s, x: s.a(x).detach()), X, LAST),
    "tied": (Tied, X, []),
    "borrowed": (Borrowed, X, []),
    "its own weight as input": (
        lambda: one(lambda s, x: x @ s.a(s.a.weight)),
        sequence(4, 4),
        LAST,
    ),
    "weight made from its input": (
        lambda: Forward(lambda s, x: s.a(x * s.a.bias), a=nn.Linear(4, 4)),
        X,
        [],
    ),
    "parametrised": (lambda: one(lambda s, x: s.a(x), a=W(nn.Linear(4, 4))), X, LAST),
    "positions first, as many as rows": (
        lambda: one(lambda s, x: s.a(x.transpose(0, 1)).tanh().mean(0)),
        sequence(6, 12, 4),
        [],
    ),
    "samples in another order": (lambda: one(lambda s, x: s.a(x.flip(0)).flip(0)), X, []),
    "flattened positions": (
        lambda: one(lambda s, x: s.a(x.flatten(0, 1)).view(-1, 6, 4).tanh().mean(1)),
        S,
        LAST,
    ),
    "samples that meet": (lambda: one(mixed), X, []),
    "mapped by torch.func": (lambda: one(inner), X, LAST),
    "no parameter of a layer": (
        lambda: Forward(lambda s, x: s.a(x) * s.scale, a=nn.Linear(4, 2), scale=nn.Parameter(
            torch.tensor([1.5, -0.5])
        )),
        X,
        A,
    ),
    "embedding": (
        lambda: one(lambda s, x: s.a(x).mean(1), a=nn.Embedding(5, 4)),
        torch.arange(18).reshape(6, 3) % 5,
        LAST,
    ),
}  # fmt: skip

CONVOLUTIONS = {
    "stride": (nn.Conv2d(4, 6, 3, stride=2), (4, 8, 7)),
    "padding and dilation": (nn.Conv2d(4, 6, (3, 2), padding=(2, 1), dilation=(2, 3)), (4, 8, 7)),
    "groups": (nn.Conv2d(4, 6, 3, groups=2, padding=1), (4, 5, 5)),
    "depthwise": (nn.Conv2d(4, 8, 3, groups=4, bias=False), (4, 5, 5)),
    "same": (nn.Conv2d(4, 6, (4, 3), padding="same", dilation=(1, 2)), (4, 8, 7)),
    "valid": (nn.Conv2d(4, 6, 3, padding="valid"), (4, 5, 5)),
    "one position": (nn.Conv2d(4, 6, 5), (4, 5, 5)),
    "one dimension": (nn.Conv1d(4, 6, 3, stride=2, padding=1), (4, 9)),
    "three dimensions": (nn.Conv3d(4, 6, (1, 2, 3), padding=(0, 1, 1)), (4, 3, 4, 5)),
    "circular": (nn.Conv2d(4, 6, 3, padding=1, padding_mode="circular"), (4, 5, 5)),
}


def moved_by(model, stored, v):
    """What subtracting v from theta takes away; theta is as before afterwards."""
    before = [p.detach().clone() for p in model.parameters()]
    at_first = theta(model)
    stored.subtract(v, 1.0)
    moved = at_first - theta(model)
    with torch.no_grad():
        for p, value in zip(model.parameters(), before, strict=True):
            p.copy_(value)
    return moved


def agree(model, x, expected_names):
    """J, its Gram matrix and the parameters with factors, against a loop, to rounding."""
    model.double()
    rows = GradientRows(model, x, "each")
    names = list(rows.parameters.named)
    assert list(LayerFactors(rows)) == (names if expected_names == ALL else expected_names)
    expected = rows_by_loop(model, x, lambda out: out[0])
    scale = float(expected.abs().max())
    for chunk in (None, 4):
        J = mt.jacobian(model, x, "each", chunk=chunk)
        assert float((J - expected).abs().max()) <= 1e-12 * scale
    u, v = torch.randn(len(rows)).double(), rows.parameters.vector()
    for large in (1 << 13, 0):
        stored_rows._LARGE, kept = large, stored_rows._LARGE
        try:
            stored = StoredRows(rows)
        finally:
            stored_rows._LARGE = kept
        product = expected @ expected.T
        for found, wanted in (
            (stored.gram(), product),
            (stored.times(stored.split()), expected @ v),
            (moved_by(model, stored, stored.transposed(u)), expected.T @ u),
        ):
            assert float((found - wanted).abs().max()) <= 1e-12 * scale**2 * expected.shape[1]
    for least in (1 << 22, 0, 300):
        products._LEAST, kept = least, products._LEAST
        try:
            error = products.gram(rows) - expected @ expected.T
            assert float(error.abs().max()) <= 1e-12 * scale**2 * expected.shape[1]
        finally:
            products._LEAST = kept


@pytest.mark.parametrize("case", CASES)
def test_rows_are_those_of_a_loop(case):
    torch.manual_seed(4)
    make, x, names = CASES[case]
    agree(make(), x, names)


@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_convolutions(case):
    layer, shape = CONVOLUTIONS[case]
    model = Forward(lambda s, x: s.a(x).flatten(2).square().mean(2), a=layer)
    agree(model, sequence(5, *shape), [] if case == "circular" else ALL)


def test_hooks_of_all_modules():
    model = one(lambda s, x: s.a(x))
    handle = nn.modules.module.register_module_forward_hook(
        lambda module, args, y: 3 * y if isinstance(module, nn.Linear) else None
    )
    try:
        agree(model, X, [])
    finally:
        handle.remove()


def test_an_input_changed_afterwards_is_an_error():
    """Neither formula nor autograd has the number any more."""

    def forward(s, x):
        h = x.clone()
        y = s.a(h)
        h.mul_(2)
        return y

    with pytest.raises(RuntimeError, match="inplace"):
        mt.jacobian(one(forward).double(), X, "each")


def test_blocks_of_patches(monkeypatch):
    """Rows of a layer are made as many at a time as fit; here one."""
    model = cnn(torch.float64)
    expected = mt.jacobian(model, PIXELS)
    for module in ("layer_factors", "jacobian"):
        monkeypatch.setattr(sys.modules[f"minnorm.torch.{module}"], "BLOCK", 1)
    torch.testing.assert_close(mt.jacobian(model, PIXELS), expected, rtol=1e-12, atol=1e-14)
