"""Chromium without a window, driven over WebDriver: what a person who opens a page of the service sees."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.remote.webdriver import WebDriver

from tests.languages.toolchain import need

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
