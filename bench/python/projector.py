"""One vector projected off a wide Jacobian, against orthogonal bases by torch, scipy and numpy."""

from __future__ import annotations

import ctypes
import importlib.util
import pathlib

import numpy as np
import scipy.linalg

from minnorm import JacobianProjector, project_out
from timing import Section, always, interleaved

OURS, TORCH_QR = "project_out(J, v)", "torch.linalg.qr(J.T), v - Q (Q^T v)"
AGAIN = "JacobianProjector.project(v), factor known"
TORCH_GRAM = "torch, Gram matrix in float32"
NUMPY_QR = "numpy.linalg.qr(J.T), v - Q (Q^T v)"
SCIPY_QR = "scipy.linalg.qr(J.T), v - Q (Q^T v)"
READ = "J read once"
PRODUCTS = "m^2 p flops of float64 GEMM"


def resident_peak() -> int:
    """Bytes; the high-water mark of this process, reset by `reset_peak`."""
    status = pathlib.Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return 1024 * int(line.split()[1])


def reset_peak() -> None:
    pathlib.Path("/proc/self/clear_refs").write_text("5")


def return_free_memory() -> None:
    """What was freed and is kept for later would otherwise be used again, unseen by the peak."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it
    if trim is not None:
        trim(0)


def jacobian(m: int, p: int):
    rng = np.random.default_rng(0)
    J = rng.standard_normal((m, p), dtype=np.float32)
    v = rng.standard_normal(p, dtype=np.float32)
    v += 0.3 * J[0] - 0.2 * J[m // 2]
    return J, v


def orthogonality(J, projected, v) -> float:
    """|J P v| / (|J|_F / sqrt(m) |v|), in double by blocks; |J|_F / sqrt(m) <= |J|_2."""
    products, squares = np.zeros(len(J)), 0.0
    for start in range(0, J.shape[1], 1 << 16):
        columns = slice(start, start + (1 << 16))
        block = J[:, columns].astype(float)
        products += block @ np.asarray(projected[columns], dtype=float)
        squares += np.sum(block * block)
    size = np.sqrt(squares / len(J)) * np.linalg.norm(v.astype(float))
    return float(np.linalg.norm(products) / size)


def by_torch(J, v):
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

    return {TORCH_QR: by_qr, TORCH_GRAM: by_gram}


def contestants(J, v) -> dict:
    held = JacobianProjector(J)
    tasks = {OURS: lambda: project_out(J, v), AGAIN: lambda: held.project(v)}
    if importlib.util.find_spec("torch"):
        tasks.update(by_torch(J, v))

    def by_scipy_qr():
        Q = scipy.linalg.qr(J.T, mode="economic", check_finite=False)[0]
        return v - Q @ (Q.T @ v)

    def by_numpy_qr():
        Q = np.linalg.qr(J.T)[0]
        return v - Q @ (Q.T @ v)

    return {**tasks, NUMPY_QR: by_numpy_qr, SCIPY_QR: by_scipy_qr}


def products(m: int, p: int):
    """m^2 p flops in square products of 1000."""
    n = 1000
    A = np.ones((n, n))
    count = max(1, round(m * m * p / (2 * n**3)))

    def task():
        for _ in range(count):
            A @ A

    return task


def measure(quick: bool, repeats: int) -> Section:
    """Each from J and v to P v. The torch rows are left out where torch is not installed."""
    m, p = (50, 200_000) if quick else (50, 4_000_000)
    J, v = jacobian(m, p)
    # Small first, so that what is loaded and kept is not counted.
    project_out(J[:, :1000].copy(), v[:1000])
    return_free_memory()
    reset_peak()
    before = resident_peak()
    project_out(J, v)
    extra = (resident_peak() - before) / J.nbytes
    tasks = contestants(J, v)
    notes = [
        f"|J P v| / (|J| |v|) {orthogonality(J, task(), v):.1e}: {name}"
        for name, task in tasks.items()
    ]
    flat = J.ravel()
    tasks[READ] = lambda: np.dot(flat, flat)
    tasks[PRODUCTS] = products(m, p)
    section = interleaved(
        f"projection, m = {m}, p = {p}, float32",
        {name: always(task) for name, task in tasks.items()},
        repeats,
    )
    section.notes = [f"peak memory beyond J and v: {100 * extra:.1f}% of J", *notes]
    section.needs(OURS, flops=float(m) ** 2 * p, bytes=2.0 * J.nbytes)
    section.needs(AGAIN, bytes=2.0 * J.nbytes)
    section.needs(READ, bytes=J.nbytes)
    section.needs(PRODUCTS, flops=float(m) ** 2 * p)
    return section
