"""Where results go. A sink is called with each Result and returns nothing."""

from __future__ import annotations

import sys
from typing import Any, Callable, Protocol

from device.frame import Result


class Sink(Protocol):
    """Takes each result; must not keep the loop waiting."""

    def __call__(self, result: Result) -> None:
        """Take one result."""


class AnswerPrinter:
    """Writes a line when the answer changes. `write` takes the line, without a newline."""

    def __init__(self, write: Callable[[str], Any] = print) -> None:
        self._write = write
        self._answer: str | None = None

    def __call__(self, result: Result) -> None:
        if result.decision != self._answer:
            self._answer = result.decision
            best = f"{result.prediction.label} {result.prediction.score:.2f}"
            milliseconds = result.timings.total_ns / 1e6
            self._write(f"frame {result.frame.sequence:5d}  {self._answer:12s} (best {best}, {milliseconds:.2f} ms)")


class Progress:
    """A progress bar with the rate, where somebody watches a terminal; elsewhere nothing. Use it in `with`.

    total: how many frames will come, 0 when unknown. The bar comes with the first frame that is answered, for its
    library takes longer to import than a frame to answer.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._terminal = sys.stderr.isatty()
        self._bar: Any = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, result: Result) -> None:
        if not self._terminal:
            return
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(total=self._total or None, unit="frame", file=sys.stderr)
        self._bar.update()

    def write(self, line: str) -> None:
        """Print a line above the bar, to standard output."""
        if self._bar is None:
            print(line)
        else:
            self._bar.write(line, file=sys.stdout)


class LastResult:
    """Keeps the newest result, for the picture at the end."""

    def __init__(self) -> None:
        self.result: Result | None = None

    def __call__(self, result: Result) -> None:
        self.result = result


class Score:
    """Counts right answers where the source knows the truth.

    frames, right_frames: frames with a truth, and those whose best label was it.
    garments, right_garments: garments shown, and those whose last decision was right. A change of the truth
    is the next garment.
    """

    def __init__(self) -> None:
        self.frames = self.right_frames = 0
        self.garments = 0
        self._right_before = 0
        self._truth: str | None = None
        self._last_was_right = False

    def __call__(self, result: Result) -> None:
        truth = result.frame.truth
        if truth is None:
            return
        if truth != self._truth:
            self._right_before += self._last_was_right
            self._truth = truth
            self.garments += 1
        self.frames += 1
        self.right_frames += result.prediction.label == truth
        self._last_was_right = result.decision == truth

    @property
    def right_garments(self) -> int:
        """Garments whose last decision was right."""
        return self._right_before + self._last_was_right
