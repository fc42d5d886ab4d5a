"""A page of the service in a browser: what stands on it, and what a person does to it."""

from __future__ import annotations

from collections.abc import Callable

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from tests.api.serving import PATIENCE_SECONDS


class Page:
    """A page that is open."""

    def __init__(self, browser: WebDriver, url: str) -> None:
        self.browser = browser
        self.url = url
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})

    def open(self, path: str) -> Page:
        self.browser.get("about:blank")
        self.browser.get(self.url + path)
        return self

    def resize(self, width: int) -> None:
        metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def one(self, selector: str) -> WebElement:
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        return str(
            self.browser.execute_script("return document.querySelector(arguments[0])?.textContent", selector)
        )

    def number(self, selector: str) -> float:
        return float(self.text(selector).replace("−", "-").replace("∞", "inf"))

    def until(self, fact: Callable[[], object], what: str) -> None:
        WebDriverWait(self.browser, PATIENCE_SECONDS, 0.05).until(lambda _: fact(), what)

    def set(self, selector: str, value: object) -> None:
        """Move a slider, or type into a field."""
        self.browser.execute_script(
            "const e = document.querySelector(arguments[0]); e.value = arguments[1];"
            "e.dispatchEvent(new Event('input', {bubbles: true}))",
            selector,
            value,
        )

    def press(self, *keys: str) -> None:
        ActionChains(self.browser).send_keys(*keys).perform()

    def focused(self) -> str:
        return str(
            self.browser.execute_script(
                "return document.activeElement.ariaLabel ?? document.activeElement.id"
            )
        )

    def severe(self) -> list[str]:
        return [entry["message"] for entry in self.browser.get_log("browser") if entry["level"] == "SEVERE"]
