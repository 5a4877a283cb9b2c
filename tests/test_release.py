"""What a release is made of, and the unit that it runs under."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from conftest import SHIPPED_MODEL
from deploy.board.files import differing
from deploy.board.selftest import compare, read_answers
from deploy.cli import main
from deploy.config import DeployConfig, load_deploy_config
from deploy.release import MadeRelease, make_release
from deploy.unit import ACTIVATION_UNIT, SECURITY_LIMIT, service_unit
from device.config import CameraConfig, Config, ViewConfig
from device.errors import ConfigError, ModelError

TEXT = "camera:\n  source: /dev/video0\n"


def make(folder: Path, text: str = TEXT, model: Path = SHIPPED_MODEL) -> MadeRelease:
    folder.mkdir()
    return make_release(folder, Config(), DeployConfig(), text, model)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> MadeRelease:
    return make(tmp_path_factory.mktemp("made") / "release")


def test_a_release_is_whole_and_says_what_it_is(release: MadeRelease):
    manifest = json.loads((release.folder / "manifest.json").read_text())
    assert manifest["id"] == release.id
    assert differing(release.folder, manifest["files"]) == []
    names = set(manifest["files"])
    assert {"config.yaml", "model/model.tflite", "model/model.json", "garmentcam.service"} <= names
    assert {"device/__main__.py", "device/cameras/garments.png", "deploy/board/__main__.py"} <= names
    assert not any("__pycache__" in name or name.startswith("device/models") for name in names)
    assert not (release.folder / "training").exists()


def test_the_same_content_is_the_same_release(release: MadeRelease, tmp_path: Path):
    assert make(tmp_path / "again").id == release.id
    assert make(tmp_path / "config", TEXT + "log:\n  flush_s: 1\n").id != release.id
    other = tmp_path / "other"
    shutil.copytree(SHIPPED_MODEL.parent, other)
    card = json.loads((other / "model.json").read_text())
    (other / "model.json").write_text(json.dumps({**card, "name": "other"}))
    assert make(tmp_path / "model", model=other / "model.tflite").id != release.id


def test_the_golden_frames_carry_this_computers_answers(release: MadeRelease):
    answers = read_answers((release.folder / "golden.jsonl").read_text())
    assert len(answers) == 10
    assert len({answer["label"] for answer in answers.values()}) >= 5
    assert compare(answers, answers) == (None, 0.0)


def test_a_board_that_answers_otherwise_is_found_out(release: MadeRelease):
    expected = read_answers((release.folder / "golden.jsonl").read_text())
    found = json.loads(json.dumps(expected))
    name, answer = next(iter(found.items()))
    label = answer["label"]
    answer["scores"][label] -= 0.04
    assert compare(expected, found)[0] is None
    answer["scores"][label] -= 0.04
    problem, difference = compare(expected, found)
    assert "answers differently" in str(problem)
    assert difference == pytest.approx(0.08)
    del found[name]
    assert compare(expected, found)[0] == f"{name}: not answered"


def test_a_model_without_its_card_never_travels(tmp_path: Path):
    shutil.copy(SHIPPED_MODEL, tmp_path / "model.tflite")
    with pytest.raises(ModelError, match="every model needs its card"):
        make(tmp_path / "release", model=tmp_path / "model.tflite")


def test_a_mistake_in_any_section_is_told_before_anything_travels(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "config.yaml"
    path.write_text("camera:\n  widht_px: 3\ndeploy:\n  share: 2\n  hosts: [pi@a, '-oProxyCommand=x']\n")
    with pytest.raises(ConfigError) as error:
        load_deploy_config(path)
    assert [line.split(": ")[1] for line in str(error.value).splitlines()] == [
        "camera.widht_px",
        "deploy.share",
        "deploy.hosts",
    ]
    assert main(["deploy", "--host", "board", "--config", str(path)]) == 1
    assert "did you mean width_px?" in capsys.readouterr().err


def test_the_section_that_ships_is_the_default():
    deploy, _, text = load_deploy_config()
    assert deploy == DeployConfig()
    written = text.split("\ndeploy:")[1].split("\n\n")[0]
    assert all(f"  {name}:" in written for name in DeployConfig.__struct_fields__)


@pytest.mark.parametrize("name", ["", "pi@", "-oX", "pi@host:port", "a b;c", "pi@host; rm -rf /"])
def test_what_is_no_host_is_refused(name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    config = tmp_path / "config.yaml"
    config.write_text("")
    assert main(["status", f"--host={name}", "--config", str(config)]) == 1
    assert "error: " in capsys.readouterr().err


def security_of(unit: str, tmp_path: Path) -> float:
    path = tmp_path / "garmentcam.service"
    path.write_text(unit)
    if not shutil.which("systemd-analyze"):
        pytest.skip("needs systemd-analyze")
    words = ["systemd-analyze", "security", "--offline=yes", "--no-pager", "--threshold=100", str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if "unrecognized option" in done.stderr:
        pytest.skip("needs systemd 250 or newer")
    return float(done.stdout.split("Overall exposure level for garmentcam.service: ")[1].split()[0])


def test_the_unit_is_closed(tmp_path: Path):
    unit = service_unit(Config(), DeployConfig())
    assert "PrivateNetwork=yes" in unit
    assert security_of(unit, tmp_path) <= SECURITY_LIMIT


def test_a_network_camera_opens_the_network_and_nothing_else(tmp_path: Path):
    config = msgspec.structs.replace(Config(), camera=CameraConfig(source="rtsp://camera/1"))
    unit = service_unit(config, DeployConfig())
    assert "PrivateNetwork" not in unit
    assert "AF_INET" in unit
    assert security_of(unit, tmp_path) <= SECURITY_LIMIT


def test_the_live_view_is_for_the_board_itself_unless_others_may_look():
    def unit(**view: Any) -> str:
        return service_unit(msgspec.structs.replace(Config(), view=ViewConfig(enabled=True, **view)), DeployConfig())

    assert "IPAddressAllow=localhost" in unit()
    assert "IPAddress" not in unit(host="0.0.0.0", token="a" * 20)


@pytest.mark.parametrize("name", ["garmentcam.service", "garmentcam-activate.service"])
def test_systemd_understands_the_units(name: str, tmp_path: Path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("needs systemd-analyze")
    text = service_unit(Config(), DeployConfig()) if name == "garmentcam.service" else ACTIVATION_UNIT
    text = text.replace("/opt/garmentcam/current/venv/bin/python", "/bin/true").replace("@PYTHON@", "/bin/true")
    (tmp_path / name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", str(tmp_path / name)], capture_output=True, text=True, check=False
    )
    assert [line for line in done.stderr.splitlines() if name in line] == []
