"""One deletion against training again on the rest, on one thread.

    python bench/python/bench_forget.py [--quick] [--check] [--repeats N]

Linear: ``forget([one id])`` of a fitted model against ``numpy.linalg.lstsq`` and against Gram
matrix + Cholesky by scipy, both on the remaining rows. Kernel: against ``scipy.linalg.cho_factor``
+ ``cho_solve`` on the remaining kernel matrix. The contestants take turns inside one process, so
that a change of the machine's speed meets them all.

The baselines are given what they need beforehand and untimed: contiguous rows, and a kernel matrix
that may be overwritten. ``forget`` is timed whole, with its certificate.

OpenBLAS chooses its kernels by CPU model and takes some virtual CPUs for lesser ones. Where the CPU
has AVX-512 the baselines are therefore also run with OPENBLAS_CORETYPE=SkylakeX, and the ratio
against the faster of the two runs is the one to quote. A third run shows OpenBLAS with its AVX2
kernels (Haswell), which is what it takes where it does not recognise the CPU.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys

from _machine import in_subprocess, libraries, print_machine, seconds


@dataclasses.dataclass(frozen=True)
class Target:
    """A ratio of medians, baseline over ``forget``, that the project holds itself to."""

    model: str
    baseline: str
    ratio: float


LSTSQ = "numpy.linalg.lstsq"
GRAM = "X @ X.T, cho_factor, cho_solve, X.T @ a"
CHOLESKY = "cho_factor, cho_solve of the kernel matrix"
TARGETS = (
    Target("linear", LSTSQ, 100.0),
    Target("linear", GRAM, 20.0),
    Target("kernel", CHOLESKY, 30.0),
)


def linear(n: int, p: int, repeats: int) -> dict[str, object]:
    """Times on Gaussian data without an intercept, the problem that all contestants solve."""
    import numpy as np
    from scipy.linalg import cho_factor, cho_solve

    from minnorm import LinearInterpolator

    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((n, p)), rng.standard_normal(n)
    order = rng.permutation(n)
    kept = np.setdiff1d(np.arange(n), order[:1])
    rest, targets = X[kept], y[kept]

    def by_gram():
        factor = cho_factor(rest @ rest.T, lower=True, overwrite_a=True, check_finite=False)
        return rest.T @ cho_solve(factor, targets, check_finite=False)

    plain = LinearInterpolator(fit_intercept=False).fit(X, y)
    centred = LinearInterpolator(fit_intercept=True).fit(X, y)
    plain.forget([int(order[0])])
    reference = by_gram()
    difference = np.linalg.norm(plain.coef_ - reference) / np.linalg.norm(reference)
    # by_gram, too, has now run once: every contestant's first run is behind it but for lstsq's,
    # which is long enough not to notice.
    centred.forget([int(order[0])])

    times: dict[str, list[float]] = {}
    for repeat in range(1, repeats + 1):
        gone = [int(order[repeat])]
        contestants = {
            "forget": lambda gone=gone: plain.forget(gone),
            "forget, with an intercept": lambda gone=gone: centred.forget(gone),
            GRAM: by_gram,
            LSTSQ: lambda: np.linalg.lstsq(rest, targets, rcond=None),
        }
        for name, task in contestants.items():
            times.setdefault(name, []).append(seconds(task))
    return {"times": times, "difference": float(difference), "bound": str(plain.certify())}


def kernel(n: int, p: int, repeats: int) -> dict[str, object]:
    """Times for the Gaussian kernel, whose matrix the baseline is given ready-made."""
    import numpy as np
    from scipy.linalg import cho_factor, cho_solve
    from scipy.spatial.distance import cdist

    from minnorm import KernelInterpolator

    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((n, p)), rng.standard_normal(n)
    order = rng.permutation(n)
    kept = np.setdiff1d(np.arange(n), order[:1])
    gamma = 1.0 / p
    K = np.exp(-gamma * cdist(X[kept], X[kept], "sqeuclidean"))
    targets = y[kept]

    def by_cholesky(matrix):
        factor = cho_factor(matrix, lower=True, overwrite_a=True, check_finite=False)
        return cho_solve(factor, targets, check_finite=False)

    model = KernelInterpolator(kernel="rbf", gamma=gamma).fit(X, y)
    model.forget([int(order[0])])
    reference = by_cholesky(K.copy(order="F"))
    difference = np.linalg.norm(model.dual_coef_ - reference) / np.linalg.norm(reference)

    times: dict[str, list[float]] = {"forget": [], CHOLESKY: []}
    for repeat in range(1, repeats + 1):
        gone, matrix = [int(order[repeat])], K.copy(order="F")
        times["forget"].append(seconds(lambda gone=gone: model.forget(gone)))
        times[CHOLESKY].append(seconds(lambda matrix=matrix: by_cholesky(matrix)))
    return {"times": times, "difference": float(difference), "bound": str(model.certify())}


def measure(quick: bool, repeats: int) -> dict[str, object]:
    """Both comparisons, and the BLAS that answered, in this process."""
    n, p, kernel_n = (500, 2000, 1000) if quick else (2000, 8000, 4000)
    results = {
        "linear": {"size": f"n = {n}, p = {p}", **linear(n, p, repeats)},
        "kernel": {"size": f"n = {kernel_n}, 50 features", **kernel(kernel_n, 50, repeats)},
    }
    return {"results": results, "libraries": libraries()}


def print_results(title: str, measured: dict) -> dict[tuple[str, str], float]:
    """One table per model; returns the ratio of medians for each baseline."""
    print(f"\n## {title}\n")
    print("\n".join(f"- {library}" for library in measured["libraries"]))
    ratios = {}
    for model, result in measured["results"].items():
        repeats = len(result["times"]["forget"])
        print(f"\n{model}, {result['size']}, {repeats} interleaved repeats\n")
        print(f"| {'':<44} | median ms | min .. max ms     | over forget |")
        print(f"| {'-' * 44} | --------: | ----------------: | ----------: |")
        forget = statistics.median(result["times"]["forget"])
        for name, times in result["times"].items():
            median = statistics.median(times)
            ratios[model, name] = median / forget
            spread = f"{1e3 * min(times):.2f} .. {1e3 * max(times):.2f}"
            print(f"| {name:<44} | {1e3 * median:9.2f} | {spread:>17} | {median / forget:10.1f}x |")
        print(f"\nrelative difference from the Cholesky baseline: {result['difference']:.1e}")
        print("\n".join(f"    {line}" for line in result["bound"].splitlines()))
    return ratios


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small problems, for trying it out")
    parser.add_argument("--repeats", type=int, default=5, help="interleaved repeats (default 5)")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a target is missed")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.repeats < 1:
        parser.error("--repeats must be at least 1")
    if arguments.child:
        json.dump(measure(arguments.quick, arguments.repeats), sys.stdout)
        return 0

    import minnorm
    from minnorm import _cpu

    print(f"# minnorm {minnorm.__version__}: forget one sample, or train again without it\n")
    print_machine()
    options = ["--repeats", str(arguments.repeats), *(["--quick"] if arguments.quick else [])]

    runs = [print_results("OpenBLAS as shipped", in_subprocess(__file__, options))]
    sys.stdout.flush()
    for kernels in ("SkylakeX", "Haswell") if _cpu.level() == "v4" else ():
        forced = print_results(
            f"OPENBLAS_CORETYPE={kernels}", in_subprocess(__file__, options, kernels)
        )
        if kernels == "SkylakeX":
            runs.append(forced)

    print("\n## Ratios against the faster baseline\n")
    missed = False
    for target in TARGETS:
        ratio = min(run[target.model, target.baseline] for run in runs)
        missed |= ratio < target.ratio
        verdict = "met" if ratio >= target.ratio else "MISSED"
        print(f"- {target.model} against {target.baseline}: {ratio:.0f}x (", end="")
        print(f"target {target.ratio:.0f}x: {verdict})" if not arguments.quick else "quick run)")
    return int(arguments.check and not arguments.quick and missed)


if __name__ == "__main__":
    sys.exit(main())
