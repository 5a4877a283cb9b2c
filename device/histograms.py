"""Latencies counted in bins of 1 % relative error: small, of constant cost, and mergeable without loss.

The bins are DDSketch's (Masson et al. 2019, arXiv:1908.10693). Of the libraries with wheels or pure Python for every
board, `ddsketch` is the one: 19 KB of Python, under 1 us an add on a PC; HdrHistogram has no aarch64 wheel.
"""

from __future__ import annotations

from typing import Any, Iterable, Iterator

from ddsketch.ddsketch import BaseDDSketch
from ddsketch.mapping import LogarithmicMapping
from ddsketch.store import DenseStore

from device.records import StageHistogram

RELATIVE_ERROR = 0.01

LEAST_SAMPLES = {50: 1, 90: 10, 95: 20, 99: 100, 99.9: 1000}
"""Under so many samples a percentile is the maximum in disguise, and is not given."""

_MAPPING: Any = LogarithmicMapping(RELATIVE_ERROR)
_KEY = _MAPPING.key


class Histogram:
    """Nanoseconds of one stage.

    max_ns: the longest, exactly; 0 when there is none.
    """

    def __init__(self) -> None:
        self._store: Any = DenseStore()
        self.max_ns = 0

    def __len__(self) -> int:
        return int(self._store.count)

    def add(self, value_ns: int) -> None:
        """Count one frame. Logarithmic bins know no 0, which therefore counts as 1 ns."""
        self._store.add(_KEY(max(1, value_ns)))
        if value_ns > self.max_ns:
            self.max_ns = value_ns

    def merge(self, other: Histogram) -> None:
        """Count all that `other` counted."""
        self._store.merge(other._store)
        self.max_ns = max(self.max_ns, other.max_ns)

    def percentile_ns(self, percent: float) -> float | None:
        """The value that `percent` of the frames do not exceed, within 1 %; None with too few frames to tell."""
        if len(self) < LEAST_SAMPLES[percent]:
            return None
        sketch: Any = BaseDDSketch(_MAPPING, self._store, DenseStore(), 0.0)
        # The middle of the last bin may lie above all that is in it.
        return min(float(sketch.get_quantile_value(percent / 100)), float(self.max_ns))

    def mean_ns(self) -> float:
        """Within 1 %; 0 when there is none. Means of stages add up, which percentiles do not."""
        return sum(value_ns(number) * count for number, count in self.bins()) / max(1, len(self))

    def bins(self) -> Iterator[tuple[int, int]]:
        """(bin number, count) of the bins that are not empty, in order."""
        for index, count in enumerate(self._store.bins):
            if count:
                yield self._store.offset + index, int(count)

    def to_record(self) -> StageHistogram:
        flat: list[int] = []
        expected = 0
        for number, count in self.bins():
            if number > expected:
                flat.append(expected - number)
            flat.append(count)
            expected = number + 1
        return StageHistogram(len(self), self.max_ns, flat)

    @classmethod
    def from_record(cls, record: StageHistogram) -> Histogram:
        """The histogram that was written."""
        histogram = cls()
        number = 0
        for count in record.bins:
            if count > 0:
                histogram._store.add(number, count)
            number += 1 if count > 0 else -count
        histogram.max_ns = record.max_ns
        return histogram


def merged(histograms: Iterable[Histogram]) -> Histogram:
    """One histogram of all; percentiles of it are those of all frames, which no average of percentiles is."""
    whole = Histogram()
    for histogram in histograms:
        whole.merge(histogram)
    return whole


def value_ns(bin_number: int) -> float:
    """The duration that a bin stands for."""
    return float(_MAPPING.value(bin_number))
