"""Progress of a long run on stderr: a line that rewrites itself on a terminal."""

from __future__ import annotations

import sys
import time

# A run that is over sooner says nothing; a line is not rewritten more often.
_PATIENCE = 2.0
_INTERVAL = 0.2


class Progress:
    """``name  37/100  12 s left  text``, as a context.

    Parameters
    ----------
    total : int
        Steps in all.
    name : str
    show : bool or None
        None shows on a terminal, once two seconds have passed.
    """

    def __init__(self, total: int, name: str, show: bool | None = None) -> None:
        self._total, self._name, self._done = total, name, 0
        self._start = self._last = time.monotonic()
        self._show = sys.stderr.isatty() if show is None else show
        self._wait = _PATIENCE if show is None else 0.0
        self._width = 0

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._width:
            print(file=sys.stderr)

    def advance(self, text: str = "") -> None:
        """One more step is done."""
        self._done += 1
        if not self._show:
            return
        now = time.monotonic()
        passed, last = now - self._start, self._done == self._total
        if passed < self._wait or (now - self._last < _INTERVAL and not last):
            return
        self._last = now
        left = passed / self._done * (self._total - self._done)
        line = f"{self._name}  {self._done}/{self._total}  {left:.0f} s left  {text}"
        print(f"\r{line:<{self._width}}", end="", file=sys.stderr, flush=True)
        self._width = len(line)
