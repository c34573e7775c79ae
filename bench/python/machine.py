"""The machine: its name, its libraries, and child processes with threads and kernels set."""

from __future__ import annotations

import json
import os
import pathlib
import platform
import subprocess
import sys

THREAD_SETTINGS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def libraries() -> list[str]:
    """The BLAS and OpenMP libraries of this process, with their threads."""
    import threadpoolctl

    named = []
    for library in threadpoolctl.threadpool_info():
        known = (library.get(key) for key in ("internal_api", "version", "architecture"))
        named.append(f"{' '.join(filter(None, known))}, {library['num_threads']} thread(s)")
    return sorted(set(named))


def in_subprocess(script: str, task: dict, threads: int = 1, coretype: str | None = None) -> dict:
    """Thread counts and kernels are read when the libraries load: set them before Python starts.

    Runs ``script --child task`` and returns what it prints, a JSON object.
    """
    environment = {**os.environ, **dict.fromkeys(THREAD_SETTINGS, str(threads))}
    environment.pop("OPENBLAS_CORETYPE", None)
    if coretype is not None:
        environment["OPENBLAS_CORETYPE"] = coretype
    command = [sys.executable, script, "--child", json.dumps(task)]
    child = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(child.stdout)


def processors() -> int:
    """Those this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_name() -> str:
    description = pathlib.Path("/proc/cpuinfo")
    if description.exists():
        for line in description.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def print_machine() -> None:
    import numpy
    import scipy

    from minnorm import _cpu, _native

    print(f"- {cpu_name()}, {processors()} processors, {platform.platform()}")
    print(f"- CPU level {_cpu.level()}, extension module _core_{_native.LEVEL}")
    if hasattr(os, "getloadavg"):
        print(f"- load average at the start {os.getloadavg()[0]:.1f}")
    print(f"- Python {platform.python_version()}, numpy {numpy.__version__}, ", end="")
    print(f"scipy {scipy.__version__}", flush=True)
