"""Powers of two, rounding constants, and norms rounded upwards.

All data are used as (power of two) * (numbers below one), so squares neither overflow nor
underflow; multiplying by a power of two is exact. Scalars of a proof are Python floats
(double precision) even when the arrays are single; ``SLACK`` covers their own rounding.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Positions: TypeAlias = NDArray[np.int64]

# A bound is evaluated with fewer than 2**10 double operations on nonnegative scalars, each
# with relative error 2**-53; 2**-40 is more than enough.
SLACK = 1.0 + 2.0**-40


def exponent_of(largest: float) -> int:
    """e with largest * 2**-e in [0.5, 1); 0 for zero."""
    return math.frexp(largest)[1] if largest > 0.0 else 0


def scaled(array: Array, exponent: int) -> Array:
    """array * 2**exponent as a new array of the same dtype."""
    if abs(exponent) <= plain_exponent(array.dtype):
        plain: Array = array * array.dtype.type(math.ldexp(1.0, exponent))
        return plain
    with np.errstate(over="ignore", under="ignore"):
        result: Array = np.ldexp(array, exponent).astype(array.dtype, copy=False)
    return result


def plain_exponent(dtype: np.dtype[Any]) -> int:
    """|e| up to which 2**e can be moved from a matrix to the vector it multiplies.

    Vectors here lie well within 2**-60 .. 2**60 (single) or 2**-500 .. 2**500 (double).
    """
    return 50 if dtype == np.float32 else 400


def unit_roundoff(dtype: np.dtype[Any]) -> float:
    return float(np.finfo(dtype).eps) / 2.0


def smallest(dtype: np.dtype[Any]) -> float:
    """The absolute error of one operation that underflows."""
    return float(np.finfo(dtype).smallest_subnormal)


def gamma(depth: float, dtype: np.dtype[Any]) -> float:
    """gamma_d = d u / (1 - d u); infinite where that theory ends.

    Source: Higham, Accuracy and Stability of Numerical Algorithms, Lemma 3.1.
    """
    du = depth * unit_roundoff(dtype)
    return du / (1.0 - du) * SLACK if du < 0.5 else math.inf


def chunk_width(count: int, least: int) -> int:
    """Chunk length c for a sum of `count` terms: near sqrt(count), but worth a BLAS call."""
    return max(least, math.isqrt(max(count, 1)))


def summation_depth(count: int, chunk: int) -> int:
    """Additions a term can pass through: the chunk (BLAS order unknown), then the chunks."""
    return min(chunk, count) + -(-count // chunk) + 1


def shifted_up(value: float, exponent: int) -> float:
    """value * 2**exponent, never below it."""
    try:
        result = math.ldexp(value, exponent)
    except OverflowError:
        return math.inf
    return result if math.ldexp(result, -exponent) >= value else math.nextafter(result, math.inf)


def shifted_down(value: float, exponent: int) -> float:
    """value * 2**exponent, never above it."""
    try:
        result = math.ldexp(value, exponent)
    except OverflowError:
        return float(np.finfo(np.float64).max)
    return result if math.ldexp(result, -exponent) <= value else math.nextafter(result, 0.0)


def norms_up(array: Array, axis: int = 0) -> NDArray[np.float64]:
    """Upper bounds of the 2-norms along `axis` of a 2-D array, in double precision.

    Each vector is scaled by its own largest entry: what underflows then is below 2**-537 of it.
    A sum of m squares and a root: relative error at most (m + 3) 2**-53 in any order.
    """
    values = np.asarray(array, dtype=np.float64)
    length = values.shape[axis]
    if values.size == 0:
        return np.zeros(values.shape[1 - axis])
    largest = np.abs(values).max(axis=axis, keepdims=True)
    exponents = np.frexp(largest)[1]
    small = np.ldexp(values, -exponents)
    roots = np.sqrt((small * small).sum(axis=axis))
    up = 1.0 + (length + 16) * 2.0**-52
    result: NDArray[np.float64] = np.ldexp(roots * up, exponents.reshape(roots.shape))
    return np.where((result == 0.0) & (roots > 0.0), 5e-324, result)


def norm_up(vector: Array) -> float:
    """Upper bound of the 2-norm of all entries of `vector`."""
    return float(norms_up(np.ravel(vector)[:, None])[0])


def frobenius_up(array: Array) -> float:
    """Upper bound of the Frobenius norm of a large array, in one pass per step."""
    values = np.asarray(array, dtype=np.float64)
    largest = float(max(values.max(initial=0.0), -values.min(initial=0.0)))
    if largest == 0.0 or not math.isfinite(largest):
        return largest
    exponent = math.frexp(largest)[1]
    plain = abs(exponent) < 200  # squares of what matters stay normal
    small = values if plain else np.ldexp(values, -exponent)
    # A sum of m squares: relative error at most m 2**-53; underflow is below 2**-600 of it.
    root = math.sqrt(float(np.einsum("ij,ij->", small, small)))
    root *= 1.0 + values.size * 2.0**-52 + 2.0**-40
    return root if plain else shifted_up(root, exponent)


def column_exponents(array: Array) -> NDArray[np.int64]:
    """For each column the e of `exponent_of`."""
    largest = np.abs(array).max(axis=0) if array.shape[0] else np.zeros(array.shape[1])
    exponents: NDArray[np.int64] = np.frexp(np.asarray(largest, dtype=np.float64))[1].astype(
        np.int64
    )
    return exponents


def shift_columns(array: Array, exponents: NDArray[np.int64]) -> Array:
    """Column j of the result is array[:, j] * 2**exponents[j]."""
    with np.errstate(over="ignore", under="ignore"):
        result: Array = np.ldexp(array, exponents.astype(np.intc)[None, :])
    return result.astype(array.dtype, copy=False)
