"""Each baseline minimises the formula of Appendix F.1: one batch, plain arithmetic."""

import copy
import dataclasses
import subprocess
import sys

import pytest

torch = pytest.importorskip(
    "torch", reason="torch is not installed: minnorm.torch was not tested (minnorm[torch])"
)

import minnorm.torch as mt  # noqa: E402
from _torch_models import cnn, images, mlp, points, theta  # noqa: E402
from minnorm import InputError  # noqa: E402
from minnorm.torch.batches import Batch  # noqa: E402

nn = torch.nn
SGD = torch.optim.SGD

X, Y = points(8), torch.randint(3, (8,), generator=torch.Generator().manual_seed(2))
Z, W = points(5, seed=9), torch.randint(3, (5,), generator=torch.Generator().manual_seed(3))
RETAIN, FORGET = [(X, Y)], [(Z, W)]


def log_pi(model, x):
    return torch.log(torch.exp(model(x)) / torch.exp(model(x)).sum(1, keepdim=True))


def J(model, x, y):
    return -log_pi(model, x)[range(len(y)), y].mean()


def kl(before, model, x):
    p = log_pi(before, x).exp().detach()
    return (p * (p.log() - log_pi(model, x))).sum(1).mean()


def theta_of(model):
    return torch.cat([p.reshape(-1) for p in model.parameters()])


def npo(before, model, epoch, epochs):
    ratio = (log_pi(model, Z) - log_pi(before, Z).detach()).exp()[range(5), W]
    return 2 / 0.7 * torch.log(1 + ratio**0.7).mean()


# Options, and the objective of an epoch t of T from the models before and now.
FORMULAS = {
    mt.GD: ({}, lambda before, model, t, T: J(model, X, Y)),
    mt.GA: ({}, lambda before, model, t, T: -J(model, Z, W)),
    mt.NGP: (
        {"lambda_ga": 0.3},
        lambda before, model, t, T: J(model, X, Y) - 0.3 * J(model, Z, W),
    ),
    mt.Ridge: (
        {"lambda_reg": 0.2, "gamma_reg": 0.5},
        lambda before, model, t, T: J(model, X, Y) + 0.2 * 0.5**t * (theta_of(model) ** 2).sum(),
    ),
    mt.L1Sparse: (
        {"lambda_reg": 0.02},
        lambda before, model, t, T: (
            J(model, X, Y) + 2 * 0.02 * (1 - t / T) * theta_of(model).abs().sum()
        ),
    ),
    mt.SCRUB: (
        {"lambda_reg": 0.4, "lambda_ga": 0.3, "t_gd": 2},
        lambda before, model, t, T: (
            J(model, X, Y) + 0.4 * kl(before, model, X)
            if t % 2 == 0 or t >= T - 2
            else -0.3 * kl(before, model, Z)
        ),
    ),
    mt.NPO: ({"lambda_reg": 0.7}, npo),
}


@pytest.mark.parametrize("method", FORMULAS, ids=lambda method: method.__name__)
def test_plain_descent_on_the_formula(method):
    """Four SGD steps by hand give the same parameters and the same losses."""
    options, objective = FORMULAS[method]
    model = mlp(3)
    twin, before = copy.deepcopy(model), copy.deepcopy(model)
    history = method(model, 0.05, optimizer=SGD, **options).run(RETAIN, 4, forget_loader=FORGET)
    losses = []
    for t in range(4):
        loss = objective(before, twin, t, 4)
        gradients = torch.autograd.grad(loss, list(twin.parameters()))
        with torch.no_grad():
            for p, g in zip(twin.parameters(), gradients, strict=True):
                p -= 0.05 * g
        losses.append(float(loss.detach()))
    assert history.loss == pytest.approx(losses, rel=1e-4)
    torch.testing.assert_close(theta(model), theta(twin), rtol=1e-4, atol=1e-6)


def test_noise_is_on_the_gradient():
    """NGD is GD plus lr sigma xi; the noise has the variance asked for and differs by step."""
    model = mlp(3)
    twin, start = copy.deepcopy(model), theta(model)
    mt.NGD(model, 0.1, sigma=2.0, optimizer=SGD).run(RETAIN, 1)
    mt.GD(twin, 0.1, optimizer=SGD).run(RETAIN, 1)
    noise = (theta(model) - theta(twin)) / 0.1
    assert 1.5 < float(noise.std()) < 2.5 and abs(float(noise.mean())) < 0.6
    again = mlp(3)
    mt.NGD(again, 0.1, sigma=2.0, optimizer=SGD).run(RETAIN, 1)
    assert torch.equal(theta(again), theta(model)) and not torch.equal(start, theta(model))


def test_retraining_starts_anew():
    model = cnn()
    global_state = torch.random.get_rng_state()
    method = mt.Retrain(model, 1e-9, seed=4, optimizer=SGD)
    method._begin(1, None)
    assert torch.equal(torch.random.get_rng_state(), global_state)
    assert not model[1].running_mean.any()
    torch.manual_seed(4)
    expected = nn.Conv2d(1, 4, 3, padding=1, bias=False)
    assert torch.equal(model[0].weight, expected.weight)

    model = mlp()
    model[0].requires_grad_(False)
    kept, lost = model[0].weight.clone(), model[2].weight.clone()
    mt.Retrain(model).run([(X, torch.zeros(8, 1))], 1)
    assert torch.equal(model[0].weight, kept) and not torch.equal(model[2].weight, lost)

    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(4))

        def forward(self, x):
            return x * self.scale

    with pytest.raises(InputError, match="reset_parameters"):
        mt.Retrain(Scaled()).run([(X, X)], 1)
    model = Scaled()
    method = mt.Retrain(model, 1e-9, initialise=lambda m: nn.init.constant_(m.scale, 3.0))
    method.run([(X, X)], 1)
    torch.testing.assert_close(model.scale.detach(), torch.full((4,), 3.0))


