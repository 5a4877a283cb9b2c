"""Makes a release: a folder with everything that a board runs but the packages, named by what is in it."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec

from deploy.board.files import sha256
from deploy.board.selftest import EXPECTED, GOLDEN
from deploy.config import DeployConfig
from deploy.errors import DeployError
from deploy.unit import ACTIVATION_UNIT, service_unit
from deploy.wheelhouse import ROOT
from device.cameras.synthetic import FRAMES_A_GARMENT, SyntheticCamera
from device.config import CameraConfig, Config
from device.images import write_image
from device.labels import LABELS
from device.model_card import card_path, load_model

_GOLDEN_CAMERA = CameraConfig(width_px=320, height_px=240)
_LOCKS = ("device.txt", "device-py38.txt")


class MadeRelease(msgspec.Struct, frozen=True):
    """A release on the workstation. id: from the content of its files and the locks of its packages."""

    id: str
    folder: Path
    size_bytes: int
    made_of: str


def make_release(folder: Path, config: Config, deploy: DeployConfig, config_text: str, model_path: Path) -> MadeRelease:
    """Fill `folder`: code, model, card, config, units, golden frames with this computer's answers, manifest.

    Raises ModelError, DeployError.
    """
    _, card = load_model(model_path)
    for room in ("device", "deploy/board"):
        skipped = shutil.ignore_patterns("__pycache__", "*.pyc", "models")
        shutil.copytree(ROOT / room, folder / room, ignore=skipped)
    shutil.copy(ROOT / "deploy" / "__init__.py", folder / "deploy")
    (folder / "model").mkdir()
    shutil.copy(model_path, folder / "model" / "model.tflite")
    shutil.copy(card_path(model_path), folder / "model" / "model.json")
    (folder / "config.yaml").write_text(config_text, encoding="utf-8")
    (folder / "garmentcam.service").write_text(service_unit(config, deploy), encoding="utf-8")
    (folder / "garmentcam-activate.service").write_text(ACTIVATION_UNIT, encoding="utf-8")
    _write_golden(folder)
    files = {str(path.relative_to(folder)): sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()}
    locks = {name: sha256(ROOT / "requirements" / name) for name in _LOCKS}
    release_id = hashlib.sha256(json.dumps([files, locks], sort_keys=True).encode()).hexdigest()[:12]
    made_of = f"code {_commit()}, model {card.name} {card.sha256[:8]}, config {files['config.yaml'][:8]}"
    manifest = {
        "id": release_id,
        "made_of": made_of,
        "p95_budget_ms": deploy.p95_budget_ms,
        "health_s": deploy.health_s,
        "files": files,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return MadeRelease(release_id, folder, size, made_of)


def _write_golden(folder: Path) -> None:
    """One frame of each garment, and what `python -m device classify --json` answers on this computer."""
    names: list[str] = []
    with SyntheticCamera(_GOLDEN_CAMERA, paced=False) as camera:
        for number, frame in enumerate(camera):
            if number % FRAMES_A_GARMENT == FRAMES_A_GARMENT // 2:
                names.append(f"{GOLDEN}/{len(names)}.png")
                write_image(folder / names[-1], frame.pixels)
            if len(names) == len(LABELS):
                break
    words = [sys.executable, "-B", "-m", "device", "classify", "--json", "--config", "config.yaml"]
    words += ["--model", "model/model.tflite", *names]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DeployError(f"the model does not work on this computer: {done.stderr.strip()[-500:]}")
    (folder / EXPECTED).write_text(done.stdout, encoding="utf-8")


def _commit() -> str:
    """The commit of the code, "+" where it was changed since, "?" outside git."""
    words = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+", "--exclude=*"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "?"
