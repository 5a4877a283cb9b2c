"""A folder with a Debian for arm64 whose programs run one by one under qemu-user: no kernel, no systemd, no camera.

Enough to ask whether an old system's wheels install, import and answer.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from board.qemu import HERE

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

_RUN = """
mount -t proc proc "$0/proc"; mount --bind /dev "$0/dev"
exec chroot "$0" /usr/bin/env -i PATH=/usr/bin:/bin HOME=/root sh -ec "$1"
"""


def make_chroot(suite: str, root: Path) -> None:
    """Unpack a Debian with Python into `root`, unless it is there already; a minute or two."""
    made = root.with_name(f"{root.name}.made")
    if made.exists():
        return
    subprocess.run(["rm", "-rf", root], check=True)
    root.parent.mkdir(parents=True, exist_ok=True)
    words = ["mmdebstrap", "--quiet", "--mode=root", "--arch=arm64", "--variant=minbase", f"--keyring={KEYRING}"]
    mirror = subprocess.run(["bash", HERE / "mirror.sh"], capture_output=True, text=True, check=True).stdout.strip()
    words += ["--include=python3,python3-distutils", "--dpkgopt=force-unsafe-io", suite, str(root), mirror]
    subprocess.run(words, check=True)
    made.touch()


def run_in(root: Path, script: str) -> str:
    """Run a shell script in it, without network; returns what it prints."""
    words = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-ec", _RUN, str(root), script]
    done = subprocess.run(words, capture_output=True, text=True, timeout=1800, check=False)
    assert done.returncode == 0, f"{script}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout
