"""What runs on a board after each end that an activation may come to, a power cut at any point among them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Callable

import pytest

from deploy.board.activate import activate
from deploy.board.files import sha256
from deploy.board.layout import KEEP_RELEASES, Layout
from deploy.board.system import System

SCORES = {"Dress": 0.9, "Coat": 0.1}
GOLDEN = json.dumps({"path": "golden/0.png", "label": "Dress", "score": 0.9, "scores": SCORES})


class PowerCut(BaseException):
    """The plug was pulled."""


class SimulatedBoard(System):
    """systemd and the clock of a board whose releases behave as their file `behaviour` says.

    good: answers frames. silent: passes its self-test and then answers none. dying: gives an answer and ends, again and
    again. hanging: the old run goes on instead of ending. broken, wrong, slow fail their self-test.
    """

    def __init__(self, layout: Layout, tmp_path: Path, effect: Callable[[], None] = lambda: None) -> None:
        super().__init__(tmp_path / "events.jsonl")
        self._layout = layout
        self._effect = effect
        self._clock_s = 1000.0
        self._started_s = 0.0
        self.running = ""
        self.said: list[str] = []

    def tell(self, step: str, text: str, outcome: str | None = None) -> None:
        self._effect()
        self.said.append(text)
        super().tell(step, text, outcome)

    def now_s(self) -> float:
        return self._clock_s

    def sleep(self, seconds: float) -> None:
        self._clock_s += seconds

    def reload_and_restart(self) -> None:
        self._effect()
        self.start()

    def start(self) -> None:
        """What systemd does, at boot too."""
        self.running = self._layout.linked(self._layout.current)
        self._clock_s += 1
        self._started_s = self._clock_s

    def service(self) -> dict[str, str]:
        return {"ActiveState": "activating", "NRestarts": "3"}

    def answers(self) -> tuple[int, int]:
        now_us = round(self._clock_s * 1e6)
        behaviour = self.behaviour(self.running) if self.running else "silent"
        started_us = {"good": round(self._started_s * 1e6), "dying": now_us, "hanging": 1}.get(behaviour, 0)
        return (started_us, now_us) if started_us else (0, 0)

    def last_words(self) -> str:
        return "error: no camera"

    def run_as_service(self, arguments: Any, folder: Path, timeout_s: float) -> subprocess.CompletedProcess[str]:
        behaviour = self.behaviour(folder.name)
        if "classify" in arguments:
            scores = {"Dress": 0.2, "Coat": 0.8} if behaviour == "wrong" else SCORES
            answer = json.dumps({"path": "golden/0.png", "label": "Coat", "score": 0.8, "scores": scores})
            failed = behaviour == "broken"
            return subprocess.CompletedProcess(
                arguments, int(failed), answer, "error: cannot load it" if failed else ""
            )
        total = {"p95_us": 9e6 if behaviour == "slow" else 2000.0, "max_us": None}
        return subprocess.CompletedProcess(arguments, 0, json.dumps({"stages": {"total": total}}), "")

    def behaviour(self, release_id: str) -> str:
        return (self._layout.releases / release_id / "behaviour").read_text()


class CutLayout(Layout):
    """A layout whose every change may be the last one."""

    def __init__(self, root: Path, effect: Callable[[], None]) -> None:
        super().__init__(root)
        self._effect = effect

    def point(self, link: Path, release_id: str) -> None:
        self._effect()
        super().point(link, release_id)
        self._effect()

    def drop(self, link: Path) -> None:
        self._effect()
        super().drop(link)

    def remember_healthy(self, release_id: str) -> None:
        self._effect()
        super().remember_healthy(release_id)
        self._effect()

    def prune(self) -> list[str]:
        self._effect()
        return super().prune()


def add_release(layout: Layout, release_id: str, behaviour: str = "good") -> None:
    folder = layout.releases / release_id
    venv = layout.venvs / "key" / "bin"
    venv.mkdir(parents=True, exist_ok=True)
    (venv / "python").touch()
    (folder / "golden").mkdir(parents=True)
    (folder / "golden" / "0.png").write_text("pixels")
    (folder / "golden.jsonl").write_text(GOLDEN + "\n")
    (folder / "behaviour").write_text(behaviour)
    (folder / "venv").symlink_to("../../venvs/key")
    files = {str(path.relative_to(folder)): sha256(path) for path in folder.rglob("*") if path.is_file()}
    files = {name: digest for name, digest in files.items() if not name.startswith("venv/")}
    manifest = {"files": files, "p95_budget_ms": 250, "health_s": 60}
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A board on which release `old` runs."""
    layout = Layout(tmp_path / "opt")
    add_release(layout, "old")
    layout.point(layout.current, "old")
    layout.remember_healthy("old")
    return layout


