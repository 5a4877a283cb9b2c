"""Changes a setting in config.yaml and nothing else: comments, order and the other lines stay as they are."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import Mapping

import yaml

from device.config import OTHER_ROOMS, SECTIONS, parse_sections, read_text
from device.errors import ConfigError


def set_settings(path: Path, section: str, values: Mapping[str, object]) -> None:
    """Set `section`'s keys to plain values in the file. Raises ConfigError, and then the file is unchanged."""
    read_text(path)  # For its errors; it would make one kind of line end of another.
    text = path.read_bytes().decode()
    before = parse_sections(text, str(path), SECTIONS, OTHER_ROOMS)
    for key, value in values.items():
        text = _set(text, section, key, str(value))
    after = parse_sections(text, str(path), SECTIONS, OTHER_ROOMS)
    for name, settings in before.items():
        expected = {**_as_dict(settings), **(values if name == section else {})}
        if _as_dict(after[name]) != expected:
            raise ConfigError(
                f"{path}: {section} is written in a way that cannot be changed; set {dict(values)} by hand"
            )
    _replace(path, text)


def _as_dict(settings: object) -> dict[str, object]:
    return {field: getattr(settings, field) for field in settings.__struct_fields__}  # type: ignore[attr-defined]


def _set(text: str, section: str, key: str, value: str) -> str:
    root = yaml.compose(text, yaml.SafeLoader)
    pairs = _pairs(root)
    if section not in pairs:
        end = "" if not text or text.endswith("\n") else "\n"
        return f"{text}{end}\n{section}:\n  {key}: {value}\n"
    node = pairs[section]
    settings = _pairs(node)
    if key in settings:
        return _replace_value(text, settings[key], value)
    if not settings:  # `model:` alone, or `model: {}`
        start, stop = node.start_mark.index, node.end_mark.index
        return f"{text[:start].rstrip(' ')}\n  {key}: {value}{text[stop:]}"
    if isinstance(node, yaml.MappingNode) and node.flow_style:
        start = node.start_mark.index + 1
        return f"{text[:start]}{key}: {value}, {text[start:]}"
    first = node.value[0][0].start_mark
    line_start = first.index - first.column
    return f"{text[:line_start]}{' ' * first.column}{key}: {value}\n{text[line_start:]}"


def _pairs(node: yaml.Node | None) -> dict[str, yaml.Node]:
    return {key.value: value for key, value in node.value} if isinstance(node, yaml.MappingNode) else {}


def _replace_value(text: str, node: yaml.Node, value: str) -> str:
    """The new value, and the comment behind it where it was, if there is room."""
    start, stop = node.start_mark.index, node.end_mark.index
    spaces = re.match(r" +(?=#)", text[stop:])
    if spaces is None:
        return f"{text[:start]}{value}{text[stop:]}"
    width = stop - start + len(spaces[0])
    return f"{text[:start]}{value.ljust(width - 1)} {text[stop + len(spaces[0]) :]}"


def _replace(path: Path, text: str) -> None:
    """In one step, so that a power cut leaves the old file or the new one."""
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        with open(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, path.stat().st_mode)
        os.replace(temporary, path)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; it was not changed") from None
