"""torch tensors in, torch tensors out, without a copy; other arrays by DLPack."""

import importlib.util
import tracemalloc

import numpy as np
import pytest

from _asserts import svd_complement
from _samplers import generator, with_condition
from minnorm import InputError, JacobianProjector, ThinQR, _tensors, project_out

pytestmark = pytest.mark.filterwarnings("error")

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None,
    reason="torch is not installed: tensors were not tested (pip install 'minnorm[torch]')",
)

M, P = 8, 90


def problem(dtype=np.float64):
    return with_condition(M, P, 10.0, generator(1), dtype), generator(2).standard_normal(P)


@needs_torch
@pytest.mark.parametrize("name", ["float32", "float64"])
def test_tensors_come_back(backend, name):
    import torch

    dtype = getattr(torch, name)
    J, v = (torch.tensor(a, dtype=dtype) for a in problem())
    expected = svd_complement(J.numpy(), v.numpy(), M)
    projector = JacobianProjector(J, backend=backend)
    for vector in (v, v.clone().requires_grad_(), torch.nn.Parameter(v)):
        for result in (
            projector.project(vector),
            project_out(J, vector, backend=backend),
            vector.detach() - 2 * (vector.detach() - projector.apply(vector, 0.5)),
        ):
            if result.requires_grad is False and result.dtype == dtype:
                assert isinstance(result, torch.Tensor)
        got = projector.project(vector)
        assert isinstance(got, torch.Tensor) and got.dtype == dtype and not got.requires_grad
        np.testing.assert_allclose(got.numpy(), expected, atol=1e-5 if name == "float32" else 1e-13)
    several = projector.project(torch.stack([v, 2 * v]))
    assert several.shape == (2, P)
    a = projector.coefficients(v)
    assert isinstance(a, torch.Tensor) and a.dtype == torch.float64 and a.shape == (M,)
    assert isinstance(projector.project(v.numpy()), np.ndarray)


@needs_torch
def test_a_tensor_is_read_in_place(backend):
    import torch

    wide = torch.randn(60, 80_000, generator=torch.Generator().manual_seed(0))
    J = wide[::2, 1000:].requires_grad_()
    v = torch.ones(J.shape[1])
    nbytes = J.numel() * 4
    tracemalloc.start()
    try:
        project_out(J, v, backend=backend)
        assert tracemalloc.get_traced_memory()[1] < nbytes
    finally:
        tracemalloc.stop()
    assert np.shares_memory(_tensors.as_array(J, "J"), wide.numpy())


@needs_torch
def test_gradients_by_layer(backend):
    """Per-sample gradients of a network as torch gives them, and the parameters as slices."""
    import torch

    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.Tanh(), torch.nn.Linear(6, 1))
    parameters = list(network.parameters())
    X = torch.randn(5, 4)
    gradients = [torch.autograd.grad(network(x).sum(), parameters) for x in X]
    layers = [torch.stack(layer) for layer in zip(*gradients, strict=True)]
    projector = JacobianProjector.from_column_blocks(layers, backend=backend)
    projected = projector.project(parameters)
    assert [p.shape for p in projected] == [p.shape for p in parameters]
    assert all(isinstance(p, torch.Tensor) for p in projected)
    for i in range(5):
        product = sum((layer[i] * p).sum() for layer, p in zip(layers, projected, strict=True))
        assert abs(float(product)) <= 1e-5
    step = projector.apply(parameters, 0.5)
    for new, old, removed in zip(step, parameters, projected, strict=True):
        torch.testing.assert_close(new, old.detach() - 0.5 * removed)
    projector.add_rows([2 * layer[:1] for layer in layers])
    assert projector.n_rows_ == 6 and projector.rank_ == 5


@needs_torch
def test_half_precision_is_read_in_single(backend):
    import torch

    J, v = problem(np.float32)
    tensor = torch.tensor(J).to(torch.bfloat16)
    projector = JacobianProjector(tensor, backend=backend)
    expected = svd_complement(tensor.float().numpy(), v, M)
    got = projector.project(torch.tensor(v))
    np.testing.assert_allclose(got.numpy(), expected, atol=1e-5)
    assert projector.project(torch.tensor(v).to(torch.bfloat16)).dtype == torch.float32
    projector.delete_rows([0])
    np.testing.assert_array_equal(tensor[0].float().numpy(), torch.tensor(J[0]).bfloat16().float())


@needs_torch
def test_tensors_that_cannot_be_used(backend):
    import torch

    with pytest.raises(InputError, match=r"device meta.*J\.cpu\(\)"):
        JacobianProjector(torch.ones(2, 3, device="meta"), backend=backend)
    with pytest.raises(InputError, match="dense"):
        JacobianProjector(torch.eye(3).to_sparse(), backend=backend)
    with pytest.raises(InputError, match="omplex"):
        JacobianProjector(torch.ones(2, 3, dtype=torch.complex64), backend=backend)


@needs_torch
def test_thin_qr_reads_tensors(backend):
    import torch

    J, _ = problem()
    assert ThinQR(torch.tensor(J), backend=backend).rank_ == M


class Exported:
    """An array of another library: DLPack and nothing else."""

    def __init__(self, array, device=1):
        self._array, self._device = array, device

    def __dlpack__(self, **parameters):
        return self._array.__dlpack__(**parameters)

    def __dlpack_device__(self):
        return self._device, 0


def test_dlpack(backend):
    J, v = problem()
    array = _tensors.as_array(Exported(J), "J")
    assert np.shares_memory(array, J)
    got = project_out(Exported(J), Exported(v), backend=backend)
    assert isinstance(got, np.ndarray)
    np.testing.assert_allclose(got, svd_complement(J, v, M), atol=1e-13)
    with pytest.raises(InputError, match="CPU"):
        project_out(Exported(J, device=2), v, backend=backend)


class Convertible:
    def __init__(self, array):
        self._array = array

    def __array__(self, dtype=None, copy=None):
        return self._array


def test_array_protocol(backend):
    J, v = problem()
    kept = J.copy()
    projector = JacobianProjector(Convertible(J), backend=backend)
    np.testing.assert_allclose(
        projector.project(Convertible(v)), svd_complement(J, v, M), atol=1e-13
    )
    projector.delete_rows([1])
    np.testing.assert_array_equal(J, kept)
