"""Label erasure on digits: the data, the fronts, and MinNorm-OG against GD."""

import json

import numpy as np
import pytest

torch = pytest.importorskip(
    "torch", reason="torch is not installed: minnorm.experiments was not tested (minnorm[torch])"
)

from minnorm import InputError, cli  # noqa: E402
from minnorm.experiments import label_erasure  # noqa: E402
from minnorm.experiments.erasure import LabelErasure  # noqa: E402
from minnorm.experiments.label_erasure import Point, undominated  # noqa: E402

SHORT = LabelErasure(epochs=12)


def test_the_data():
    samples = SHORT.samples(2)
    x, y = samples.retain
    assert len(x) == 1297 and torch.equal(x[:, 0], x[:, 2]) and not (y % 3).any()
    x, y = samples.forget
    assert len(x) == 130 and (y % 3).tolist() == [1] * 65 + [2] * 65
    assert torch.equal(x[:65, 0], x[65:, 1]) and not x[:65, 1:].any() and not x[65:, ::2].any()
    # Copies of retained images, of the same numbers.
    assert torch.equal(x[:65, 0], samples.retain[0][:65, 0])
    assert torch.equal(y[:65] // 3, samples.retain[1][:65] // 3)
    assert len(samples.test[0]) == 500 and len(samples.coloured[0]) == 1000
    assert torch.equal(SHORT.samples(2).forget[0], x)
    assert not torch.equal(SHORT.samples(3).forget[0], x)
    retain, forget = SHORT.loaders(samples, 0)
    assert sum(len(y) for _, y in retain) == 128 and sum(len(y) for _, y in forget) == 130


def test_pairs_have_the_loss_of_both_heads():
    torch.manual_seed(0)
    model = SHORT.model()
    x, y = (part[:20] for part in SHORT.samples(0).coloured)
    with torch.no_grad():
        found = model.features(x)
        heads = ((model.content(found), y // 3), (model.colour(found), y % 3))
        expected = sum(torch.nn.functional.cross_entropy(*head) for head in heads)
        torch.testing.assert_close(torch.nn.functional.cross_entropy(model(x), y), expected)


class Oracle(torch.nn.Module):
    """Knows the numbers of some gray images and calls everything gray with probability p."""

    def __init__(self, samples, right, p):
        super().__init__()
        numbers = samples.test[1] // 3
        self.numbers = torch.where(torch.arange(len(numbers)) < right, numbers, (numbers + 1) % 10)
        self.colour = torch.tensor([p, (1 - p) / 2, (1 - p) / 2]).log()

    def forward(self, x):
        numbers = 5.0 * torch.nn.functional.one_hot(self.numbers[torch.arange(len(x)) % 500], 10)
        return (numbers[:, :, None] + self.colour).flatten(1)


def test_the_measures():
    samples = SHORT.samples(0)
    found = SHORT.measured(samples, Oracle(samples, 400, 0.6))
    assert found["quality"] == pytest.approx(0.8)
    assert found["forget_error"] == pytest.approx(0.16, rel=1e-5)
    assert found["distance"] == pytest.approx(np.hypot(0.2, 0.16), rel=1e-5)


def test_the_front():
    points = [Point(*pair, {}) for pair in ((0.9, 0.5), (0.8, 0.1), (0.8, 0.2), (0.7, 0.3))]
    assert undominated(points) == points[:2]
    assert undominated([points[0], points[0]]) == [points[0], points[0]]


def test_minnorm_og_forgets_more_than_gd(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(label_erasure, "PROBLEM", SHORT)
    arguments = ["--out", str(tmp_path), "--methods", "GD", "MinNormOG", "--epochs", "5"]
    counts = ["--trials", "2", "--search", "4", "--development", "1"]
    assert cli.main(["experiment", "label-erasure", *arguments, *counts]) == 0
    printed = capsys.readouterr().out
    assert "Forget error" in printed and "Retain quality" in printed
    assert (tmp_path / "fronts-5.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    found = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert all(trial["before"]["forget_error"] > 0.9 for trial in found["trials"])
    assert np.median(found["distance"]["5"]["MinNormOG"]) < np.median(found["distance"]["5"]["GD"])
    front = found["fronts"]["5"]["MinNormOG"]
    assert 1 <= len(front) <= 4 and "lambda_reg" in front[0]["settings"]
    assert [point["quality"] for point in front] == sorted(point["quality"] for point in front)


def test_unknown_methods_are_refused(tmp_path):
    with pytest.raises(InputError, match="methods must be some of"):
        label_erasure.run(label_erasure.runner.Plan(("Magic",), (3,)), str(tmp_path))
