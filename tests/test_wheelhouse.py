"""Which packages a board gets."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from deploy.wheelhouse import Pin, Target, _is_whole, pins_for, uv_pin

PI_12 = Target("aarch64", (3, 11), (2, 36))
PI_13 = Target("aarch64", (3, 13), (2, 41))
NANO = Target("aarch64", (3, 8), (2, 27))


def names(target: Target) -> dict[str, str]:
    pins = pins_for(target.lock.read_text(), target)
    return dict(pin.requirement.split("==") for pin in pins)


def test_each_board_gets_the_runtime_and_numpy_that_fit_it():
    assert names(PI_12)["tflite-runtime"] == "2.14.0"
    assert names(PI_12)["numpy"].startswith("1.")
    assert "ai-edge-litert" not in names(PI_12)
    assert "tflite-runtime" not in names(PI_13)
    assert names(PI_13)["numpy"].startswith("2.")
    assert names(NANO)["tflite-runtime"] == "2.13.0"
    assert names(NANO)["numpy"] == "1.24.4"


@pytest.mark.parametrize("target", [PI_12, PI_13, NANO], ids=str)
def test_every_pin_has_hashes_and_none_is_for_another_system(target: Target):
    pins = pins_for(target.lock.read_text(), target)
    assert len(pins) >= 8
    assert all(pin.hashes and all(value.startswith("sha256:") for value in pin.hashes) for pin in pins)
    assert "colorama" not in names(target)


def test_the_installer_is_pinned_too():
    assert uv_pin().requirement.startswith("uv==")
    assert uv_pin().hashes


def test_a_wheel_that_was_damaged_is_noticed(tmp_path: Path):
    wheel = tmp_path / "numpy-1-py3-none-any.whl"
    wheel.write_bytes(b"wheel")
    pins = [Pin("numpy==1", (f"sha256:{hashlib.sha256(b'wheel').hexdigest()}",))]
    assert _is_whole(tmp_path, pins)
    wheel.write_bytes(b"whee1")
    assert not _is_whole(tmp_path, pins)
    wheel.unlink()
    assert not _is_whole(tmp_path, pins)
