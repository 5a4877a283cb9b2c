"""A long run with steady memory, handles and threads: `make soak MINUTES=30`. Exit status 1 when something grows.

On the real picamera2 with a simulated camera, whose cable is pulled for some seconds of each minute; or on another
SOURCE, such as synthetic://. Not a part of `make test`: it takes as long as it is told. `make report LOG=logs/soak`
shows what it left.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
LOGS = ROOT / "logs" / "soak"
MOST_GROWTH_KB = 2048
WARM_UP_S = 60.0
SAMPLE_S = 15.0
PLUGGED_S, UNPLUGGED_S = 50.0, 6.0


class Sample(NamedTuple):
    """How large the process was. kb: resident memory, of 1024 bytes (proc(5), VmRSS)."""

    seconds: float
    kb: int
    handles: int
    threads: int


def sample_of(pid: int, seconds: float) -> Sample:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    handles = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return Sample(seconds, int(fields["VmRSS"].split()[0]), handles, int(fields["Threads"]))


def growth(samples: list[Sample], field: str) -> int:
    """The most of the second half, less the most of the first; warm-up left out."""
    values = [getattr(sample, field) for sample in samples if sample.seconds > WARM_UP_S]
    half = max(1, len(values) // 2)
    return max(values[half:], default=0) - max(values[:half], default=0)


def answered_twice(logs: Path) -> tuple[int, int]:
    """(frames in the logs, how many of them have the number or the time of another)."""
    lines = [json.loads(line) for path in logs.glob("*.jsonl") for line in path.read_text().splitlines()]
    frames = [line for line in lines if line["record"] == "frame"]
    different = min(len({frame[field] for frame in frames}) for field in ("sequence", "captured_ns"))
    return len(frames), len(frames) - different


def main(minutes: float, source: str) -> int:
    simulated = source == "csi://0"
    program = ["tests/simulated_pi.py"] if simulated else ["-m", "device"]
    shutil.rmtree(LOGS, ignore_errors=True)
    LOGS.mkdir(parents=True)
    with tempfile.TemporaryFile() as output:
        config = LOGS / "config.yaml"
        # Every frame is recorded, or "answered twice" would look at the first minutes only.
        config.write_text(f"log: {{raw_s: {60 * minutes + 3600:.0f}, part_mb: 1000, total_mb: 10000}}\n")
        model = ROOT / "device" / "models" / "model.tflite"
        where = ["--config", str(config), "--model", str(model), "--log", str(LOGS)]
        command = [sys.executable, *program, "run", "--source", source, *where]
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)
        samples: list[Sample] = []
        unplugs = 0
        plugged = True
        start = changed = sampled = time.monotonic()
        try:
            while process.poll() is None and (now := time.monotonic()) - start < minutes * 60:
                time.sleep(0.5)
                if simulated and now - changed > (PLUGGED_S if plugged else UNPLUGGED_S):
                    plugged, changed = not plugged, now
                    unplugs += not plugged
                    process.send_signal(signal.SIGUSR2 if plugged else signal.SIGUSR1)
                if now - sampled > SAMPLE_S:
                    sampled = now
                    samples.append(sample_of(process.pid, now - start))
                    print("{:6.0f} s  {:7d} KB  {} handles  {} threads".format(*samples[-1]), flush=True)
        finally:
            process.terminate()  # The run ends in order: footer, summary.
        status = process.wait(timeout=120)
        output.seek(0)
        said = output.read().decode(errors="replace")
        frames, repeated = answered_twice(LOGS)
    print("\n".join(said.strip().splitlines()[-14:]))
    grown = {field: growth(samples, field) for field in ("kb", "handles", "threads")}
    back = said.count("back after")
    print(f"{frames} frames in the log, {repeated} answered twice; unplugged {unplugs} times, back {back} times")
    print(f"second half against first (after {WARM_UP_S:.0f} s): {grown}")
    steady = grown["kb"] <= MOST_GROWTH_KB and grown["handles"] <= 0 and grown["threads"] <= 0
    return 0 if status == 0 and steady and not repeated and back >= unplugs - 1 else 1


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0, sys.argv[2] if len(sys.argv) > 2 else "csi://0"))
