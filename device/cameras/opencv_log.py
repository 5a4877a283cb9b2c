"""How much OpenCV says on its own."""

from typing import Any

import cv2

_ERROR = 2


def errors_only() -> None:
    """Keep OpenCV's warnings of each attempt and each damaged frame to itself: our errors say what there is to say."""
    modules: Any = cv2  # Version 5 moved it, and the stubs know one place only.
    set_level = modules.setLogLevel if hasattr(modules, "setLogLevel") else modules.utils.logging.setLogLevel
    set_level(_ERROR)
