"""MinNorm-OG: the projection in both modes, and what is refused."""

import copy

import numpy as np
import pytest

torch = pytest.importorskip(
    "torch", reason="torch is not installed: minnorm.torch was not tested (minnorm[torch])"
)

import minnorm.torch as mt  # noqa: E402
from _torch_models import (  # noqa: E402
    Still,
    Tied,
    TwoHeads,
    classes,
    cnn,
    images,
    mlp,
    perturbed,
    points,
    state,
    theta,
)
from minnorm import InputError, ShapeError, project_out  # noqa: E402

nn = torch.nn

BOTH = pytest.mark.parametrize("projection", ["dense", "matrix_free"])


# The projection ------------------------------------------------------------------------------


@BOTH
def test_one_perturbation_is_the_formula(projection):
    model = mlp(3, torch.float64)
    x, y, before = points(10, torch.float64), classes(10), theta(model)
    J = mt.jacobian(model, x).numpy()
    history = perturbed(model, [(x, y)], lambda_reg=0.3, rtol=None, projection=projection)
    basis = np.linalg.svd(J, full_matrices=False)[2]
    v = before.numpy()
    expected = v - 0.3 * (v - basis.T @ (basis @ v))
    np.testing.assert_allclose(theta(model).numpy(), expected, atol=1e-12)
    moved = (theta(model) - before).numpy()
    assert np.linalg.norm(J @ moved) <= 1e-13 * np.linalg.norm(J, 2) * np.linalg.norm(v)
    (done,) = history.perturbations
    assert (done.rank, done.n_rows, done.strength) == (10, 10, 0.3)
    assert done.orthogonality <= 1e-14
    assert done.norm == pytest.approx(float(theta(model).norm()))


@BOTH
def test_duplicates_change_nothing(projection):
    model = mlp(1, torch.float64)
    twin, x = copy.deepcopy(model), points(6, torch.float64)
    y = model(x).detach()
    once = perturbed(model, [(x, y)], projection=projection)
    again = perturbed(
        twin, [(torch.cat([x, x, x[:2]]), torch.cat([y, y, y[:2]]))], projection=projection
    )
    assert once.perturbations[0].rank == again.perturbations[0].rank
    torch.testing.assert_close(theta(model), theta(twin), rtol=0, atol=1e-10)


@BOTH
@pytest.mark.parametrize("setting", [{"damping": 1e-3, "rtol": None}, {"rtol": 1e-2}, {}])
def test_damping_and_truncation_are_those_of_the_projector(projection, setting):
    model = mlp(1, torch.float64)
    x, v = points(12, torch.float64), theta(model)
    J = mt.jacobian(model, x)
    damping = setting.get("damping", 0.0)
    expected = project_out(
        J,
        v,
        strength=1.0,
        rtol=setting.get("rtol", 1e-6),
        damping=damping,
        damping_relative=True,
    )
    both = {"damping": 1e-3, "rtol": 1e-2}
    wanted = project_out(J, v, strength=1.0, rtol=1e-2, damping=1e-3, damping_relative=True)
    for options, target in ((setting, expected), (both, wanted)):
        twin = copy.deepcopy(model)
        perturbed(twin, [(x, model(x).detach())], lambda_reg=1.0, projection=projection, **options)
        torch.testing.assert_close(theta(twin), target, rtol=0, atol=1e-11)


@pytest.mark.parametrize("damping", [0.0, 1e-5])
@pytest.mark.parametrize("backend", ["native", "scipy"])
def test_the_dense_mode_is_project_out(backend, damping):
    """By the Gram matrix or by the projector: the same step, rank and orthogonality."""
    model = cnn(torch.float64)
    x, results = images(30, torch.float64), []
    for chosen in ("auto", backend):
        twin = copy.deepcopy(model)
        history = perturbed(
            twin, [(x, classes(30))], lambda_reg=0.5, damping=damping, backend=chosen
        )
        (done,) = history.perturbations
        results.append((theta(twin), done.rank, done.orthogonality))
    (a, rank, left), (b, expected_rank, expected_left) = results
    torch.testing.assert_close(a, b, rtol=0, atol=1e-11)
    assert rank == expected_rank and left == pytest.approx(expected_left, rel=1e-3, abs=1e-14)


def trained(make, x, y, epochs=60):
    model = make()
    mt.GD(model, 1e-2).run([(x, y)], epochs)
    return model


@pytest.mark.parametrize("kind", ["mlp", "cnn"])
@pytest.mark.parametrize("setting", [{}, {"damping": 1e-4}])
def test_dense_and_matrix_free_agree(kind, setting):
    """After five perturbations with descent between them, to 1e-5 of ||theta||."""
    x, y = (points(40), classes(40)) if kind == "mlp" else (images(40), classes(40))
    model = trained(lambda: mlp(3) if kind == "mlp" else cnn(), x, y)
    results = []
    for projection in ("dense", "matrix_free"):
        twin = copy.deepcopy(model)
        torch.manual_seed(0)  # of dropout
        history = mt.MinNormOG(twin, 1e-3, n_pert=30, projection=projection, **setting).run(
            [(x, y)], 5
        )
        assert len(history.perturbations) == 5
        results.append(theta(twin))
    dense, free = results
    assert float((dense - free).norm()) <= 1e-5 * float(dense.norm())
    assert float((dense - theta(model)).norm()) > 1e-2 * float(dense.norm())


