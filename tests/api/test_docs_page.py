"""The documentation page, as a person uses it in a browser."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from lossd.losses import LOSSES
from tests.api.browser import NARROW, WIDE, barriers, browse, shown_as
from tests.api.serving import PATIENCE_SECONDS, Served, lossd, serve

pytestmark = pytest.mark.slow
ANSWERED = ".live-responses-table .response"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="module")
def page(server: Served) -> Iterator[WebDriver]:
    with browse() as browser:
        browser.get(f"{server.url}/docs")
        wait(browser, ".opblock-tag")
        yield browser


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_executes_as_the_page_fills_it_in(page: WebDriver, name: str) -> None:
    operation = page.find_element(By.CSS_SELECTOR, f'.opblock[id$="-{name}"]')
    click(page, operation.find_element(By.CSS_SELECTOR, ".opblock-summary-control"))
    wait(operation, ".btn.try-out__btn")
    for button in operation.find_elements(By.CSS_SELECTOR, ".btn.try-out__btn:not(.cancel)"):
        click(page, button)
    click(page, wait(operation, ".btn.execute"))
    status = wait(operation, f"{ANSWERED} .response-col_status").text
    answer = wait(operation, f"{ANSWERED} .highlight-code code, {ANSWERED} .highlight-code pre").text
    assert status.split()[0] == "200", answer
    assert {"loss", "gradient", "count", "denominator"} <= json.loads(answer).keys()
    click(page, operation.find_element(By.CSS_SELECTOR, ".opblock-summary-control"))


def test_every_loss_is_listed_under_the_name_of_its_family(page: WebDriver) -> None:
    sections = page.find_elements(By.CSS_SELECTOR, ".opblock-tag-section")
    listed = {
        section.find_element(By.CSS_SELECTOR, ".opblock-tag a").text: {
            path.text.replace("\u200b", "").rpartition("/")[2]
            for path in section.find_elements(By.CSS_SELECTOR, ".opblock-summary-path")
        }
        for section in sections
    }
    families = {loss.family for loss in LOSSES.values()}
    for family in families:
        assert listed[family.capitalize()] == {x.name for x in LOSSES.values() if x.family == family}
    assert all(name[0].isupper() for name in listed)


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_an_open_operation_fits_into_the_window(page: WebDriver, size: tuple[int, int]) -> None:
    page.set_window_size(*size)
    operation = page.find_element(By.CSS_SELECTOR, '.opblock[id$="-cross_entropy"]')
    summary = operation.find_element(By.CSS_SELECTOR, ".opblock-summary-control")
    click(page, summary)
    wait(operation, ".btn.execute")
    needed, given = page.execute_script(
        "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    click(page, summary)
    page.set_window_size(*WIDE)
    assert needed <= given


@pytest.mark.parametrize("width", [360, WIDE[0]])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_nobody_is_kept_out(page: WebDriver, server: Served, dark: bool, width: int) -> None:
    with shown_as(page, dark=dark, width=width):
        page.get("about:blank")
        page.get(f"{server.url}/docs")
        wait(page, ".opblock-tag")
        assert barriers(page) == []
        operation = page.find_element(By.CSS_SELECTOR, '.opblock[id$="-huber"]')
        click(page, operation.find_element(By.CSS_SELECTOR, ".opblock-summary-control"))
        click(page, wait(operation, ".btn.execute"))
        wait(operation, f"{ANSWERED} .response-col_status")
        assert barriers(page) == []
        click(page, operation.find_element(By.CSS_SELECTOR, ".opblock-summary-control"))


def test_links_lead_back_to_the_pages(page: WebDriver, server: Served) -> None:
    links = [link.get_attribute("href") for link in page.find_elements(By.CSS_SELECTOR, "body > nav a")]
    assert links == [f"{server.url}/{path}" for path in ("", "#catalogue", "try", "compare")]


def test_no_markup_is_left_in_the_text(page: WebDriver) -> None:
    operation = page.find_element(By.CSS_SELECTOR, '.opblock[id$="-huber"]')
    summary = operation.find_element(By.CSS_SELECTOR, ".opblock-summary-control")
    click(page, summary)
    wait(operation, ".opblock-description")
    text = page.find_element(By.TAG_NAME, "body").text
    click(page, summary)
    assert "huber" in text
    assert [mark for mark in ("$$", "``", "\\tfrac", "additionalProp") if mark in text] == []


def test_the_page_follows_the_theme_of_the_system_and_the_one_chosen_on_another_page(
    page: WebDriver, server: Served
) -> None:
    def colors() -> tuple[float, float]:
        ink = page.execute_script("return getComputedStyle(document.querySelector('.swagger-ui')).color")
        paper = page.execute_script("return getComputedStyle(document.documentElement).backgroundColor")
        return _brightness(ink), _brightness(paper)

    def until(fact: Callable[[], bool]) -> None:
        WebDriverWait(page, PATIENCE_SECONDS, 0.1).until(lambda _: fact(), "another theme")

    def emulate(*features: dict[str, str]) -> None:
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": list(features)})

    emulate({"name": "prefers-color-scheme", "value": "dark"})
    until(lambda: colors()[0] > 180 > 40 > colors()[1])
    emulate({"name": "prefers-color-scheme", "value": "light"})
    until(lambda: colors()[0] < 100 < 230 < colors()[1])
    page.execute_script("localStorage.setItem('theme', 'dark')")
    page.get(f"{server.url}/docs")
    wait(page, ".opblock-tag")
    chosen = colors()
    page.execute_script("localStorage.removeItem('theme')")
    emulate()
    page.get(f"{server.url}/docs")
    wait(page, ".opblock-tag")
    assert chosen[0] > 180 > 40 > chosen[1]


def _brightness(color: str) -> float:
    """Return the mean of red, green and blue, from 0 to 255."""
    return sum(map(int, re.findall(r"\d+", color)[:3])) / 3


def test_the_only_server_is_not_offered_as_a_choice(page: WebDriver) -> None:
    assert not any(choice.is_displayed() for choice in page.find_elements(By.CSS_SELECTOR, ".servers"))


def test_the_page_reports_no_error(page: WebDriver, server: Served) -> None:
    page.get(f"{server.url}/docs")
    wait(page, ".opblock-tag")
    assert [entry["message"] for entry in page.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_the_page_sends_a_key_where_the_server_asks_for_one(tmp_path: Path) -> None:
    keys = tmp_path / "keys.toml"
    key = lossd("keys", "new", "reader", "--file", str(keys)).stdout.decode().strip()
    with serve(tmp_path, LOSSD_AUTH="keys", LOSSD_KEYS_FILE=str(keys)) as server, browse() as page:
        page.get(f"{server.url}/docs")
        operation = wait(page, '.opblock[id$="-mse"]')
        click(page, operation.find_element(By.CSS_SELECTOR, ".opblock-summary-control"))
        click(page, wait(operation, ".btn.execute"))
        assert wait(operation, f"{ANSWERED} .response-col_status").text.split()[0] == "401"
        click(page, operation.find_element(By.CSS_SELECTOR, ".authorization__btn"))
        wait(page, ".auth-container")
        page.find_element(By.CSS_SELECTOR, ".auth-container input").send_keys(key)
        click(page, page.find_element(By.CSS_SELECTOR, ".auth-btn-wrapper .authorize"))
        click(page, page.find_element(By.CSS_SELECTOR, ".auth-btn-wrapper .btn-done"))
        click(page, wait(operation, ".btn.execute"))
        answered = f"{ANSWERED} .response-col_status"
        WebDriverWait(page, PATIENCE_SECONDS).until(
            lambda _: wait(operation, answered).text.startswith("200")
        )


def wait(inside: WebDriver | WebElement, selector: str) -> WebElement:
    """Return the first element that matches and has a text, as soon as there is one."""

    def first(place: WebDriver | WebElement) -> WebElement | None:
        return next((found for found in place.find_elements(By.CSS_SELECTOR, selector) if found.text), None)

    return WebDriverWait(inside, PATIENCE_SECONDS, 0.1).until(first, f"no {selector}")


def click(page: WebDriver, element: WebElement) -> None:
    """Click where the element is, even if the window does not reach that far."""
    page.execute_script("arguments[0].click()", element)
