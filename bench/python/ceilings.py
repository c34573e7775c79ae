"""What the machine gives: the speed of reading memory and of matrix products, in this process."""

from __future__ import annotations

import numpy as np

from timing import Section, always, interleaved

READ = ("memory: dot product", "memory: sum", "memory: matrix by vector")
PRODUCT = {"float64": "GEMM, float64", "float32": "GEMM, float32"}


def measure(quick: bool, repeats: int) -> Section:
    """Reads of 256 MB by three ways, of which the fastest is the ceiling, and square products."""
    rows, columns = (500, 4000) if quick else (4000, 8000)
    X = np.ones((rows, columns))
    x, ones = X.ravel(), np.ones(columns)
    tasks = {
        READ[0]: always(lambda: np.dot(x, x)),
        READ[1]: always(x.sum),
        READ[2]: always(lambda: X @ ones),
    }
    n = 500 if quick else 1500
    squares = {dtype: np.ones((n, n), dtype) for dtype in PRODUCT}
    for dtype, name in PRODUCT.items():
        tasks[name] = always(lambda A=squares[dtype]: A @ A)
    section = interleaved("what the machine gives", tasks, repeats)
    for name in READ:
        section.needs(name, bytes=X.nbytes)
    for name in PRODUCT.values():
        section.needs(name, flops=2.0 * n**3)
    section.notes = [
        f"reading {reading_speed(section) / 1e9:.1f} GB/s, "
        + ", ".join(
            f"{name} {product_speed(section, dtype) / 1e9:.0f} GFLOP/s"
            for dtype, name in PRODUCT.items()
        )
    ]
    return section


def reading_speed(section: Section) -> float:
    """Bytes a second."""
    return max(section.rows[name].bytes / section.rows[name].median for name in READ)


def product_speed(section: Section, dtype: str = "float64") -> float:
    """Operations a second."""
    row = section.rows[PRODUCT[dtype]]
    return row.flops / row.median


def least_seconds(ceilings: Section, flops: float, bytes: float) -> float:
    """Time of work that reads memory, then computes, both at the ceiling."""
    return flops / product_speed(ceilings) + bytes / reading_speed(ceilings)
