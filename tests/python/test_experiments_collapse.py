"""Representation Collapse on digits: the data, and MinNorm-OG against GD."""

import json

import numpy as np
import pytest

torch = pytest.importorskip(
    "torch", reason="torch is not installed: minnorm.experiments was not tested (minnorm[torch])"
)

from minnorm import InputError, cli  # noqa: E402
from minnorm.experiments import collapse  # noqa: E402
from minnorm.experiments.representation_collapse import RepresentationCollapse  # noqa: E402

SHORT = RepresentationCollapse(warm=8, epochs=12)


def hue(images):
    """The colour index of every image, from its brightest pixel."""
    import colorsys

    brightest = images.flatten(2).max(2).values
    hues = [colorsys.rgb_to_hsv(*pixel.tolist())[0] for pixel in brightest]
    return torch.tensor([round(10 * value) % 10 for value in hues])


def test_the_data():
    samples = SHORT.samples(2)
    assert len(samples.forget[1]) == 13 and len(samples.test[1]) == 500
    assert len(samples.retain[1]) + 13 + 500 == 1797 and len(samples.gray[1]) == 1297
    assert torch.equal(hue(samples.retain[0]), samples.retain[1])
    assert torch.equal(hue(samples.test[0]), samples.test[1])
    for wrong in (samples.forget, samples.held_out):
        assert not (hue(wrong[0]) == wrong[1]).any()
    again, other = SHORT.samples(2), SHORT.samples(3)
    assert torch.equal(again.forget[0], samples.forget[0])
    assert not torch.equal(other.forget[1], samples.forget[1])
    retain, forget = SHORT.loaders(samples, 0)
    assert sum(len(y) for _, y in retain) == 128 and len(forget) == 1


def test_the_model_reads_content_before():
    samples = SHORT.samples(0)
    found = SHORT.measured(samples, SHORT.trained(samples, 0))
    assert found["accuracy"] < 0.4 and found["retain_accuracy"] > 0.98
    assert found["membership"] > 0.5


def test_minnorm_og_falls_back_on_colour_further_than_gd(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(collapse, "PROBLEM", SHORT)
    arguments = ["--out", str(tmp_path), "--methods", "GD", "MinNormOG", "--epochs", "20"]
    counts = ["--trials", "3", "--search", "4", "--development", "1"]
    assert cli.main(["experiment", "collapse", *arguments, *counts]) == 0
    printed = capsys.readouterr().out
    assert "Accuracy by colour" in printed and "retained images" in printed
    assert (tmp_path / "collapse.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    found = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["accuracy"]["20"]
    assert np.median(found["MinNormOG"]) > np.median(found["GD"])


def test_settings_fit_the_schedule():
    for method in collapse.METHODS:
        for epochs in (2, 3, 10, 30):
            tried = collapse.candidates(method, epochs, 12)
            assert 1 <= len(tried) <= 12
            assert all(setting.get("t_gd", 0) < epochs for setting in tried)
            collapse.ALL[method](SHORT.model(), **tried[0])


def test_unknown_methods_are_refused(tmp_path):
    with pytest.raises(InputError, match="methods must be some of"):
        collapse.run(collapse.runner.Plan(("Magic",), (3,)), str(tmp_path))
