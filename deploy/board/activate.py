"""From a release that has arrived to a release that is proved: self-test, switch, restart, health, or back.

Runs as a systemd unit of its own, so that neither a lost connection nor a closed laptop stops it half-way. `pending`
stays until the outcome is certain: after a power cut the unit starts at boot and decides then.
"""

from typing import Dict, Optional, Set

from deploy.board.layout import Layout, Release
from deploy.board.selftest import self_test
from deploy.board.system import System

HEALTHY_ANSWERS = 3
"""In so many different seconds must a release answer, in one run, to count as healthy."""


def activate(layout: Layout, system: System) -> int:
    """Make the pending release the running one, or leave one running that works. Returns 0 when it runs."""
    try:
        return _activate(layout, system)
    except OSError as error:
        # A full or broken disk. `pending` tells the next boot, or the next deploy, to decide.
        system.tell("outcome", f"{error}; mend that, then deploy again or restart the board", outcome="failed")
        return 1


def _activate(layout: Layout, system: System) -> int:
    release = layout.release(layout.linked(layout.pending))
    current = layout.linked(layout.current)
    if not release.is_there:
        return _refuse(layout, system, release, "it is not on this board; deploy it again")
    if release.damage():
        text = f"its files are damaged ({', '.join(release.damage()[:3])}); deploy it again"
        if current == release.id:
            system.tell("health", f"{release.id}: {text}")
            return _go_back(layout, system, release)
        layout.unname(release)
        return _refuse(layout, system, release, text)
    if current != release.id:
        problem = self_test(release, system)
        if problem:
            return _refuse(layout, system, release, problem)
        layout.point(layout.current, release.id)
        system.tell("switch", f"{current or 'nothing'} -> {release.id}")
    else:
        system.tell("switch", f"{release.id} is already switched to; proving that it works")
    return _prove(layout, system, release)


def _prove(layout: Layout, system: System, release: Release) -> int:
    problem = start_and_prove(release, system)
    if problem is None:
        layout.remember_healthy(release.id)
        layout.drop(layout.pending)
        removed = layout.prune()
        if removed:
            system.tell("tidy", f"removed {', '.join(removed)}")
        system.tell("outcome", f"{release.id} runs", outcome="healthy")
        return 0
    system.tell("health", f"{release.id} is not healthy: {problem}")
    return _go_back(layout, system, release)


def _go_back(layout: Layout, system: System, release: Release) -> int:
    """To the newest other release that once was healthy here."""
    for old_id in reversed([release_id for release_id in layout.order if release_id != release.id]):
        old = layout.release(old_id)
        if old.damage():
            system.tell("back", f"{old_id} is damaged; passed over")
            continue
        layout.point(layout.current, old_id)
        system.tell("back", f"{release.id} -> {old_id}")
        problem = start_and_prove(old, system)
        layout.drop(layout.pending)
        if problem is None:
            text, outcome = f"{release.id} did not work; {old_id} runs again", "rolled back"
        else:
            text = f"neither {release.id} nor {old_id} works: {problem}; {old_id} stays, and is tried again and again"
            outcome = "failed"
        system.tell("outcome", text, outcome=outcome)
        return 1
    layout.drop(layout.pending)
    text = f"{release.id} did not work, and no earlier release is here to go back to; it stays, and is tried again"
    system.tell("outcome", text, outcome="failed")
    return 1


def _refuse(layout: Layout, system: System, release: Release, problem: str) -> int:
    layout.drop(layout.pending)
    current = layout.linked(layout.current)
    runs = f"{current} goes on running" if current else "nothing runs yet"
    system.tell("outcome", f"{release.id} is refused: {problem}; {runs}", outcome="refused")
    return 1


def start_and_prove(release: Release, system: System) -> Optional[str]:
    """Start the service anew and wait until it steadily answers frames. Returns what is wrong, or None."""
    patience_s = float(release.manifest["health_s"])
    started_s = system.now_s()
    system.reload_and_restart()
    answers: Dict[int, Set[int]] = {}  # Start of a run of the service -> moments at which it has answered.
    while True:
        run_us, answered_us = system.answers()
        if run_us > started_s * 1e6:  # Else it is the old one, which is still ending.
            answers.setdefault(run_us, set()).add(answered_us)
            if len(answers[run_us]) >= HEALTHY_ANSWERS:
                seconds = system.now_s() - started_s
                system.tell("health", f"{release.id} answers frames of its camera, after {seconds:.0f} s")
                return None
        if system.now_s() - started_s > patience_s:
            return _why_not(patience_s, system)
        system.sleep(0.5)


def _why_not(patience_s: float, system: System) -> str:
    service = system.service()
    state = "it runs" if service.get("ActiveState") == "active" else f"it is {service.get('ActiveState', 'unknown')}"
    restarts = service.get("NRestarts", "0")
    again = f", started again {restarts} times" if restarts not in ("0", "") else ""
    words = system.last_words()
    said = f"; it says: {words}" if words else ""
    return f"it did not steadily answer frames within {patience_s:.0f} s; {state}{again}{said}"
