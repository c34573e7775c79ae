"""The deletions from a factor alone, measured by the C++ program of that name.

Python has no access to the factor without the model around it. Build the program first:

    cmake --preset bench -DCMAKE_CXX_FLAGS=-march=native
    cmake --build --preset bench --target bench_triangular_factor
"""

from __future__ import annotations

import json
import os
import pathlib
import subprocess

from timing import Row, Section

PROGRAM = "bench_triangular_factor"
UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
SWEEP = "SweepTriangle/2000"


def erase(k: int) -> str:
    return f"Erase/2000/{k}/manual_time"


def refactor(k: int) -> str:
    return f"Refactor/2000/{k}/manual_time"


def measure(directory: str, quick: bool, repeats: int) -> Section:
    program = pathlib.Path(directory, PROGRAM)
    if not program.exists():
        raise SystemExit(f"--cpp: expected {program}; build the target {PROGRAM} first")
    options = [f"--benchmark_min_time={0.01 if quick else 0.2}"]
    repetitions = [
        f"--benchmark_repetitions={repeats}",
        "--benchmark_enable_random_interleaving=true",
    ]
    run = subprocess.run(
        [program, "--benchmark_format=json", *options, *repetitions],
        stdout=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=True,
        text=True,
    )
    section = Section("factor alone, n = 2000 (C++)")
    for result in json.loads(run.stdout)["benchmarks"]:
        if result["run_type"] == "iteration":
            row = section.rows.setdefault(result["run_name"], Row([]))
            row.times.append(result["real_time"] * UNITS[result["time_unit"]])
    return section
