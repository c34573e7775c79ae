"""One projection off the rows of a wide Jacobian against orthogonal bases by torch and scipy.

    python bench/python/bench_projector.py [--quick] [--check] [--repeats N] [--memmap DIRECTORY]

``project_out(J, v)``, J (50, 4,000,000) float32, against ``v - Q (Q^T v)`` with
``torch.linalg.qr(J.T)`` or ``scipy.linalg.qr``, and against the Gram matrix in float32 by torch.
Each is timed whole, from J and v to P v, and its ``|J P v| / (|J| |v|)`` is evaluated in double.
Beside them stands what the machine gives: reading J, and m^2 p flops of a float64 matrix product.
The torch rows are left out where torch is not installed.

``ThinQR.delete_rows`` is compared with ``scipy.linalg.qr_delete`` on the same rows.

``--memmap`` writes a Jacobian of 4 GB there, projects off it and reports the peak resident memory.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import pathlib
import statistics
import sys
import tempfile

from _machine import in_subprocess, libraries, print_machine, seconds

OURS, TORCH_QR = "project_out(J, v)", "torch.linalg.qr(J.T), v - Q (Q^T v)"
AGAIN = "JacobianProjector.project(v), factor known"
THIN, DELETE = "ThinQR.delete_rows", "scipy.linalg.qr_delete"
TARGET = 12.0  # over TORCH_QR
MEMMAP_ROWS, MEMMAP_COLUMNS = 64, 1 << 24  # 4 GiB of float32


def resident_peak() -> int:
    """Bytes; the high-water mark of this process, reset by `reset_peak`."""
    status = pathlib.Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return 1024 * int(line.split()[1])


def reset_peak() -> None:
    pathlib.Path("/proc/self/clear_refs").write_text("5")


def peak_of(task) -> int:
    """Resident bytes that `task` needed at its peak beyond what was held before."""
    reset_peak()
    before = resident_peak()
    task()
    return resident_peak() - before


def jacobian(m: int, p: int):
    import numpy as np

    rng = np.random.default_rng(0)
    J = rng.standard_normal((m, p), dtype=np.float32)
    v = rng.standard_normal(p, dtype=np.float32)
    v += 0.3 * J[0] - 0.2 * J[m // 2]
    return J, v


def orthogonality(J, projected, v) -> float:
    """|J P v| / (|J|_F / sqrt(m) |v|), in double by blocks; |J|_F / sqrt(m) <= |J|_2."""
    import numpy as np

    products = np.zeros(len(J))
    for start in range(0, J.shape[1], 1 << 16):
        columns = slice(start, start + (1 << 16))
        products += J[:, columns].astype(float) @ np.asarray(projected[columns], dtype=float)
    size = np.linalg.norm(J.astype(np.float32).ravel()[: 1 << 24]) ** 2 / min(J.size, 1 << 24)
    norm = np.sqrt(size * J.size / len(J))
    return float(np.linalg.norm(products) / (norm * np.linalg.norm(v)))


def contestants(J, v) -> dict:
    import numpy as np
    import scipy.linalg

    from minnorm import JacobianProjector, project_out

    held = JacobianProjector(J)
    tasks = {OURS: lambda: project_out(J, v), AGAIN: lambda: held.project(v)}
    if importlib.util.find_spec("torch"):
        import torch

        torch.set_num_threads(1)
        J_tensor, v_tensor = torch.from_numpy(J), torch.from_numpy(v)

        def by_qr():
            Q = torch.linalg.qr(J_tensor.T)[0]
            return (v_tensor - Q @ (Q.T @ v_tensor)).numpy()

        def by_gram():
            G = J_tensor @ J_tensor.T
            a = torch.linalg.solve(G, J_tensor @ v_tensor)
            return (v_tensor - J_tensor.T @ a).numpy()

        tasks[TORCH_QR] = by_qr
        tasks["torch, Gram matrix in float32"] = by_gram

    def by_scipy_qr():
        Q = scipy.linalg.qr(J.T, mode="economic", check_finite=False)[0]
        return v - Q @ (Q.T @ v)

    tasks["scipy.linalg.qr(J.T), v - Q (Q^T v)"] = by_scipy_qr
    block = np.ones((len(J), 1 << 14))
    blocks = J.shape[1] // block.shape[1]

    def products():
        for _ in range(blocks):
            block @ block.T

    tasks["ceiling: reading J once"] = lambda: J.sum(dtype=np.float32)
    tasks["ceiling: 2 m^2 p flops of float64 products"] = products
    return tasks


def projection(m: int, p: int, repeats: int) -> dict:
    from minnorm import project_out

    J, v = jacobian(m, p)
    # Small first, so that what is loaded and kept is not counted.
    project_out(J[:, :1000].copy(), v[:1000])
    extra = peak_of(lambda: project_out(J, v)) / J.nbytes
    tasks = contestants(J, v)
    orthogonal = {
        name: orthogonality(J, task(), v) for name, task in tasks.items() if "ceiling" not in name
    }
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(repeats):
        for name, task in tasks.items():
            times[name].append(seconds(task))
    return {"times": times, "orthogonality": orthogonal, "extra_memory": extra}


def deletion(n: int, p: int, k: int, repeats: int) -> dict:
    """k rows out of an orthonormal basis of n rows of p; scipy's holds X^T = Q R."""
    import numpy as np
    import scipy.linalg

    from minnorm import ThinQR

    rng = np.random.default_rng(1)
    X = rng.standard_normal((n, p))
    times: dict[str, list[float]] = {THIN: [], DELETE: []}
    for _ in range(repeats):
        gone = np.sort(rng.choice(n, k, replace=False))
        ours = ThinQR(X)
        Q, R = scipy.linalg.qr(X.T, mode="economic")

        def by_scipy(Q=Q, R=R, gone=gone):
            for column in gone[::-1]:  # scattered columns go one by one
                Q, R = scipy.linalg.qr_delete(Q, R, column, which="col", overwrite_qr=True)

        times[THIN].append(seconds(lambda ours=ours, gone=gone: ours.delete_rows(gone)))
        times[DELETE].append(seconds(by_scipy))
    return {"times": times}


