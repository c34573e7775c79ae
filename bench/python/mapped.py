"""A projection off a file of 4 GiB: time, and peak resident memory."""

from __future__ import annotations

import pathlib
import tempfile

import numpy as np

from minnorm import project_out
from projector import reset_peak, resident_peak
from timing import Row, Section, seconds

ROWS = 64


def measure(quick: bool, directory: str) -> Section:
    columns = 1 << (18 if quick else 24)
    rng = np.random.default_rng(2)
    with tempfile.TemporaryDirectory(dir=directory) as folder:
        path = pathlib.Path(folder, "jacobian.f32")
        with path.open("wb") as file:
            for _ in range(ROWS):
                file.write(rng.standard_normal(columns, dtype=np.float32).data)
        J = np.memmap(path, np.float32, "r", shape=(ROWS, columns))
        v = rng.standard_normal(columns, dtype=np.float32)
        reset_peak()
        taken = seconds(lambda: project_out(J, v))
        peak = resident_peak() / 2**30
    section = Section(f"projection off a file of {J.nbytes / 2**30:.2f} GiB")
    section.rows["project_out(memmap, v)"] = Row([taken])
    section.notes = [f"peak resident memory {peak:.2f} GiB, the interpreter included"]
    return section
