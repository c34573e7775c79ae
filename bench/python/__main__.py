"""Deletions, fits and projections against what else there is, with targets and ceilings.

    python bench/python [--quick] [--check] [--repeats N] [--only SUITE ...] [--plot FILE]
                        [--cpp BUILD/bench/cpp] [--memmap DIRECTORY]

Every suite runs in a child process with its threads set, once with BLAS as shipped and, where the
CPU has AVX-512, once more with OPENBLAS_CORETYPE=SkylakeX: OpenBLAS chooses its kernels by CPU
model and takes some virtual CPUs for lesser ones. The worse of the two ratios is the one that
counts. A third run with the AVX2 kernels is not made; set OPENBLAS_CORETYPE in `coretypes` for one.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys

import machine
from timing import Section

# Compared with other libraries, on one thread, by each set of BLAS kernels.
COMPARED = ("linear", "kernel", "held_out", "fit", "projector", "thin_qr", "sweep")
ALONE = ("threads", "growth", "factor", "import")


def child(task: dict) -> dict:
    """What one process measures, with the ceilings of the same process."""
    import importlib

    import ceilings

    quick, repeats, suite = task["quick"], task["repeats"], task["suite"]
    module = importlib.import_module(suite)
    if suite == "growth":
        curves = module.measure(quick, repeats)
        return {"curves": [dataclasses.asdict(curve) for curve in curves]}
    if suite == "mapped":
        return {"sections": [module.measure(quick, task["directory"]).dump()]}
    before = ceilings.measure(quick, repeats)
    if suite == "thin_qr":
        measured = [module.measure(quick, repeats, k) for k in (1, 10)]
    elif suite == "threads":
        measured = module.measure(quick, repeats, task["threads"])
    else:
        measured = module.measure(quick, repeats)
    sections = measured if isinstance(measured, list) else [measured]
    return {
        "ceilings": before.dump(),
        "sections": [section.dump() for section in sections],
        "libraries": machine.libraries(),
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python bench/python", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--quick", action="store_true", help="small problems, for trying it out")
    parser.add_argument("--repeats", type=int, default=5, help="interleaved repeats (default 5)")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a target is missed")
    parser.add_argument("--only", nargs="+", choices=COMPARED + ALONE, help="these suites alone")
    parser.add_argument("--plot", metavar="FILE", help="draw time against n, p and k (extra plot)")
    parser.add_argument(
        "--cpp", metavar="DIRECTORY", help="where bench_triangular_factor was built"
    )
    parser.add_argument("--memmap", metavar="DIRECTORY", help="project off a file of 4 GiB there")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.repeats < 3:
        parser.error("--repeats must be at least 3: a median needs them")
    return options


def main() -> int:
    options = arguments()
    if options.child:
        json.dump(child(json.loads(options.child)), sys.stdout)
        return 0

    import factor_programs
    import import_time
    import minnorm
    import tables
    import targets
    from growth import Curve
    from minnorm import _cpu

    chosen = options.only or COMPARED + ALONE
    common = {"quick": options.quick, "repeats": options.repeats}
    print(f"# minnorm {minnorm.__version__}\n")
    machine.print_machine()

    def measured(suite: str, threads: int = 1, coretype: str | None = None, **more) -> dict:
        task = {"suite": suite, "threads": threads, **common, **more}
        return machine.in_subprocess(sys.argv[0], task, threads, coretype)

    def show(result: dict, name: str) -> dict[str, Section]:
        ceiling = Section.load(result["ceilings"]) if "ceilings" in result else None
        sections = [Section.load(state) for state in result["sections"]]
        if ceiling is not None:
            print(f"\n{', '.join(result['libraries'])}; {ceiling.notes[0]}")
        for section in sections:
            tables.print_section(section, ceiling)
        sys.stdout.flush()
        return {name: sections[0]}

    runs: dict[str, dict[str, Section]] = {}
    coretypes = {targets.SHIPPED: None}
    if _cpu.level() == "v4":
        coretypes[targets.SKYLAKE] = "SkylakeX"
    for title, coretype in coretypes.items():
        suites = [suite for suite in COMPARED if suite in chosen]
        if suites:
            print(f"\n## One thread, {title}")
        runs[title] = {}
        for suite in suites:
            runs[title].update(show(measured(suite, coretype=coretype), suite))

    every = targets.linear_targets() + targets.factor_targets() + targets.other_targets()
    count = machine.processors()
    if "threads" in chosen and count > 1:
        print(f"\n## {count} threads")
        result = measured("threads", threads=count)
        show(result, "threads")
        scaled = {s["title"].partition(" by ")[0]: Section.load(s) for s in result["sections"]}
        runs["threads"] = scaled
        every += targets.thread_targets(scaled, count)
    if "factor" in chosen and options.cpp:
        print("\n## C++")
        section = factor_programs.measure(options.cpp, options.quick, options.repeats)
        tables.print_section(section)
        runs["C++"] = {"factor": section}
    others = []
    if "import" in chosen:
        print("\n## Import")
        section = import_time.measure(options.repeats)
        tables.print_section(section)
        verdict = targets.import_target(section)
        others.append(("import minnorm beyond numpy and sklearn, s", "<= 0.1", verdict))
    curves: list[Curve] = []
    if "growth" in chosen or options.plot:
        print("\n## Growth\n")
        curves = [Curve(**state) for state in measured("growth")["curves"]]
        for curve in curves:
            tables.print_curve(curve)
        if options.plot:
            import plot

            plot.draw(curves, options.plot)
    if options.memmap:
        print("\n## A mapped file")
        show(measured("mapped", directory=options.memmap), "mapped")
    wanted = [t for t in every if t.section in chosen or t.section in runs.get("threads", {})]
    met = tables.print_verdicts(wanted, runs, others, curves, options.quick)
    return int(options.check and not options.quick and not met)


if __name__ == "__main__":
    sys.exit(main())