def streaming(directory: str) -> dict:
    """Peak resident memory of a projection off a file larger than it may use."""
    import numpy as np

    from minnorm import project_out

    rng = np.random.default_rng(2)
    with tempfile.TemporaryDirectory(dir=directory) as folder:
        path = pathlib.Path(folder, "jacobian.f32")
        with path.open("wb") as file:
            for _ in range(MEMMAP_ROWS):
                file.write(rng.standard_normal(MEMMAP_COLUMNS, dtype=np.float32).data)
        J = np.memmap(path, np.float32, "r", shape=(MEMMAP_ROWS, MEMMAP_COLUMNS))
        v = rng.standard_normal(MEMMAP_COLUMNS, dtype=np.float32)
        reset_peak()
        taken = seconds(lambda: project_out(J, v))
        return {"bytes": J.nbytes, "peak": resident_peak(), "seconds": taken}


def measure(arguments: argparse.Namespace) -> dict:
    m, p = (50, 200_000) if arguments.quick else (50, 4_000_000)
    n, width = (50, 2000) if arguments.quick else (200, 20_000)
    results = {f"projection, m = {m}, p = {p}, float32": projection(m, p, arguments.repeats)}
    for k in (1, 10):
        title = f"{k} of {n} rows deleted from the basis, p = {width}, float64"
        results[title] = deletion(n, width, k, arguments.repeats)
    out = {"results": results, "libraries": libraries()}
    if arguments.memmap:
        out["streaming"] = streaming(arguments.memmap)
    return out


def print_results(title: str, measured: dict) -> float:
    """The tables; returns the ratio over torch's QR, infinity without torch."""
    print(f"\n## {title}\n")
    print("\n".join(f"- {library}" for library in measured["libraries"]))
    over_torch = float("inf")
    for name, result in measured["results"].items():
        times = result["times"]
        print(f"\n{name}, {len(next(iter(times.values())))} interleaved repeats\n")
        print(f"| {'':<44} | median ms | min .. max ms       | over ours | orthogonality |")
        print(f"| {'-' * 44} | --------: | ------------------: | --------: | ------------: |")
        ours = statistics.median(next(iter(times.values())))
        for row, values in times.items():
            median = statistics.median(values)
            spread = f"{1e3 * min(values):.1f} .. {1e3 * max(values):.1f}"
            measured_at = result.get("orthogonality", {}).get(row)
            shown = "" if measured_at is None else f"{measured_at:.1e}"
            ratio = f"{median / ours:8.2f}x"
            print(f"| {row:<44} | {1e3 * median:9.1f} | {spread:>19} | {ratio} | {shown:>13} |")
            if row == TORCH_QR:
                over_torch = median / ours
        if "extra_memory" in result:
            print(f"\npeak memory beyond J and v: {100 * result['extra_memory']:.1f}% of J")
    if "streaming" in measured:
        file = measured["streaming"]
        print(
            f"\na memmap of {file['bytes'] / 2**30:.0f} GiB: {file['seconds']:.1f} s, "
            f"peak resident memory {file['peak'] / 2**30:.2f} GiB"
        )
    return over_torch


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small problems, for trying it out")
    parser.add_argument("--repeats", type=int, default=5, help="interleaved repeats (default 5)")
    parser.add_argument("--check", action="store_true", help="exit with 1 if the target is missed")
    parser.add_argument("--memmap", metavar="DIRECTORY", help="project off a file of 4 GB there")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.repeats < 1:
        parser.error("--repeats must be at least 1")
    if arguments.child:
        json.dump(measure(arguments), sys.stdout)
        return 0

    import minnorm
    from minnorm import _cpu

    print(f"# minnorm {minnorm.__version__}: one projection off the rows of a Jacobian\n")
    print_machine()
    options = ["--repeats", str(arguments.repeats), *(["--quick"] if arguments.quick else [])]
    memmap = ["--memmap", arguments.memmap] if arguments.memmap else []
    ratios = [print_results("BLAS as shipped", in_subprocess(__file__, [*options, *memmap]))]
    sys.stdout.flush()
    if _cpu.level() == "v4":
        forced = in_subprocess(__file__, options, "SkylakeX")
        ratios.append(print_results("OPENBLAS_CORETYPE=SkylakeX", forced))
    if min(ratios) == float("inf"):
        print("\ntorch is not installed: no ratio to state")
        return 0
    verdict = "met" if min(ratios) >= TARGET else "MISSED"
    print(f"\nover torch.linalg.qr: {min(ratios):.1f}x (target {TARGET:.0f}x", end="")
    print(f": {verdict})" if not arguments.quick else ", quick run)")
    return int(arguments.check and not arguments.quick and min(ratios) < TARGET)


if __name__ == "__main__":
    sys.exit(main())
