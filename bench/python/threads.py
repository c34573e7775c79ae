"""The same work by one thread and by all, in turns in one process."""

from __future__ import annotations

import numpy as np
import threadpoolctl

from minnorm import JacobianProjector, KernelInterpolator, LinearInterpolator, project_out
from projector import jacobian
from timing import Section, interleaved


def name(work: str, threads: int) -> str:
    return f"{work}, {threads} thread(s)"


def tasks(quick: bool) -> dict:
    rng = np.random.default_rng(0)
    n, p = (300, 1200) if quick else (2000, 8000)
    X, y = rng.standard_normal((n, p)), rng.standard_normal(n)
    J, v = jacobian(50, 200_000 if quick else 4_000_000)
    held = JacobianProjector(J)
    Z = rng.standard_normal((500 if quick else 3000, 50))
    z = rng.standard_normal(len(Z))
    return {
        "linear fit": lambda: LinearInterpolator(fit_intercept=False).fit(X, y),
        "kernel fit": lambda: KernelInterpolator(kernel="rbf", gamma=0.02).fit(Z, z),
        "project_out": lambda: project_out(J, v),
        "project, factor known": lambda: held.project(v),
        "numpy X @ X.T": lambda: X @ X.T,
    }


def measure(quick: bool, repeats: int, threads: int) -> list[Section]:
    """`threads` is what the process was started with; one thread is set by threadpoolctl."""

    def with_threads(task, count):
        def prepare(repeat):
            def run():
                with threadpoolctl.threadpool_limits(count):
                    task()

            return run

        return prepare

    return [
        interleaved(
            f"{work} by one thread and by {threads}",
            {name(work, count): with_threads(task, count) for count in (threads, 1)},
            repeats,
        )
        for work, task in tasks(quick).items()
    ]
