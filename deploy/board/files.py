"""Files that must survive a power cut, and files that must be what somebody said they are."""

import hashlib
import os
from pathlib import Path
from typing import Dict, List


def sha256(path: Path) -> str:
    """The file's SHA-256, in hex."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def differing(folder: Path, files: Dict[str, str]) -> List[str]:
    """Paths of `files` (relative path -> sha256) that are missing in `folder` or are not that file."""
    return [name for name, digest in files.items() if not _is(folder / name, digest)]


def _is(path: Path, digest: str) -> bool:
    try:
        return sha256(path) == digest
    except OSError:
        return False


def write_durably(path: Path, text: str) -> None:
    """Replace `path` in one step: after a power cut it is the old or the new one, whole."""
    new = path.with_name(f".new-{path.name}")
    with open(new, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(new, path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Bring a folder's own entries to the disk: renames and removals in it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