def test_salun_moves_salient_weights_only():
    """The others keep their bits, with weight decay and momentum in the optimizer."""
    model = mlp(3)
    before = copy.deepcopy(model)
    gradients = torch.autograd.grad(J(before, Z, W), list(before.parameters()))
    sizes = torch.cat([g.abs().reshape(-1) for g in gradients])
    frozen = sizes < sizes.median()

    def optimizer(parameters, lr):
        return torch.optim.AdamW(parameters, lr=lr, weight_decay=0.5)

    split = [(Z[:2], W[:2]), (Z[2:], W[2:])]
    mt.SalUn(model, 1e-2, optimizer=optimizer).run(RETAIN, 3, forget_loader=split)
    moved = theta(model) != theta(before)
    assert 0.3 < float(frozen.float().mean()) <= 0.5
    assert not moved[frozen].any() and moved[~frozen].float().mean() > 0.9


def test_salun_objective_and_its_wrong_labels():
    model = mlp(3)
    method = mt.SalUn(model, lambda_ga=0.6, optimizer=SGD, lr=1e-3)
    twin = copy.deepcopy(model)
    history = method.run(RETAIN, 1, forget_loader=FORGET)
    generator = torch.Generator().manual_seed(0)
    wrong = (W + torch.randint(1, 3, W.shape, generator=generator)) % 3
    assert not (wrong == W).any()
    assert history.loss[0] == pytest.approx((J(twin, X, Y) + 0.6 * J(twin, Z, wrong)).item())


def test_npo_at_probabilities_that_underflow():
    """exp(-500) is zero in single precision; the loss and its gradient are finite all the same."""
    model = nn.Linear(4, 3)
    with torch.no_grad():
        model.weight.mul_(1000)
    history = mt.NPO(model, 1.0).run(RETAIN, 5, forget_loader=[(10 * Z, W)])
    assert torch.isfinite(theta(model)).all() and all(abs(loss) < 1e3 for loss in history.loss)


def test_teachers_are_in_eval_mode():
    """With dropout and batch statistics the student differs from its teacher at once."""
    model = cnn()
    x, y = images(12), torch.randint(3, (12,))
    method = mt.SCRUB(model)
    method.run([(x, y)], 2, forget_loader=[(x, y)])
    assert not any(module.training for module in method._teacher.modules())
    assert not any(p.requires_grad for p in method._teacher.parameters())


def test_batches_are_paired_and_cycle():
    """An epoch is one pass over the forgotten batches; the retained ones go on where they were."""
    seen = []

    def loss(outputs, targets):
        seen.append(tuple(targets.tolist()))
        return outputs.sum() * 0

    retain = [(points(1), torch.tensor([float(i)])) for i in range(3)]
    forget = [(points(1), torch.tensor([10.0 + i])) for i in range(2)]
    mt.NGP(mlp(), loss=loss).run(retain, 2, forget_loader=forget)
    assert [s[0] for s in seen] == [0, 10, 1, 11, 2, 10, 0, 11]
    seen.clear()
    mt.GD(mlp(), loss=loss).run(retain, 2)
    assert [s[0] for s in seen] == [0, 1, 2, 0, 1, 2]
    seen.clear()
    mt.GD(mlp(), loss=loss).run(retain, 1, forget_loader=forget)
    assert [s[0] for s in seen] == [0, 1]


def test_a_batch_is_copied_with_other_targets():
    """Its length counts samples, which a tuple's own ``_replace`` takes for its fields."""
    batch = Batch((X,), torch.arange(8))
    other = dataclasses.replace(batch, targets=torch.zeros(8, 1))
    assert len(batch) == len(other) == 8 and other.inputs[0] is X
    assert batch.labels is not None and other.labels is None


def test_what_is_refused():
    for method in (mt.GA, mt.NGP, mt.SCRUB, mt.NPO, mt.SalUn):
        with pytest.raises(InputError, match="forget_loader"):
            method(mlp(3)).run(RETAIN, 1)
    regression = [(X, torch.zeros(8, 1))]
    for method in (mt.SCRUB, mt.NPO, mt.SalUn):
        with pytest.raises(InputError, match="classifiers"):
            method(mlp()).run(regression, 1, forget_loader=regression)
    with pytest.raises(InputError, match="sigma"):
        mt.NGD(mlp(), sigma=-1.0)
    with pytest.raises(InputError, match="several heads"):
        mt.GD(mlp()).run([(X, (Y, Y))], 1)


def test_the_table_of_methods():
    assert set(mt.METHODS) == {
        *("Retrain", "MinNormOG", "GD", "GA", "NGP", "NGD", "Ridge", "L1Sparse", "Shrink"),
        *("SCRUB", "NPO", "SalUn"),
    }
    for method in mt.METHODS.values():
        history = method(mlp(3)).run(RETAIN, 2, forget_loader=FORGET)
        assert len(history.loss) == 2


def test_importing_minnorm_loads_no_torch():
    code = "import sys, minnorm, minnorm.cli; minnorm.project_out; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
