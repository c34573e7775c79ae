"""Without torch the package says which extra to install."""

import os
import subprocess
import sys


def test_the_error_names_the_extra(tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError('blocked')\n")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    for module in ("minnorm.torch", "minnorm.torch.jacobian"):
        done = subprocess.run(
            [sys.executable, "-c", f"import {module}"],
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode != 0
        assert "minnorm[torch]" in done.stderr and "BackendError" in done.stderr
    done = subprocess.run(
        [sys.executable, "-m", "minnorm", "experiment", "data-poisoning", "--out", "never"],
        env={**os.environ, "PYTHONPATH": path},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1 and "minnorm[torch]" in done.stderr
    assert "Traceback" not in done.stderr and not (tmp_path / "never").exists()
