"""Matrices sampled by shape, rank, condition, duplicates, zero rows, scale, dtype and layout.

Invariant: a sample that claims a rank has it *exactly*: rank-deficient matrices are small-integer
combinations of rows with few significant bits, so every product and sum is exact in float32 too.
Everything is a function of its seed.
"""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Sample:
    """Rows `x` (n, p), targets `y` (n,) or (n, t), and a name for the test report."""

    name: str
    x: np.ndarray
    y: np.ndarray

    def __str__(self):
        return self.name


def generator(*seed):
    """A generator from any tuple of non-negative integers."""
    return np.random.default_rng(seed)


def orthonormal(n, p, rng):
    """An n x p matrix with orthonormal rows, n <= p."""
    q, r = np.linalg.qr(rng.standard_normal((p, n)))
    return (q * np.sign(np.diag(r))).T


def with_condition(n, p, condition, rng, dtype=np.float64, scale=1.0):
    """Full row rank n <= p, singular values spaced logarithmically from `scale` down."""
    spectrum = np.logspace(0.0, -np.log10(condition), n) if n > 1 else np.ones(1)
    x = (orthonormal(n, n, rng) * spectrum) @ orthonormal(n, p, rng)
    return np.ascontiguousarray(x * scale, dtype=dtype)


def graded_rows(n, p, condition, rng, dtype=np.float64):
    """Rows of norms from 1 to 1/condition in a shuffled order: harmless ill-conditioning."""
    x = rng.standard_normal((n, p)) * np.logspace(0.0, -np.log10(condition), n)[:, None]
    return rng.permutation(x).astype(dtype)


def nearly_parallel(n, p, gap, rng, dtype=np.float64):
    """One common direction plus differences of size `gap`: cond about sqrt(n) / gap."""
    return (rng.standard_normal(p) + gap * rng.standard_normal((n, p))).astype(dtype)


def hidden_direction(gap, p, rng, dtype=np.float64):
    """Rows x, x + e z, 100 z, e the power of two next to gap: of rank 2, exactly, in any dtype.

    Deleting the last leaves a singular value of order e. x and z have 7 significant bits, so the
    middle row is exact down to e = 2^-45 (2^-16 in float32).
    """
    x, z = short_bits((2, p), rng, dtype)
    return np.array([x, x + dtype(2.0 ** round(np.log2(gap))) * z, 100 * z], dtype=dtype)


def vandermonde(n, p, rng, dtype=np.float64):
    """Monomials at n points in [0, 1]: the classical exponentially ill-conditioned rows."""
    return np.vander(np.sort(rng.uniform(0, 1, n)), p, increasing=True).astype(dtype)


def short_bits(shape, rng, dtype=np.float64, bits=6):
    """Entries k / 2^bits with |k| <= 2^bits: products of a few of them are exact in float32."""
    limit = 1 << bits
    return (rng.integers(-limit, limit + 1, shape) / limit).astype(dtype)


def combinations_of(base, count, rng):
    """`count` rows that are combinations of `base` with coefficients in -2 .. 2, exactly."""
    return rng.integers(-2, 3, (count, base.shape[0])).astype(base.dtype) @ base


def with_rank(n, p, rank, rng, dtype=np.float64):
    """n x p of exact rank at most `rank` (equal to it almost surely), rows shuffled."""
    base = short_bits((rank, p), rng, dtype)
    return rng.permutation(np.vstack([base, combinations_of(base, n - rank, rng)]))


def with_duplicates(n, p, copies, rng, dtype=np.float64):
    """`copies` of the n rows repeat earlier ones."""
    distinct = short_bits((n - copies, p), rng, dtype)
    return rng.permutation(np.vstack([distinct, distinct[rng.integers(0, n - copies, copies)]]))


def with_zero_rows(n, p, zeros, rng, dtype=np.float64):
    """`zeros` of the n rows vanish."""
    return rng.permutation(
        np.vstack([short_bits((n - zeros, p), rng, dtype), np.zeros((zeros, p), dtype)])
    )


def one_hot(n, p, rng, dtype=np.float64):
    """Indicator rows: most of them repeat, and their sum is constant."""
    return np.eye(p, dtype=dtype)[rng.integers(0, p, n)]


def degenerate_samples(dtype=np.float64):
    """Every way real data is rank-deficient, with consistent and inconsistent targets."""
    made = {
        "duplicates": with_duplicates(10, 14, 4, generator(1), dtype),
        "zero rows": with_zero_rows(9, 12, 3, generator(2), dtype),
        "rank 4 of 10": with_rank(10, 16, 4, generator(3), dtype),
        "tall": short_bits((12, 5), generator(4), dtype),
        "tall of rank 3": with_rank(12, 6, 3, generator(5), dtype),
        "one-hot": one_hot(11, 5, generator(6), dtype),
        "one feature": short_bits((6, 1), generator(7), dtype) + 2,
        "constant column": np.hstack(
            [short_bits((7, 9), generator(8), dtype), np.ones((7, 1), dtype)]
        ),
        "square": short_bits((8, 8), generator(9), dtype),
        "twice the same row": np.repeat(short_bits((1, 6), generator(10), dtype), 2, axis=0),
    }
    samples = []
    for number, (name, x) in enumerate(made.items()):
        rng = generator(100, number)
        weights = short_bits((x.shape[1], 2), rng, dtype)
        samples.append(Sample(f"{name}, consistent", x, x @ weights))
        samples.append(Sample(f"{name}, inconsistent", x, short_bits((x.shape[0], 2), rng, dtype)))
    return samples


def targets(n, rng, dtype=np.float64, outputs=None, scale=1.0):
    """Standard normal targets, (n,) or (n, outputs)."""
    shape = n if outputs is None else (n, outputs)
    return np.asarray(rng.standard_normal(shape) * scale, dtype=dtype)


def feature_points(n, p, rng, dtype=np.float64):
    """Points for feature kernels, standard normal."""
    return rng.standard_normal((n, p)).astype(dtype)


def drawn(n, count, *seed):
    """`count` different positions of n."""
    return generator(*seed).choice(n, count, replace=False)


def without(n, gone):
    """The other positions, ascending."""
    return np.setdiff1d(np.arange(n), gone)


# Memory layouts: each maps a C-ordered matrix to an array of the same values -----------------


def _strided(a):
    wide = np.empty((2 * a.shape[0], 3 * a.shape[1]), a.dtype)
    wide[::2, ::3] = a
    return wide[::2, ::3]


def _reversed_twice(a):
    return np.ascontiguousarray(a[::-1, ::-1])[::-1, ::-1]


def _read_only(a):
    a = a.copy()
    a.setflags(write=False)
    return a


def _misaligned(a):
    buffer = np.empty(a.nbytes + 1, np.uint8)
    view = buffer[1:].view(a.dtype).reshape(a.shape)
    view[...] = a
    return view


LAYOUTS = {
    "C": np.ascontiguousarray,
    "Fortran": np.asfortranarray,
    "strided": _strided,
    "negative strides": _reversed_twice,
    "read-only": _read_only,
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "little-endian": lambda a: a.astype(a.dtype.newbyteorder("<")),
    "misaligned": _misaligned,
    "list": lambda a: a.tolist(),
    "rows of a transposed view": lambda a: np.ascontiguousarray(a.T).T,
}
