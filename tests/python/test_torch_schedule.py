"""When MinNorm-OG perturbs, how strongly, in which order, and with which samples."""

import copy

import numpy as np
import pytest

torch = pytest.importorskip(
    "torch", reason="torch is not installed: minnorm.torch was not tested (minnorm[torch])"
)

import minnorm.torch as mt  # noqa: E402
from _torch_models import Still, mlp, perturbed, points, theta  # noqa: E402
from minnorm import project_out  # noqa: E402
from minnorm.torch.batches import Batch, choose  # noqa: E402

nn = torch.nn

# The schedule --------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [mt.MinNormOG, mt.Shrink])
def test_schedule(method):
    model, x = mlp(), points(6)
    loader = [(x[:3], torch.zeros(3, 1)), (x[3:], torch.zeros(3, 1))]
    history = method(model, lambda_reg=0.5, gamma_reg=0.8, t_proj=2, t_gd=3).run(loader, 9)
    assert [done.epoch for done in history.perturbations] == [0, 0, 2, 2, 4, 4]
    strengths = [done.strength for done in history.perturbations]
    np.testing.assert_allclose(strengths, 0.5 * 0.8 ** np.arange(6))
    assert len(history.loss) == len(history.norm) == 9
    assert history.norm[-1] == pytest.approx(float(theta(model).norm()), rel=1e-6)
    assert history.to_dict()["perturbations"][1]["epoch"] == 0


def test_the_order_of_projection_and_descent():
    """Each order equals the two steps done one after the other by hand."""
    x, y = points(5), torch.zeros(5, 1)

    def descend(model):
        mt.GD(model, 0.1, optimizer=torch.optim.SGD).run([(x, y)], 1)

    def project(model):
        moved = project_out(mt.jacobian(model, x), theta(model), strength=0.4, rtol=1e-6)
        nn.utils.vector_to_parameters(moved, model.parameters())

    for order, steps in (
        ("project_first", (project, descend)),
        ("descend_first", (descend, project)),
    ):
        model = mlp()
        twin = copy.deepcopy(model)
        perturbed(model, [(x, y)], lr=0.1, lambda_reg=0.4, order=order, optimizer=torch.optim.SGD)
        for step in steps:
            step(twin)
        torch.testing.assert_close(theta(model), theta(twin))


def test_shrink_is_a_multiple():
    model = mlp()
    before = theta(model)
    mt.Shrink(model, lambda_reg=0.3, optimizer=Still).run([(points(2), torch.zeros(2, 1))], 2)
    torch.testing.assert_close(theta(model), before * 0.7 * (1 - 0.27))


# The choice of samples -----------------------------------------------------------------------


def chosen(labels, count):
    batch = Batch((torch.arange(len(labels)),), torch.tensor(labels))
    positions = choose(batch, count, torch.Generator().manual_seed(1))
    assert len(set(positions.tolist())) == len(positions) == min(count, len(labels))
    return np.bincount(np.array(labels)[positions.numpy()], minlength=max(labels) + 1)


def test_classes_take_turns():
    many = [0] * 50 + [1] * 50 + [2] * 50
    assert chosen(many, 30).tolist() == [10, 10, 10]
    assert sorted(chosen(many, 31)) == [10, 10, 11]
    # A class of two gives both, and its turns go to the others: none is dropped.
    assert chosen([0] * 50 + [1] * 2 + [2] * 50, 20).tolist() == [9, 2, 9]
    # Fewer samples than classes: one each of some, never an empty selection.
    assert sorted(chosen(list(range(10)) * 5, 4)) == [0] * 6 + [1] * 4
    assert chosen(many, 500).sum() == 150


def test_regression_targets_are_one_class():
    batch = Batch((torch.arange(9),), torch.rand(9, 1))
    assert len(choose(batch, 4, torch.Generator())) == 4
