"""How long a deploy to a virtual board takes, beside a bare login and a bare rsync of the same bytes.

To an emulated board, and to one in a container, which is as fast as this machine. `make board-times`, as root: prints a
table; README=README.md puts it there, too. BOARD=trixie-arm64 asks the other emulated system.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Callable

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from tabulate import tabulate  # noqa: E402

from benchmarks.readme import with_block  # noqa: E402
from board.container import Container  # noqa: E402
from board.qemu import Board  # noqa: E402
from board.workstation import Workstation  # noqa: E402
from deploy.config import load_deploy_config  # noqa: E402
from deploy.facts import BoardFacts  # noqa: E402
from deploy.release import make_release  # noqa: E402
from deploy.wheelhouse import wheelhouse_for  # noqa: E402
from device.machine import machine_name  # noqa: E402

MARKS = "<!-- board-times -->", "<!-- /board-times -->"


def seconds(act: Callable[[], object]) -> float:
    started = time.monotonic()
    act()
    return time.monotonic() - started


def main() -> None:
    emulated, container = Board(port=2254), Container()
    slow, fast = measured(emulated, "resume"), measured(container, "fresh")
    rows = [[what, s, quick_s, mb] for (what, s, mb), (_, quick_s, _) in zip(slow, fast, strict=True)]
    date = datetime.now(timezone.utc).strftime("%Y-%m-%d")
    where = f"{machine_name()}, {os.cpu_count()} cores, load {os.getloadavg()[1]:.1f}"
    about = f"`make board-times`, {date}, {where}: {emulated.name}, emulated, and {container.name} in a container"
    headers = ["", "emulated, s", "in a container, s", "sent to the emulated one, MB"]
    table = tabulate(rows, headers=headers, tablefmt="github", floatfmt=".1f")
    block = f"{about}; neither is a board's time.\n\n{table}\n"
    print(block)
    if len(sys.argv) > 1:
        readme = Path(sys.argv[1])
        readme.write_text(with_block(readme.read_text(encoding="utf-8"), block, MARKS), encoding="utf-8")


def measured(board: Board, how: str) -> list[tuple[str, float, float | None]]:
    """`measure` of a board that is switched on for it."""
    with tempfile.TemporaryDirectory() as name:
        workstation = Workstation(Path(name))
        workstation.configure(health_s=600)
        board.power_cut()
        board.boot(how)
        try:
            return measure(board, workstation)
        finally:
            board.power_cut()


def measure(board: Board, workstation: Workstation) -> list[tuple[str, float, float | None]]:
    """What, seconds, megabytes sent."""
    facts = BoardFacts().process(board.ssh(BoardFacts().command("synthetic://"), input=_probe()).stdout.splitlines())
    assert facts is not None
    wheels = wheelhouse_for(facts.target)  # Downloaded once, and not counted.
    deploy, config, text = load_deploy_config(workstation.folder / "config.yaml")
    folder = workstation.folder / "release"
    release = make_release(folder, config, deploy, text, workstation.folder / "model" / "model.tflite")

    def copy(number: int, *folders: Path) -> None:
        words = ["rsync", "-r", "--rsh", f"ssh -F {board.ssh_config}", *folders, f"board:/tmp/bare{number}/"]
        subprocess.run(words, check=True)

    mb = release.size_bytes / 1e6, wheels.size_bytes / 1e6
    rows: list[tuple[str, float, float | None]] = [
        ("a bare ssh login", min(seconds(lambda: board.ssh("true")) for _ in range(3)), None),
        ("a bare rsync of code, model and packages", seconds(lambda: copy(1, folder, wheels.folder)), sum(mb)),
        ("a bare rsync of code and model", seconds(lambda: copy(2, folder)), mb[0]),
    ]
    board.ssh("rm -r /tmp/bare*")
    rows.append(("first deploy", seconds(lambda: workstation.run("deploy", board)), sum(mb)))
    rows.append(("second deploy, nothing changed", seconds(lambda: workstation.run("deploy", board)), 0.0))
    workstation.name_model("another")
    rows.append(("a deploy of another model", seconds(lambda: workstation.run("deploy", board)), None))
    return rows


def _probe() -> str:
    return (ROOT / "deploy" / "board" / "probe.py").read_text()


if __name__ == "__main__":
    main()
