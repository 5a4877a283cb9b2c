"""A release to many boards: look at all of them, decide, then one board first, then share after share."""

from __future__ import annotations

import math
import time
from typing import Callable, Mapping, Sequence

import msgspec

from deploy.board.layout import PARTIAL, ROOT
from deploy.config import DeployConfig
from deploy.errors import DeployError
from deploy.facts import Facts
from deploy.fleet import Command, Fleet, Send, Step
from deploy.preflight import MACHINES, Finding, Needs, findings
from deploy.release import MadeRelease
from deploy.wheelhouse import Wheelhouse, wheelhouse_for
from device.config import Config

_AIR_MB = 20
"""MB: for logs that grow meanwhile."""

Say = Callable[[str, str], None]


class Plan(msgspec.Struct, frozen=True):
    """What will be done to one board. changes: the same in words, nothing when the board is as it should be."""

    findings: tuple[Finding, ...]
    changes: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()

    @property
    def stops(self) -> bool:
        """Something speaks against touching the board."""
        return any(finding.level == "stop" for finding in self.findings)


def venv_key(wheelhouse: Wheelhouse, facts: Facts) -> str:
    """Names the packages on the board: the wheels, and whether they stand beside the OS's picamera2."""
    return f"{wheelhouse.key}-os" if facts.picamera2 else wheelhouse.key


def plan(facts: Facts, release: MadeRelease, wheelhouse: Wheelhouse, needs: Needs) -> Plan:
    """The steps from what is there to the release running. Pure."""
    there, key = facts.installed, venv_key(wheelhouse, facts)
    arrives, installs = release.id not in there.releases, key not in there.venvs
    needed_mb = release.size_bytes / 1e6 if arrives else 0.0
    if arrives and installs:
        needed_mb += 4 * wheelhouse.size_bytes / 1e6  # Packed and unpacked, with bytecode.
    found = tuple(findings(facts, msgspec.structs.replace(needs, disk_mb=round(needs.disk_mb + needed_mb))))
    changes: list[str] = []
    steps: list[Step] = []
    new = f"{ROOT}/releases/{PARTIAL}{release.id}"
    if arrives:
        steps.append(Command("make room", f"mkdir -p {ROOT}/releases {ROOT}/wheels {ROOT}/venvs"))
        alike = f"{ROOT}/releases/{there.current}" if there.current in there.releases else ""
        what = f"release {release.id}, {release.size_bytes / 1e6:.1f} MB"
        steps.append(Send(f"sent {what}", release.folder, new, alike))
        changes.append(f"{what}: {release.made_of}")
        if installs:
            packages = f"{wheelhouse.wheels} packages, {wheelhouse.size_bytes / 1e6:.0f} MB"
            steps.append(Send(f"sent {packages}", wheelhouse.folder, f"{ROOT}/wheels/{key}"))
            changes.append(packages)
        beside = " --system-packages" if facts.picamera2 else ""
        does = "installed the packages and checked the files" if installs else "checked the files"
        steps.append(Command(does, _on_board(facts, new, f"prepare {release.id} --venv {key}{beside}")))
    return Plan(found, *_activation(facts, release.id, changes, steps))


def activation(facts: Facts, release_id: str) -> tuple[Step, ...]:
    """The steps that make a release which is whole the running one."""
    folder = f"{ROOT}/releases/{release_id}"
    ask, follow = (_on_board(facts, folder, words) for words in (f"request {release_id}", "follow"))
    security = "systemd-analyze security --no-pager garmentcam.service | tail -n 1"
    return (Command("activated", f"{ask} && {follow} && {security}"),)


def _activation(
    facts: Facts, release_id: str, changes: list[str], steps: list[Step]
) -> tuple[tuple[str, ...], tuple[Step, ...]]:
    there = facts.installed
    proved = there.current == release_id and release_id in there.order and not there.pending
    if not (proved and there.service == "active"):
        old = there.current or "nothing"
        changes.append(f"{old} -> {release_id}" if old != release_id else f"{release_id} is started and proved again")
        steps.extend(activation(facts, release_id))
    return tuple(changes), tuple(steps)


def _on_board(facts: Facts, folder: str, words: str) -> str:
    return f"cd {folder} && {facts.python_path} -B -m deploy.board {words}"


def shares(boards: Sequence[str], share: float) -> list[list[str]]:
    """The first board alone, then the others in equal parts of `share` of all."""
    size = max(1, math.ceil(share * len(boards)))
    rest = list(boards[1:])
    return [list(boards[:1]), *(rest[at : at + size] for at in range(0, len(rest), size))]


def look(
    boards: Sequence[str], config: Config, deploy: DeployConfig, say: Say
) -> tuple[dict[str, Facts], dict[str, str]]:
    """(facts of the boards that answered, why the others did not)."""
    with Fleet(boards, deploy.ssh_config, deploy.parallel, say) as fleet:
        facts = fleet.ask(config.camera.source)
        return facts, fleet.failed


def needs_of(config: Config, deploy: DeployConfig) -> Needs:
    """What every board must have, beside room for what arrives."""
    # With less than keep_free_mb free the service logs nothing.
    return Needs(config.camera.source, round(config.log.keep_free_mb) + _AIR_MB, deploy.memory_mb, time.time())


def plan_all(
    facts: Mapping[str, Facts], release: MadeRelease, config: Config, deploy: DeployConfig, say: Say
) -> tuple[dict[str, Plan], dict[str, str]]:
    """(plan of each board, why some get none); what was found is said, all at once."""
    needs = needs_of(config, deploy)
    plans: dict[str, Plan] = {}
    failed: dict[str, str] = {}
    for board, known in facts.items():
        say(board, describe(known))
        try:
            made = plan(known, release, wheelhouse_for(known.target), needs)
        except DeployError as error:
            found = tuple(findings(known, needs))
            # Where there are no packages because it is the wrong board, that has been said.
            made = Plan(found if known.machine not in MACHINES else (*found, Finding("stop", str(error))))
        for finding in made.findings:
            say(board, f"{finding.level}: {finding.text}")
        if made.stops:
            failed[board] = "the board is not ready: see above; nothing was changed"
        else:
            plans[board] = made
    return plans, failed


def describe(facts: Facts) -> str:
    """One line that says what board it is."""
    python, glibc = (".".join(map(str, version)) for version in (facts.python, facts.glibc))
    cameras = ", ".join(camera.path for camera in facts.cameras) or "no camera"
    return (
        f"{facts.model or facts.machine}, {facts.os}, Python {python}, glibc {glibc}, "
        f"{facts.free_mb / 1000:.1f} GB free, {cameras}"
    )


def roll_out(plans: Mapping[str, Plan], deploy: DeployConfig, say: Say) -> dict[str, str]:
    """Run the plans, share after share, until one fails. Returns board -> why it failed or was not reached."""
    failed: dict[str, str] = {}
    parts = shares([board for board, made in plans.items() if made.steps], deploy.share)
    for part in parts:
        if failed:
            failed.update(dict.fromkeys(part, "not touched, since a board before it failed"))
        elif part:
            with Fleet(part, deploy.ssh_config, deploy.parallel, say) as fleet:
                fleet.run({board: plans[board].steps for board in part})
                failed.update(fleet.failed)
    return failed
