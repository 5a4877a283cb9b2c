"""Headless Chromium for the tests of the live view, and for its picture in the README."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

BROWSER = shutil.which("chromium")
DRIVER = shutil.which("chromedriver")
MISSING = "needs Chromium and its driver: apt install chromium chromium-driver"
_FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
)


@contextlib.contextmanager
def browser(width_px: int = 1280, height_px: int = 800, *, scale: float = 1, dark: bool = False) -> Iterator[Any]:
    """A WebDriver with a fresh profile and this viewport, in CSS pixels. Its "performance" log has each request."""
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    with tempfile.TemporaryDirectory() as profile:
        options = Options()
        options.binary_location = BROWSER or "chromium"
        for flag in (*_FLAGS.split(), f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
        driver = webdriver.Chrome(options=options, service=Service(DRIVER or "chromedriver"))
        try:
            # A window is never narrower than 500 px; the emulated screen of a phone is.
            metrics = {"width": width_px, "height": height_px, "deviceScaleFactor": scale, "mobile": width_px < 600}
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
            scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
            driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
            driver.get("about:blank")
            driver.get_log("performance")  # The browser's own start page.
            yield driver
        finally:
            driver.quit()
