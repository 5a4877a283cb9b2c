"""All the measurements of one run, in rounds: what is compared is measured again in each, so luck shows as spread."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Sequence, Tuple

import msgspec
import numpy as np

from benchmarks.zoo import card_facts
from device.arrays import Array
from device.bench import MOST_THREADS, measure_all, plan, summarize
from device.bench_worker import Job
from device.config import Config
from device.errors import ModelError
from device.health import HealthReader
from device.images import write_image

_MODULES = {"litert": "ai_edge_litert.interpreter", "tflite-runtime": "tflite_runtime.interpreter"}
_TIMEOUT_S = 600.0
_SETTING_S, _SETTING_WARMUP_S = 0.8, 0.2
"""Seconds of each setting, back to back and paced, in each of two rounds: there are many models."""


class Effort(NamedTuple):
    """How much of each: for `make bench`, or to see that it works. training_steps: 0 leaves it out."""

    rounds: int
    passes: int
    moving_s: float
    still_s: float
    starts: int
    images: int
    wakes: int
    training_steps: int


FULL = Effort(rounds=2, passes=4, moving_s=6.0, still_s=4.0, starts=10, images=10_000, wakes=6, training_steps=80)
QUICK = Effort(rounds=1, passes=1, moving_s=1.0, still_s=1.0, starts=1, images=1000, wakes=1, training_steps=0)


def measure(
    model: Path,
    others: Sequence[Path],
    runtimes: Sequence[str],
    effort: Effort,
    mediapipe: str | None,
    say: Callable[[str], object],
) -> Dict[str, Any]:
    """Everything, as data. mediapipe: a Python that has it, None to leave it out. say: is told what comes."""
    start = time.monotonic()

    def begin(what: str) -> None:
        say(f"{time.monotonic() - start:4.0f} s: {what}")

    others = [other for other in others if other != model]
    cards = {str(path): card_facts(path) for path in (model, *others)}
    rounds: Dict[str, List[Any]] = {}
    for number in range(effort.rounds):
        begin(f"round {number + 1} of {effort.rounds}")
        for runtime in runtimes:
            same = {"model": str(model), "runtime": runtime}
            found = needed("answers", **same, threads=1, rounds=effort.passes)
            rounds.setdefault(f"answers {runtime}", []).append(found)
            for name, still, rest in (("moving", False, False), ("still", True, False), ("resting", True, True)):
                seconds = effort.still_s if still else effort.moving_s
                found = needed("paced", **same, seconds=seconds, still=still, rest=rest)
                rounds.setdefault(f"{name} {runtime}", []).append(found)
        for recipe, python in (("full_tensorflow", sys.executable), ("mediapipe_classifier", mediapipe)):
            if python is not None:
                found = work("alone", python, recipe=recipe, model=str(model), rounds=effort.passes)
                rounds.setdefault(recipe, []).append(found)
    once: Dict[str, Any] = {}
    for runtime in runtimes:
        begin(f"start, memory, batches: {runtime}")
        same = {"model": str(model), "runtime": runtime}
        once[f"start {runtime}"] = starts(model, runtime, effort.starts)
        once[f"memory {runtime}"] = memory(model, runtime)
        once[f"batch {runtime}"] = needed("batch", **same, images=effort.images)
        once[f"allocations {runtime}"] = needed("allocations", **same)
        once[f"wake {runtime}"] = needed("wake", **same, times=effort.wakes)
    begin("training")
    once["training"] = training(effort.training_steps) if effort.training_steps else {"error": "left out"}
    begin("runtimes, types and threads")
    reader = HealthReader()
    before = reader.read()
    jobs = settings_to_measure(model, others, runtimes, cards, effort)
    settings = summarize(measure_all(jobs), Config(), [before, reader.read()])
    begin("done")
    facts = {"model": str(model), "runtimes": list(runtimes), "cards": cards}
    return {**facts, "rounds": rounds, "once": once, "settings": settings}


def settings_to_measure(
    model: Path, others: Sequence[Path], runtimes: Sequence[str], cards: Mapping[str, Any], effort: Effort
) -> List[Job]:
    """What ships, every kind of file of it, with 1 to 4 threads, and every other model with one.

    Also more threads than there are processors: what those cost is a finding. The picture shows one thread only.
    """
    shipped = cards[str(model)]["model"]
    return [
        msgspec.structs.replace(
            job, least_s=min(job.least_s, _SETTING_S), least_frames=10, warmup_s=min(job.warmup_s, _SETTING_WARMUP_S)
        )
        for job in plan(Config(), [model, *others], MOST_THREADS, quick=effort is QUICK)
        if job.runtime in runtimes and (job.threads == 1 or cards[job.model]["model"] == shipped)
    ]


def work(name: str, python: str = sys.executable, **arguments: Any) -> Dict[str, Any]:
    """What a worker found, or {"error": its last words}."""
    return _json_of([python, "-m", "benchmarks.worker", name], json.dumps(arguments))


def needed(name: str, **arguments: Any) -> Dict[str, Any]:
    """What a worker found. Raises ModelError when it found nothing."""
    found = work(name, **arguments)
    if "error" in found:
        raise ModelError(f"benchmarks.worker {name}, {arguments['runtime']}: {found['error']}")
    return found


def _json_of(command: Sequence[str], given: str = "") -> Dict[str, Any]:
    """The last line that it prints, or {"error": its last words}."""
    done = subprocess.run(command, input=given.encode(), capture_output=True, check=False, timeout=_TIMEOUT_S)
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip().splitlines()
        return {"error": words[-1] if words else f"ended with {done.returncode}"}
    found: Dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def training(steps: int) -> Dict[str, Any]:
    """Images a second of the camera's recipe and of plain `fit`, or {"error": why not}."""
    return _json_of([sys.executable, "-m", "training.throughput", str(steps)])