@BOTH
def test_frozen_and_tied_parameters(projection):
    model = Tied()
    model.decoder.bias.requires_grad_(False)
    before, x = model.decoder.bias.clone(), points(3)
    perturbed(model, [(x, model(x).detach())], projection=projection, epochs=2)
    assert torch.equal(model.decoder.bias, before)
    assert model.decoder.weight is model.encoder.weight


@BOTH
def test_several_heads(projection):
    model = TwoHeads()
    x = points(5)

    def loss(outputs, targets):
        return sum(nn.functional.cross_entropy(o, t) for o, t in zip(outputs, targets, strict=True))

    history = perturbed(
        model,
        [(x, (classes(5), classes(5, 2)))],
        loss=loss,
        output=lambda out: torch.stack([head.max(1).values for head in out], 1),
        projection=projection,
    )
    assert history.perturbations[0].n_rows == 10


class Recurrent(nn.Module):
    """An operation without forward-mode differentiation."""

    def __init__(self):
        super().__init__()
        self.lstm, self.out = nn.LSTM(4, 5, batch_first=True), nn.Linear(5, 2)

    def forward(self, x):
        return self.out(self.lstm(x)[0][:, -1])


def attention():
    torch.manual_seed(1)
    encoder = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
    return nn.Sequential(nn.Embedding(11, 4), encoder, nn.Flatten(), nn.Linear(24, 2))


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "make, x",
    [
        (Recurrent, torch.randn(3, 6, 4, generator=torch.Generator().manual_seed(1))),
        (attention, torch.arange(18).reshape(3, 6) % 11),
    ],
    ids=["recurrent", "attention"],
)
def test_models_without_forward_mode(make, x):
    torch.manual_seed(0)
    model, results = make(), []
    for projection in ("dense", "matrix_free"):
        twin = copy.deepcopy(model)
        perturbed(twin, [(x, torch.tensor([0, 1, 0]))], epochs=2, projection=projection)
        results.append(theta(twin))
    torch.testing.assert_close(*results, rtol=0, atol=1e-6)


@BOTH
def test_running_statistics_come_from_descent_alone(projection):
    model = cnn()
    twin, x, y = copy.deepcopy(model), images(12), classes(12)
    perturbed(model, [(x, y)], lambda_reg=1e-9, projection=projection)
    mt.GD(twin, optimizer=Still).run([(x, y)], 1)
    for name, value in twin.named_buffers():
        torch.testing.assert_close(value, dict(model.named_buffers())[name])


# What is refused -----------------------------------------------------------------------------


def test_errors_say_what_to_do():
    model, x, y = mlp(), points(4), torch.zeros(4, 1)
    for options, match in (
        ({"n_pert": 0}, "n_pert"),
        ({"lambda_reg": 0.0}, "lambda_reg"),
        ({"lambda_reg": 1.5}, "lambda_reg"),
        ({"gamma_reg": 2.0}, "gamma_reg"),
        ({"t_proj": 0}, "t_proj"),
        ({"order": "both"}, "order"),
        ({"projection": "sparse"}, "projection"),
        ({"damping": -1.0}, "damping"),
        ({"rtol": 1.0}, "rtol"),
        ({"lr": 0.0}, "lr"),
        ({"loss": "squares"}, "loss"),
        ({"seed": -1}, "seed"),
    ):
        with pytest.raises(InputError, match=match):
            mt.MinNormOG(model, **options)
    method = mt.MinNormOG(model, t_gd=5)
    with pytest.raises(InputError, match="t_gd must leave"):
        method.run([(x, y)], 5)
    method = mt.MinNormOG(model)
    with pytest.raises(InputError, match="epochs"):
        method.run([(x, y)], 0)
    with pytest.raises(InputError, match="no batch"):
        method.run([], 1)
    with pytest.raises(InputError, match="no sample"):
        method.run([(x[:0], y[:0])], 1)
    with pytest.raises(InputError, match="used up"):
        method.run(iter([(x, y)]), 1)
    with pytest.raises(InputError, match="pairs"):
        method.run([x], 1)
    with pytest.raises(InputError, match="iterable"):
        method.run(3, 1)
    with pytest.raises(ShapeError, match="shape of the outputs"):
        method.run([(x, y[:, 0])], 1)


@BOTH
def test_diverged_parameters_are_an_error(projection):
    model = mlp()
    with torch.no_grad():
        model[0].weight[0, 0] = float("nan")
    with pytest.raises(InputError, match=r"finite|NaN"):
        perturbed(model, [(points(4), torch.zeros(4, 1))], projection=projection)


def test_modes_come_back_and_callbacks_see_every_epoch():
    model = cnn().eval()
    seen = []
    before = state(model)
    method = mt.MinNormOG(model)
    history = method.run(
        [(images(6), classes(6))], 3, callback=lambda epoch, h: seen.append((epoch, len(h.loss)))
    )
    assert seen == [(0, 1), (1, 2), (2, 3)]
    assert not any(module.training for module in model.modules())
    assert method.history_ is history and "3 perturbations" in str(history)
    assert not torch.equal(before["1.running_mean"], model[1].running_mean)


def test_progress_on_request(capsys):
    mt.GD(mlp()).run([(points(4), torch.zeros(4, 1))], 3, progress=True)
    assert "GD  3/3" in capsys.readouterr().err
    mt.GD(mlp()).run([(points(4), torch.zeros(4, 1))], 3)
    assert capsys.readouterr().err == ""
