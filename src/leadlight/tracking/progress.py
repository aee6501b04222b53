"""How far a job is: a bar in a terminal or a notebook, plain lines in a log."""

from __future__ import annotations

import sys
import time
from typing import Any, Self, TextIO


class Progress:
    """Named steps, one after the other.

    Parameters
    ----------
    steps : int
        How many there will be.
    show : bool
        False: nothing is written.
    stream : text file, optional
        By default standard error: a bar where that is a terminal or a notebook's, else one line a step.
    """

    def __init__(self, steps: int, *, show: bool = True, stream: TextIO | None = None) -> None:
        self.steps, self.done = steps, 0
        self._show, self._stream = show, stream or sys.stderr
        self._bar: Any = None
        self._began = time.monotonic()
        if show and (in_notebook() or self._stream.isatty()):
            self._bar = _bar(steps, self._stream)

    def step(self, name: str) -> None:
        """Say what begins now; what began before is done."""
        if self._bar is not None:
            self._bar.update(max(self.done - int(self._bar.n), 0))
            self._bar.set_description(name)
        elif self._show:
            seconds = time.monotonic() - self._began
            self._stream.write(f"[{self.done + 1}/{self.steps}] {name} (at {seconds:.1f} s)\n")
            self._stream.flush()
        self.done += 1

    def say(self, text: str) -> None:
        """Say how far the step is."""
        if self._bar is not None:
            self._bar.set_description(text)
        elif self._show:
            self._stream.write(f"      {text} (at {time.monotonic() - self._began:.1f} s)\n")
            self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._bar is not None:
            if kind is None:
                self._bar.update(self.steps - int(self._bar.n))
                self._bar.refresh()
            self._bar.close()


def in_notebook() -> bool:
    """Whether this runs in a Jupyter kernel."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return type(shell).__name__ == "ZMQInteractiveShell"


def _bar(steps: int, stream: TextIO) -> Any:
    if in_notebook() and "ipywidgets" in sys.modules:
        from tqdm.notebook import tqdm as made
    else:
        # Without widgets the plain bar is drawn in a notebook as well.
        from tqdm import tqdm as made
    return made(
        total=steps, file=stream, leave=False, bar_format="{desc} |{bar:24}| {n_fmt}/{total_fmt} {elapsed}"
    )
