"""Data Poisoning at small scale: MinNorm-OG against GD, files that a rerun continues from."""

import copy
import dataclasses
import json
import math

import numpy as np
import pytest

torch = pytest.importorskip(
    "torch", reason="torch is not installed: minnorm.experiments was not tested (minnorm[torch])"
)

from minnorm import InputError, cli  # noqa: E402
from minnorm.experiments import data_poisoning, report, settings, trials  # noqa: E402
from minnorm.experiments.membership import membership_score  # noqa: E402
from minnorm.experiments.poisoning import PAPER, Problem  # noqa: E402
from minnorm.torch import MinNormOG  # noqa: E402


def test_minnorm_og_halves_the_error_of_gd(tmp_path, capsys):
    """The claim of Table 1 at small scale, settings searched on other seeds."""
    arguments = ["--small", "--out", str(tmp_path), "--methods", "GD", "MinNormOG", "--search", "2"]
    status = cli.main(["experiment", "data-poisoning", *arguments, "--development", "1"])
    printed = capsys.readouterr().out
    assert status == 0 and "| 100 |" in printed and "Membership score" in printed
    assert (tmp_path / "curves-100.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    found = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    errors = found["error"]["100"]
    assert len(errors["GD"]) == len(errors["MinNormOG"]) == 5
    assert np.median(errors["MinNormOG"]) < 0.5 * np.median(errors["GD"])
    assert found["development_seeds"] == [1000] and "torch" in found["versions"]
    membership = found["membership"]["100"]
    assert np.median(membership["MinNormOG"]) < np.median(membership["GD"])


@pytest.fixture
def tiny(monkeypatch):
    problem = Problem(radius=math.pi, n_retain=8, n_forget=2, width=8, epochs=20, lr=1e-2)
    monkeypatch.setattr(data_poisoning, "SMALL", problem)
    return problem


PLAN = dataclasses.replace(
    data_poisoning.SMALL_PLAN, trials=2, epochs=(3, 8), search=3, development=1
)


def test_every_method_runs_and_a_rerun_computes_nothing(tiny, tmp_path, monkeypatch, capsys):
    first = data_poisoning.run(PLAN, str(tmp_path), small=True)
    assert len(first["trials"]) == 2 * 2 * len(settings.METHODS)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*s/*")}
    monkeypatch.setattr(Problem, "trained", None)
    monkeypatch.setattr(Problem, "measured", None)
    again = data_poisoning.run(PLAN, str(tmp_path), small=True)
    assert again == json.loads(json.dumps(first), object_pairs_hook=integer_keys)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("*s/*")} == files


def integer_keys(pairs):
    """Numbers of epochs are strings in JSON, and tuples lists."""
    found = {int(key) if key.isdigit() else key: value for key, value in pairs}
    return {
        k: tuple(v) if k in ("epochs", "methods") and isinstance(v, list) else v
        for k, v in found.items()
    }


def test_processes_give_the_same(tiny, tmp_path):
    plan = dataclasses.replace(PLAN, methods=("GD", "NGD"), epochs=(3,))
    one = data_poisoning.run(plan, str(tmp_path / "one"), small=True, paper=True)
    two = data_poisoning.run(
        dataclasses.replace(plan, jobs=2), str(tmp_path / "two"), small=True, paper=True
    )
    assert one["error"] == two["error"] and one["development_seeds"] == []


def test_a_directory_is_of_one_problem(tiny, tmp_path):
    trials.claim(tmp_path, tiny)
    with pytest.raises(InputError, match="another problem"):
        trials.claim(tmp_path, PAPER)


def test_the_data():
    samples = PAPER.samples(3)
    x, y = samples.retain
    assert x.shape == (50, 1) and samples.forget[0].shape == (5, 1)
    assert float(x.abs().max()) <= 5 * math.pi and torch.equal(y, torch.sin(x))
    assert torch.equal(samples.forget[1], torch.full((5, 1), 1.5))
    assert torch.equal(PAPER.samples(3).retain[0], x)
    assert not torch.equal(PAPER.samples(4).retain[0], x)
    assert sum(p.numel() for p in PAPER.model().parameters()) == 91_201

    class Shifted(torch.nn.Module):
        def forward(self, x):
            return torch.sin(x) + 0.25

    assert PAPER.measured(samples, Shifted())["error"] == pytest.approx(0.25, rel=1e-5)


def test_settings_are_the_published_ones_and_fit_the_schedule():
    og = settings.paper_settings("MinNormOG", 1000)
    assert og["t_gd"] == 500 and og["t_proj"] == 10 and og["order"] == "descend_first"
    assert settings.paper_settings("Ridge", 10)["gamma_reg"] == 0.6
    assert settings.paper_settings("MinNormOG", 50)["t_gd"] == 25
    for method in settings.METHODS:
        for epochs in (2, 3, 10, 100, 1000):
            tried = settings.candidates(method, epochs, 12)
            assert 1 <= len(tried) <= 12
            assert all(setting not in tried[:i] for i, setting in enumerate(tried))
            assert all(setting.get("t_gd", 0) < epochs for setting in tried)


def test_the_control_has_the_same_search():
    """MinNorm-OG, its first-order form and Shrink: one schedule grid, one budget, one order."""
    ours = {"rtol", "damping", "restore"}
    for epochs in settings.EPOCHS:
        found = [
            [
                {k: v for k, v in setting.items() if k not in ours}
                for setting in settings.candidates(method, epochs, 16)
            ]
            for method in ("MinNormOG", "MinNormOG+first-order", "Shrink")
        ]
        assert len(found[0]) == 16 and found[0] == found[1] == found[2]


def test_the_options_are_the_defaults_of_the_library():
    samples, model = PAPER.samples(0), PAPER.model()
    written = settings.candidates("MinNormOG", 10, 1)[0]
    assert (written["damping"], written["restore"]) == (1e-5, 5)
    given = {"lr": written["lr"]}
    results = []
    for options in (given, given | {k: written[k] for k in ("damping", "restore")}):
        twin = copy.deepcopy(model)
        MinNormOG(twin, **options).run([samples.retain], 1)
        results.append(torch.nn.utils.parameters_to_vector(twin.parameters()))
    assert torch.equal(*results)
    assert settings.base("MinNormOG+first-order") == "MinNormOG"


def test_figures_are_medians_and_central_ranges():
    assert report.central([9, 1, 2, 3, 4, 5, 6, 7, 8, 10]) == (5.5, 3, 8)
    assert report.central([3.0, 1.0]) == (2.0, 1.0, 3.0)
    shown = report.table({100: {"GD": [1.0, 2.0, 3.0], "Shrink": [1.0]}}, published=True)
    assert "2 (1, 3)" in shown and "2.76 (2.48, 3.54)" in shown and "| -" in shown


def test_membership_score():
    assert membership_score([1, 2], [0, 0, 0]) == 1.0
    assert membership_score([1], [1]) == 0.5
    with pytest.raises(InputError, match="held-out"):
        membership_score([], [1])


def test_errors_say_what_to_do(tmp_path, capsys):
    command = ["experiment", "data-poisoning", "--out", str(tmp_path)]
    assert cli.main([*command, "--methods", "SCRUB"]) == 1
    assert "methods must be some of" in capsys.readouterr().err
    assert cli.main([*command, "--trials", "0"]) == 1
    assert "trials" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main(["experiment"])
