"""`check` and `cameras`: what a person and a deploy ask a board first."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from camera_backends import Csi, ready
from conftest import ROOT, SHIPPED_MODEL, device_command
from device.cameras.listing import FoundCamera, v4l2_cameras
from device.check import advice_for, brightness_of, sharpness_of, watch
from device.classifier import Classifier
from device.errors import CameraError
from device.frame import Frame


def test_check_says_everything_as_text_and_as_json(tmp_path: Path):
    picture = tmp_path / "check.png"
    text = device_command("check", "--picture", picture)
    assert text.returncode == 0, text.stderr
    for part in ("config:  config.yaml", "model:   ", "640x480 colour", "frames/s", "brightness", "answer: "):
        assert part in text.stdout
    assert cv2.imread(str(picture)) is not None

    done = device_command("check", "--json", "--picture", picture)
    report = json.loads(done.stdout)
    assert (report["source"], report["width_px"], report["height_px"], report["colour"]) == (
        "synthetic://",
        640,
        480,
        True,
    )
    assert report["frames"] == 10
    assert report["rate_hz"] == pytest.approx(30, rel=0.1)
    assert 0 < report["brightness"] < 255
    assert report["decision"] in (report["label"], "unsure")
    assert report["picture"] == str(picture)


def test_a_single_picture_has_no_rate(tmp_path: Path):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((60, 80, 3), 7, np.uint8))
    done = device_command("check", "--json", "--source", tmp_path / "a.png", "--picture", tmp_path / "check.png")
    report = json.loads(done.stdout)
    assert (report["frames"], report["rate_hz"], report["brightness"], report["sharpness"]) == (1, None, 7.0, 0.0)
    assert len(report["advice"]) == 2  # dark, and nothing sharp


def test_check_on_a_simulated_pi(tmp_path: Path):
    with ready(Csi, tmp_path):
        pass  # skips where picamera2 is missing
    command = [sys.executable, "tests/simulated_pi.py", "check", "--json", "--source", "csi://0"]
    done = subprocess.run(
        [*command, "--picture", str(tmp_path / "check.png")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["camera"].startswith("csi://0 (imx219), 640x480 gray")
    assert report["rate_hz"] == pytest.approx(30, rel=0.1)
    assert report["frames"] >= 10


def test_the_rate_is_the_cameras_and_not_the_readers():
    """Every second frame of 100 frames/s was missed."""
    frames = [Frame(np.full((30, 30), 99, np.uint8), 2 * number, number * 20_000_000) for number in range(40)]
    result, count, rate_hz = watch(frames, Classifier(SHIPPED_MODEL), seconds=0)
    assert (result.frame.sequence, count) == (18, 10)
    assert rate_hz == pytest.approx(100)


def test_it_goes_on_until_exposure_has_settled():
    frames = [Frame(np.full((30, 30), 99, np.uint8), number, number) for number in range(40)]
    ticks = iter(range(100))
    _, count, _ = watch(frames, Classifier(SHIPPED_MODEL), seconds=25, clock=lambda: float(next(ticks)))
    assert count == 25


def test_no_frame_is_an_error():
    with pytest.raises(CameraError, match="gave no frame"):
        watch([], Classifier(SHIPPED_MODEL), seconds=0)


def test_sharpness_falls_with_blur_and_brightness_with_light(photos: list[Path]):
    photo = cv2.resize(cv2.imread(str(photos[0])), (640, 480))
    blurred = cv2.GaussianBlur(photo, (0, 0), 8)
    assert sharpness_of(photo) > 10 * sharpness_of(blurred)
    assert brightness_of(photo // 2) == pytest.approx(brightness_of(photo) / 2, rel=0.05)


def test_good_photographs_get_no_advice(photos: list[Path]):
    for path in photos:
        pixels = cv2.resize(cv2.imread(str(path)), (640, 480), interpolation=cv2.INTER_AREA)
        assert advice_for(brightness_of(pixels), sharpness_of(pixels)) == [], path.name
        blurred = cv2.GaussianBlur(pixels, (0, 0), 5)
        assert "focus" in advice_for(brightness_of(pixels), sharpness_of(blurred))[0], path.name


def capability(driver: str, card: str, capabilities: int, of_device: int) -> bytes:
    return struct.pack("=16s32s32sIII12x", driver.encode(), card.encode(), b"usb", 0, capabilities, of_device)


def test_only_nodes_that_are_cameras_are_listed(tmp_path: Path):
    nodes = {
        "video0": capability("uvcvideo", "HD Webcam", 0x84A00001, 0x04200001),
        "video1": capability("uvcvideo", "HD Webcam", 0x84A00001, 0x04A00000),  # its metadata
        "video2": capability("vivid", "vivid", 0x05200001, 0),  # an old driver: no capabilities of the node itself
        "video10": capability("bcm2835-codec", "bcm2835-codec-decode", 0x84204000, 0x04204000),
        "video13": capability("bcm2835-isp", "bcm2835-isp", 0x84A00001, 0x04200001),
        "video19": capability("unicam", "unicam", 0xA4A00001, 0x25200001),
    }
    for name in (*nodes, "video3", "video"):
        (tmp_path / name).touch()

    def query(path: Path) -> bytes:
        if path.name not in nodes:
            raise PermissionError(13, "Permission denied")
        return nodes[path.name]

    assert v4l2_cameras(tmp_path, query) == [
        FoundCamera(str(tmp_path / "video0"), "HD Webcam", "uvcvideo"),
        FoundCamera(str(tmp_path / "video2"), "vivid", "vivid"),
    ]


def test_a_file_that_is_no_device_is_passed_over(tmp_path: Path):
    (tmp_path / "video0").touch()
    assert v4l2_cameras(tmp_path) == []


def test_cameras_lists_a_simulated_pis(tmp_path: Path):
    with ready(Csi, tmp_path):
        pass
    for arguments, expected in ([], "csi://0        imx219 (picamera2)\n"), (["--json"], None):
        done = subprocess.run(
            [sys.executable, "tests/simulated_pi.py", "cameras", *arguments],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        if expected:
            assert expected in done.stdout
        else:
            assert {"source": "csi://0", "name": "imx219", "driver": "picamera2"} in json.loads(done.stdout)


def test_no_camera_is_no_error():
    done = device_command("cameras")
    assert done.returncode == 0
    assert done.stdout
