"""config.yaml: typed sections, every problem of the file reported at once, with line numbers.

The types below are the documentation of the settings; config.yaml repeats them with comments.
msgspec checks the values; PyYAML's node tree gives the line numbers and shows duplicate keys,
which `yaml.safe_load` would silently drop.
"""

import hashlib
import math
from pathlib import Path
from typing import Any, Dict, Iterator, List, Literal, Mapping, Optional, Tuple, Type, TypeVar

import msgspec
import yaml
from msgspec import Meta
from typing_extensions import Annotated

from device.errors import ConfigError
from device.view.access import is_loopback

Struct = TypeVar("Struct", bound=msgspec.Struct)

DEFAULT_CONFIG = Path("config.yaml")

LEAST_TOKEN_LENGTH = 16
"""Characters of view.token: too many to guess over a network."""


class CameraConfig(msgspec.Struct, frozen=True):
    """Where frames come from. `width_px`, `height_px` and `frame_rate_hz` are what is asked of the camera."""

    source: Annotated[str, Meta(min_length=1)] = "synthetic://"
    width_px: Annotated[int, Meta(ge=28, le=8192)] = 640
    height_px: Annotated[int, Meta(ge=28, le=8192)] = 480
    frame_rate_hz: Annotated[float, Meta(gt=0, le=1000)] = 30.0


class ModelConfig(msgspec.Struct, frozen=True):
    """Which model answers. The card lies beside it: model.tflite -> model.json."""

    path: Annotated[str, Meta(min_length=1)] = "device/models/model.tflite"
    runtime: Literal["auto", "tflite-runtime", "litert"] = "auto"
    threads: Annotated[int, Meta(ge=1, le=64)] = 1


class MotionConfig(msgspec.Struct, frozen=True):
    """When to rest: while nothing moves before a live camera, most frames need no answer of their own."""

    rest: bool = False
    idle_rate_hz: Annotated[float, Meta(ge=0.5, le=1000)] = 1.0
    still_s: Annotated[float, Meta(ge=0, le=3600)] = 2.0
    threshold: Annotated[float, Meta(ge=0, lt=255)] = 4.0


class DecisionConfig(msgspec.Struct, frozen=True):
    """How scores over time become one steady answer."""

    smoothing_s: Annotated[float, Meta(ge=0, le=60)] = 0.3
    hysteresis: Annotated[float, Meta(ge=0, lt=1)] = 0.15


class LogConfig(msgspec.Struct, frozen=True):
    """Where latencies are kept, in what detail, and how much of the disk they may take."""

    directory: Annotated[str, Meta(min_length=1)] = "logs"
    flush_s: Annotated[float, Meta(ge=0.1, le=600)] = 5.0
    warmup_s: Annotated[float, Meta(ge=0, le=600)] = 0.5
    raw_s: Annotated[float, Meta(ge=0)] = 300.0
    window_s: Annotated[float, Meta(ge=1, le=3600)] = 30.0
    slowest: Annotated[int, Meta(ge=0, le=1000)] = 5
    health_s: Annotated[float, Meta(ge=1, le=3600)] = 10.0
    part_mb: Annotated[float, Meta(gt=0)] = 4.0
    total_mb: Annotated[float, Meta(gt=0)] = 200.0
    keep_free_mb: Annotated[float, Meta(ge=0)] = 100.0


