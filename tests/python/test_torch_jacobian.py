"""Per-sample gradients equal those of one backward pass per output, for models of every kind."""

import copy

import pytest

torch = pytest.importorskip(
    "torch", reason="torch is not installed: minnorm.torch was not tested (minnorm[torch])"
)

import minnorm.torch as mt  # noqa: E402
from _torch_models import (  # noqa: E402
    Attention,
    Borrowed,
    Tied,
    TwoHeads,
    cnn,
    images,
    mlp,
    points,
    rows_by_loop,
    state,
    theta,
)
from minnorm import InputError, ShapeError  # noqa: E402
from minnorm.torch import products  # noqa: E402
from minnorm.torch.rows import GradientRows  # noqa: E402

nn = torch.nn


def frozen():
    model = mlp(2)
    model[0].requires_grad_(False)
    return model


def convolutional():
    return cnn(torch.float64)


# Model, samples, output, and the scalars of one sample's outputs that are differentiated.
CASES = {
    "regression": (mlp, points(7), "auto", lambda out: out[0]),
    "two outputs": (lambda: mlp(2), points(7), "each", lambda out: out[0]),
    "classes": (lambda: mlp(5), points(7), "auto", lambda out: out.max(1).values),
    "float64": (
        lambda: mlp(5, torch.float64),
        points(7, torch.float64),
        "largest",
        lambda out: out.max(1).values,
    ),
    "convolutional": (
        convolutional,
        images(7, torch.float64),
        "auto",
        lambda out: out.max(1).values,
    ),
    "frozen layer": (frozen, points(7), "each", lambda out: out[0]),
    "tied weights": (Tied, points(7), "each", lambda out: out[0]),
    "borrowed weight": (Borrowed, points(7), "each", lambda out: out[0]),
    "positions": (Attention, points(7), "each", lambda out: out[0]),
    "two heads": (
        TwoHeads,
        points(7),
        lambda out: torch.stack([head.max(1).values for head in out], 1),
        lambda out: torch.stack([head.max(1).values[0] for head in out]),
    ),
    "one scalar of two heads": (
        TwoHeads,
        points(7),
        lambda out: out[0].square().sum(1) + out[1][:, 0],
        lambda out: out[0].square().sum(1) + out[1][:, 0],
    ),
}


@pytest.fixture(params=CASES, ids=str)
def case(request):
    torch.manual_seed(3)
    make, x, output, scalars = CASES[request.param]
    return make(), x, output, scalars


@pytest.mark.parametrize("chunk", [None, 1, 3])
def test_equal_to_a_loop_of_backward_passes(case, chunk):
    model, x, output, scalars = case
    expected = rows_by_loop(model, x, scalars)
    J = mt.jacobian(model, x, output, chunk=chunk)
    assert J.shape == expected.shape == (len(expected), theta(model).numel())
    assert J.dtype == next(model.parameters()).dtype and not J.requires_grad
    torch.testing.assert_close(J, expected)


def test_products_are_those_of_the_matrix(case):
    model, x, output, _ = case
    rows = GradientRows(model, x, output)
    J = mt.jacobian(model, x, output)
    v, u = torch.randn(J.shape[1], dtype=J.dtype), torch.randn(len(J), dtype=J.dtype)
    slices = torch.split(v, list(rows.parameters.sizes.values()))
    named = rows.parameters.named.items()
    parts = {name: w.reshape(p.shape) for (name, p), w in zip(named, slices, strict=True)}
    torch.testing.assert_close(products.times(rows, parts), J @ v)
    pulled = products.transposed(rows, u)
    torch.testing.assert_close(torch.cat([g.reshape(-1) for g in pulled.values()]), J.T @ u)
    wide = J.double()
    for least in (1 << 22, 0, 600):  # all at once; pairs of blocks; something of both
        products._LEAST, kept = least, products._LEAST
        try:
            torch.testing.assert_close(products.gram(rows), wide @ wide.T, rtol=1e-5, atol=1e-5)
        finally:
            products._LEAST = kept


def test_nothing_of_the_model_changes():
    """Running statistics, modes, parameters and .grad are as before."""
    model = cnn().train()
    model[1].eval()
    before, modes = state(model), [m.training for m in model.modules()]
    mt.jacobian(model, images(5))
    products.gram(GradientRows(model, images(5)))
    assert [m.training for m in model.modules()] == modes
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_several_arguments():
    class Product(nn.Module):
        def __init__(self):
            super().__init__()
            self.left, self.right = nn.Linear(4, 3, bias=False), nn.Linear(4, 3, bias=False)

        def forward(self, x, z):
            return (self.left(x) * self.right(z)).sum(1)

    model, x, z = Product(), points(5), points(5, seed=2)
    J = mt.jacobian(model, (x, z))
    expected = model.right(z)[:, :, None] * x[:, None, :]
    torch.testing.assert_close(J[:, :12], expected.reshape(5, 12).detach())
    with pytest.raises(ShapeError, match="same number of samples"):
        mt.jacobian(model, (x, z[:2]))


def test_half_precision():
    model = mlp(3).to(torch.bfloat16)
    J = mt.jacobian(model, points(4, torch.bfloat16))
    expected = mt.jacobian(copy.deepcopy(model).float(), points(4, torch.bfloat16).float())
    assert J.dtype == torch.bfloat16
    torch.testing.assert_close(J.float(), expected, rtol=0.1, atol=0.05)


def test_errors_say_what_to_do():
    model = mlp(2)
    with pytest.raises(InputError, match="no sample"):
        mt.jacobian(model, points(0))
    with pytest.raises(InputError, match="requires_grad_"):
        mt.jacobian(mlp().requires_grad_(False), points(2))
    with pytest.raises(InputError, match="several heads"):
        mt.jacobian(TwoHeads(), points(2))
    with pytest.raises(ShapeError, match="one row per sample"):
        mt.jacobian(model, points(3), lambda out: out.sum(0))
    with pytest.raises(InputError, match="track_running_stats"):
        mt.jacobian(nn.BatchNorm1d(4, track_running_stats=False), points(3))
    with pytest.raises(InputError, match="'largest'"):
        mt.jacobian(model, points(3), "biggest")
    with pytest.raises(InputError, match="chunk"):
        mt.jacobian(model, points(3), chunk=0)
    with pytest.raises(InputError, match=r"torch\.nn\.Module"):
        mt.jacobian(lambda x: x, points(3))
    with pytest.raises(InputError, match="tensor of samples"):
        mt.jacobian(model, [[1.0, 2.0, 3.0, 4.0]])
