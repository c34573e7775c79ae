"""Tables of times, ratios, fractions of the ceilings, and verdicts."""

from __future__ import annotations

import ceilings
from growth import Curve
from targets import Target, growth_verdict
from timing import Section


def print_section(section: Section, machine: Section | None = None) -> None:
    """``machine``, the ceilings of the same process, adds the fraction of them reached."""
    repeats = len(next(iter(section.rows.values())).times)
    print(f"\n### {section.title}\n")
    print(f"{repeats} interleaved repeats, 3 of what takes more than 5 s\n")
    width = max(44, *map(len, section.rows))
    print(f"| {'':<{width}} | median ms | min .. max ms       | over first | of ceiling |")
    print(f"| {'-' * width} | --------: | ------------------: | ---------: | ---------: |")
    ours = next(iter(section.rows.values())).median
    for name, row in section.rows.items():
        spread = f"{1e3 * min(row.times):.2f} .. {1e3 * max(row.times):.2f}"
        reached = ""
        if machine is not None and (row.flops or row.bytes):
            least = ceilings.least_seconds(machine, row.flops, row.bytes)
            reached = f"{100 * least / row.median:.0f}%"
        ratio = f"{row.median / ours:.2f}x"
        print(
            f"| {name:<{width}} | {1e3 * row.median:9.2f} | {spread:>19} | {ratio:>10} "
            f"| {reached:>10} |"
        )
    if section.notes:
        print()
        print("\n".join(f"    {note}" for note in section.notes))


def print_curve(curve: Curve) -> None:
    slope, error = curve.slope()
    at = ", ".join(
        f"{value}: {1e3 * median:.2f}"
        for value, median in zip(curve.at, curve.medians, strict=True)
    )
    print(f"- {curve.size} ({curve.fixed}), median ms by {curve.size}: {at}")
    print(f"  slope {slope:.2f} +- {error:.2f}, expected at most {curve.bound:.0f}")


def print_verdicts(
    targets: list[Target],
    runs: dict[str, dict[str, Section]],
    others: list[tuple[str, str, tuple[float, bool]]],
    curves: list[Curve],
    quick: bool,
) -> bool:
    """One line a target; true where all that were measured are met."""
    print("\n## Targets\n")
    if quick:
        print("a quick run: problems too small to judge by\n")
    print(f"| {'':<44} | {'target':>12} | {'measured':>9} |        |")
    print(f"| {'-' * 44} | -----------: | --------: | ------ |")
    met = True

    def line(says: str, wanted: str, verdict: tuple[float, bool] | None) -> None:
        nonlocal met
        if verdict is None:
            shown, word = "", "not measured"
        else:
            shown, word = f"{verdict[0]:.3g}", "met" if verdict[1] else "MISSED"
            met &= verdict[1]
        print(f"| {says:<44} | {wanted:>12} | {shown:>9} | {word} |")

    for target in targets:
        wanted = f"{'>=' if target.faster else '<='} {target.factor:.3g}"
        line(target.says, wanted, target.verdict(runs))
    for says, wanted, verdict in others:
        line(says, wanted, verdict)
    for curve in curves:
        line(f"slope of forget in {curve.size}", f"<= {curve.bound:.0f}", growth_verdict(curve))
    return met