class ViewConfig(msgspec.Struct, frozen=True):
    """The page that shows what the camera and the model see."""

    enabled: bool = False
    host: Annotated[str, Meta(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8028
    token: Annotated[str, Meta(max_length=200)] = ""
    max_rate_hz: Annotated[float, Meta(gt=0, le=60)] = 10.0

    def __post_init__(self) -> None:
        """Raise ValueError when others could look without a token."""
        if not is_loopback(self.host) and len(self.token) < LEAST_TOKEN_LENGTH:
            raise ValueError(
                f"host {self.host} lets other machines look, so it needs a token of at least {LEAST_TOKEN_LENGTH} "
                f"characters; make one with `python3 -c 'import secrets; print(secrets.token_urlsafe(16))'` and set "
                f"view.token to it, or set view.host to 127.0.0.1"
            )


class Config(msgspec.Struct, frozen=True):
    """The sections that a board reads. `sha256` is the file's, "" when there is no file."""

    camera: CameraConfig = CameraConfig()
    model: ModelConfig = ModelConfig()
    motion: MotionConfig = MotionConfig()
    decision: DecisionConfig = DecisionConfig()
    log: LogConfig = LogConfig()
    view: ViewConfig = ViewConfig()
    folder: Path = Path()
    sha256: str = ""


SECTIONS: Mapping[str, Type[msgspec.Struct]] = {
    "camera": CameraConfig,
    "model": ModelConfig,
    "motion": MotionConfig,
    "decision": DecisionConfig,
    "log": LogConfig,
    "view": ViewConfig,
}
OTHER_ROOMS = ("training", "deploy")
"""Sections that the workstation reads and checks; a board carries them along unread."""


def load_config(path: Optional[Path]) -> Config:
    """The board's settings from `path`, or the defaults when it is None. Raises ConfigError."""
    if path is None:
        return Config()
    text = read_text(path)
    sections = parse_sections(text, str(path), SECTIONS, OTHER_ROOMS)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Config(**sections, folder=path.parent, sha256=digest)


def read_text(path: Path) -> str:
    """The file as UTF-8 text. Raises ConfigError."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; name a readable file with --config") from None


def parse_sections(
    text: str, where: str, types: Mapping[str, Type[msgspec.Struct]], ignored: Tuple[str, ...] = ()
) -> Dict[str, Any]:
    """Section name -> struct, a default one for a section that is absent.

    where: the file's name, for messages. ignored: sections that may be there and are not looked at.
    Raises ConfigError that lists every problem, one a line.
    """
    problems: List[str] = []
    found: Dict[str, Any] = {}
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        for name, line, node in _pairs(root, where, "", (*types, *ignored), problems):
            if name in types:
                found[name] = _section(loader, node, f"{where}:{line}", name, types[name], where, problems)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        at = f"{where}:{mark.line + 1}" if mark else where
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or error
        raise ConfigError(f"{at}: not valid YAML: {problem}") from None
    except RecursionError:
        raise ConfigError(f"{where}: nested too deeply; expected sections of plain settings") from None
    if problems:
        raise ConfigError("\n".join(problems))
    return {name: found.get(name) or kind() for name, kind in types.items()}


def _section(
    loader: yaml.SafeLoader,
    node: yaml.Node,
    at: str,
    name: str,
    kind: Type[Struct],
    where: str,
    problems: List[str],
) -> Optional[Struct]:
    """One section's struct; None after a problem. An empty section (`log:`) means all defaults."""
    if isinstance(node, yaml.ScalarNode) and node.value == "":
        return kind()
    fields = {field.name: field.type for field in msgspec.structs.fields(kind)}
    values = {}
    before = len(problems)
    if not isinstance(node, yaml.MappingNode):
        problems.append(f"{at}: {name}: expected settings under it, such as `{next(iter(fields))}: ...`")
    for key, line, value_node in _pairs(node, where, f"{name}.", tuple(fields), problems):
        nested = fields[key]
        if isinstance(nested, type) and issubclass(nested, msgspec.Struct):
            values[key] = _section(loader, value_node, f"{where}:{line}", f"{name}.{key}", nested, where, problems)
            continue
        try:
            value = loader.construct_object(value_node, deep=True)
            values[key] = msgspec.convert(value, fields[key])
            if isinstance(value, float) and not math.isfinite(value):
                raise msgspec.ValidationError("Expected a finite number")
        except msgspec.ValidationError as error:
            found = loader.construct_object(value_node, deep=True)
            problems.append(f"{where}:{line}: {name}.{key}: {_expected(error, fields[key])}; found {found!r}")
        except (ValueError, OverflowError) as error:  # PyYAML's own, e.g. 2001-99-99
            problems.append(f"{where}:{line}: {name}.{key}: cannot be read ({error}); quote it if it is text")
    if len(problems) > before:
        return None
    try:
        return kind(**values)
    except ValueError as error:  # Settings that do not go together, from __post_init__.
        problems.append(f"{at}: {name}: {error}")
        return None


def _pairs(
    node: Optional[yaml.Node], where: str, prefix: str, known: Tuple[str, ...], problems: List[str]
) -> Iterator[Tuple[str, int, yaml.Node]]:
    """(key, line, value node) of the known keys; unknown, duplicate and odd keys go to `problems`."""
    if node is None:
        return
    if not isinstance(node, yaml.MappingNode):
        if not prefix:
            problems.append(f"{where}:{node.start_mark.line + 1}: expected sections ({', '.join(known)})")
        return
    seen: Dict[str, int] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        key = key_node.value if isinstance(key_node, yaml.ScalarNode) else "?"
        if key in seen:
            problems.append(f"{where}:{line}: {prefix}{key}: set twice (first in line {seen[key]}); keep one")
        elif key not in known:
            import difflib

            near = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(known)}"
            what = "setting" if prefix else "section"
            problems.append(f"{where}:{line}: {prefix}{key}: unknown {what} ({hint})")
        else:
            yield key, line, value_node
        seen.setdefault(key, line)


def _expected(error: msgspec.ValidationError, kind: Any) -> str:
    """Msgspec's message, with the choices where it leaves them out."""
    choices = getattr(kind, "__args__", ()) if getattr(kind, "__origin__", None) is Literal else ()
    if choices:
        return "expected one of " + ", ".join(str(choice) for choice in choices)
    return str(error).split(" - at ")[0].replace("`", "").replace("Expected", "expected")
