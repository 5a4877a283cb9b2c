"""The board's systemd and processes: all that activation needs of them, in one place."""

import contextlib
import json
import subprocess
import time
from pathlib import Path
from typing import Any, Dict, Optional, Sequence, Tuple

UNIT = "garmentcam.service"
ACTIVATION_UNIT = "garmentcam-activate.service"
USER = "garmentcam"
EVENTS = Path("/run/garmentcam-activation.jsonl")  # In memory: told even when the disk is full.

_SANDBOX = (
    f"User={USER}",
    "SupplementaryGroups=video",
    "PrivateNetwork=yes",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "NoNewPrivileges=yes",
    "MemoryMax=600M",
)


class System:
    """What is behind activation. `events`: where it tells its steps to whoever follows."""

    def __init__(self, events: Path = EVENTS) -> None:
        self._events = events

    def tell(self, step: str, text: str, outcome: Optional[str] = None) -> None:
        """Say what happens: to the journal, and to `follow`. outcome: the last word of an activation."""
        print(f"{step}: {text}", flush=True)
        event = {"step": step, "text": text, "outcome": outcome}
        with contextlib.suppress(OSError), open(self._events, "a", encoding="utf-8") as stream:
            stream.write(json.dumps(event) + "\n")

    def now_s(self) -> float:
        """Monotonic seconds, on systemd's clock."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    def reload_and_restart(self) -> None:
        """Let systemd read the unit of the current release, and start it anew."""
        _run(["systemctl", "daemon-reload"])
        _run(["systemctl", "reset-failed", UNIT])
        _run(["systemctl", "restart", "--no-block", UNIT])

    def service(self) -> Dict[str, str]:
        """ActiveState, NRestarts of the service."""
        return show(UNIT, "ActiveState", "NRestarts")

    def answers(self) -> Tuple[int, int]:
        """(when the service gave its first answer, when its last), us of systemd's clock; zeros while it has none.

        Only answers make it ready and feed its watchdog, with no disk between.
        """
        run, answered = "ActiveEnterTimestampMonotonic", "WatchdogTimestampMonotonic"
        found = show(UNIT, "ActiveState", run, answered)
        return (int(found[run]), int(found[answered])) if found.get("ActiveState") == "active" else (0, 0)

    def last_words(self) -> str:
        """The last error that the service told the journal, else its last line."""
        done = _run(["journalctl", "-u", UNIT, "-n", "20", "-o", "cat", "--no-pager", "-t", "garmentcam"])
        return last_line(done.stdout)

    def run_as_service(
        self, arguments: Sequence[str], folder: Path, timeout_s: float
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command as the service's user in its sandbox, without network or devices."""
        properties = [f"--property={item}" for item in (*_SANDBOX, f"RuntimeMaxSec={timeout_s:.0f}")]
        words = ["systemd-run", "--quiet", "--wait", "--pipe", "--collect", f"--working-directory={folder}"]
        return _run([*words, *properties, "--setenv=PYTHONDONTWRITEBYTECODE=1", "--", *arguments])


def last_line(text: str) -> str:
    """The line that says most: the last `error: ...`, else the last one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("error: ")]
    return (errors or lines or [""])[-1]


def show(unit: str, *names: str) -> Dict[str, str]:
    """Properties of a unit."""
    done = _run(["systemctl", "show", unit, *(f"--property={name}" for name in names)])
    pairs = (line.partition("=") for line in done.stdout.splitlines())
    return {name: value for name, _, value in pairs}


def _run(words: Sequence[str], **options: Any) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(list(words), capture_output=True, text=True, check=False, **options)