def request(layout: Layout, release_id: str) -> None:
    layout.point(layout.pending, release_id)


def test_a_good_release_runs_and_is_remembered(layout: Layout, tmp_path: Path):
    add_release(layout, "new")
    request(layout, "new")
    board = SimulatedBoard(layout, tmp_path)
    assert activate(layout, board) == 0
    assert board.running == "new"
    assert layout.order == ["old", "new"]
    assert layout.linked(layout.pending) == ""


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        ("broken", "new is refused: it cannot answer: error: cannot load it; old goes on running"),
        ("wrong", "0.png: Coat 0.80 here, Dress 0.90 on the workstation: the model answers differently on this board"),
        ("slow", "too slow: 95 of 100 answers within 9000.0 ms, budget 250 ms (deploy.p95_budget_ms)"),
    ],
)
def test_what_fails_its_self_test_is_never_switched_to(layout: Layout, tmp_path: Path, behaviour: str, said: str):
    add_release(layout, "new", behaviour)
    request(layout, "new")
    board = SimulatedBoard(layout, tmp_path)
    board.start()
    assert activate(layout, board) == 1
    assert board.running == layout.linked(layout.current) == "old"
    assert said in board.said[-1]
    assert layout.linked(layout.pending) == ""


@pytest.mark.parametrize("behaviour", ["silent", "dying", "hanging"])
def test_what_does_not_answer_steadily_is_gone_back_from(layout: Layout, tmp_path: Path, behaviour: str):
    add_release(layout, "new", behaviour)
    request(layout, "new")
    board = SimulatedBoard(layout, tmp_path)
    assert activate(layout, board) == 1
    assert board.running == layout.linked(layout.current) == "old"
    why = "it did not steadily answer frames within 60 s; it is activating, started again 3 times; it says: error: no"
    assert why in "".join(board.said)
    assert board.said[-1] == "new did not work; old runs again"


def test_when_the_old_one_does_not_work_either_it_is_told(layout: Layout, tmp_path: Path):
    (layout.releases / "old" / "behaviour").write_text("silent")
    manifest = json.loads((layout.releases / "old" / "manifest.json").read_text())
    manifest["files"].pop("behaviour")
    (layout.releases / "old" / "manifest.json").write_text(json.dumps(manifest))
    add_release(layout, "new", "silent")
    request(layout, "new")
    board = SimulatedBoard(layout, tmp_path)
    assert activate(layout, board) == 1
    assert board.said[-1].startswith("neither new nor old works")
    assert layout.linked(layout.current) == "old"


def test_a_damaged_release_is_refused_and_sent_again(layout: Layout, tmp_path: Path):
    add_release(layout, "new")
    (layout.releases / "new" / "golden.jsonl").write_text("damaged")
    request(layout, "new")
    board = SimulatedBoard(layout, tmp_path)
    assert activate(layout, board) == 1
    assert "its files are damaged (golden.jsonl); deploy it again" in board.said[-1]
    assert not (layout.releases / "new").exists()


