"""Shows an activation to whoever asked for it. That they stop looking changes nothing."""

import json
import time
from pathlib import Path
from typing import Callable

from deploy.board.system import ACTIVATION_UNIT, EVENTS, show


def follow(say: Callable[[str], None], events: Path = EVENTS, sleep: Callable[[float], None] = time.sleep) -> int:
    """Print the steps of the activation until its outcome. Returns 0 when the release runs."""
    shown = idle = 0
    while True:
        # Asked before reading, so that an outcome written meanwhile is not missed.
        going_on = show(ACTIVATION_UNIT, "ActiveState").get("ActiveState") == "activating"
        text = events.read_text(encoding="utf-8") if events.exists() else ""
        lines = text[: text.rfind("\n") + 1].splitlines()  # A last line without its end is still being written.
        for line in lines[shown:]:
            event = json.loads(line)
            say(f"{event['step']}: {event['text']}")
            if event["outcome"]:
                return 0 if event["outcome"] == "healthy" else 1
        shown = len(lines)
        # systemd takes a moment from the request to the start.
        idle = 0 if going_on else idle + 1
        if idle > 20:
            say(f"outcome: the activation ended without one; see: journalctl -u {ACTIVATION_UNIT}")
            return 1
        sleep(0.3)
