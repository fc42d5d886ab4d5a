"""Try in a browser: options by keyboard, every kind of answer, links in any form, long arrays."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import pybase64
import pytest
from markupsafe import Markup
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from lossd.losses import LOSSES
from lossd.page.snippets import snippets
from tests.api.serving import PATIENCE_SECONDS
from tests.page.open_page import Page

pytestmark = pytest.mark.slow

ROWS = {"input": [[1, 2, 3], [4, 5, 6]], "target": [[0, 0, 0], [0, 0, 0]]}
COMPLEX = {"real": [3.0, 0.5], "imag": [-4.0, 0.0]}
# Presses a key on everything that can have the focus, and tells where the page cancels it.
CANCELLED = """
    const all = [...document.querySelectorAll('input, select, textarea, button, a[href], [tabindex]')];
    return all.filter((element) => arguments[0].some((key) =>
        !element.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true, cancelable: true}))))
        .map((element) => element.outerHTML.slice(0, 80))"""
SHEETS = """
    return Object.fromEntries([...document.querySelectorAll('.results .array')].map((figure) => [
        figure.querySelector('figcaption').textContent,
        [...figure.querySelectorAll('tr')].map((row) => [...row.cells].map((cell) => cell.textContent))]))"""
NUMBERS = """
    return Object.fromEntries([...document.querySelectorAll('[data-answer] div')].map((row) =>
        [row.querySelector('dt').textContent, row.querySelector('dd').textContent]))"""


def tried(page: Page, name: str, call: dict[str, Any], part: str = "[data-answer] dd") -> Page:
    """Open a call in Try and wait for its answer, or for what is told of it."""
    page.open(f"/try#{name}={quote(json.dumps(call))}")
    page.until(lambda: page.text(part) not in ("", "None"), part)
    return page


def sheets(page: Page) -> dict[str, list[list[str]]]:
    return page.browser.execute_script(SHEETS)


def numbers(page: Page) -> dict[str, str]:
    return page.browser.execute_script(NUMBERS)


def focus(page: Page, selector: str) -> None:
    page.browser.execute_script("document.querySelector(arguments[0]).focus({focusVisible: true})", selector)


@pytest.mark.parametrize(
    ("name", "typed", "sent"), [("delta", "5", 5), ("denominator", "2", 2), ("axis", "0", 0)]
)
def test_an_option_is_typed(page: Page, name: str, typed: str, sent: int) -> None:
    tried(page, "huber", {})
    focus(page, f'[data-options] [data-at="{name}"]')
    page.press(Keys.END, *[Keys.BACKSPACE] * 3, typed)
    page.until(lambda: f'"{name}": {sent}' in page.text("[data-code=curl]"), f"{name} in the call")


def test_an_option_is_ticked_and_an_array_added_by_keyboard(page: Page) -> None:
    tried(page, "huber", {})
    focus(page, '[data-at="hessian"]')
    page.press(Keys.SPACE)
    page.until(lambda: "curvature" in sheets(page), "a curvature")
    for key in (Keys.ENTER, Keys.SPACE):
        focus(page, '[data-at="with-mask"]')
        page.press(key)
        page.until(lambda: page.all('[data-at="mask[0]"]'), "a mask")
        page.press(Keys.ENTER)
        page.until(lambda: not page.all('[data-at="mask[0]"]'), "no mask: the focus is still on the button")


def test_tab_leaves_an_option_in_both_directions(page: Page) -> None:
    tried(page, "huber", {})
    focus(page, '[data-at="delta"]')
    at = "return document.activeElement.dataset.at"
    page.press(Keys.TAB)
    assert page.browser.execute_script(at) == "reduction"
    ActionChains(page.browser).key_down(Keys.SHIFT).send_keys(Keys.TAB).key_up(Keys.SHIFT).perform()
    assert page.browser.execute_script(at) == "delta"


@pytest.mark.parametrize(
    "path", ["/", "/try", "/compare", *(f"/losses/{name}" for name in ("huber", "giou", "ctc"))]
)
def test_no_control_keeps_a_key_that_is_not_its_own(page: Page, path: str) -> None:
    page.open(path)
    page.until(lambda: page.browser.execute_script("return document.readyState === 'complete'"), "the page")
    page.until(lambda: path != "/try" or page.all("[data-options] .tip"), "the options")
    assert page.browser.execute_script(CANCELLED, ["Tab", "5", "x", "Shift", "F5"]) == []


def test_an_axis_gives_a_value_for_each_row(page: Page) -> None:
    tried(page, "mse", {**ROWS, "axis": 1}, ".results")
    found = sheets(page)
    assert found["mean"] == [["4.667"], ["25.67"]]
    assert found["sum"] == [["14"], ["77"]]
    assert found["denominator"] == [["3"], ["3"]]
    assert list(numbers(page)) == ["count", "took"]


@pytest.mark.parametrize("name", ["mse", "huber", "bce_with_logits", "cross_entropy", "rank_ndcg", "cox"])
def test_a_boosting_objective_has_a_sum_and_its_derivatives(page: Page, name: str) -> None:
    tried(page, name, {"convention": "gbm"})
    call = {**LOSSES[name].example.call, "convention": "gbm", "gradient": True}
    answer = httpx.post(f"{page.url}/v1/losses/{name}", json=call).json()
    assert float(numbers(page)["sum"].replace("−", "-")) == pytest.approx(answer["loss"]["sum"], rel=1e-3)
    for label, part in (("gradient", "gradient"), ("curvature", "hessian")):
        (array,) = answer[part]["sum"].values()
        shown = [float(x.replace("−", "-")) for row in sheets(page)[label] for x in row]
        assert shown == pytest.approx(np.ravel(array).tolist(), rel=1e-3)
    page.one('[data-at="with-mask"]').click()
    page.until(
        lambda: page.all('[data-argument="mask"]') and page.text("[data-problem]") == "",
        "a mask without an error",
    )
    assert "NaN" not in str(sheets(page))


@pytest.mark.parametrize("more", [{"dtype": "complex64"}, {}])
def test_complex_gradients_have_both_parts(page: Page, more: dict[str, str]) -> None:
    tried(page, "l1", {"input": COMPLEX, "target": [0, 0], "reduction": "sum", **more})
    # |3 - 4i| = 5, with the derivative along its own direction.
    assert sheets(page)["gradient"] == [["0.6 − 0.8i"], ["1 + 0i"]]
    assert numbers(page)["sum"] == "5.5"


def test_several_reductions_of_a_link_are_all_shown(page: Page) -> None:
    tried(page, "huber", {**ROWS, "reduction": ["none", "mean"], "hessian": True})
    assert numbers(page)["mean"] == "3"
    assert {"loss", "gradient under none", "gradient under mean", "curvature under mean"} <= set(sheets(page))
    assert page.one('[data-at="reduction"]').get_attribute("value") == '["none","mean"]'
    assert page.text("[data-problem]") == ""


@pytest.mark.parametrize(
    ("reduction", "place"), [("median", "reduction"), (["sum", "median"], "reduction[1]")]
)
def test_a_wrong_reduction_is_named_where_it_was_written(page: Page, reduction: object, place: str) -> None:
    tried(page, "huber", {**ROWS, "reduction": reduction}, "[data-problem]")
    assert page.text("[data-problem]").startswith(f"{place} should be")


def test_gradients_that_a_link_names_are_shown(page: Page) -> None:
    tried(page, "huber", {**ROWS, "gradient": ["input", "delta"], "hvp": ROWS["input"]})
    assert sheets(page)["∂ delta"] == [["2.5"]]
    assert "Hessian times direction" in sheets(page)


def test_an_answer_in_base64_is_read(page: Page) -> None:
    tried(page, "mse", {**ROWS, "encoding": "base64"})
    assert sheets(page)["loss"] == [["1", "4", "9"], ["16", "25", "36"]]
    assert '"encoding": "base64"' in page.text("[data-code=curl]")


def test_a_warning_of_the_answer_is_shown(page: Page) -> None:
    tried(page, "mse", {**ROWS, "size_average": False})
    assert "use reduction" in page.text("[data-problem]")
    assert numbers(page)["sum"] == "91"


def test_an_edit_stays_when_a_row_is_added(page: Page) -> None:
    tried(page, "mse", {"input": [1, 2], "target": [0, 0]})
    page.set('[data-at="input[0]"]', "7")
    page.one('[data-at="add-row"]').click()
    page.until(lambda: '"input": [7, 2, 2]' in page.text("[data-code=curl]"), "the edit and the row")


@pytest.mark.parametrize("name", ["barlow_twins", "td_lambda", "ctc", "crf", "nt_xent"])
def test_every_button_of_the_page_gives_an_answer(page: Page, name: str) -> None:
    buttons = "return [...document.querySelectorAll('[data-tools] button:enabled')].map((b) => b.dataset.at)"
    for at in tried(page, name, {}).browser.execute_script(buttons)[:-1]:
        before = tried(page, name, {}).text("[data-code=curl]")
        page.one(f'[data-at="{at}"]').click()
        page.until(lambda b=before: page.text("[data-code=curl]") != b, at)
        page.until(lambda: not page.all(".results:empty, .results.stale"), at)
        assert page.text("[data-problem]") == ""


@pytest.mark.parametrize(
    "array",
    [COMPLEX, {"dtype": "float64", "shape": [2], "data": pybase64.b64encode(np.array([3.0, 0.5])).decode()}],
)
def test_an_array_that_is_no_list_is_shown_as_it_is_written(page: Page, array: dict[str, Any]) -> None:
    tried(page, "l1", {"input": array, "target": [0, 0]})
    area = page.one('[data-argument="input"] textarea')
    assert json.loads(area.get_attribute("value") or "") == array
    page.one('[data-at="with-mask"]').click()
    page.until(lambda: page.all('[data-at="mask[1]"]'), "a mask")
    page.one('[data-at="with-weight"]').click()
    page.until(lambda: page.all('[data-at="weight[1]"]'), "a weight")
    page.until(lambda: page.text("[data-problem]") == "", "an answer")
    assert not page.all('[data-at="add-row"]')
    page.set('[data-argument="input"] textarea', json.dumps({"real": [1, 2], "imag": [0, 0]}))
    page.until(lambda: numbers(page)["sum"] == "3", "another answer")


@pytest.mark.parametrize("typed", ["[0", "[1, ", "[0, 1]x"])
@pytest.mark.parametrize("name", ["axis", "delta"])
def test_a_list_that_is_still_being_typed_is_refused_by_its_name(page: Page, name: str, typed: str) -> None:
    tried(page, "huber", ROWS)
    page.set(f'[data-options] [data-at="{name}"]', typed)
    page.until(lambda: page.text("[data-problem]").startswith(f"{name} should be"), "a refusal")
    page.set(f'[data-options] [data-at="{name}"]', "1")
    page.until(lambda: page.text("[data-problem]") == "", "an answer")
    assert page.severe() == []


@pytest.mark.parametrize(
    ("name", "call", "cell", "typed", "problem"),
    [
        ("mse", {"input": [1, 2], "target": [0, 0], "mask": [True, True]}, "mask[0]", "0", ""),
        ("mse", {"input": [1, 2], "target": [0, 0], "mask": [True, True]}, "mask[0]", "2", "mask[0] should"),
        ("mse", {"input": [1, 2], "target": [0, 0]}, "input[0]", "true", "input[0] should"),
        ("cox", {}, "events[0]", "0", ""),
    ],
)
def test_a_cell_of_another_kind_than_its_neighbours_is_the_one_that_is_named(
    page: Page, name: str, call: dict[str, Any], cell: str, typed: str, problem: str
) -> None:
    tried(page, name, call)
    page.set(f'[data-at="{cell}"]', typed)
    sent = f"{cell.partition('[')[0]}"
    page.until(
        lambda: (
            f'"{sent}": [{"false" if not problem else json.dumps(typed)}' in page.text("[data-code=curl]")
        ),
        "the call",
    )
    if problem:
        page.until(lambda: page.text("[data-problem]").startswith(problem), problem)
    assert page.text("[data-problem]").startswith(problem)


def test_long_arrays_are_cut_behind_a_number_and_say_so(page: Page, tmp_path: Path) -> None:
    many = [round(x, 6) for x in np.random.default_rng(1).normal(size=10_000).tolist()]
    tried(page, "mse", {"input": many, "target": many[::-1]})
    area = page.one(".results textarea")
    caption = page.one(".results figcaption").text
    shown, cut = str(area.get_attribute("value")).split(", …")
    assert cut == ""
    values = json.loads(f"{shown}]")
    assert values == pytest.approx(
        [(a - b) ** 2 for a, b in zip(many, many[::-1], strict=True)][: len(values)]
    )
    assert caption == f"loss: the first {len(values)} of 10000 numbers"


@pytest.mark.parametrize(
    "more",
    [
        {"hessian": True, "convention": "gbm"},
        {"reduction": ["none", "sum"], "mask": [[True, False, True], [True, True, True]]},
        {"reduction": "none", "upstream": ROWS["input"], "encoding": "base64"},
        {"axis": 1, "hvp.input": ROWS["input"], "sample_weight": ROWS["input"]},
        {"hvp": ROWS["input"], "hvp.target": ROWS["target"], "reduction": ["mean", "mean", "sum"]},
    ],
)
def test_programs_of_a_call_with_options_are_those_of_the_server(page: Page, more: dict[str, Any]) -> None:
    tried(page, "huber", {**ROWS, **more}, ".results figcaption")
    for snippet in snippets(LOSSES["huber"], {**ROWS, **more}, url=page.url):
        written = Markup(snippet.code).unescape()
        place = f'[data-code="{snippet.language}"]'
        page.until(lambda w=written, p=place: page.text(p) == w, written)


@pytest.mark.parametrize("language", ["curl", "Open Inference"])
def test_a_copied_curl_of_long_arrays_runs(page: Page, tmp_path: Path, language: str) -> None:
    many = [round(x, 6) for x in np.random.default_rng(1).normal(size=10_000).tolist()]
    tried(page, "mse", {"input": many, "target": [0] * len(many)})
    file = tmp_path / "call.sh"
    file.write_text(page.text(f'[data-code="{language}"]'))
    assert file.stat().st_size > 100_000
    done = subprocess.run(["sh", file], capture_output=True, check=False, timeout=PATIENCE_SECONDS)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    mean = answer["loss"]["mean"] if language == "curl" else answer["outputs"][0]["data"][0]
    assert mean == pytest.approx(np.mean(np.square(many)))
