"""A board in a container: its own Debian, systemd, journald and sshd on a real ext4, at this machine's full speed.

It has no kernel or camera of its own, and this machine's processor; the board of qemu.py has those. What it is good
for is what needs many tries: faults, power cuts, ten boards at once. Needs root.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import struct
import subprocess
import time
from pathlib import Path
from typing import Any

from board.qemu import HERE, Board, BoardError

_EXT4_IOC_SHUTDOWN = 0x8004587D
_NO_LOG_FLUSH = 2

_START = """
mount -o loop,errors=remount-ro "$1" "$2"
if [ -s "$2/etc/fstab" ]; then  # The first start of this disk.
    : > "$2/etc/fstab"
    printf 'Port %s\\nListenAddress 127.0.0.1\\n' "$3" > "$2/etc/ssh/sshd_config.d/port.conf"
    rm "$2/etc/systemd/system/multi-user.target.wants/systemd-networkd.service"
    sync --file-system "$2"  # Else a power cut takes these too.
fi
# Every capability but that over the clock, which is this machine's.
exec systemd-nspawn --quiet --boot --machine="garmentcam-$3" --directory="$2" --register=no --keep-unit \\
    ${4:+--personality="$4"} --resolv-conf=off --link-journal=no --capability=all --drop-capability=CAP_SYS_TIME \\
    --console=pipe
"""


class Container(Board):
    """One of them. `port`: where its sshd listens, on this machine's loopback.

    personality: "x86" makes its kernel say that the processor is an i686.
    """

    def __init__(self, suite: str = "bookworm", port: int = 2300, *, personality: str = "") -> None:
        architecture = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True)
        super().__init__(f"{suite}-{architecture.stdout.strip()}", port)
        self._disk, self._root = self.run / "disk.ext4", self.run / "root"
        self._personality = personality
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Container:
        self.boot("fresh")
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.power_cut()

    def boot(self, how: str = "", **_: Any) -> float:  # type: ignore[override]
        """Start it, with a fresh disk or with the one that is there; seconds until a login works."""
        subprocess.run([HERE / "image.sh", self.suite, self.arch, self.image], check=True)
        started = time.monotonic()
        self._root.mkdir(parents=True, exist_ok=True)
        if how == "fresh" or not self._disk.exists():
            words = ["cp", "--sparse=always", "--no-preserve=mode", self.image / "base.ext4", self._disk]
            subprocess.run(words, check=True)
        self._write_ssh_config()
        arguments = (self._disk, self._root, self.port, self._personality)
        with open(self.run / "console.log", "wb") as console:
            self._process = subprocess.Popen(
                # The disk is mounted for the container alone: nobody else holds it when the container is gone.
                ["unshare", "--mount", "sh", "-ec", _START, "sh", *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        self._wait_for_login(started + 180, set_clock=False)
        return time.monotonic() - started

    def off(self) -> None:
        """Shut it down in order."""
        if self._process:
            os.kill(self._leader(), signal.SIGRTMIN + 4)  # systemd's own "power off".
            self._gone()

    def power_cut(self) -> None:
        """Pull the plug: what has not reached the disk is lost, by ext4's own shutdown for such tests."""
        if self._process:
            with contextlib.suppress(OSError):
                folder = os.open(f"/proc/{self.pid}/root{self._root}", os.O_RDONLY)
                fcntl.ioctl(folder, _EXT4_IOC_SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
                os.close(folder)
            with contextlib.suppress(OSError, BoardError):
                os.kill(self._leader(), signal.SIGKILL)
            self._process.kill()
            self._gone()

    def keep_disk(self, name: str) -> None:
        """Keep the disk as it is, while the board is off."""
        subprocess.run(["cp", "--sparse=always", self._disk, self.run / f"{name}.ext4"], check=True)

    def put_back_disk(self, name: str) -> None:
        """Put back a disk that was kept."""
        subprocess.run(["cp", "--sparse=always", self.run / f"{name}.ext4", self._disk], check=True)

    def read_only(self) -> None:
        """Make its disk read-only, as the kernel does when an SD card fails."""
        Path(f"/sys/fs/ext4/{Path(self._loop()).name}/trigger_fs_error").write_text("1")

    @property
    def pid(self) -> int:
        """The process id of its systemd-nspawn, 0 when it is off."""
        return self._process.pid if self._process and self._process.poll() is None else 0

    def _leader(self) -> int:
        """The container's own first process."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        for child in children:
            for name in (child, *Path(f"/proc/{child}/task/{child}/children").read_text().split()):
                if Path(f"/proc/{name}/comm").read_text().strip() == "systemd":
                    return int(name)
        raise BoardError("the container has no systemd")

    def _loop(self) -> str:
        """The /dev/loopN of its disk, "" when nobody holds it."""
        words = ["losetup", "--noheadings", "--output=NAME", "--associated", self._disk]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()

    def _gone(self) -> None:
        """Wait until its last process has let go of the disk: else the next one finds a dead file system."""
        assert self._process
        self._process.wait(60)
        self._process = None
        deadline = time.monotonic() + 60
        while self._loop():
            if time.monotonic() > deadline:
                raise BoardError(f"{self._disk} is still held")
            time.sleep(0.1)
