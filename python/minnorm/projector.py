"""Projection off the span of model gradients: P v = v - J^T (J J^T)^+ J v."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from scipy.sparse.linalg import LinearOperator

from ._jacobian import JacobianBlocks
from ._operator import NO_UPDATES, OperatorJacobian
from ._positions import as_positions
from ._project_out import project_out
from ._projector_base import HeldProjector, checked, held_of
from ._validation import Array, finite
from .errors import InputError

__all__ = ["JacobianProjector", "project_out"]


class JacobianProjector(HeldProjector):
    """The orthogonal projector onto the complement of the rows of a Jacobian.

    ``P v = v - J^T (J J^T)^+ J v`` for J (m, p): m gradients, one per retained sample, of p
    parameters. A step along ``P v`` changes no retained output to first order. J is read in place,
    in panels of columns, twice for a vector: never copied, and no p x m matrix is stored unless
    the condition of J asks for it.

    Parameters
    ----------
    J : array-like (m, p), numpy.memmap, torch tensor or LinearOperator
        Gradients as rows, float32 or float64. Not copied when the last axis is contiguous,
        whatever the stride of the rows; else converted once. Tensors on the CPU are read in place
        and detached. The array is held by reference and must not change while the projector lives.
        Of a LinearOperator only products are used (see `from_operator`).
    rtol : float or None, default None
        Tolerance of the rank: directions whose eigenvalue of the Gram matrix of the rows, *scaled
        to unit length*, is at most ``rtol`` times the largest stay in the vector. None is the
        numerical rank, ``(max(m, 16) eps)^2`` with eps of J's dtype: a row is dropped only when it
        is dependent on others to rounding. A larger value truncates the spectrum.
    damping : float, default 0.0
        mu of the Tikhonov form ``v - J^T (J J^T + mu I)^-1 J v``, in squared units of J.
    damping_relative : bool, default False
        ``damping`` is a fraction of the largest eigenvalue of ``J J^T``.
    factorization : {"auto", "cholesky", "seminormal", "qr"}, default "auto"
        "cholesky" factors the Gram matrix: one read of J, good to a condition number of 5e3
        (float64) or 2e6 (float32), counted for rows of unit length. "seminormal" takes the
        triangle of a QR of the rows, one more read, good to 4e7. "qr" also stores the orthonormal
        rows, r p numbers in double precision, good for any. "auto" takes the first that is good
        enough; a value named is used as it is.
    backend : {"auto", "native", "scipy"}, default "auto"
        "auto" is the compiled core, or scipy (with a warning) where that does not load.

    Attributes
    ----------
    shape : tuple
        (m, p).
    n_rows_ : int
        Rows held now.
    rank_ : int or None
        Directions removed. None for an operator without a Gram matrix.
    rtol_ : float
        The tolerance in use.
    gram_eigenvalues_ : ndarray, shape (m,), or None
        Eigenvalues of the Gram matrix of the rows scaled to unit length, descending.
    condition_ : float or None
        Ratio of the extreme singular values kept, of the rows scaled to unit length.
    factorization_ : str
        The factorization in use.

    Raises
    ------
    InputError, ShapeError
        No rows (never taken for "everything is orthogonal"), NaN or infinity (naming the row),
        complex, sparse or ragged data, a tensor on a GPU.

    See Also
    --------
    project_out : One projection, with one read of J less.
    ThinQR : The orthonormal basis itself.

    Notes
    -----
    Sums are in double precision whatever the dtypes. Measured ``||J P v|| / (||J|| ||v||)`` is
    returned with ``return_report=True``; a projection that is not orthogonal to
    ``max(m, 4) eps`` of the vector's dtype is corrected, with one more read. Cost: m^2 p to
    factor, 4 m p per vector, O(m^2) memory besides the vectors. It is the projection of
    Algorithm 1 (MinNorm-OG) of Block, Mokhtari and Shakkottai, arXiv 2505.22601. "Twice is
    enough": Parlett, The Symmetric Eigenvalue Problem, section 6.9.

    Examples
    --------
    >>> import numpy as np
    >>> from minnorm import JacobianProjector
    >>> J = np.array([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 4.0, 0.0]])
    >>> projector = JacobianProjector(J, backend="scipy")
    >>> projector.rank_, projector.project([3.0, 4.0, 5.0]).tolist()
    (2, [0.0, 0.0, 5.0])
    >>> projector.delete_rows([0]).project([3.0, 4.0, 5.0]).tolist()
    [3.0, 0.0, 5.0]
    """

    def __init__(
        self,
        J: Any,
        *,
        rtol: float | None = None,
        damping: float = 0.0,
        damping_relative: bool = False,
        factorization: str = "auto",
        backend: str = "auto",
    ) -> None:
        parameters = checked(rtol, damping, damping_relative, factorization, backend)
        self._build(held_of(J), parameters)

    @classmethod
    def from_row_blocks(cls, blocks: Iterable[Any], **parameters: Any) -> JacobianProjector:
        """The projector of batches of gradients, each (m_b, p), as if stacked.

        Parameters
        ----------
        blocks : iterable of array-like
            Held by reference, and read one after the other in panels. Batches without rows are
            passed over.
        **parameters
            As for the class.
        """
        return cls._of(JacobianBlocks.row_blocks(blocks), checked(**parameters))

    @classmethod
    def from_column_blocks(cls, blocks: Sequence[Any], **parameters: Any) -> JacobianProjector:
        """The projector of gradients that are stored by layer.

        Parameters
        ----------
        blocks : sequence of array-like
            One array (m, *parameter_shape) per layer, as per-sample gradients come; held by
            reference. Vectors may then also be sequences of slices, each of the shape of its layer
            (with k in front for k vectors), and come back like that.
        **parameters
            As for the class.
        """
        return cls._of(JacobianBlocks.column_blocks(blocks), checked(**parameters))

    @classmethod
    def from_operator(
        cls,
        matvec: Callable[[Array], Any],
        rmatvec: Callable[[Array], Any],
        shape: tuple[int, int],
        dtype: Any = np.float64,
        gram: Any = None,
        **parameters: Any,
    ) -> JacobianProjector:
        """The projector of a Jacobian known by its products only.

        Parameters
        ----------
        matvec : callable
            v (p,) -> J v (m,): one Jacobian-vector product.
        rmatvec : callable
            u (m,) -> J^T u (p,): one backward pass.
        shape : tuple
            (m, p).
        dtype : dtype
            Precision of the products.
        gram : None, "form" or ndarray, shape (m, m)
            ``J J^T`` as preconditioner, given or formed by m products each way. It makes the rank
            known, and a few steps enough instead of some multiple of cond(J).
        **parameters
            As for the class; ``factorization`` is not used, ``rtol`` needs ``gram``.

        Notes
        -----
        LSMR on ``min ||v - J^T x||`` (Fong and Saunders, SIAM J. Sci. Comput. 33, 2011), repeated
        on what is left until that is orthogonal. Iterations and the orthogonality reached are in
        the report. Rows cannot be deleted or added.
        """
        operator = LinearOperator(shape, matvec=matvec, rmatvec=rmatvec, dtype=np.dtype(dtype))
        return cls._of(OperatorJacobian(operator, gram), checked(**parameters))

    # ---- projecting --------------------------------------------------------------------------

    def project(self, v: Any, *, return_report: bool = False) -> Any:
        """``P v``.

        Parameters
        ----------
        v : array-like or tensor, shape (p,) or (k, p)
            float32 or float64, whatever the dtype of J; other real types become float64. Only
            read. After `from_column_blocks` also a sequence of slices.
        return_report : bool, default False
            Also return a `ProjectionReport`.

        Returns
        -------
        projected : ndarray or tensor
            Of the kind, shape and dtype of ``v``.
        report : ProjectionReport
            Only with ``return_report=True``.

        Raises
        ------
        InputError, ShapeError
            NaN or infinity in ``v``, or a length that is not p.

        Notes
        -----
        Two reads of J, one more for each correction. 4 m p flops per vector.
        """
        return self._projected(v, None, return_report)

    def apply(self, v: Any, strength: float, *, return_report: bool = False) -> Any:
        """``v - strength P v``: the step of MinNorm-OG with strength ``1 / (1 + lambda)``.

        Parameters, returns, errors and cost as for `project`; strength any finite number.
        """
        return self._projected(v, finite(strength, "strength"), return_report)

    def coefficients(self, v: Any) -> Any:
        """a (m,) or (k, m) with ``P v = v - J^T a``: ``(J J^T)^+ J v`` on the independent rows.

        Rows that depend on others have coefficient zero, so for a dependent J it is *a* solution,
        not the one of least norm. In double precision. At most the reads of `project`.
        """
        V, back = self._blocks.vectors(v)
        a = np.asarray(self._core.coefficients(V))
        if isinstance(v, list | tuple) and self._blocks.parameter_shapes is not None:
            return a if np.ndim(v[0]) > len(self._blocks.parameter_shapes[0]) else a[0]
        return back(a)

    # ---- other rows --------------------------------------------------------------------------

    def delete_rows(self, rows: Any) -> JacobianProjector:
        """Hold these rows no longer; the others keep their order, as with ``np.delete``.

        Parameters
        ----------
        rows : int or array-like of int, or boolean mask (m,)
            Positions among the rows held now, 0 .. m - 1; negative ones count from the end.

        Returns
        -------
        JacobianProjector
            This object. The factor is updated by orthogonal rotations: O(m^2) per row, J is not
            read. Arrays that had to be converted are this object's own: the rows are overwritten
            in them. The caller's arrays are only read, and deleting there is the caller's task.

        Raises
        ------
        InputError
            An unknown or repeated row, none, all of them, or a linear operator. Nothing changes.
        """
        blocks = self._stored("delete_rows")
        positions = as_positions(rows, self._core.n_rows)
        self._core.delete_rows(positions)
        blocks.delete(positions)
        return self

    def add_rows(self, J_new: Any) -> JacobianProjector:
        """Hold further rows, after the others.

        Parameters
        ----------
        J_new : array-like (n, p), or one array (n, *parameter_shape) per layer
            Held by reference where no conversion is needed; brought to the dtype of J.

        Returns
        -------
        JacobianProjector
            This object. One read of J: O(m n p); a new factorization where the Gram matrix is no
            longer good enough.

        Raises
        ------
        InputError, ShapeError
            Rows that cannot be used, none, or a linear operator. Nothing changes.
        """
        blocks = self._stored("add_rows")
        new = blocks.further(J_new)
        self._core.add_rows(new.columns)
        blocks.append(new)
        return self

    def _stored(self, method: str) -> JacobianBlocks:
        if isinstance(self._blocks, OperatorJacobian):
            raise InputError(NO_UPDATES.format(method))
        return self._blocks