def test_a_deleted_old_release_is_passed_over(layout: Layout, tmp_path: Path):
    for name in ("second", "third"):
        add_release(layout, name)
        request(layout, name)
        assert activate(layout, SimulatedBoard(layout, tmp_path)) == 0
    (layout.releases / "third" / "golden.jsonl").write_text("damaged")
    (layout.releases / "second" / "manifest.json").unlink()
    add_release(layout, "new", "silent")
    request(layout, "new")
    board = SimulatedBoard(layout, tmp_path)
    assert activate(layout, board) == 1
    assert board.running == "old"


def test_without_an_earlier_release_it_stays_and_says_so(tmp_path: Path):
    layout = Layout(tmp_path / "opt")
    add_release(layout, "new", "silent")
    request(layout, "new")
    board = SimulatedBoard(layout, tmp_path)
    assert activate(layout, board) == 1
    assert "no earlier release is here to go back to" in board.said[-1]
    assert layout.linked(layout.current) == "new"
    assert layout.order == []


@pytest.mark.parametrize("behaviour", ["good", "silent", "wrong"])
def test_after_a_power_cut_at_any_point_a_release_that_works_runs(tmp_path: Path, behaviour: str):
    """Every change, before and after it, is once the last thing that happens."""
    cuts = 0
    while True:
        folder = tmp_path / f"{behaviour}-{cuts}"
        left = cuts

        def effect() -> None:
            nonlocal left
            if left == 0:
                raise PowerCut
            left -= 1

        layout = Layout(folder / "opt")
        add_release(layout, "old")
        layout.point(layout.current, "old")
        layout.remember_healthy("old")
        add_release(layout, "new", behaviour)
        request(layout, "new")
        cut = CutLayout(folder / "opt", effect)
        try:
            activate(cut, SimulatedBoard(cut, folder, effect))
            break
        except PowerCut:
            cuts += 1
        board = SimulatedBoard(layout, folder)
        board.start()
        assert board.running in ("old", "new")  # Something is started at once, whatever it is.
        if layout.linked(layout.pending):
            activate(layout, board)
        assert board.running == layout.linked(layout.current)
        assert board.behaviour(board.running) == "good"
        assert layout.linked(layout.pending) == ""
        if behaviour == "good":
            assert board.running == "new"
    assert cuts >= (2 if behaviour == "wrong" else 9)


def test_only_the_last_three_releases_stay(layout: Layout, tmp_path: Path):
    for number in range(5):
        add_release(layout, f"r{number}")
        request(layout, f"r{number}")
        assert activate(layout, SimulatedBoard(layout, tmp_path)) == 0
    assert sorted(path.name for path in layout.releases.iterdir()) == ["r2", "r3", "r4"]
    assert len(layout.order) == KEEP_RELEASES
    assert (layout.venvs / "key").exists()


def test_going_back_keeps_the_release_that_it_leaves(layout: Layout, tmp_path: Path):
    add_release(layout, "new")
    for name in ("new", "old"):
        request(layout, name)
        assert activate(layout, SimulatedBoard(layout, tmp_path)) == 0
    assert layout.order == ["old"]
    assert (layout.releases / "new").exists()


def test_packages_that_no_release_needs_are_removed(layout: Layout, tmp_path: Path):
    (layout.venvs / "unused" / "bin").mkdir(parents=True)
    assert layout.prune() == []
    assert [path.name for path in layout.venvs.iterdir()] == ["key"]


def test_a_full_disk_is_told_and_left_for_the_next_boot(layout: Layout, tmp_path: Path):
    add_release(layout, "new")
    request(layout, "new")

    class FullDisk(CutLayout):
        def point(self, link: Path, release_id: str) -> None:
            raise OSError(28, "No space left on device")

    full = FullDisk(layout.root, lambda: None)
    board = SimulatedBoard(full, tmp_path)
    board.start()
    assert activate(full, board) == 1
    assert "No space left on device" in board.said[-1]
    assert board.running == "old"
    assert activate(layout, SimulatedBoard(layout, tmp_path)) == 0
