"""What machine this is, for logs and reports."""

import contextlib
import platform
from pathlib import Path


def board_model() -> str:
    """The board's model ("Raspberry Pi 4 Model B Rev 1.4"); "" on a PC, which has no device tree."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return Path("/proc/device-tree/model").read_bytes().rstrip(b"\0").decode()
    return ""


def machine_name() -> str:
    """The board's model, or the processor's, with the architecture."""
    board = board_model()
    if board:
        return f"{board}, {platform.machine()}"
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name") and ":" in line]
    return f"{names[0] if names else platform.processor() or 'unknown processor'}, {platform.machine()}"
