"""A server and a browser for each file of tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from selenium.webdriver.remote.webdriver import WebDriver

from tests.api.browser import browse
from tests.api.serving import Served, serve
from tests.page.open_page import Page


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[WebDriver]:
    with browse() as running:
        yield running


@pytest.fixture
def page(browser: WebDriver, server: Served) -> Page:
    browser.execute_cdp_cmd("Network.enable", {})
    browser.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["https://*", "http://*.*.com*"]})
    browser.get_log("browser")
    return Page(browser, server.url)
