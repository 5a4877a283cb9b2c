"""A long run with steady memory: `make soak MINUTES=10`. Prints a line each 15 s; exit status 1 when it grows.

Not a part of `make test`: it takes as long as it is told.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MOST_GROWTH_KB = 2048
WARM_UP_S = 60.0


def resident_kb(pid: int) -> int:
    """Resident memory, KB of 1024 bytes (proc(5), VmRSS)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def main(minutes: float) -> int:
    with tempfile.TemporaryDirectory() as logs, tempfile.TemporaryFile() as output:
        command = [sys.executable, "-m", "device", "run", "--source", "synthetic://", "--log", logs]
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)
        start = time.monotonic()
        samples: list[tuple[float, int]] = []
        while process.poll() is None and time.monotonic() - start < minutes * 60:
            time.sleep(15)
            files = len(list(Path(f"/proc/{process.pid}/fd").iterdir()))
            samples.append((time.monotonic() - start, resident_kb(process.pid)))
            print(f"{samples[-1][0]:6.0f} s  {samples[-1][1]:7d} KB  {files} open files", flush=True)
        process.terminate()  # The run ends in order: footer, summary.
        status = process.wait(timeout=120)
        output.seek(0)
        tail = output.read().decode(errors="replace").strip().splitlines()[-14:]
    print("\n".join(tail))
    warm = [kb for seconds, kb in samples if seconds > WARM_UP_S]
    growth = max(warm[len(warm) // 2 :]) - max(warm[: max(1, len(warm) // 2)])
    print(f"resident memory, second half against first (after {WARM_UP_S:.0f} s): {growth:+d} KB")
    return 0 if status == 0 and growth <= MOST_GROWTH_KB else 1


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0))