def starts(model: Path, runtime: str, count: int) -> Dict[str, List[float]]:
    """Seconds from a process's start, in turns: to the imports and the loaded model, and to our first answer."""
    floor_s, ours_s = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours = _own_command(folder, model, runtime, frames=1)
        # Compiled once, as on anybody's machine: the first start, which compiles, is not counted.
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(folder / "compiled")}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        for _ in range(count + 1):
            floor_s.append(_seconds_until(_floor_command(model, runtime), "loaded", environment))
            ours_s.append(_seconds_until(ours, "frame ", environment))
    return {"floor": floor_s[1:], "ours": ours_s[1:]}


def memory(model: Path, runtime: str) -> Dict[str, float]:
    """Resident bytes: after the imports, the model and one invoke; and of a run that goes on."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        floor = _resident_after(_floor_command(model, runtime), "loaded", 0.2)
        ours = _resident_after(_own_command(folder, model, runtime, frames=10_000), "frame ", 4.0)
    return {"floor": floor, "ours": ours}


def _floor_command(model: Path, runtime: str) -> List[str]:
    code = (
        f"import numpy, cv2, sys; from {_MODULES[runtime]} import Interpreter; i = Interpreter({str(model)!r}); "
        "i.allocate_tensors(); i.invoke(); print('loaded', flush=True); sys.stdin.read()"
    )
    return [sys.executable, "-u", "-c", code]


def _own_command(folder: Path, model: Path, runtime: str, frames: int) -> List[str]:
    """`run` on a folder of pictures, at 30 frames/s."""
    pictures = folder / "pictures"
    if not pictures.exists():
        rng = np.random.default_rng(0)
        for number in range(150):
            small = rng.integers(0, 256, (480, 640), np.uint8)
            write_image(pictures / f"{number:03d}.jpg", small)
    config = folder / "config.yaml"
    config.write_text(f"model:\n  path: {str(model)!r}\n  runtime: {runtime}\nlog:\n  keep_free_mb: 0\n")
    command = [sys.executable, "-u", "-m", "device", "run", "--config", str(config), "--source", str(pictures)]
    return [*command, "--frames", str(frames), "--log", str(folder / "logs")]


def _start(command: Sequence[str], environment: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, env=environment)


def _seconds_until(command: Sequence[str], beginning: str, environment: Mapping[str, str]) -> float:
    """Until a line that begins so; the process is ended then."""
    start = time.perf_counter()
    with _start(command, environment) as process:
        _wait_for(process, beginning)
        seconds = time.perf_counter() - start
        process.kill()
    return seconds


def _resident_after(command: Sequence[str], beginning: str, seconds: float) -> float:
    with _start(command) as process:
        _wait_for(process, beginning)
        time.sleep(seconds)
        status = Path(f"/proc/{process.pid}/status").read_text()
        process.kill()
    return float(status.split("VmRSS:")[1].split()[0]) * 1024


def _wait_for(process: subprocess.Popen[str], beginning: str) -> None:
    assert process.stdout is not None  # noqa: S101 - for mypy: it is a pipe
    for line in process.stdout:
        if line.startswith(beginning):
            return
    process.kill()
    raise ModelError(f"{process.args!r}: ended without a line {beginning!r}")


def spread(values: Sequence[float] | Array) -> Tuple[float, float, float]:
    """Median, and the 10th and 90th percentile."""
    low, middle, high = np.percentile(np.asarray(values, float), (10, 50, 90))
    return float(middle), float(low), float(high)
