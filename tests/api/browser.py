"""Chromium without a window, driven over WebDriver: what a person who opens a page of the service sees."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.remote.webdriver import WebDriver

from tests.languages.toolchain import lack, need

AXE = Path(__file__).parents[1] / "page" / "node_modules" / "axe-core" / "axe.min.js"
WIDE = (1280, 1000)
NARROW = (420, 900)
# Debian's sandbox needs privileges that a container lacks; the pages are our own. /dev/shm may be tiny there.
SWITCHES = ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-proxy-server")


@contextlib.contextmanager
def browse() -> Iterator[WebDriver]:
    """Start a browser in a wide window; skip, or in CI fail, where there is none."""
    need("chromium", ["chromium", "--version"])
    need("chromedriver", ["chromedriver", "--version"])
    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for switch in SWITCHES:
        options.add_argument(switch)
    # Named, so that selenium does not look for a driver on the network.
    browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        browser.set_window_size(*WIDE)
        yield browser
    finally:
        browser.quit()


@contextlib.contextmanager
def shown_as(browser: WebDriver, *, dark: bool, width: int) -> Iterator[None]:
    """Show pages in a theme, in a window of a width: a phone's if it is narrow."""
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    metrics = {"width": width, "height": WIDE[1], "deviceScaleFactor": 1, "mobile": width < NARROW[0]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        yield
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def barriers(browser: WebDriver) -> list[list[object]]:
    """Return what keeps people with a screen reader, a keyboard or weak eyes out of the page, as axe finds it."""
    if not AXE.is_file():
        lack("needs tests/page/node_modules; sh tests/languages/install.sh installs them")
    browser.set_script_timeout(120)
    browser.execute_script(AXE.read_text())
    return browser.execute_async_script(
        "axe.run().then((result) => arguments[0](result.violations.map((v) => [v.id, v.nodes.map((n) => n.html)])))"
    )
