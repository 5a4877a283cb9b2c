"""That no page of the live view slows the loop, however it behaves."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import itertools
import json
import os
import socket
import subprocess
import sys
import time

import numpy as np

from conftest import ROOT, SHIPPED_MODEL
from device.cameras.synthetic import SyntheticCamera
from device.classifier import Classifier
from device.config import CameraConfig
from device.decision import Decision
from device.frame import Frame
from device.loop import run
from view_pages import feeding, last_words, page, read, result, viewing, wait_until


def test_a_page_that_does_not_take_its_message_is_dropped():
    with viewing(stall_s=0.3) as view, feeding(view):
        stalled = page(view)
        wait_until(lambda: view.watched)
        wait_until(lambda: not view.watched)
        assert last_words(stalled) == b"\x03\xe9too slow"


def test_asking_without_reading_gains_nothing():
    """A page that asks on and on, but takes nothing from the network, is dropped once its buffers are full."""
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    with viewing(stall_s=0.5) as view:
        before_mb = resident_mb()
        greedy = page(view, sockopt=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)])
        wait_until(lambda: view.watched)
        deadline_s = time.monotonic() + 30
        for sequence in itertools.count():
            answer = result(sequence)
            view(dataclasses.replace(answer, frame=Frame(noise, sequence, 0)))
            if not view.watched:
                break
            with contextlib.suppress(OSError):
                greedy.send("next")
            time.sleep(0.01)
            assert time.monotonic() < deadline_s, "never dropped"
    assert resident_mb() < before_mb + 30


def resident_mb() -> float:
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def test_pages_that_come_and_go_leave_nothing_behind():
    with viewing() as view, feeding(view):
        for _ in range(50):
            page(view).close()
        wait_until(lambda: not view.watched)
        gc.collect()
        files, before_mb = len(os.listdir("/proc/self/fd")), resident_mb()
        for _ in range(300):
            looking = page(view)
            read(looking)
            looking.close()
        wait_until(lambda: not view.watched)
        gc.collect()
        wait_until(lambda: len(os.listdir("/proc/self/fd")) <= files)
        assert resident_mb() < before_mb + 5


def test_fifty_pages_do_not_slow_the_loop():
    """One run: without pages, with 25 that stall and 25 that read, without again. Bounds for a busy machine."""
    camera = SyntheticCamera(CameraConfig(frame_rate_hz=30))
    classifier, decision = Classifier(SHIPPED_MODEL), Decision(0.3)
    with viewing(stall_s=3.0, max_rate_hz=10) as view, camera:
        frames = iter(camera)

        def answer(seconds: float) -> tuple[float, float]:
            """(share of the camera's frames that were answered, ms of the loop's processor time for each)."""
            last = next(frames).sequence + round(seconds * 30)
            skipped: list[int] = []
            start_s = time.thread_time()
            until_last = itertools.takewhile(lambda frame: frame.sequence < last, frames)
            run(until_last, classifier, decision, [view, lambda result: skipped.append(result.skipped)])
            return len(skipped) / (len(skipped) + sum(skipped)), 1000 * (time.thread_time() - start_s) / len(skipped)

        answer(1)
        before, before_mb = answer(3), resident_mb()
        assert view.pictures_encoded == 0
        script = [sys.executable, str(ROOT / "tests" / "view_clients.py"), str(view.port), "25", "25"]
        clients = subprocess.Popen(script, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            assert clients.stdout.readline() == "open\n"
            watched = answer(6)
            grown_mb = resident_mb() - before_mb
            counts = json.loads(clients.communicate(timeout=60)[0])
        finally:
            clients.kill()
        wait_until(lambda: not view.watched)
        after = answer(3)
        assert view.pictures_encoded > 5
    for when, (share, cpu_ms) in {"before": before, "with 50 pages": watched, "after": after}.items():
        print(f"{when}: {share:.0%} of the frames answered, {cpu_ms:.1f} ms of processor each")
    print(f"{grown_mb:+.1f} MB; {counts}")
    assert watched[0] >= 0.25 * min(before[0], after[0])
    assert watched[1] <= 1.6 * max(before[1], after[1])
    assert grown_mb < 40
    assert counts["received"] > 100
    assert counts["dropped"] == 25
