"""The README's block of the benchmark, made of what was measured: nobody copies figures by hand."""

from __future__ import annotations

from typing import Any, Dict, Tuple

from benchmarks.report import threads_table
from benchmarks.targets import READING, target_table
from device.errors import GarmentcamError

_PICTURE = "![all models: accuracy over the time of an inference, a marker's area the file's size](docs/bench.png)"
_THREADS = "One inference of what ships, both crops of a frame, at 30 frames/s and, in brackets, back to back:"
BEGIN, END = "<!-- bench -->", "<!-- /bench -->"


def block(measured: Dict[str, Any], about: str) -> str:
    """What stands between the marks."""
    return f"{about} {READING}\n\n{target_table(measured)}\n\n{_THREADS}\n\n{threads_table(measured)}\n\n{_PICTURE}\n"


def with_block(text: str, new: str, marks: Tuple[str, str] = (BEGIN, END)) -> str:
    """The README's text with another block between the marks. Raises GarmentcamError where they are missing."""
    before, begin, rest = text.partition(marks[0])
    _, end, after = rest.partition(marks[1])
    if not (begin and end):
        raise GarmentcamError(
            f"README: expected a line {marks[0]} and, below it, a line {marks[1]}; put them where it belongs"
        )
    return f"{before}{begin}\n{new}{end}{after}"
