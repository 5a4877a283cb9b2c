"""Does a release work on this board? Asked before it is switched to, without its camera and as the service's user."""

import json
import shlex
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from deploy.board.layout import Release
from deploy.board.system import System, last_line

GOLDEN = "golden"
EXPECTED = "golden.jsonl"
SCORE_TOLERANCE = 0.05
"""How far a score may be from the workstation's: another processor and runtime round a little differently."""

_TIMEOUT_S = 600.0
_TIMED_FRAMES = 60


def self_test(release: Release, system: System) -> Optional[str]:
    """What is wrong with it, or None. Tells what it found.

    Its packages import, the model loads and answers the golden frames as on the workstation; 95 of 100 answers come
    within the budget.
    """
    return _parity(release, system) or _speed(release, system)


def _device(release: Release, *arguments: str) -> List[str]:
    settings = ["--config", "config.yaml", "--model", "model/model.tflite"]
    return [str(release.python), "-m", "device", arguments[0], *settings, *arguments[1:]]


def _parity(release: Release, system: System) -> Optional[str]:
    expected = read_answers((release.path / EXPECTED).read_text(encoding="utf-8"))
    frames = sorted(str(path.relative_to(release.path)) for path in (release.path / GOLDEN).iterdir())
    done = system.run_as_service(_device(release, "classify", "--json", *frames), release.path, _TIMEOUT_S)
    if done.returncode:
        return f"it cannot answer: {last_line(done.stderr) or f'ended with status {done.returncode}'}"
    problem, difference = compare(expected, read_answers(done.stdout))
    if problem:
        return problem
    system.tell(
        "parity", f"{len(expected)} golden frames answered as on the workstation, largest difference {difference:.4f}"
    )
    return None


def read_answers(text: str) -> Dict[str, Dict[str, Any]]:
    """What `classify --json` printed: file name -> answer."""
    answers = (json.loads(line) for line in text.splitlines() if line.strip())
    return {Path(answer["path"]).name: answer for answer in answers}


def compare(expected: Dict[str, Dict[str, Any]], found: Dict[str, Dict[str, Any]]) -> Tuple[Optional[str], float]:
    """(what is wrong or None, largest difference between two scores)."""
    largest = 0.0
    for name, answer in expected.items():
        scores = found.get(name, {}).get("scores", {})
        if set(scores) != set(answer["scores"]):
            return f"{name}: not answered", 1.0
        difference = max(abs(score - scores[label]) for label, score in answer["scores"].items())
        largest = max(largest, difference)
        if difference > SCORE_TOLERANCE:
            return (
                f"{name}: {found[name]['label']} {found[name]['score']:.2f} here, {answer['label']} "
                f"{answer['score']:.2f} on the workstation: the model answers differently on this board"
            ), largest
    return None, largest


def _speed(release: Release, system: System) -> Optional[str]:
    budget_ms = float(release.manifest["p95_budget_ms"])
    run = _device(
        release, "run", "--source", "synthetic://", "--frames", str(_TIMED_FRAMES), "--as-fast-as-possible", "--log"
    )
    report = [str(release.python), "-m", "device", "report", "--json"]
    # One shell, since each command has a /tmp of its own.
    script = f"{shlex.join(run)} /tmp/selftest >&2 && {shlex.join(report)} /tmp/selftest/*.jsonl"
    done = system.run_as_service(["/bin/sh", "-c", script], release.path, _TIMEOUT_S)
    if done.returncode:
        return f"it cannot run: {last_line(done.stderr) or f'ended with status {done.returncode}'}"
    total = json.loads(done.stdout.splitlines()[-1])["stages"]["total"]
    p95_us = total["p95_us"] or total["max_us"]
    text = f"95 of 100 answers within {p95_us / 1000:.1f} ms, budget {budget_ms:g} ms"
    if p95_us / 1000 > budget_ms:
        return f"too slow: {text} (deploy.p95_budget_ms)"
    system.tell("speed", text)
    return None
