"""`python -m deploy`: deploy, rollback, status, releases, doctor, logs, view, uninstall."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Callable, Sequence

import msgspec

from deploy import operate
from deploy.config import DeployConfig, load_deploy_config
from deploy.errors import DeployError
from deploy.facts import Facts
from deploy.fleet import Fleet, Step
from deploy.preflight import findings
from deploy.release import make_release
from deploy.rollout import describe, look, needs_of, plan_all, roll_out
from device.config import Config
from device.errors import GarmentcamError


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status: 0, or 1 after `error: ...` on standard error."""
    options = _parser().parse_args(arguments)
    try:
        deploy, config, text = load_deploy_config(options.config)
        if options.ssh_config:
            deploy = msgspec.structs.replace(deploy, ssh_config=str(options.ssh_config.absolute()))
        boards = _boards(options.host, deploy)
        status: int = options.command(options, boards, deploy, config, text)
        return status
    except GarmentcamError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped here; what was begun on a board it finishes by itself: `make status`", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deploy", description="Put garmentcam on boards, and look after it."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, function, text in (
        ("deploy", _deploy, "make a release and bring it to boards"),
        ("rollback", _rollback, "back to the release that worked before"),
        ("status", _status, "what runs"),
        ("releases", _releases, "what is there"),
        ("doctor", _doctor, "what is wrong, in words"),
        ("logs", _logs, "fetch new latency logs and print the report"),
        ("view", _view, "open the live view through an ssh tunnel"),
        ("uninstall", _uninstall, "fetch the logs, then remove everything"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument(
            "--host", action="append", default=[], metavar="[USER@]HOST[:PORT]", help="a board (repeat)"
        )
        command.add_argument("--ssh-config", type=Path, metavar="FILE", help="instead of ~/.ssh/config")
        command.add_argument("--config", type=Path, metavar="FILE", help="settings (default: config.yaml)")
        command.set_defaults(command=function)
        if name == "deploy":
            command.add_argument("--model", type=Path, metavar="TFLITE", help="model file (model.path)")
            command.add_argument("--dry", action="store_true", help="only say what would change")
    return parser


def _boards(named: Sequence[str], deploy: DeployConfig) -> list[str]:
    names = [name for word in named for name in word.replace(",", " ").split()]
    if names:  # Checked as config.yaml's are.
        try:
            deploy = msgspec.convert({"hosts": names}, DeployConfig)
        except msgspec.ValidationError:
            raise DeployError(
                f"HOST {' '.join(names)}: expected [user@]host[:port], such as pi@raspberrypi.local"
            ) from None
    if not deploy.hosts:
        raise DeployError(
            "no board is named: HOST=pi@raspberrypi.local, HOSTS='pi@a pi@b', or deploy.hosts in config.yaml"
        )
    return list(dict.fromkeys(deploy.hosts))


def _say(board: str, line: str) -> None:
    print(f"{board}: {line}" if board else line, flush=True)


def _deploy(options: argparse.Namespace, boards: list[str], deploy: DeployConfig, config: Config, text: str) -> int:
    model = options.model or config.folder / config.model.path
    with tempfile.TemporaryDirectory(prefix="garmentcam-") as folder:
        release = make_release(Path(folder), config, deploy, text, model)
        print(f"release {release.id}: {release.made_of}, {release.size_bytes / 1e6:.1f} MB", flush=True)
        facts, failed = look(boards, config, deploy, _say)
        plans, not_ready = plan_all(facts, release, config, deploy, _say)
        failed = {**failed, **not_ready}
        for board, plan in plans.items():
            would = "would change" if options.dry else "changes"
            for change in plan.changes:
                _say(board, f"{would}: {change}")
            if not plan.changes:
                _say(board, f"nothing changes: release {release.id} runs")
        if not options.dry:
            failed.update(roll_out(plans, deploy, _say))
    return _end(boards, failed, "would run" if options.dry else f"run release {release.id}")


def _end(boards: Sequence[str], failed: dict[str, str], what: str) -> int:
    for board, why in failed.items():
        print(f"error: {board}: {why}", file=sys.stderr)
    print(operate.summary(boards, failed, what))
    return 1 if failed else 0


def _each(boards: list[str], deploy: DeployConfig, config: Config, show: Callable[[Facts], list[str]]) -> int:
    """Ask every board and say what `show` makes of it."""
    facts, failed = look(boards, config, deploy, _say)
    for board, known in facts.items():
        for line in show(known):
            _say(board, line)
    for board, why in failed.items():
        print(f"error: {board}: {why}", file=sys.stderr)
    return 1 if failed else 0


def _status(options: argparse.Namespace, boards: list[str], deploy: DeployConfig, config: Config, text: str) -> int:
    return _each(boards, deploy, config, lambda facts: [operate.status(facts)])


def _releases(options: argparse.Namespace, boards: list[str], deploy: DeployConfig, config: Config, text: str) -> int:
    return _each(boards, deploy, config, lambda facts: operate.releases(facts) or ["no release is there"])


def _doctor(options: argparse.Namespace, boards: list[str], deploy: DeployConfig, config: Config, text: str) -> int:
    needs = needs_of(config, deploy)

    def examine(facts: Facts) -> list[str]:
        about = [f"{finding.level}: {finding.text}" for finding in findings(facts, needs)]
        wrong = [f"wrong: {line}" for line in operate.diagnosis(facts)]
        return [describe(facts), operate.status(facts), *about, *(wrong or ["the service is well"])]

    return _each(boards, deploy, config, examine)


def _steps_each(
    boards: list[str], deploy: DeployConfig, config: Config, choose: Callable[[Facts], Sequence[Step]], what: str
) -> int:
    """Ask every board, then run the steps that `choose` names for it."""
    with Fleet(boards, deploy.ssh_config, deploy.parallel, _say) as fleet:
        steps: dict[str, Sequence[Step]] = {}
        failed: dict[str, str] = {}
        for board, facts in fleet.ask(config.camera.source).items():
            try:
                steps[board] = choose(facts)
            except DeployError as error:
                failed[board] = str(error)
        fleet.run(steps)
        failed.update(fleet.failed)
    return _end(boards, failed, what)


def _rollback(options: argparse.Namespace, boards: list[str], deploy: DeployConfig, config: Config, text: str) -> int:
    return _steps_each(boards, deploy, config, operate.rollback_steps, "went back")


def _uninstall(options: argparse.Namespace, boards: list[str], deploy: DeployConfig, config: Config, text: str) -> int:
    facts, _ = look(boards, config, deploy, _say)
    for board, known in facts.items():
        if known.installed.logs:
            try:
                kept = operate.pull_logs(board, deploy.ssh_config)
            except DeployError as error:
                raise DeployError(f"{board}: {error}; nothing was removed") from None
            _say(board, f"its logs are kept in {kept}")
    return _steps_each(boards, deploy, config, lambda _: operate.uninstall_steps(), "are as before")


def _logs(options: argparse.Namespace, boards: list[str], deploy: DeployConfig, config: Config, text: str) -> int:
    status = 0
    for board in boards:
        try:
            folder = operate.pull_logs(board, deploy.ssh_config)
        except DeployError as error:  # Of one board; the others have logs too.
            print(f"error: {board}: {error}", file=sys.stderr)
            status = 1
            continue
        _say(board, f"{sum(1 for _ in folder.glob('*.jsonl'))} logs in {folder}")
        status = max(status, operate.report(folder))
    return status


def _view(options: argparse.Namespace, boards: list[str], deploy: DeployConfig, config: Config, text: str) -> int:
    if not config.view.enabled:
        raise DeployError("the live view is off: set view.enabled: true in config.yaml, and deploy again")
    if len(boards) > 1:
        raise DeployError("one board at a time: HOST=pi@raspberrypi.local")
    return operate.tunnel(boards[0], deploy.ssh_config, int(os.environ.get("PORT") or config.view.port))
