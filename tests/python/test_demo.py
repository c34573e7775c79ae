"""`minnorm demo` runs from any directory, shows the equality, and exits 0 only if it holds."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest

from minnorm import cli, demo


def command(*arguments, cwd, **environment):
    return subprocess.run(
        [sys.executable, "-m", "minnorm", *arguments],
        cwd=cwd,
        env={**os.environ, "MPLBACKEND": "Agg", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_demo_with_a_picture(backend, tmp_path):
    """The whole program, once per backend: tables, accuracies that rise again, a PNG."""
    picture = tmp_path / "demo.png"
    done = command("demo", "--backend", backend, "--plot", str(picture), cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert picture.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert done.stdout.count("equal within the bound") == 2
    assert len(re.findall(r"equal within the bound +yes", done.stdout)) == 2
    assert f"{backend} backend" in done.stdout
    found = re.findall(r"test accuracy, (.+?) +([\d.]+)%", done.stdout)
    assert len(found) == 6
    for shown in (dict(found[:3]), dict(found[3:])):
        clean, poisoned, forgotten = (
            float(shown[k])
            for k in ("correct labels", "corrupted labels", "corrupted ids forgotten")
        )
        assert poisoned < forgotten - 2
        assert abs(clean - forgotten) < 5
    numbers = re.findall(r"(?:from scratch|that difference) +([\d.e+-]+)$", done.stdout, re.M)
    assert len(numbers) == 4
    for difference, bound in (numbers[:2], numbers[2:]):
        assert float(difference) <= float(bound) < 1e-3


def test_the_exit_status_is_the_equality(monkeypatch, capsys):
    """An inequality, wherever it comes from, must not exit 0."""
    monkeypatch.setattr(demo, "run", lambda *arguments: False)
    assert cli.main(["demo"]) == 1
    monkeypatch.setattr(demo, "run", lambda *arguments: True)
    assert cli.main(["demo"]) == 0


def test_the_demo_notices_a_wrong_model(monkeypatch, backend):
    """A model that forgets other samples than it was asked to is reported as unequal."""
    data = demo.digits(0)
    small = demo.Data(
        *(a[:120] for a in (data.X, data.X_test, data.correct, data.labels, data.y_test))
    )
    from minnorm import KernelInterpolatorClassifier

    model = KernelInterpolatorClassifier(gamma=0.05, backend=backend)
    assert demo.compare("right", model, small).equal
    original = KernelInterpolatorClassifier.forget

    def forgetting_another(self, ids):
        ids = np.atleast_1d(ids)
        certificate = original(self, ids)
        self._core.set_targets(self._core.targets * 1.0001)
        self._refresh()
        return certificate

    monkeypatch.setattr(KernelInterpolatorClassifier, "forget", forgetting_another)
    model = KernelInterpolatorClassifier(gamma=0.05, backend=backend)
    assert not demo.compare("wrong", model, small).equal


def test_plot_errors_come_before_the_work(tmp_path):
    done = command("demo", "--plot", str(tmp_path / "missing" / "x.png"), cwd=tmp_path)
    assert done.returncode != 0
    assert "--plot" in done.stderr and "Traceback" not in done.stderr
    assert done.stdout == ""


def test_plot_without_matplotlib_names_the_extra(tmp_path):
    (tmp_path / "matplotlib.py").write_text("raise ImportError('blocked')\n")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = command("demo", "--plot", "x.png", cwd=tmp_path, PYTHONPATH=path)
    assert done.returncode != 0
    assert "minnorm[plot]" in done.stderr and "Traceback" not in done.stderr


def test_command_line(tmp_path):
    shown = command("--help", cwd=tmp_path)
    assert shown.returncode == 0
    assert "demo" in shown.stdout
    assert command("--version", cwd=tmp_path).stdout.startswith("minnorm ")
    assert command(cwd=tmp_path).returncode != 0
    assert command("no-such-command", cwd=tmp_path).returncode != 0
    done = command("demo", "--seed", "-1", cwd=tmp_path)
    assert done.returncode != 0 and "seed" in done.stderr


@pytest.mark.parametrize("seed", [0, 1])
def test_the_data_is_seeded(seed):
    one, two = demo.digits(seed), demo.digits(seed)
    np.testing.assert_array_equal(one.labels, two.labels)
    assert len(one.corrupted_ids) == round(demo.CORRUPTED * len(one.labels))
    assert not np.array_equal(demo.digits(seed + 1).labels, one.labels)
