"""The live view's page in a real browser, at a phone's and a desktop's width."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from browser import BROWSER, DRIVER, MISSING, browser
from conftest import ROOT, SHIPPED_MODEL
from device.labels import LABELS, UNSURE
from view_pages import TOKEN, feeding, result, viewing, wait_until

pytestmark = pytest.mark.skipif(not (BROWSER and DRIVER), reason=MISSING)

SIZES = {"phone": (390, 844), "desktop": (1280, 800)}


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A run of the synthetic camera: its page's address."""
    folder = tmp_path_factory.mktemp("device")
    (folder / "config.yaml").write_text("view: {port: 0}\n")
    arguments = ["--config", folder / "config.yaml", "--model", SHIPPED_MODEL, "--log", folder, "--view"]
    command = [sys.executable, "-u", "-m", "device", "run", *map(str, arguments)]
    with open(folder / "out.txt", "w") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.DEVNULL)

    def address() -> str:
        lines = (folder / "out.txt").read_text().splitlines()
        return next((line.split()[-1] for line in lines if line.startswith("live view: ")), "")

    try:
        wait_until(lambda: bool(address()), 60)
        yield address()
    finally:
        process.terminate()
        process.wait(timeout=30)


def text(driver: Any, element: str) -> str:
    return str(driver.execute_script("return document.getElementById(arguments[0]).textContent", element))


def state(driver: Any) -> str:
    return str(driver.execute_script("return document.body.dataset.state"))


def wait_for(driver: Any, wanted: str) -> None:
    wait_until(lambda: state(driver) == wanted, 30)


def spread(driver: Any, canvas: str) -> int:
    """How many different colours a canvas shows."""
    script = """
      const canvas = document.getElementById(arguments[0]);
      const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
      return new Set(new Uint32Array(data.buffer)).size;
    """
    return int(driver.execute_script(script, canvas))


def quiet(driver: Any, origin: str) -> bool:
    """Whether the page has asked nobody else for anything, and has no complaint in its console."""
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    asked = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    asked += [m["params"]["url"] for m in messages if m["method"] == "Network.webSocketCreated"]
    elsewhere = [url for url in asked if urlsplit(url).netloc != urlsplit(origin).netloc]
    complaints = driver.get_log("browser")
    assert len(asked) >= 4, "the requests were not recorded"
    assert (elsewhere, complaints) == ([], [])
    return True


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_the_page_follows_the_camera(device: str, tmp_path: Path, size: str, dark: bool):
    """Labels come and go as the camera's garments do; it is readable, fits, and asks nobody else for anything."""
    from axe_core_python.selenium import Axe

    with browser(*SIZES[size], dark=dark) as driver:
        driver.get(device)
        wait_for(driver, "live")
        labels, truths, deadline_s = set(), set(), time.monotonic() + 60
        while len(labels - {UNSURE}) < 3 or len(truths) < 3:
            labels.add(text(driver, "label"))
            truths.add(text(driver, "detail").split("truth: ")[-1])
            assert time.monotonic() < deadline_s, (labels, truths)
        assert labels <= {*LABELS, UNSURE}
        assert truths <= set(LABELS)

        width_px, _height_px = SIZES[size]
        assert driver.execute_script("return document.documentElement.scrollWidth") == width_px
        if size == "desktop":
            assert driver.execute_script("return document.documentElement.scrollHeight") == _height_px
        label = driver.find_element("id", "label")
        assert float(label.value_of_css_property("font-size")[:-2]) >= 26
        assert label.get_attribute("aria-live") == "polite"
        assert spread(driver, "picture") > 1000
        assert 20 < spread(driver, "seen") <= 256
        assert len(driver.find_elements("css selector", "#scores li")) == 10
        assert text(driver, "p50").endswith(" ms")
        background = driver.find_element("tag name", "body").value_of_css_property("background-color")
        assert ("15, 18, 22" in background) == dark
        assert quiet(driver, device)
        driver.save_screenshot(str(tmp_path / f"{size}.png"))

        violations = Axe().run(driver)["violations"]
        assert [(v["id"], [node["html"] for node in v["nodes"]]) for v in violations] == []


