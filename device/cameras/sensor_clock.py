"""Time stamps of sensors, checked against the clock that everything else uses."""

from __future__ import annotations

import logging

log = logging.getLogger(__name__)

_MOST_AGE_NS = 2_000_000_000


class SensorClock:
    """Tells when a frame was exposed, and when it was captured as far as anybody knows.

    A frame is never from the future nor seconds old, so a stamp that says so is of another clock (some drivers
    stamp with the wall clock, some with nothing): it counts as unknown. refused: how many were.
    """

    def __init__(self, name: str) -> None:
        self.refused = 0
        self._name = name
        self._captured_ns = 0

    def exposed_ns(self, stamp_ns: int | None, now_ns: int) -> int | None:
        """`stamp_ns` where it can be believed, else None. Both are monotonic nanoseconds."""
        if stamp_ns is None or 0 <= now_ns - stamp_ns <= _MOST_AGE_NS:
            return stamp_ns
        self.refused += 1
        if self.refused == 1:
            log.warning(
                "%s: by its time stamp a frame is %.3f s old; such ages are counted from its arrival",
                self._name,
                (now_ns - stamp_ns) / 1e9,
            )
        return None

    def captured_ns(self, exposed_ns: int | None, now_ns: int) -> int:
        """The exposure, else the arrival; never before the last frame's."""
        self._captured_ns = max(self._captured_ns, now_ns if exposed_ns is None else exposed_ns)
        return self._captured_ns
