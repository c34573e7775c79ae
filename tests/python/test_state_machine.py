"""Random sequences of every operation against the exact model of the samples then held.

The reference is a plain list of (id, row, targets). Rows have few significant bits, so duplicates,
zero rows and combinations are exactly dependent, and the oracle knows the rank.
"""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import _exact
from _asserts import (
    assert_bound_holds_kernel,
    assert_bound_holds_linear,
    assert_exact_linear,
    assert_in_the_span_of_the_dual,
    assert_same_as_refit,
    assert_unchanged,
    columns,
    snapshot,
)
from minnorm import InputError, KernelInterpolator, LinearInterpolator, UnknownSampleError

pytestmark = pytest.mark.filterwarnings("error")

# Without the shrinking phase a failure is reported at once; the histories are short as they are.
SETTINGS = settings(
    max_examples=100,
    stateful_step_count=12,
    derandomize=True,
    deadline=None,
    database=None,
    phases=(Phase.generate,),
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
LARGEST = 10


class Machine(RuleBasedStateMachine):
    """Operations common to both models; `held` is the reference."""

    def __init__(self, backend):
        super().__init__()
        self.backend = backend
        self.model = None
        self.held = []
        self.next_id = 0
        self.n_forgotten = 0

    def make(self, draw):
        raise NotImplementedError

    def check(self, model, x, y):
        raise NotImplementedError

    def arrays(self, held=None):
        held = self.held if held is None else held
        return np.array([row for _, row, _ in held]), np.array([t for _, _, t in held])

    def drawn_samples(self, data, count):
        """New rows: fresh, zero, a copy or a difference of held ones; targets in quarters."""
        samples = []
        for _ in range(count):
            kind = data.draw(st.sampled_from(["fresh", "fresh", "copy", "difference", "zero"]))
            pool = [row for _, row, _ in self.held] + [row for _, row, _ in samples]
            if kind == "zero" or (kind != "fresh" and not pool):
                row = np.zeros(self.p)
            elif kind == "fresh":
                entries = st.lists(st.integers(-8, 8), min_size=self.p, max_size=self.p)
                row = np.array(data.draw(entries)) / 4.0
            else:
                row = pool[data.draw(st.integers(0, len(pool) - 1))]
                if kind == "difference":
                    row = row - pool[data.draw(st.integers(0, len(pool) - 1))]
            target = np.array(
                data.draw(st.lists(st.integers(-8, 8), min_size=self.t, max_size=self.t))
            )
            samples.append((self.next_id, row, target / 4.0))
            self.next_id += 1
        return samples

    def drawn_ids(self, data):
        ids = [i for i, _, _ in self.held]
        return data.draw(
            st.lists(st.sampled_from(ids), min_size=1, max_size=len(ids) - 1, unique=True)
        )

    def without(self, gone):
        return [sample for sample in self.held if sample[0] not in gone]

    @initialize(data=st.data())
    def fit(self, data):
        self.p = data.draw(st.integers(1, 7))
        self.t = data.draw(st.integers(1, 2))
        self.held = []
        self.next_id = 0
        self.n_forgotten = 0
        self.model = self.make(data)
        self.held = self.drawn_samples(data, data.draw(st.integers(1, 7)))
        self.model.fit(*self.arrays())

    @precondition(lambda self: len(self.held) > 1)
    @rule(data=st.data())
    def forget(self, data):
        gone = self.drawn_ids(data)
        certificate = self.model.forget(gone)
        self.held = self.without(gone)
        self.n_forgotten += len(gone)
        assert certificate.n_forgotten == self.n_forgotten

    @precondition(lambda self: len(self.held) < LARGEST)
    @rule(data=st.data())
    def learn(self, data):
        new = self.drawn_samples(data, data.draw(st.integers(1, LARGEST - len(self.held))))
        self.model.learn(*self.arrays(new))
        self.held = self.held + new

    @precondition(lambda self: len(self.held) > 1)
    @rule(data=st.data())
    def preview(self, data):
        before = snapshot(self.model)
        gone = self.drawn_ids(data)
        seen = self.model.preview(gone)
        rest = self.without(gone)
        assert list(seen.ids_) == [i for i, _, _ in rest]
        fresh = self.make_alike().fit(*self.arrays(rest))
        slack = (
            seen.certify().prediction_error_bound + fresh.certify().prediction_error_bound + 1e-9
        )
        points, _ = self.arrays()
        reach = 1.0 + np.sqrt(np.sum(points**2, axis=1)).max()
        gap = np.abs(columns(seen.predict(points)) - columns(fresh.predict(points))).max()
        assert gap <= slack * reach
        assert_unchanged(self.model, before)

    @precondition(lambda self: len(self.held) > 1)
    @rule()
    def leave_one_out(self):
        before = snapshot(self.model)
        predictions = columns(self.model.leave_one_out().predictions)
        for k, (i, row, _) in enumerate(self.held):
            fresh = self.make_alike().fit(*self.arrays(self.without([i])))
            expected = columns(fresh.predict(row[None, :]))[0]
            np.testing.assert_allclose(predictions[k], expected, rtol=1e-6, atol=1e-7)
        assert_unchanged(self.model, before)

    @rule()
    def save_and_load(self):
        self.model = pickle.loads(pickle.dumps(self.model))

    @rule()
    def deepcopy(self):
        self.model = copy.deepcopy(self.model)

    @rule()
    def refused(self):
        before = snapshot(self.model)
        with pytest.raises(UnknownSampleError):
            self.model.forget([self.held[0][0], self.next_id])
        with pytest.raises(InputError):
            self.model.forget([i for i, _, _ in self.held])
        with pytest.raises(InputError):
            self.model.learn(np.full((1, self.p), np.nan), np.zeros((1, self.t)))
        assert_unchanged(self.model, before)

    @invariant()
    def model_of_the_samples_held(self):
        if self.model is None:
            return
        x, y = self.arrays()
        assert list(self.model.ids_) == [i for i, _, _ in self.held]
        certificate = self.model.certify()
        assert certificate.n_retained == len(self.held)
        assert certificate.n_forgotten == self.n_forgotten
        self.check(self.model, x, y)


class LinearMachine(Machine):
    def make(self, data):
        self.options = {
            "alpha": data.draw(st.sampled_from([0.0, 0.0, 0.5])),
            "fit_intercept": data.draw(st.booleans()),
            "factorization": data.draw(st.sampled_from(["auto", "qr"])),
            "copy_X": data.draw(st.booleans()),
        }
        return self.make_alike()

    def make_alike(self):
        return LinearInterpolator(backend=self.backend, **self.options)

    def check(self, model, x, y):
        assert_exact_linear(model, x, y)
        assert_bound_holds_linear(model, x, y)
        assert_in_the_span_of_the_dual(model, x)
        assert_same_as_refit(model, x, y)


class KernelMachine(Machine):
    """The linear kernel: its Gram matrix is exact in floating point, so the oracle knows it."""

    def make(self, data):
        self.options = {
            "alpha": data.draw(st.sampled_from([0.0, 0.0, 0.5])),
            "copy_X": data.draw(st.booleans()),
        }
        return self.make_alike()

    def make_alike(self):
        return KernelInterpolator(kernel="linear", backend=self.backend, **self.options)

    def check(self, model, x, y):
        gram = x @ x.T
        assert_bound_holds_kernel(model, gram, y)
        exact = _exact.kernel(gram, y, alpha=model.alpha)
        expected = gram @ _exact.to_float(exact)
        np.testing.assert_allclose(columns(model.predict(x)), expected, rtol=1e-7, atol=1e-7)
        assert_same_as_refit(model, x, y)


class SmoothKernelMachine(KernelMachine):
    """A kernel whose values round: the reference is a fresh fit, within both proved bounds."""

    def make_alike(self):
        return KernelInterpolator(
            kernel="laplacian", gamma=0.5, backend=self.backend, **self.options
        )

    def check(self, model, x, y):
        fresh = assert_same_as_refit(model, x, y)
        slack = model.certify().prediction_error_bound + fresh.certify().prediction_error_bound
        gap = np.abs(columns(model.predict(x)) - columns(fresh.predict(x))).max()
        rounding = 1e-13 * np.abs(columns(model.dual_coef_)).sum()
        assert gap <= slack + rounding


@pytest.mark.parametrize("machine", [LinearMachine, KernelMachine, SmoothKernelMachine])
def test_random_histories(backend, machine):
    run_state_machine_as_test(lambda: machine(backend), settings=SETTINGS)
