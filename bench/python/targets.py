"""What the project holds itself to, and whether a run meets it."""

from __future__ import annotations

import dataclasses
import math

import factor_programs
import fit
import held_out
import import_time
import kernel
import linear
import projector
import threads
from growth import Curve
from timing import Section

SHIPPED, SKYLAKE = "BLAS as shipped", "OPENBLAS_CORETYPE=SkylakeX"


@dataclasses.dataclass(frozen=True)
class Target:
    """The time of `ours` against a sum of other rows' times, in seconds, of the same section.

    At most ``factor`` times that sum, or with ``faster`` at least so many times as fast; whichever
    of ``floor`` seconds and that sum is larger counts. Over several runs the worst counts, or
    with ``run`` that run alone.
    """

    section: str
    says: str
    ours: str
    others: dict[str, float]
    factor: float
    faster: bool = False
    floor: float = 0.0
    run: str | None = None

    def ratio(self, section: Section) -> float | None:
        """None where the section lacks a row, for want of an optional library."""
        if not {self.ours, *self.others} <= section.rows.keys():
            return None
        other = sum(weight * section.rows[name].median for name, weight in self.others.items())
        ours = section.rows[self.ours].median
        return other / ours if self.faster else ours / max(other, self.floor / self.factor)

    def verdict(self, runs: dict[str, dict[str, Section]]) -> tuple[float, bool] | None:
        ratios = [
            ratio
            for name, sections in runs.items()
            if self.section in sections
            and self.run in (None, name)
            and (ratio := self.ratio(sections[self.section])) is not None
        ]
        if not ratios:
            return None
        worst = min(ratios) if self.faster else max(ratios)
        return worst, worst >= self.factor if self.faster else worst <= self.factor


def faster(section, says, ours, other, factor, **more) -> Target:
    return Target(section, says, ours, {other: 1.0}, factor, faster=True, **more)


def linear_targets() -> list[Target]:
    F = linear.FORGET
    return [
        Target("linear", "forget of 1 / one X.T @ a", F, {linear.PASS: 1.0}, 2.5),
        faster("linear", "lstsq / forget of 1", F, linear.LSTSQ, 300.0),
        faster("linear", "Gram + Cholesky / forget of 1", F, linear.GRAM, 60.0),
        faster("linear", "qr_delete + solve / forget of 1", F, linear.DELETE, 5.0),
    ]


def factor_targets() -> list[Target]:
    ten, hundred = factor_programs.erase(10), factor_programs.erase(100)
    again = factor_programs.refactor
    return [
        Target("factor", "10 rows / L read and written", ten, {factor_programs.SWEEP: 1.0}, 5.0),
        faster("factor", "refactoring / 10 rows", ten, again(10), 8.0),
        faster("factor", "refactoring / 100 rows", hundred, again(100), 1.7),
    ]


def other_targets() -> list[Target]:
    both = {held_out.CHOLESKY: 1.0, held_out.PASS: 1.0}
    ceiling = {projector.READ: 2.0, projector.PRODUCTS: 1.0}
    return [
        Target(
            "kernel", "forget of 1 / L read twice, or 8 ms", kernel.FORGET,
            {kernel.READ_TWICE: 1.0}, 2.5, floor=8e-3,
        ),
        faster("kernel", "Cholesky / forget of 1", kernel.FORGET, kernel.CHOLESKY, 50.0),
        Target("held_out", "leave_one_out / (Cholesky + pass)", held_out.ALL, both, 2.5),
        Target(
            "projector", "project_out / (J twice + m^2 p at GEMM)", projector.OURS, ceiling, 3.0
        ),
        faster("projector", "torch QR / project_out", projector.OURS, projector.TORCH_QR, 15.0),
        faster("fit", "scipy as shipped / fit", fit.FIT, fit.SCIPY, 1.2, run=SHIPPED),
        faster("fit", "scipy, SkylakeX / fit", fit.FIT, fit.SCIPY, 1 / 1.2, run=SKYLAKE),
    ]  # fmt: skip


def thread_targets(sections: dict[str, Section], count: int) -> list[Target]:
    """1.7 for two threads; the same share of the count for more."""
    return [
        faster(
            work, f"{work}: 1 thread / {count}", threads.name(work, count), threads.name(work, 1),
            0.85 * count,
        )
        for work in ("linear fit", "project_out")
        if work in sections
    ]  # fmt: skip


def import_target(section: Section) -> tuple[float, bool]:
    own = section.rows[import_time.MINNORM].median - section.rows[import_time.LIBRARIES].median
    return own, own <= 0.1


def growth_verdict(curve: Curve) -> tuple[float, bool]:
    """Met where the slope does not exceed its bound by more than twice its standard error."""
    slope, error = curve.slope()
    return slope, slope <= curve.bound + 2 * error and math.isfinite(slope)