def test_the_label_changes_only_when_the_answer_does(device: str):
    """A screen reader reads out each change."""
    with browser() as driver:
        driver.get(device)
        wait_for(driver, "live")
        script = """
          const seen = window.seen = [];
          const label = document.getElementById("label");
          new MutationObserver(() => seen.push(label.textContent)).observe(label, {childList: true, subtree: true});
        """
        driver.execute_script(script)
        wait_until(lambda: len(driver.execute_script("return window.seen")) >= 4, 60)
        seen = driver.execute_script("return window.seen")
    assert all(one != other for one, other in itertools.pairwise(seen))
    assert set(seen) <= {*LABELS, UNSURE}


def test_a_lost_camera_and_an_ended_program_are_told_and_come_back():
    with viewing() as view, browser() as driver:
        with feeding(view, 30):
            driver.get(view.address)
            wait_for(driver, "live")
        wait_for(driver, "stale")
        assert "Is the camera connected?" in text(driver, "notice")
        assert text(driver, "status") == "no frames"
        notice = text(driver, "notice")
        time.sleep(2)
        assert text(driver, "notice") == notice  # Not read out again each second.
        with feeding(view, 30):
            wait_for(driver, "live")
        assert text(driver, "notice") == ""
        view.close()
        wait_for(driver, "lost")
        assert "cannot be reached" in text(driver, "notice")
        with viewing(port=view.port) as again, feeding(again, 30):
            wait_for(driver, "live")


def test_a_hidden_page_costs_nothing():
    with viewing() as view, feeding(view, 30), browser() as driver:
        driver.get(view.address)
        wait_for(driver, "live")
        page = driver.current_window_handle
        driver.switch_to.new_window("tab")
        wait_until(lambda: not view.watched)
        driver.switch_to.window(page)
        wait_until(lambda: view.watched)
        wait_for(driver, "live")


def test_signing_in_with_the_token():
    with viewing(token=TOKEN) as view, feeding(view, 30), browser(*SIZES["phone"]) as driver:
        driver.get(view.address)
        driver.find_element("id", "token").send_keys("wrong\n")
        wait_until(lambda: "not this board's token" in driver.page_source)
        driver.find_element("id", "token").send_keys(TOKEN + "\n")
        wait_until(lambda: bool(driver.find_elements("id", "label")))
        wait_for(driver, "live")
        assert driver.current_url == view.address  # The token is out of the address bar,
        assert driver.execute_script("return document.cookie") == ""  # and out of reach of scripts.


def test_the_sign_in_page_is_readable():
    from axe_core_python.selenium import Axe

    with viewing(token=TOKEN) as view, browser(*SIZES["phone"], dark=True) as driver:
        driver.get(view.address)
        assert [violation["id"] for violation in Axe().run(driver)["violations"]] == []
        assert driver.execute_script("return document.documentElement.scrollWidth") == 390


def test_names_are_shown_as_text():
    from device.config import ViewConfig
    from device.view.live import LiveView

    source = "<img src=x onerror=alert(1)>"
    with LiveView(ViewConfig(port=0), source=source, model="m") as view, browser() as driver:
        driver.get(view.address)
        wait_until(lambda: view.watched)
        view(result())
        wait_for(driver, "live")
        assert text(driver, "source") == f"{source} · model m"


def test_the_view_works_on_the_other_address_family() -> None:
    """[::1], where this machine has it."""
    try:
        with viewing(host="::1") as view, feeding(view, 30), browser() as driver:
            driver.get(view.address)
            wait_for(driver, "live")
    except Exception as error:
        if "Cannot assign" in str(error) or "not supported" in str(error):
            pytest.skip("needs IPv6")
        raise
