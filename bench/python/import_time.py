"""The time of `import minnorm`, beside that of importing numpy and scikit-learn."""

from __future__ import annotations

import subprocess
import sys

from timing import Section, Task, always, interleaved

# The package loads its estimators when they are first asked for: here all of them are.
MINNORM = "from minnorm import LinearInterpolator, KernelInterpolator, project_out"
LAZY = "import minnorm"
# What the estimators build on: the base classes and their validation.
LIBRARIES = "import numpy, sklearn.base, sklearn.utils.validation"
NOTHING = "python without imports"


def starting(code: str) -> Task:
    return lambda: subprocess.run([sys.executable, "-c", code], check=True)


def measure(repeats: int) -> Section:
    """Whole processes, whose start is in all rows; files are in the page cache after the first."""
    section = interleaved(
        "importing",
        {
            MINNORM: always(starting(MINNORM)),
            LAZY: always(starting(LAZY)),
            LIBRARIES: always(starting(LIBRARIES)),
            NOTHING: always(starting("")),
        },
        repeats,
    )
    difference = section.rows[MINNORM].median - section.rows[LIBRARIES].median
    section.notes = [f"minnorm's own part: {1e3 * difference:.0f} ms"]
    return section
