"""`python3 -m deploy.board`, as root, in the folder of a release: prepare, request, follow, activate."""

import argparse
import fcntl
import sys
from pathlib import Path
from typing import IO

from deploy.board.activate import activate
from deploy.board.follow import follow
from deploy.board.layout import Layout
from deploy.board.prepare import PrepareError, prepare
from deploy.board.request import request
from deploy.board.system import System

LOCK = Path("/run/garmentcam-deploy.lock")


def main() -> int:
    """The command line. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python3 -m deploy.board", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("prepare", "request"):
        command = commands.add_parser(name)
        command.add_argument("release")
        if name == "prepare":
            command.add_argument("--venv", required=True, metavar="KEY")
            command.add_argument("--system-packages", action="store_true")
    commands.add_parser("activate")
    commands.add_parser("follow")
    options = parser.parse_args()
    layout = Layout()
    try:
        if options.command == "follow":
            return follow(lambda line: print(line, flush=True))
        with open(LOCK, "w") as lock:
            _take(lock, wait=options.command == "activate")
            if options.command == "activate":
                return activate(layout, System())
            if options.command == "prepare":
                prepare(layout, options.release, options.venv, options.system_packages)
            else:
                request(layout, options.release)
    except (PrepareError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _take(lock: IO[str], wait: bool) -> None:
    """Hold the board until this process ends. The kernel gives it free, whatever happens."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise PrepareError("another deploy is at work on this board; wait until it has ended, then try again") from None


if __name__ == "__main__":
    sys.exit(main())
