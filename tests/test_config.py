"""config.yaml: every problem at once, with its line; the committed file says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from conftest import ROOT
from device.config import SECTIONS, Config, load_config, parse_sections
from device.errors import ConfigError


def problems_of(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_sections(text, "config.yaml", SECTIONS, ("training",))
    return str(caught.value).splitlines()


def test_every_problem_is_reported_at_once_with_its_line():
    text = (
        "camera:\n  widht_px: 640\n  height_px: tall\n  frame_rate_hz: 0\nmodle: {}\nlog:\n  flush_s: 1\n  flush_s: 2\n"
    )
    assert problems_of(text) == [
        "config.yaml:2: camera.widht_px: unknown setting (did you mean width_px?)",
        "config.yaml:3: camera.height_px: expected int, got str; found 'tall'",
        "config.yaml:4: camera.frame_rate_hz: expected float > 0.0; found 0",
        "config.yaml:5: modle: unknown section (did you mean model?)",
        "config.yaml:8: log.flush_s: set twice (first in line 7); keep one",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("camera: 3", "camera: expected settings under it"),
        ("- camera", "config.yaml:1: expected sections (camera, "),
        ("camera: {source: [1, 2", "not valid YAML"),
        ("model: {runtime: tensorrt}", "expected one of auto, tflite-runtime, litert; found 'tensorrt'"),
        ("model: {threads: true}", "expected int, got bool"),
        ("log: {flush_s: .nan}", "found nan"),
        ("log: {flush_s: .inf}", "found inf"),
        ("log: {directory: 2001-99-99}", "cannot be read"),
        ("camera: {source: ''}", "expected str of length >= 1"),
        ("camera: {? [a, b] : 1}", "unknown setting"),
        ("camera: {width_px: 640}\ncamera: {width_px: 320}", "config.yaml:2: camera: set twice (first in line 1)"),
        ("a: &a [*a]", "unknown section"),
    ],
)
def test_a_mistake_is_named(text: str, expected: str):
    assert expected in "\n".join(problems_of(text))


def test_a_file_that_is_missing_or_binary_is_named(tmp_path: Path):
    with pytest.raises(ConfigError, match="none.yaml: No such file"):
        load_config(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_config(tmp_path / "binary.yaml")


def test_an_empty_file_and_an_empty_section_mean_the_defaults(tmp_path: Path):
    path = tmp_path / "config.yaml"
    path.write_text("log:\n")
    config = load_config(path)
    defaults = Config()
    assert (config.camera, config.model, config.decision, config.log) == (
        defaults.camera,
        defaults.model,
        defaults.decision,
        defaults.log,
    )
    assert config.folder == tmp_path


def test_the_committed_file_has_every_key_with_its_default_and_a_comment():
    text = (ROOT / "config.yaml").read_text()
    assert load_config(ROOT / "config.yaml").camera == Config().camera
    found = parse_sections(text, "config.yaml", SECTIONS, ("training", "deploy"))
    for section, kind in SECTIONS.items():
        assert found[section] == kind(), f"{section}: config.yaml does not show the defaults"
        for key in kind.__struct_fields__:
            assert re.search(rf"^  {key}: .+  # \S", text, re.MULTILINE), (
                f"{section}.{key}: not in config.yaml, commented"
            )
