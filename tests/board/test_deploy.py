"""The life of a release on a board, in a container: nothing there, deployed, changed, gone back from, removed."""

from __future__ import annotations

import json
from pathlib import Path

from board.container import Container
from board.workstation import Workstation, assert_answers, settled


def test_first_second_and_model_only_deploy_then_back_then_nothing(bare: Container, workstation: Workstation):
    before = bare.ssh("ls /opt /var/lib /etc/systemd/system; cat /etc/passwd").stdout

    dry = workstation.run("deploy", bare, dry=True)
    assert "would change: nothing -> " in dry
    assert settled(bare)["releases"] == {}

    first = workstation.run("deploy", bare)
    assert "10 golden frames answered as on the workstation" in first
    assert "answers frames of its camera" in first
    a = settled(bare)
    assert a["service"] == "active"
    assert f"1 of 1 boards run release {a['current']}" in first
    exposure = float(first.split("Overall exposure level for garmentcam.service: ")[1].split()[0])
    assert exposure <= 2.0
    assert bare.ssh("ps -o user= -C python -C python3 | sort -u").stdout.split() == ["garmentcam"]

    started = bare.ssh("systemctl show -P ActiveEnterTimestampMonotonic garmentcam").stdout
    second = workstation.run("deploy", bare)
    assert f"nothing changes: release {a['current']} runs" in second
    assert bare.ssh("systemctl show -P ActiveEnterTimestampMonotonic garmentcam").stdout == started

    workstation.name_model("other")
    changed = workstation.run("deploy", bare)
    assert "packages" not in changed
    b = settled(bare)
    assert b["current"] != a["current"]
    assert b["venvs"] == a["venvs"]

    listed = workstation.run("releases", bare)
    assert f"{b['current']}  runs" in listed
    assert f"{a['current']}  worked" in listed

    workstation.run("rollback", bare)
    assert settled(bare)["current"] == a["current"]
    assert_answers(bare)
    assert f"{a['current']} runs" in workstation.run("status", bare)
    assert "the service is well" in workstation.run("doctor", bare)
    assert "no earlier release" in workstation.run("rollback", bare, status=1)

    report = workstation.run("logs", bare)
    assert "Half of the answers took at most" in report
    folder = workstation.folder / "logs" / f"board-{bare.port}"
    sizes = {path.name: path.stat().st_size for path in folder.glob("*.jsonl")}
    assert len(sizes) == 3
    assert_answers(bare)
    workstation.run("logs", bare)
    assert sum(path.stat().st_size for path in folder.glob("*.jsonl")) > sum(sizes.values())

    workstation.run("uninstall", bare)
    assert bare.ssh("ls /opt /var/lib /etc/systemd/system; cat /etc/passwd").stdout == before
    assert bare.ssh("sudo find / -xdev -name '*garmentcam*' -not -path '/var/log/*' 2>/dev/null").stdout == ""
    assert len(list(folder.glob("*.jsonl"))) >= 3


def test_it_starts_at_boot_and_logs_survive(board_a: Container):
    logs = board_a.ssh("sync; ls /var/lib/garmentcam/logs").stdout.split()
    board_a.power_cut()
    board_a.boot()
    assert_answers(board_a)
    assert set(logs) < set(board_a.ssh("ls /var/lib/garmentcam/logs").stdout.split())


def test_config_is_checked_before_anything_travels(board_a: Container, workstation: Workstation):
    (workstation.folder / "config.yaml").write_text("camera:\n  widht_px: 3\nlog:\n  flush_s: -1\n")
    said = workstation.run("deploy", board_a, status=1)
    assert "config.yaml:2: camera.widht_px: unknown setting (did you mean width_px?)" in said
    assert "config.yaml:4: log.flush_s" in said
    assert "board" not in said
    assert_answers(board_a)


def test_an_unknown_host_key_is_refused_and_explained(board_a: Container, workstation: Workstation):
    known = board_a.run / "known_hosts"
    keys = known.read_text()
    try:
        known.write_text("")
        assert "its host key is not known here" in workstation.run("deploy", board_a, status=1)
        words = keys.split()
        known.write_text(
            f"{words[0]} ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl8\n"
        )
        said = workstation.run("deploy", board_a, status=1)
        assert "its host key has changed" in said or "its host key is not known" in said
    finally:
        known.write_text(keys)


def test_all_findings_are_told_at_once_and_nothing_is_changed(board_a: Container, workstation: Workstation):
    workstation.configure(source="/dev/video0")
    board_a.ssh("sudo mv /usr/bin/rsync /usr/bin/rsync.away")
    said = workstation.run("deploy", board_a, status=1)
    assert "stop: rsync is missing" in said
    assert "stop: camera.source /dev/video0 is not there" in said
    assert "0 of 1 boards" in said
    assert_answers(board_a)


def test_a_password_for_sudo_is_explained(board_a: Container, workstation: Workstation):
    board_a.ssh("sudo sed -i s/NOPASSWD:// /etc/sudoers.d/010_pi-nopasswd")
    assert "stop: sudo asks for a password" in workstation.run("deploy", board_a, status=1)


def test_ten_boards_with_one_command_and_no_more_of_them_than_work(
    board_a: Container, workstation: Workstation, tmp_path: Path
):
    """One first, then share after share; where a board of a share fails, the shares after it are left alone."""
    boards = [board_a, *(Container(port=2301 + number) for number in range(9))]
    try:
        for board in boards[1:]:
            board.boot("fresh")
        # Needs its own ssh configuration, with all boards in it.
        text = "".join(
            board.ssh_config.read_text().replace("Host board", f"Host board{number}")
            for number, board in enumerate(boards)
        )
        (tmp_path / "ssh_config").write_text(text)
        names = [f"board{number}" for number in range(10)]
        config = workstation.folder / "config.yaml"
        config.write_text(config.read_text() + f"  hosts: {json.dumps(names)}\n  ssh_config: ssh_config\n")

        boards[2].ssh("sudo sh -c 'mkdir -p /opt/garmentcam; chattr +i /opt/garmentcam'")
        said = workstation.run("deploy", status=1)
        assert "board2: stopped at: make room" in said
        assert [name for name in names if f"{name}: not touched, since a board before it failed" in said] == names[4:]
        assert "3 of 10 boards run release" in said
        assert settled(boards[9])["releases"] == {}

        boards[2].ssh("sudo chattr -i /opt/garmentcam")
        said = workstation.run("deploy")
        for name in ("board0", "board1", "board3"):
            assert f"{name}: nothing changes" in said
        assert "10 of 10 boards run release" in said
        for board in boards:
            assert_answers(board)
    finally:
        for board in boards[1:]:
            board.power_cut()
