"""The pass whose graph gives the rows: used once, at its own parameters, and tested once."""

import pytest

torch = pytest.importorskip(
    "torch", reason="torch is not installed: minnorm.torch was not tested (minnorm[torch])"
)

import minnorm.torch as mt  # noqa: E402
from _torch_models import mlp, one, points, rows_by_loop  # noqa: E402
from minnorm.torch import layer_factors  # noqa: E402
from minnorm.torch.jacobian import dense  # noqa: E402
from minnorm.torch.layer_factors import LayerFactors  # noqa: E402
from minnorm.torch.rows import GradientRows  # noqa: E402

nn = torch.nn

X = points(6, torch.float64)
ALL = ["a.weight", "a.bias", "z.weight", "z.bias"]


def test_the_pass_that_chose_the_outputs_is_used_once():
    model, calls = mlp(3, torch.float64), []
    model.register_forward_hook(lambda *_: calls.append(1))
    rows = GradientRows(model, X, "largest", record=True)
    assert rows.is_recorded and len(calls) == 1
    first = dense(rows)
    assert len(calls) == 1 and not rows.is_recorded
    assert torch.equal(dense(rows), first) and len(calls) == 2
    assert not GradientRows(model, X, "each", record=True).is_recorded  # samples have three rows


@pytest.mark.parametrize("layer", [0, 2])
def test_a_pass_at_other_parameters_is_not_used(layer):
    """ReLU keeps signs, not weights: autograd itself would not notice a new bias."""
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3)).double()
    rows = GradientRows(model, X, "largest", record=True)
    with torch.no_grad():
        model[layer].bias.add_(torch.linspace(-2, 2, len(model[layer].bias)))
    expected = mt.jacobian(model, X, lambda out: out.gather(1, rows.columns[:, None])[:, 0])
    torch.testing.assert_close(dense(rows), expected, rtol=1e-12, atol=1e-14)


def test_what_was_proved_holds_for_its_graph_alone():
    """A model that turns its samples round after the first batch is looked at anew."""
    flip = [False]

    def forward(s, x):
        return s.a(x.flip(0)).flip(0) if flip[0] else s.a(x)

    model, proved = one(forward).double(), {}
    for turned, names in ((False, ALL), (True, []), (False, ALL)):
        flip[0] = turned
        rows = GradientRows(model, X, "each", proved=proved)
        assert list(LayerFactors(rows)) == names
        expected = rows_by_loop(model, X, lambda out: out[0])
        torch.testing.assert_close(dense(rows), expected, rtol=1e-12, atol=1e-14)
    assert len(proved) == 2


def test_a_run_tests_its_graph_once(monkeypatch):
    true, asked = layer_factors._separate, []
    monkeypatch.setattr(layer_factors, "_separate", lambda *given: asked.append(1) or true(*given))
    batches = [(X.float(), torch.arange(6) % 3)] * 3
    mt.MinNormOG(mlp(3)).run(batches, 2)
    assert len(asked) == 1
