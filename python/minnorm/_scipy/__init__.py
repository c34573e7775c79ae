"""The numerical core in numpy and scipy alone, with the interface of the compiled backend.

Same state, same tolerances, same bounds as the C++ core; the state dictionaries are
interchangeable. One idea per file:

- ``floating_point`` the flags of a core that checks its numbers itself
- ``scaling``        powers of two, rounding constants, norms rounded upwards
- ``samples``        which samples are held: handles, targets, counters
- ``rows``           the sample rows, read in panels and never copied as a whole
- ``factor``         the triangular factor: delete rows, solve, extreme singular values
- ``proofs``         proved lower bounds of the smallest singular value
- ``linear_factor``  independent rows and factor of a linear model, fresh or appended
- ``dual_system``    the (bordered) dual system on the independent rows
- ``linear_solve``   coefficients, refinement and certificate of a linear model
- ``linear``         LinearCore
- ``kernels``, ``gram``, ``kernel_factor``, ``kernel_solve``, ``kernel``   the same for kernels
- ``jacobian_blocks``, ``vectors``   a Jacobian and the vectors to project, read in panels
- ``row_space``  independent rows and the coordinates of all rows in their span
- ``jacobian_factor``, ``qless_qr``, ``orthonormal_rows``   its three factorizations
- ``spectral_filter``, ``compensated_dot``, ``removal``, ``jacobian_projector``   ProjectorCore
- ``thin_qr``        ThinQRCore
"""

from minnorm._scipy.jacobian_projector import ProjectorCore
from minnorm._scipy.kernel import KernelCore
from minnorm._scipy.kernels import kernel_matrix
from minnorm._scipy.linear import LinearCore
from minnorm._scipy.thin_qr import ThinQRCore

NAME = "scipy"

__all__ = ["NAME", "KernelCore", "LinearCore", "ProjectorCore", "ThinQRCore", "kernel_matrix"]
