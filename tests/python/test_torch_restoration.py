"""Restoration of interpolation: steps of least norm that never make the fit worse."""

import copy

import numpy as np
import pytest

torch = pytest.importorskip(
    "torch", reason="torch is not installed: minnorm.torch was not tested (minnorm[torch])"
)

import minnorm.torch as mt  # noqa: E402
from _torch_models import classes, mlp, perturbed, points, theta  # noqa: E402
from minnorm import InputError, ShapeError  # noqa: E402
from minnorm.torch import restoration  # noqa: E402
from minnorm.torch.rows import GradientRows  # noqa: E402

nn = torch.nn

BOTH = pytest.mark.parametrize("projection", ["dense", "matrix_free"])


def squared_error(model, x, y):
    model.eval()
    with torch.no_grad():
        return float((model(x) - y).square().sum())


def fitted(outputs=1, dtype=torch.float64):
    model, x = mlp(outputs, dtype), points(8, dtype)
    return model, x, model(x).detach()


@BOTH
@pytest.mark.parametrize("outputs", [1, 3])
def test_what_the_perturbation_broke_is_mended(projection, outputs):
    model, x, y = fitted(outputs)
    twin = copy.deepcopy(model)
    perturbed(model, [(x, y)], lambda_reg=0.5, projection=projection)
    history = perturbed(twin, [(x, y)], lambda_reg=0.5, restore=6, projection=projection)
    before, after = squared_error(model, x, y), squared_error(twin, x, y)
    assert after < 1e-3 * before
    assert history.perturbations[0].restored == pytest.approx(after / before, rel=1e-6)
    assert history.perturbations[0].norm == pytest.approx(float(theta(twin).norm()))


def test_the_step_is_the_formula():
    """One step on a linear model, where J is the design matrix: J^T (J J^T + mu I)^-1 r."""
    model = nn.Linear(4, 1, bias=False).double()
    x, y = points(3, torch.float64), torch.ones(3, 1, dtype=torch.float64)
    before = theta(model).numpy()
    rows = GradientRows(model, x, "each")
    found = restoration.Restoration(1)
    mu = found.mu
    left = found.restore(rows, restoration.row_targets(rows, y, torch.arange(3)))
    J, r = x.numpy(), 1.0 - x.numpy() @ before
    damped = J @ J.T + mu * np.linalg.norm(J, 2) ** 2 * np.eye(3)
    np.testing.assert_allclose(theta(model), before + J.T @ np.linalg.solve(damped, r), rtol=1e-9)
    assert left == pytest.approx(squared_error(model, x, y) / (r @ r), rel=1e-9)
    assert found.mu < mu


@BOTH
def test_a_step_that_makes_it_worse_is_not_taken(projection, monkeypatch):
    model, x, y = fitted()
    twin = copy.deepcopy(model)
    perturbed(model, [(x, y)], lambda_reg=0.5, projection=projection)
    true, tried = restoration.products.transposed, []

    def far_too_far(rows, u):
        tried.append(u)
        return {name: 1e6 * part for name, part in true(rows, u).items()}

    method = mt.MinNormOG(twin, lambda_reg=0.5, restore=3, damping=0.0, projection=projection)
    project = method.projection.perturb

    def then_overshoot(rows, strength):
        done = project(rows, strength)
        monkeypatch.setattr(restoration.products, "transposed", far_too_far)
        return done

    monkeypatch.setattr(method.projection, "perturb", then_overshoot)
    method.optimizer = lambda parameters, lr: torch.optim.SGD(parameters, lr=0.0)
    history = method.run([(x, y)], 1)
    assert history.perturbations[0].restored == 1.0 and len(tried) > 1
    assert float(tried[-1].norm()) < float(tried[0].norm())
    assert torch.equal(theta(twin), theta(model))


def test_rows_are_those_chosen():
    """With n_pert below the batch the targets are those of the samples chosen."""
    model, x, y = fitted()
    history = perturbed(model, [(x, y)], lambda_reg=0.5, restore=8, n_pert=4)
    assert history.perturbations[0].n_rows == 4
    assert history.perturbations[0].restored < 1e-3


def test_dense_and_matrix_free_agree():
    model, x, y = fitted(3)
    results = []
    for projection in ("dense", "matrix_free"):
        twin = copy.deepcopy(model)
        mt.MinNormOG(twin, 1e-3, restore=2, projection=projection).run([(x, y)], 5)
        results.append(theta(twin))
    assert float((results[0] - results[1]).norm()) <= 1e-5 * float(results[0].norm())


def test_the_default_restores_where_it_can():
    model, x, y = fitted(3)
    twin, other = copy.deepcopy(model), copy.deepcopy(model)
    (done,) = mt.MinNormOG(model).run([(x, y)], 1).perturbations
    assert done.restored < 0.5
    for method in (
        mt.MinNormOG(twin, loss=lambda outputs, targets: (outputs - targets).square().mean()),
        mt.MinNormOG(other, output="largest"),
    ):
        assert method.run([(x, y)], 1).perturbations[0].restored == 1.0
    (done,) = mt.MinNormOG(other).run([(x, classes(8))], 1).perturbations
    assert done.restored == 1.0


def test_errors_say_what_to_do():
    model, x, y = fitted(3)
    with pytest.raises(InputError, match="restore must be an integer"):
        mt.MinNormOG(model, restore=-1)
    with pytest.raises(InputError, match="squared error"):
        mt.MinNormOG(model, restore=1, loss=nn.functional.l1_loss)
    with pytest.raises(InputError, match="squared error"):
        mt.MinNormOG(model, restore=1, output="largest")
    with pytest.raises(InputError, match="restore=0"):
        mt.MinNormOG(model, restore=1).run([(x, classes(8))], 1)
    with pytest.raises(ShapeError, match="target for every output"):
        mt.MinNormOG(model, restore=1).run([(x, y[:, :2])], 1)
    y[0, 0] = float("inf")
    with pytest.raises(InputError, match="targets must be finite"):
        mt.MinNormOG(model, restore=1).run([(x, y)], 1)
