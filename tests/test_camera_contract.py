"""One contract that every camera passes: files, synthetic frames, CSI, GStreamer, network and USB cameras."""

from __future__ import annotations

import itertools
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from camera_backends import BACKENDS, HEIGHT, RATE_HZ, WIDTH, Backend, ready
from device.errors import CameraError
from numbered import number_in

PROMPTLY_S = 2.0


@pytest.fixture(params=BACKENDS, ids=lambda kind: kind.__name__.lower())
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    with ready(request.param, tmp_path) as backend:
        yield backend


@pytest.fixture(params=[kind for kind in BACKENDS if kind.live], ids=lambda kind: kind.__name__.lower())
def live(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    with ready(request.param, tmp_path) as backend:
        yield backend


def test_frames_are_bytes_in_order_with_times_that_never_go_back(backend: Backend):
    before = time.monotonic_ns()
    with backend.open() as camera:
        frames = list(itertools.islice(camera, 8))
    assert frames
    for frame in frames:
        assert frame.pixels.dtype == np.uint8
        assert frame.pixels.ndim == 2 or frame.pixels.shape[2] == 3
        assert frame.pixels.shape[:2] == (HEIGHT, WIDTH) or backend.any_size
        assert frame.exposed_ns is None or frame.exposed_ns <= frame.dequeued_ns
        assert before - 2e9 <= frame.captured_ns <= time.monotonic_ns()
    for values in ([frame.sequence for frame in frames], [frame.captured_ns for frame in frames]):
        assert values == sorted(set(values))
    if backend.numbered:
        numbers = [number_in(frame.pixels) for frame in frames]
        assert numbers == sorted(set(numbers))
    assert all((frame.dequeued_ns is not None) == backend.live for frame in frames)


def test_frames_belong_to_the_reader(backend: Backend):
    """A frame that is kept does not change when the next ones are read."""
    with backend.open() as camera:
        frames = iter(camera)
        first = next(frames)
        kept = first.pixels.copy()
        list(itertools.islice(frames, 5))
    np.testing.assert_array_equal(first.pixels, kept)


def test_closing_twice_is_fine_and_ends_the_frames(backend: Backend):
    camera = backend.open()
    frames = iter(camera)
    next(frames)
    camera.close()
    camera.close()
    assert next(frames, None) is None


def test_it_says_what_it_is_and_how_many_frames_come(backend: Backend):
    with backend.open(paced=False) as camera:
        assert camera.description
        assert camera.description != backend.source or not backend.live
        if camera.frame_count:
            assert len(list(camera)) == camera.frame_count


def test_it_can_be_opened_again(backend: Backend):
    for _ in range(2):
        with backend.open() as camera:
            assert next(iter(camera)).sequence >= 0


@pytest.mark.parametrize("how", ["another thread", "a signal"])
def test_closing_while_it_waits_ends_it_promptly(backend: Backend, how: str):
    """Files wait for their pace, live cameras for a frame that does not come."""
    with backend.open(rate_hz=RATE_HZ if backend.live else 0.01) as camera:
        if backend.live:
            next(iter(camera))
            backend.stall()
        closed = threading.Event()
        closed_at = 0.0

        def close(*ignored: object) -> None:
            nonlocal closed_at
            closed_at = time.monotonic()
            camera.close()
            closed.set()

        if how == "a signal":
            before = signal.signal(signal.SIGALRM, close)
            signal.setitimer(signal.ITIMER_REAL, 0.5)
        else:
            threading.Timer(0.5, close).start()
        try:
            for _ in camera:
                pass
            ended_at = time.monotonic()
            assert closed.wait(PROMPTLY_S)
        finally:
            if how == "a signal":
                signal.signal(signal.SIGALRM, before)
    if not camera.frame_count:  # a single image is over before it is closed
        assert ended_at >= closed_at
    assert ended_at - closed_at < PROMPTLY_S


class TestLive:
    def test_a_late_reader_gets_the_newest_frame_and_knows_what_it_missed(self, live: Backend):
        with live.open() as camera:
            frames = iter(camera)
            next(frames)
            time.sleep(0.3)  # What came in a burst while the stream was opened is behind us.
            early = next(frames)
            time.sleep(1.0)
            late = next(frames)
        assert (late.dequeued_ns - early.dequeued_ns) / 1e9 > 0.5
        missed = late.sequence - early.sequence - 1
        assert missed >= 5
        if live.numbered:
            shown = number_in(late.pixels) - number_in(early.pixels) - 1
            # What GStreamer or the network dropped before it reached us cannot be known.
            assert shown == missed if live.source.startswith("csi:") else shown >= missed

    def test_a_stalled_camera_is_an_error_that_says_what_where_and_what_to_do(self, live: Backend):
        with live.open() as camera:
            frames = iter(camera)
            next(frames)
            live.stall()
            start = time.monotonic()
            with pytest.raises(CameraError) as caught:
                list(frames)
        assert time.monotonic() - start < 12
        assert_helpful(caught.value, live)

    def test_an_unplugged_camera_is_an_error_and_works_again_when_it_is_back(self, live: Backend):
        with live.open() as camera:
            frames = iter(camera)
            next(frames)
            live.unplug()
            with pytest.raises(CameraError) as caught:
                list(frames)
        assert_helpful(caught.value, live)
        live.plug()
        with live.open() as camera:
            frames = list(itertools.islice(camera, 3))
        assert [frame.sequence for frame in frames] == sorted({frame.sequence for frame in frames})

    def test_a_camera_that_is_not_there_is_an_error_at_once(self, live: Backend):
        live.remove()
        start = time.monotonic()
        with pytest.raises(CameraError) as caught:
            live.open()
        assert time.monotonic() - start < 12
        assert_helpful(caught.value, live)


def assert_helpful(error: CameraError, backend: Backend) -> None:
    """What and where, then the remedy."""
    where, _, rest = str(error).partition(": ")
    assert where in (backend.source, f"camera.source {backend.source}")
    assert "; " in rest
