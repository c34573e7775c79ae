"""Handwritten digits with corrupted labels: forget the corrupted samples, compare with retraining.

The claim that is checked: a model that has forgotten, and one fitted from scratch on the same
samples, differ by no more than the sum of their proved distances to the exact solution.
"""

from __future__ import annotations

import dataclasses
import os
import time
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

from ._validation import Array
from .classifier import KernelInterpolatorClassifier, LinearInterpolatorClassifier
from .errors import InputError

N_TEST = 500
CORRUPTED = 0.2
N_FEATURES = 4000


@dataclasses.dataclass(frozen=True)
class Data:
    """Unit-norm or kernel inputs; ``labels`` are the training labels, some of them corrupted."""

    X: Array
    X_test: Array
    correct: Array
    labels: Array
    y_test: Array

    @property
    def corrupted_ids(self) -> list[int]:
        return np.flatnonzero(self.correct != self.labels).tolist()


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What one model showed. Times in seconds."""

    name: str
    short_name: str
    n_corrupted: int
    accuracy: dict[str, float]
    seconds: dict[str, float]
    difference: float
    bound: float
    equal: bool
    certificate: str


def digits(seed: int) -> Data:
    """Digits with pixels in [0, 1]; a fraction of the training labels is replaced by wrong ones."""
    rng = np.random.default_rng(seed)
    images, labels = load_digits(return_X_y=True)
    order = rng.permutation(len(labels))
    images, labels = images[order] / 16.0, labels[order]
    correct = labels[:-N_TEST]
    corrupted = correct.copy()
    chosen = rng.choice(len(correct), size=round(CORRUPTED * len(correct)), replace=False)
    corrupted[chosen] = (correct[chosen] + rng.integers(1, 10, size=len(chosen))) % 10
    return Data(images[:-N_TEST], images[-N_TEST:], correct, corrupted, labels[-N_TEST:])


def random_features(data: Data, seed: int) -> Data:
    """ReLU features max(0, W x + b) with random W and b, every sample scaled to unit norm."""
    rng = np.random.default_rng(seed + 1)
    weights = rng.normal(size=(data.X.shape[1], N_FEATURES)) / np.sqrt(data.X.shape[1])
    offsets = rng.normal(size=N_FEATURES) / 4

    def features(X: Array) -> Array:
        hidden: Array = np.maximum(X @ weights + offsets, 0.0)
        hidden /= np.linalg.norm(hidden, axis=1, keepdims=True)
        return hidden

    return dataclasses.replace(data, X=features(data.X), X_test=features(data.X_test))


def _timed(action: Any) -> tuple[Any, float]:
    start = time.perf_counter()
    result = action()
    return result, time.perf_counter() - start


def compare(name: str, model: Any, data: Data) -> Outcome:
    """Fit on corrupted labels, forget the corrupted samples, and fit anew on the others.

    Both fitted models are compared with each other through the decision values of the test set.
    ``prediction_error_bound`` holds for inputs of unit norm, which all are here.
    """
    wrong = data.corrupted_ids
    rest = np.delete(np.arange(len(data.labels)), wrong)
    accuracy = {"correct labels": model.fit(data.X, data.correct).score(data.X_test, data.y_test)}
    model.fit(data.X, data.labels)
    accuracy["corrupted labels"] = model.score(data.X_test, data.y_test)
    _, first = _timed(lambda: model.forget(wrong[0]))
    certificate, others = _timed(lambda: model.forget(wrong[1:]))
    accuracy["corrupted ids forgotten"] = model.score(data.X_test, data.y_test)

    fresh = type(model)(**model.get_params())
    X_rest = data.X[rest]
    _, anew = _timed(lambda: fresh.fit(X_rest, data.labels[rest]))
    values = model.decision_function(data.X_test), fresh.decision_function(data.X_test)
    difference = float(np.max(np.abs(values[0] - values[1])))
    bound = certificate.prediction_error_bound + fresh.certificate_.prediction_error_bound
    return Outcome(
        name=name,
        short_name=name.partition(" ")[0].lower(),
        n_corrupted=len(wrong),
        accuracy=accuracy,
        seconds={
            "forget 1 sample": first,
            f"forget {len(wrong) - 1} at once": others,
            "fit the rest from scratch": anew,
        },
        difference=difference,
        bound=bound,
        equal=bool(np.array_equal(model.ids_, rest)) and difference <= bound < np.inf,
        certificate=str(certificate),
    )


def report(outcome: Outcome) -> str:
    """A short table."""
    lines = [outcome.name]
    lines += [f"  test accuracy, {k:<27} {v:10.1%}" for k, v in outcome.accuracy.items()]
    lines += [f"  time, {k:<36} {1e3 * v:7.1f} ms" for k, v in outcome.seconds.items()]
    lines += [
        f"  largest difference to the fit from scratch {outcome.difference:10.1e}",
        f"  proved bound of that difference            {outcome.bound:10.1e}",
        f"  equal within the bound                     {'yes' if outcome.equal else 'NO':>10}",
    ]
    return "\n".join([*lines, *(f"  {line}" for line in outcome.certificate.splitlines())])


def run(seed: int = 0, backend: str = "auto", plot: str | None = None) -> bool:
    """Run the demonstration, print its tables, and say whether the equality held for both models.

    Parameters
    ----------
    seed : int
        Of the split, the corruption and the random features.
    backend : {"auto", "native", "scipy"}
        As in the estimators.
    plot : str, optional
        File to draw the result to. Needs the extra ``plot``.

    Raises
    ------
    InputError
        ``plot`` cannot be drawn or written; nothing was computed.
    """
    if plot is not None:
        _check_plot(plot)
    if seed < 0:
        raise InputError(f"the seed must be an integer >= 0; got {seed}.")
    data = digits(seed)
    print(
        f"{len(data.labels)} handwritten digits to train on, {len(data.y_test)} to test; "
        f"{len(data.corrupted_ids)} training labels are corrupted.",
        flush=True,
    )
    outcomes = []
    for name, model, inputs in (
        (
            "Kernel classifier (rbf)",
            KernelInterpolatorClassifier(kernel="rbf", gamma=0.05, backend=backend),
            data,
        ),
        (
            f"Linear classifier on {N_FEATURES} random features",
            LinearInterpolatorClassifier(backend=backend),
            random_features(data, seed),
        ),
    ):
        outcomes.append(compare(name, model, inputs))
        print(f"\n{report(outcomes[-1])}", flush=True)
    if plot is not None:
        from ._demo_plot import draw

        draw(outcomes, plot)
        print(f"\nPicture written to {plot}.")
    return all(outcome.equal for outcome in outcomes)


def _check_plot(path: str) -> None:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
    except ImportError as error:
        raise InputError(
            "--plot needs matplotlib, which is not installed. Install the extra: pip install "
            "'minnorm[plot]'."
        ) from error
    formats = FigureCanvasAgg.get_supported_filetypes()
    if os.path.splitext(path)[1][1:].lower() not in formats:
        raise InputError(
            f"--plot must name a file whose suffix is one of {', '.join(sorted(formats))}; got "
            f"{path!r}."
        )
    directory = os.path.dirname(path) or "."
    if not os.path.isdir(directory) or not os.access(directory, os.W_OK):
        raise InputError(f"--plot must name a file in a writable directory; got {path!r}.")
