"""What every benchmark shares: the clock, one thread per contestant, the name of the machine."""

from __future__ import annotations

import json
import os
import pathlib
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

THREAD_SETTINGS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def seconds(task: Callable[[], object]) -> float:
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def libraries() -> list[str]:
    """The BLAS that answers in this process, with its threads."""
    import threadpoolctl

    named = []
    for library in threadpoolctl.threadpool_info():
        known = (library.get(key) for key in ("internal_api", "version", "architecture"))
        named.append(f"{' '.join(filter(None, known))}, {library['num_threads']} thread(s)")
    return sorted(set(named))


def in_subprocess(script: str, arguments: Sequence[str], coretype: str | None = None) -> dict:
    """Thread counts and kernels are read when the libraries load: set them before Python starts.

    Runs ``script --child arguments`` and returns what it prints, a JSON object.
    """
    environment = {**os.environ, **dict.fromkeys(THREAD_SETTINGS, "1")}
    environment.pop("OPENBLAS_CORETYPE", None)
    if coretype is not None:
        environment["OPENBLAS_CORETYPE"] = coretype
    command = [sys.executable, script, "--child", *arguments]
    child = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(child.stdout)


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

    print(f"- {cpu_name()}, {os.cpu_count()} processors, {platform.platform()}")
    print(f"- CPU level {_cpu.level()}, extension module _core_{_native.LEVEL}")
    print(f"- one thread: {', '.join(THREAD_SETTINGS)} = 1")
    print(f"- Python {platform.python_version()}, numpy {numpy.__version__}, ", end="")
    print(f"scipy {scipy.__version__}", flush=True)
