"""Asks for a release: units and user as they must be, `pending` set, activation started."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from deploy.board.files import write_durably
from deploy.board.layout import Layout
from deploy.board.prepare import PrepareError
from deploy.board.system import ACTIVATION_UNIT, EVENTS, UNIT, USER, show

UNITS = Path("/etc/systemd/system")
_WANTED = UNITS / "multi-user.target.wants"


def request(layout: Layout, release_id: str) -> None:
    """Start the activation of a release that is whole; returns at once. Raises PrepareError."""
    release = layout.release(release_id)
    if not release.is_there:
        raise PrepareError(f"release {release_id} is not on this board; see `make releases`")
    if show(ACTIVATION_UNIT, "ActiveState").get("ActiveState") == "activating":
        raise PrepareError(f"release {layout.linked(layout.pending)} is being activated; wait for it, then try again")
    if subprocess.run(["id", USER], capture_output=True, check=False).returncode:
        words = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", "--user-group", USER]
        subprocess.run(words, check=True)
    # It may hold a camera's password or the view's token.
    shutil.chown(release.path / "config.yaml", "root", USER)
    (release.path / "config.yaml").chmod(0o640)
    # The service's unit is the release's own, so that going back takes it along; this one outlives releases.
    text = (release.path / ACTIVATION_UNIT).read_text(encoding="utf-8").replace("@PYTHON@", sys.executable)
    unit = UNITS / ACTIVATION_UNIT
    changed = not unit.exists() or unit.read_text(encoding="utf-8") != text
    if changed:
        write_durably(unit, text)
    _WANTED.mkdir(exist_ok=True)
    for link, target in (
        (UNITS / UNIT, layout.current / UNIT),
        (_WANTED / UNIT, UNITS / UNIT),
        (_WANTED / ACTIVATION_UNIT, unit),
    ):
        if not link.is_symlink():
            os.symlink(target, link)
            changed = True
    if changed:
        subprocess.run(["systemctl", "daemon-reload"], check=True)
    layout.point(layout.pending, release_id)
    if EVENTS.exists():
        EVENTS.unlink()
    subprocess.run(["systemctl", "start", "--no-block", ACTIVATION_UNIT], check=True)
