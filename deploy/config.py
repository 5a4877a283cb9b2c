"""config.yaml, section `deploy`: which boards, and what is asked of a release. All sections are checked in one pass."""

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from device.config import SECTIONS, Config, load_config, parse_sections, read_text

DEFAULT_CONFIG = Path("config.yaml")

BoardName = Annotated[str, Meta(pattern=r"^([a-z_][a-z0-9_-]*@)?[A-Za-z0-9][A-Za-z0-9._-]*(:[0-9]{1,5})?$")]


class DeployConfig(msgspec.Struct, frozen=True):
    """The section `deploy`. A board is named as ssh knows it: [user@]host[:port], or a Host of ~/.ssh/config.

    ssh_config: an ssh configuration file in place of ~/.ssh/config. share: part of the boards that follow the first
    one together. p95_budget_ms, health_s: what a release must keep on a board.
    """

    hosts: tuple[BoardName, ...] = ()
    ssh_config: str = ""
    share: Annotated[float, Meta(gt=0, le=1)] = 0.25
    parallel: Annotated[int, Meta(ge=1, le=1000)] = 20
    p95_budget_ms: Annotated[float, Meta(gt=0, le=60_000)] = 250.0
    health_s: Annotated[float, Meta(ge=5, le=3600)] = 60.0
    memory_mb: Annotated[int, Meta(ge=100, le=65_536)] = 400
    cpu_percent: Annotated[int, Meta(ge=10, le=6_400)] = 200


def load_deploy_config(path: Path | None = None) -> tuple[DeployConfig, Config, str]:
    """The section `deploy`, the board's own settings, and the file's text, which travels as it is.

    path: config.yaml by default, if it is there. Every problem of every section is listed at once. Raises ConfigError.
    """
    if path is None and not DEFAULT_CONFIG.exists():
        return DeployConfig(), Config(), ""
    path = path or DEFAULT_CONFIG
    text = read_text(path)
    sections = parse_sections(text, str(path), {**SECTIONS, "deploy": DeployConfig}, ("training",))
    config: DeployConfig = sections["deploy"]
    ssh_config = str(path.parent / Path(config.ssh_config).expanduser()) if config.ssh_config else ""
    return msgspec.structs.replace(config, ssh_config=ssh_config), load_config(path), text
