"""Where things lie on a board, and the few ways in which they change. Each change is one rename.

/opt/garmentcam/
    releases/ID/         code, model, card, config, unit, golden frames, manifest.json; venv -> ../../venvs/KEY
    releases/.new-ID/    one that is still arriving
    venvs/KEY/           packages, shared by the releases that need the same ones
    current -> releases/ID     what runs
    pending -> releases/ID     what is to run: there from the request until it is proved or given up
    order                the releases that proved healthy, one a line, the newest last
/var/lib/garmentcam/     the service's own: logs/
"""

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any, Dict, List

from deploy.board.files import differing, sync_folder, write_durably

ROOT = Path("/opt/garmentcam")
STATE = Path("/var/lib/garmentcam")
KEEP_RELEASES = 3
PARTIAL = ".new-"
_ARRIVAL_S = 24 * 3600


class Release:
    """One release folder. Nothing in it changes once it has its final name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.id = path.name

    @property
    def python(self) -> Path:
        """The interpreter of its packages."""
        return self.path / "venv" / "bin" / "python"

    @property
    def manifest(self) -> Dict[str, Any]:
        """{"id", "files": {path: sha256}, "p95_budget_ms", "health_s", ...}."""
        manifest: Dict[str, Any] = json.loads((self.path / "manifest.json").read_text(encoding="utf-8"))
        return manifest

    @property
    def is_there(self) -> bool:
        """It has its files and its packages, as far as a look tells."""
        return (self.path / "manifest.json").is_file() and self.python.exists()

    def damage(self) -> List[str]:
        """Files that are missing or not what the manifest says."""
        try:
            return differing(self.path, self.manifest["files"])
        except (OSError, ValueError, KeyError):
            return ["manifest.json"]


class Layout:
    """The folders under `root`."""

    def __init__(self, root: Path = ROOT) -> None:
        self.root = root
        self.releases = root / "releases"
        self.venvs = root / "venvs"
        self.wheels = root / "wheels"
        self.current = root / "current"
        self.pending = root / "pending"
        self._order = root / "order"

    def release(self, release_id: str) -> Release:
        """The release `release_id`, whether it is there or not."""
        return Release(self.releases / release_id)

    def linked(self, link: Path) -> str:
        """The id of the release that `link` points to, "" when there is no such link."""
        try:
            return os.path.basename(os.readlink(link))
        except OSError:
            return ""

    def point(self, link: Path, release_id: str) -> None:
        """Let `link` point to a release, in one step that survives a power cut."""
        new = self.root / f"{PARTIAL}{link.name}"
        if new.is_symlink():
            new.unlink()
        os.symlink(os.path.join(self.releases.name, release_id), new)
        os.replace(new, link)
        sync_folder(self.root)

    def drop(self, link: Path) -> None:
        """Remove a link, if it is there."""
        if link.is_symlink():
            link.unlink()
            sync_folder(self.root)

    def unname(self, release: Release) -> None:
        """Treat a release as one that is still arriving, so that the next deploy mends it."""
        aside = self.releases / f"{PARTIAL}{release.id}"
        shutil.rmtree(aside, ignore_errors=True)
        os.rename(release.path, aside)

    @property
    def order(self) -> List[str]:
        """Releases that proved healthy here and are still there, the newest last."""
        try:
            listed = self._order.read_text(encoding="utf-8").split()
        except OSError:
            listed = []
        return [release_id for release_id in listed if self.release(release_id).is_there]

    def remember_healthy(self, release_id: str) -> None:
        """Put it last in the order. Going back to one forgets those that came after it."""
        order = self.order
        order = order[: order.index(release_id)] if release_id in order else order
        write_durably(self._order, "\n".join([*order, release_id]) + "\n")

    def prune(self) -> List[str]:
        """Remove what no longer serves: releases beyond the last three, and packages that none of them needs.

        The three are those that proved healthy last, then the newest others. Returns the ids of the removed releases.
        """
        ranked = [folder.name for folder in sorted(_entries(self.releases), key=_arrival)]
        ranked = [name for name in ranked if name not in self.order and not name.startswith(PARTIAL)] + self.order
        keep = {*ranked[-KEEP_RELEASES:], self.linked(self.current), self.linked(self.pending)}
        removed = []
        for folder in _entries(self.releases):
            if folder.name.startswith(PARTIAL) and abs(time.time() - folder.stat().st_mtime) < _ARRIVAL_S:
                continue  # Another deploy may be at it; the next one of the same release takes it up.
            if folder.name not in keep:
                shutil.rmtree(folder, ignore_errors=True)
                removed.append(folder.name)
        needed = {os.path.basename(os.path.realpath(folder / "venv")) for folder in _entries(self.releases)}
        for folder in _entries(self.venvs):
            if folder.name not in needed:
                shutil.rmtree(folder, ignore_errors=True)
        return removed


def _arrival(release: Path) -> float:
    return release.stat().st_mtime


def _entries(folder: Path) -> List[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []
