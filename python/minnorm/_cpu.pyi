"""Which of minnorm's extension modules this CPU can run."""

from typing import Literal

def level() -> Literal["v4", "v3", "base", "neon", "unsupported"]:
    """The highest level this CPU has."""
