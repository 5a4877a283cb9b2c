"""A virtual board: Debian under qemu, standing in for a Raspberry Pi with 64-bit Raspberry Pi OS.

    python tests/board/qemu.py boot [--fresh | --resume]     boot, and print how to reach it
    python tests/board/qemu.py ssh [COMMAND]                 log in, or run a command there
    python tests/board/qemu.py camera card|picture FILE|unplug|stall|"go on"|off
    python tests/board/qemu.py off [--power-cut]

It has a real kernel, sshd, systemd, journald and a camera (the kernel's vivid), user pi with sudo, and no network: only
127.0.0.1:BOARD_PORT leads to it. It has no GPU, GPIO, CSI camera or firmware, and its speed says nothing.

Settings (environment): BOARD=bookworm-arm64 (or trixie-arm64, bookworm-amd64, ...), BOARD_PORT=2222,
BOARD_CACHE=~/.cache/garmentcam-board, where images (kept until image.sh changes) and running boards live.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
READY = "ready"  # The saved state that --resume goes on from.


class BoardError(Exception):
    """The board cannot be made, started or reached."""


class Board:
    """One virtual board. `name` is SUITE-ARCH, `port` the loopback port that leads to its sshd.

    memory_limits: whether its kernel can limit a service's memory; Raspberry Pi OS leaves that off.
    """

    def __init__(
        self, name: str = "", port: int = 0, *, memory_mb: int = 1024, cpus: int = 2, memory_limits: bool = False
    ) -> None:
        self.name = name or os.environ.get("BOARD", "bookworm-arm64")
        self.port = port or int(os.environ.get("BOARD_PORT", "2222"))
        cache = Path(os.environ.get("BOARD_CACHE") or Path.home() / ".cache" / "garmentcam-board")
        self.suite, _, self.arch = self.name.partition("-")
        self.image = cache / self.name
        self.run = cache / f"{self.name}-{self.port}"
        self.disk, self._pid_file, self._qmp = self.run / "disk.qcow2", self.run / "qemu.pid", self.run / "qmp.sock"
        self.ssh_config = self.run / "ssh_config"
        self.memory_mb, self.cpus, self.memory_limits = memory_mb, cpus, memory_limits

    # ---- power

    def boot(self, how: str = "", *, timeout_s: float = 300) -> float:
        """Start it and wait until a login works. Returns the seconds that took.

        how: "" goes on with the disk as it was left (after a power cut, a real recovery), "fresh" takes a new disk,
        "resume" goes on from the saved state of a freshly booted board, which is made the first time.
        Raises BoardError.
        """
        if self.pid:
            raise BoardError(f"{self.name} runs already, pid {self.pid}; end it with `make board-off`")
        subprocess.run([HERE / "image.sh", self.suite, self.arch, self.image], check=True)
        self.run.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        machine = self._machine()
        digest = hashlib.sha256(repr((machine, (self.image / "key").read_text())).encode()).hexdigest()[:12]
        saved = self.image / f"{READY}-{digest}.qcow2"
        load = []
        if how == "resume" and saved.exists():
            subprocess.run(["cp", "--sparse=always", "--no-preserve=mode", saved, self.disk], check=True)
            load = ["-loadvm", READY]
        elif how or not self.disk.exists():
            base = str(self.image / "base.ext4")
            command = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", base, str(self.disk)]
            subprocess.run(command, check=True)
        self._write_ssh_config()
        self._qmp.unlink(missing_ok=True)
        # restrict=on: the board reaches nothing outside itself. Cached writes: a killed qemu keeps what the host has,
        # so a power cut is kinder here than on a real SD card.
        subprocess.run(
            [
                *machine,
                *("-drive", f"if=none,id=sd,file={self.disk},format=qcow2,cache=writeback,discard=unmap"),
                *("-device", "virtio-blk-pci,drive=sd", "-device", "virtio-net-pci,netdev=n0,romfile="),
                *("-netdev", f"user,id=n0,restrict=on,hostfwd=tcp:127.0.0.1:{self.port}-:22"),
                *("-serial", f"file:{self.run / 'console.log'}", "-qmp", f"unix:{self._qmp},server=on,wait=off"),
                *("-pidfile", str(self._pid_file), "-daemonize", *load),
            ],
            check=True,
        )
        self._wait_for_login(started + timeout_s, set_clock=bool(load))
        if how == "resume" and not load:
            self.ssh("systemctl is-system-running --wait; sync", check=False)
            self.qmp("human-monitor-command", **{"command-line": f"savevm {READY}"})
            for old in self.image.glob(f"{READY}-*.qcow2"):
                old.unlink()
            shutil.copyfile(self.disk, f"{saved}.new")
            os.replace(f"{saved}.new", saved)
        return time.monotonic() - started

    def off(self) -> None:
        """Shut it down in order."""
        if pid := self.pid:
            with contextlib.suppress(subprocess.SubprocessError):
                self.ssh("sudo systemctl poweroff", check=False, timeout_s=30)
            self._end(pid, patience_s=60)

    def power_cut(self) -> None:
        """Pull the plug: qemu ends at once."""
        if pid := self.pid:
            self._end(pid, patience_s=0)

    @property
    def pid(self) -> int:
        """The process id of its qemu, 0 when it is off."""
        try:
            pid = int(self._pid_file.read_text())
            return pid if Path(f"/proc/{pid}/comm").read_text().startswith("qemu-system") else 0
        except (OSError, ValueError):
            return 0

    # ---- reach it

    def ssh(
        self, command: str, *, check: bool = True, timeout_s: float = 300, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on it, as pi."""
        words = ["ssh", "-F", str(self.ssh_config), "board", command]
        done = subprocess.run(words, capture_output=True, text=True, timeout=timeout_s, check=False, **options)
        if check and done.returncode:
            raise BoardError(f"{command}: status {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def qmp(self, execute: str, **arguments: Any) -> Any:
        """One command of qemu's own control protocol."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(300)
            connection.connect(str(self._qmp))
            stream = connection.makefile("rw")
            stream.readline()
            for request in ({"execute": "qmp_capabilities"}, {"execute": execute, "arguments": arguments}):
                stream.write(json.dumps(request) + "\n")
                stream.flush()
                answer: dict[str, Any] = {}
                while not {"return", "error"} & set(answer):
                    answer = json.loads(stream.readline())
                if "error" in answer:
                    raise BoardError(f"qemu: {answer['error']['desc']}")
        return answer["return"]

    def network(self, up: bool) -> None:
        """Plug the network cable in or out."""
        self.qmp("set_link", name="n0", up=up)

    def camera(self, what: str, picture: Path | None = None) -> None:
        """Its /dev/video0, 640x480 at 25 frames a second.

        what: "card", vivid's own test card; "picture", an image file shown to the camera (bookworm only:
        later kernels connect vivid's ends in another way); "unplug", reads fail, opening
        again works; "stall", reads block, until "go on"; "off", no camera at all (fails while a program holds it).
        """
        off = "sudo systemctl stop board-picture 2>/dev/null; ! test -d /sys/module/vivid || sudo modprobe -r vivid; "
        if what == "picture":
            assert picture is not None
            self._show(picture)
        else:
            # Without the settle /dev/video0 is there, but not yet for the group video.
            card = "sudo modprobe vivid n_devs=1 node_types=0x1 num_inputs=1 input_types=0x0; udevadm settle"
            control = "v4l2-ctl -d /dev/video0 -c "
            self.ssh(
                {
                    "card": off + card,
                    "unplug": control + "disconnect=1",
                    "stall": control + "percentage_of_dropped_buffers=100",
                    "go on": control + "percentage_of_dropped_buffers=0",
                    "off": off,
                }[what]
            )

    def _show(self, picture: Path) -> None:
        import cv2

        image = cv2.resize(cv2.imread(str(picture)), (640, 480), interpolation=cv2.INTER_AREA)
        raw = cv2.cvtColor(image, cv2.COLOR_BGR2YUV_YUYV).tobytes()
        words = ["ssh", "-F", str(self.ssh_config), "board", "cat > /tmp/picture.yuyv"]
        subprocess.run(words, input=raw, check=True, timeout=120)
        # vivid's HDMI output looped into its HDMI input. Timings 3 are 1280x720p24, on both ends, else nothing is
        # looped (vivid scales to and from 640x480); the default is 60 frames a second, and a made-up 640x480p30 gives
        # noise. What v4l2-ctl says of each second would fill the journal.
        self.ssh("""set -e
            if ! v4l2-ctl -d /dev/video0 -C loop_video 2>/dev/null | grep -q 1; then
                ! test -d /sys/module/vivid || sudo modprobe -r vivid
                sudo modprobe vivid n_devs=1 node_types=0x101 num_inputs=1 input_types=0x3 num_outputs=1 \\
                    output_types=0x1
                udevadm settle
                v4l2-ctl -d /dev/video0 -c loop_video=1 -c osd_text_mode=2
                for d in 0 1; do v4l2-ctl -d /dev/video$d --set-dv-bt-timings index=3 >/dev/null; done
                v4l2-ctl -d /dev/video0 --set-fmt-video width=640,height=480,pixelformat=YUYV
                v4l2-ctl -d /dev/video1 --set-fmt-video-out width=640,height=480,pixelformat=YUYV
            fi
            sudo systemctl stop board-picture 2>/dev/null || true
            sudo systemd-run -q --unit=board-picture --collect -p StandardError=null v4l2-ctl -d /dev/video1 \\
                --stream-out-mmap=3 --stream-from=/tmp/picture.yuyv --stream-loop""")

    # ---- details

    def _machine(self) -> list[str]:
        """The machine, without its disk."""
        kvm = self.arch == "amd64" and platform.machine() == "x86_64" and os.access("/dev/kvm", os.R_OK | os.W_OK)
        kernel = "root=/dev/vda ro fsck.repair=yes panic=-1"
        kernel += "" if self.memory_limits else " cgroup_disable=memory"
        if self.arch == "amd64":
            words = ["qemu-system-x86_64", "-machine", "q35", "-accel", "kvm" if kvm else "tcg"]
            words += ["-cpu", "host" if kvm else "max"]
            kernel += " console=ttyS0"
        else:
            words = ["qemu-system-aarch64", "-machine", "virt-7.2,gic-version=3", "-cpu", "cortex-a72"]
            words += ["-accel", "tcg,thread=multi,tb-size=256"]
            kernel += " console=ttyAMA0"
        words += ["-smp", str(self.cpus), "-m", str(self.memory_mb), "-display", "none", "-no-reboot"]
        words += ["-device", "virtio-rng-pci", "-append", kernel]
        return [*words, "-kernel", str(self.image / "vmlinuz"), "-initrd", str(self.image / "initrd.img")]

    def _write_ssh_config(self) -> None:
        """Makes plain `ssh -F ssh_config board` work, host key checked, one connection shared."""
        keys = (self.image / "host_keys").read_text().splitlines()
        (self.run / "known_hosts").write_text("".join(f"[127.0.0.1]:{self.port} {key}\n" for key in keys))
        settings = {
            "HostName": "127.0.0.1",
            "Port": self.port,
            "User": "pi",
            "IdentityFile": self.image / "id_ed25519",
            "IdentitiesOnly": "yes",
            "BatchMode": "yes",
            "UserKnownHostsFile": self.run / "known_hosts",
            "StrictHostKeyChecking": "yes",
            "ConnectTimeout": 20,
            "ServerAliveInterval": 5,
            "LogLevel": "ERROR",
        }
        lines = "".join(f"    {name} {value}\n" for name, value in settings.items())
        self.ssh_config.write_text("Host board\n" + lines)
        self.ssh_config.chmod(0o600)

    def _wait_for_login(self, deadline: float, *, set_clock: bool) -> None:
        # qemu takes the connection long before the board listens, so only a whole login counts. A saved state's clock
        # stood still.
        command = f"sudo date -s @{int(time.time())}" if set_clock else "true"
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                if self.ssh(command, check=False, timeout_s=60).returncode == 0:
                    return
            console = (self.run / "console.log").read_text(errors="replace")[-1500:]
            if not self.pid:
                raise BoardError(f"qemu ended:\n{console}")
            if time.monotonic() > deadline:
                raise BoardError(f"no login in time:\n{console}")
            time.sleep(0.5)

    def _end(self, pid: int, patience_s: float) -> None:
        deadline = time.monotonic() + patience_s
        while self.pid == pid:
            if time.monotonic() >= deadline:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)
        self._pid_file.unlink(missing_ok=True)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    boot = commands.add_parser("boot")
    commands.add_parser("ssh-config", help="the file with which `ssh -F FILE board` works")
    boot.add_argument("--fresh", action="store_const", const="fresh", dest="how", default="")
    boot.add_argument("--resume", action="store_const", const="resume", dest="how")
    commands.add_parser("off").add_argument("--power-cut", action="store_true")
    commands.add_parser("ssh").add_argument("words", nargs=argparse.REMAINDER)
    camera = commands.add_parser("camera")
    camera.add_argument("what", choices=["card", "picture", "unplug", "stall", "go on", "off"])
    camera.add_argument("picture", nargs="?", type=Path)
    options = parser.parse_args()
    board = Board()
    try:
        if options.command == "boot":
            seconds = board.boot(options.how)
            print(f"{board.name} answers after {seconds:.1f} s: HOST=board, or `make board-ssh`")
        elif options.command == "off":
            board.power_cut() if options.power_cut else board.off()
        elif options.command == "ssh-config":
            print(board.ssh_config)
        elif options.command == "camera":
            board.camera(options.what, options.picture)
        else:
            return subprocess.call(["ssh", "-F", board.ssh_config, "board", *options.words])
    except (BoardError, subprocess.CalledProcessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
