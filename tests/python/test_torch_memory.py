"""The matrix-free mode holds a few copies of theta, however many gradients span."""

import subprocess
import sys

import pytest

pytest.importorskip(
    "torch", reason="torch is not installed: minnorm.torch was not tested (minnorm[torch])"
)

# In a process of its own: the peak is that of the whole life of a process.
PROGRAM = """
import resource, torch
from torch import nn
import minnorm.torch as mt
torch.set_num_threads(1)

def run(width, rows):
    sizes = nn.Linear(64, width), nn.Linear(width, width), nn.Linear(width, 10)
    model = nn.Sequential(sizes[0], nn.ReLU(), sizes[1], nn.ReLU(), sizes[2])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    x, y = torch.randn(rows, 64), torch.randint(10, (rows,))
    plain = lambda parameters, lr: torch.optim.SGD(parameters, lr=lr)
    history = mt.MinNormOG(model, projection="matrix_free", optimizer=plain).run([(x, y)], 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    size = sum(p.numel() * p.element_size() for p in model.parameters())
    return 1 + 1024 * peak / size, history.perturbations[0].n_rows, size // 4

run(30, 20)  # imports are none of the method's memory
print(*run(3100, 200))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ru_maxrss has another unit")
def test_peak_of_the_matrix_free_mode():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    copies, rows, parameters = done.stdout.split()
    assert int(rows) == 200 and int(parameters) > 9_800_000
    assert float(copies) < 6.0, copies
