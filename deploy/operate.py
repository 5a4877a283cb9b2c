"""Boards that have a release: how they are, what they have, their logs, their view, and how to take it off again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Mapping, Sequence

from deploy.board.layout import ROOT, STATE
from deploy.board.system import ACTIVATION_UNIT, UNIT, USER
from deploy.errors import DeployError
from deploy.facts import Facts, Installed
from deploy.fleet import Command, Step
from deploy.rollout import activation

LOGS = Path("logs")
SILENT_S = 60
"""A service that is watching writes its log at least so often."""


def status(facts: Facts) -> str:
    """One line: what runs, and how."""
    there = facts.installed
    if not there.current:
        return "nothing is installed; `make deploy`"
    made_of = there.releases.get(there.current, "its files are gone")
    state = there.service if there.service != "active" else "runs"
    restarts = f", started again {there.restarts} times" if there.restarts else ""
    proved = "" if there.current in there.order else ", not proved"
    pending = f"; {there.pending} is {'being activated' if there.activating else 'pending'}" if there.pending else ""
    logs = f"{there.logs} logs, {there.log_bytes / 1e6:.1f} MB"
    return f"{there.current} {state}{restarts}{proved} ({made_of}); {logs}{pending}{_said(there, 1)}"


def _said(there: Installed, lines: int) -> str:
    """What the service told last; that it changes its mind, it tells too."""
    return f"; it says: {' | '.join(there.last_words.splitlines()[-lines:])}" if there.last_words else ""


def releases(facts: Facts) -> list[str]:
    """One line a release, the newest first; those that proved healthy are in the order of their activation."""
    there = facts.installed
    others = [name for name in there.releases if name not in there.order]
    marks = {there.current: "runs", there.pending: "pending"}
    names = [*reversed(there.order), *others]
    notes = (marks.get(name) or ("worked" if name in there.order else "not in use") for name in names)
    return [f"{name}  {note:18s} {there.releases[name]}" for name, note in zip(names, notes, strict=True)]


def diagnosis(facts: Facts) -> list[str]:
    """What is wrong with the service, in words, each with what to do. Empty when nothing is."""
    there = facts.installed
    said = _said(there, 2)
    found = []
    if not there.current:
        return ["nothing is installed: `make deploy`"]
    if there.current not in there.releases:
        found.append(f"the files or packages of {there.current} are gone: `make rollback` or `make deploy`")
    if there.activating:
        found.append(f"{there.pending} is being activated just now: ask again in a minute")
    elif there.pending:
        found.append(f"the activation of {there.pending} was cut off: restart the board, or `make deploy` again")
    if there.service != "active":
        found.append(f"the service is {there.service}{said}")
    elif there.restarts:
        found.append(f"the service ended by itself and was started again {there.restarts} times{said}")
    if there.service == "active" and (there.newest_log_age_s is None or there.newest_log_age_s > SILENT_S):
        found.append(
            f"it runs but has logged nothing for over {SILENT_S} s: is the camera stuck? Unplug it and plug it in{said}"
        )
    if there.current in there.releases and there.current not in there.order:
        found.append(f"{there.current} never answered real frames here: `make rollback`, or look at the camera")
    return found


def rollback_steps(facts: Facts) -> tuple[Step, ...]:
    """Back to the release that worked before the one that runs. Raises DeployError when there is none."""
    there = facts.installed
    earlier = [name for name in there.order if name != there.current]
    if not earlier:
        raise DeployError("no earlier release that worked is on this board; `make releases` lists what is there")
    return activation(facts, earlier[-1])


def uninstall_steps() -> tuple[Step, ...]:
    """Leave nothing: service, units, user, releases, packages, logs."""
    units = f"/etc/systemd/system/{UNIT} /etc/systemd/system/{ACTIVATION_UNIT}"
    wanted = "/etc/systemd/system/multi-user.target.wants"
    text = (
        f"systemctl stop {ACTIVATION_UNIT} {UNIT} 2>/dev/null; "
        f"rm -rf {units} {wanted}/{UNIT} {wanted}/{ACTIVATION_UNIT} {ROOT} {STATE} /run/garmentcam-*; "
        f"systemctl daemon-reload; systemctl reset-failed {UNIT} {ACTIVATION_UNIT} 2>/dev/null; "
        f"! id {USER} >/dev/null 2>&1 || userdel {USER}"
    )
    return (Command("removed everything", text),)


def ssh_words(board: str, ssh_config: str) -> tuple[list[str], str]:
    """(the ssh command with its options, [user@]host)."""
    login, _, port = board.partition(":")
    config = ["-F", ssh_config] if ssh_config else []
    at_port = ["-p", port] if port else []
    return ["ssh", *config, *at_port, "-o", "BatchMode=yes", "-o", "ServerAliveInterval=5"], login


def pull_logs(board: str, ssh_config: str) -> Path:
    """Bring what is new in the board's latency logs to logs/BOARD; goes on where it was cut off. Raises DeployError."""
    ssh, login = ssh_words(board, ssh_config)
    folder = LOGS / board.replace(":", "-")
    folder.mkdir(parents=True, exist_ok=True)
    # Logs only grow, so only the new end travels.
    words = ["rsync", "-rtz", "--append-verify", "--timeout=30", "--rsh", " ".join(ssh)]
    words += [f"{login}:{STATE}/logs/", f"{folder}/"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        problem = (done.stderr.strip().splitlines() or ["rsync failed"])[0]
        raise DeployError(f"logs: {problem}; is a release installed (`make status`)? Run it again to go on")
    return folder


def report(folder: Path) -> int:
    """Print the report of the newest log in `folder`."""
    logs = sorted(folder.glob("*.jsonl"), key=lambda path: path.stat().st_mtime)
    if not logs:
        print(f"no log in {folder} yet")
        return 1
    return subprocess.call([sys.executable, "-m", "device", "report", str(logs[-1])])


def tunnel(board: str, ssh_config: str, port: int) -> int:
    """Hold an ssh tunnel to the board's live view open until Ctrl-C."""
    ssh, login = ssh_words(board, ssh_config)
    print(f"http://127.0.0.1:{port}/ shows what {board} sees; Ctrl-C ends it", flush=True)
    options = ["-o", "ExitOnForwardFailure=yes", "-N", "-L", f"127.0.0.1:{port}:127.0.0.1:{port}"]
    try:
        return subprocess.call([*ssh, *options, login])
    except KeyboardInterrupt:
        return 0


def summary(boards: Sequence[str], failed: Mapping[str, str], what: str) -> str:
    """The last line."""
    return f"{len(boards) - len(failed)} of {len(boards)} boards {what}"
