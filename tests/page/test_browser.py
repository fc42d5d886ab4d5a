"""The pages as a person uses them, in a browser: with a mouse, with a keyboard alone, without a network."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import httpx
import numpy as np
import pytest
from markupsafe import Markup
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webdriver import WebDriver

from lossd.access.keys import write_entry
from lossd.declaration.alias import NOT_OFFERED
from lossd.losses import LOSSES, near
from lossd.losses.suggestions import COMMON_NAMES
from lossd.page.numbers import shown
from lossd.page.pages import posted
from lossd.page.snippets import snippets
from tests.api.browser import WIDE, barriers, shown_as
from tests.api.serving import PATIENCE_SECONDS, Served, serve
from tests.page.open_page import Page

pytestmark = pytest.mark.slow

NARROW = 360
MISSING = "/losses/nope"
KEY = "lossd_somebody_0123456789"
# One of every kind of picture.
KINDS = (
    "huber",
    "cross_entropy",
    "multilabel_margin",
    "nt_xent",
    "giou",
    "ctc",
    "crf",
    "rank_ndcg",
    "td_lambda",
)


DROP = """
    const bytes = new Uint8Array(arguments[1]);
    const transfer = new DataTransfer(); transfer.items.add(new File([bytes], arguments[0]));
    document.querySelector('[data-argument=input]').dispatchEvent(
        new DragEvent('drop', {dataTransfer: transfer, bubbles: true, cancelable: true}))"""
PASTE = """
    const transfer = new DataTransfer(); transfer.setData('text', arguments[1]);
    document.querySelector(`[data-at="${arguments[0]}[0]"]`).dispatchEvent(
        new ClipboardEvent('paste', {clipboardData: transfer, bubbles: true, cancelable: true}))"""


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Return a server that knows one key."""
    folder = tmp_path_factory.mktemp("guarded")
    keys = folder / "keys.toml"
    keys.write_text(write_entry("somebody", KEY, ["evaluate", "catalogue"]))
    with serve(folder, LOSSD_AUTH="keys", LOSSD_KEYS_FILE=str(keys)) as running:
        yield running


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Return a server that takes few numbers at a time: those of the example of `mse`, and two more."""
    with serve(tmp_path_factory.mktemp("small"), LOSSD_MAX_ELEMENTS="10") as running:
        yield running


def drawn(page: Page) -> bool:
    return page.text("[data-live]") not in ("", "None") and page.text("[data-read=value]") not in (
        "",
        "–",
        "None",
    )


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("BCEWithLogitsLoss", "bce_with_logits"),
        ("reg:squarederror", "mse"),
        ("keras.losses.Huber", "huber"),
        ("outlier", "cauchy"),
        ("SupCon", "supcon"),
        ("bce log", "bce_with_logits"),
        ("logits bce", "bce_with_logits"),
        ("label smoothing", "cross_entropy"),
        ("cros entropy", "cross_entropy"),
    ],
)
def test_a_loss_is_found_by_any_name_that_someone_may_know(page: Page, query: str, found: str) -> None:
    page.open("/")
    page.one("#q").send_keys(query)
    shown = (
        "return [...document.querySelectorAll('.cards li')].filter((card) => !card.hidden)"
        ".map((card) => card.querySelector('strong').textContent)"
    )
    page.until(lambda: found in page.browser.execute_script(shown), f"{found} for {query}")
    assert len(page.browser.execute_script(shown)) < 8
    assert page.severe() == []


@pytest.mark.parametrize(("name", "meant"), COMMON_NAMES.items())
def test_a_loss_is_found_by_what_people_call_it(page: Page, name: str, meant: str) -> None:
    for query in (name, f"{name.upper()} loss"):
        page.open("/")
        page.set("#q", query)
        page.until(lambda: " of " in page.text("[data-count]"), "what was found")
        assert page.one(f'.cards a[href$="/{meant}"]').is_displayed()
        page.one("#q").send_keys(Keys.ENTER)
        page.until(lambda: page.browser.current_url == f"{page.url}/losses/{meant}", meant)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("hubr", {"huber", "pseudo_huber"}),
        ("hubre", {"huber", "pseudo_huber"}),
        ("crss entropy", {"cross_entropy", "bce", "bce_with_logits", "ranking_softmax", "sigmoid_focal"}),
        ("crosentropyloss", {"cross_entropy"}),
        ("keras.losses.Hubber", {"huber", "pseudo_huber"}),
        ("tripplet", {"triplet_margin", "triplet_margin_with_distance"}),
        ("zzzzz", set()),
    ],
)
def test_a_misspelt_name_is_found(page: Page, query: str, found: set[str]) -> None:
    page.open("/")
    page.set("#q", query)
    shown = (
        "return [...document.querySelectorAll('.cards li')].filter((card) => !card.hidden)"
        ".map((card) => card.querySelector('strong').textContent)"
    )
    page.until(lambda: " of " in page.text("[data-count]"), "what was found")
    names = set(page.browser.execute_script(shown))
    assert found <= names
    assert len(names) <= len(found) + 2
    assert page.one(".none").is_displayed() == (not found)


def test_what_is_spelt_right_finds_nothing_that_is_spelt_alike(page: Page) -> None:
    page.open("/")
    page.set("#q", "hinge")
    page.until(lambda: " of " in page.text("[data-count]"), "what was found")
    shown = (
        "return [...document.querySelectorAll('.cards li:not([hidden])')]"
        ".map((card) => card.dataset.names + card.dataset.text)"
    )
    assert all("hinge" in text.lower() for text in page.browser.execute_script(shown))
    assert "alike" not in page.text("[data-count]")


FOUND = (
    "return [...document.querySelectorAll('.cards li:not([hidden]) strong')].map((name) => name.textContent)"
)


@pytest.mark.parametrize("name", NOT_OFFERED)
def test_a_name_that_is_not_offered_is_explained(page: Page, name: str) -> None:
    page.open("/")
    page.set("#q", name)
    page.until(lambda: " of " in page.text("[data-count]"), "what was found")
    (told,) = [each for each in page.all(".meant") if each.is_displayed()]
    assert told.text == f"No loss is named {name}: that name {NOT_OFFERED[name].replace('`', '')}."
    meant = near(name)[0]
    assert meant in page.browser.execute_script(FOUND)
    assert not page.one(".none").is_displayed()
    page.set("#q", "huber")
    page.until(lambda: not any(each.is_displayed() for each in page.all(".meant")), "no explanation")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("survival:cox", ["cox"]),
        ("BinaryCrossentropy(from_logits=True)", ["bce", "bce_with_logits"]),
        ("keras.losses.CategoricalCrossentropy(from_logits=True)", ["cross_entropy"]),
        ("multi_margin(p=2.0)", ["multi_margin"]),
        ("optax.squared_error", ["mse"]),
        ("損失", []),
        ("???", []),
    ],
)
def test_a_search_finds_what_a_call_or_an_objective_names(page: Page, query: str, found: list[str]) -> None:
    page.open("/")
    page.set("#q", query)
    page.until(lambda: " of " in page.text("[data-count]"), "what was found")
    assert [name for name in page.browser.execute_script(FOUND) if name != "pseudo_huber"] == found
    assert page.one(".none").is_displayed() == (not found)
    assert not any(each.is_displayed() for each in page.all(".meant"))


def test_an_axis_has_two_ticks_at_least(page: Page) -> None:
    page.open("/losses/mse")
    rng = np.random.default_rng(1)
    spans = [[-8.48, 8.48, 2.75], [-0.9, 0.9, 2], [0, 0.2, 2]]
    spans += [[x, x + 10**y, z] for x, y, z in rng.uniform([-9, -3, 2], [9, 3, 9], (500, 3)).tolist()]
    source = page.browser.execute_script("return document.querySelector('link[href$=\"plot.js\"]').href")
    counts = page.browser.execute_async_script(
        "const [source, spans, done] = arguments;"
        "import(source).then(({ticks}) => done(spans.map((span) => ticks(...span).length)))",
        source,
        spans,
    )
    assert min(counts) >= 2
    assert max(counts) <= 12


@pytest.mark.parametrize("name", [name for name, loss in LOSSES.items() if loss.picture.kind == "lattice"])
def test_labels_that_are_typed_are_no_error_of_the_page(page: Page, name: str) -> None:
    page.open(f"/losses/{name}")
    page.until(lambda: drawn(page), "an answer")
    before = page.text("[data-read=value]")
    page.set(".labels input", "")
    expected = "expected" if name == "crf" else "answered"  # a tag for each step; no label is a word too
    page.until(
        lambda: page.text("[data-read=value]") != before or expected in page.text("[data-live]"), "none"
    )
    page.until(lambda: expected in page.text("[data-live]"), "what is said of none")
    page.set(".labels input", "99")
    page.until(
        lambda: "expected" in (said := page.text("[data-live]")) and "got 0 - at" not in said,
        "a refusal of 99",
    )
    assert page.severe() == []


def test_a_search_goes_through_the_names_of_frameworks(page: Page) -> None:
    shown = (
        "return [...document.querySelectorAll('#frameworks tbody tr')].filter((row) => row.checkVisibility())"
        ".map((row) => row.closest('details').dataset.framework + ' ' + row.cells[0].textContent)"
    )
    page.open("/")
    page.set("#q", "keras huber")
    page.until(lambda: page.browser.execute_script(shown) == ["Keras Huber"], "the name")
    page.set("#q", "zzz")
    page.until(lambda: not page.one("#frameworks").is_displayed(), "no name")
    page.set("#q", "")
    page.until(lambda: page.one("#frameworks").is_displayed(), "every framework")
    assert page.browser.execute_script(shown) == []
    assert page.severe() == []


@pytest.mark.parametrize(("query", "opened"), [("huber", "huber"), ("label smoothing", "")])
def test_enter_opens_the_loss_of_that_name_or_the_first_one(page: Page, query: str, opened: str) -> None:
    page.open("/")
    page.set("#q", query)
    page.until(lambda: " of " in page.text("[data-count]"), "what was found")
    first = page.browser.execute_script("return document.querySelector('.cards li:not([hidden]) a').pathname")
    page.one("#q").send_keys(Keys.ENTER)
    wanted = f"/losses/{opened}" if opened else first
    page.until(lambda: page.browser.current_url == page.url + wanted, wanted)


def test_arrow_keys_go_from_the_search_to_what_it_found(page: Page) -> None:
    page.open("/")
    page.set("#q", "huber")
    page.until(lambda: " of " in page.text("[data-count]"), "what was found")
    page.one("#q").send_keys(Keys.ARROW_DOWN)
    first = "return document.activeElement === document.querySelector('.cards li:not([hidden]) a')"
    assert page.browser.execute_script(first)
    page.press(Keys.ARROW_UP)
    assert page.browser.execute_script("return document.activeElement.id") == "q"


def test_the_first_answer_has_the_form_of_the_servers(page: Page) -> None:
    page.open("/")
    page.until(lambda: page.text("[data-wire=status]") == "200", "an answer")
    shown = page.text(".wire pre + pre").partition("\n")[2]
    body = {"input": [0.7], "target": [0], "gradient": True}
    answer = httpx.post(f"{page.url}/v1/losses/huber", json=body).json()
    assert json.loads(shown) == {**answer, "loss": {"mean": pytest.approx(answer["loss"]["mean"])}}


def test_the_numbers_to_change_have_the_settings_of_the_sliders(page: Page) -> None:
    page.open("/losses/huber")
    page.until(lambda: drawn(page), "an answer")
    assert "delta is 1" in " ".join(page.text(".sum").split())
    page.set("#set-delta", 0.2)
    chosen = page.number("[data-setting=delta] output")
    assert chosen != 1
    address = unquote(str(page.one("[data-change]").get_attribute("href")))
    body = json.loads(address.partition("#huber=")[2])
    assert body["delta"] == chosen
    assert body["input"] == LOSSES["huber"].example.call["input"]


@pytest.mark.parametrize("name", LOSSES)
def test_the_picture_of_every_loss_is_drawn(page: Page, name: str) -> None:
    page.open(f"/losses/{name}")
    page.until(lambda: drawn(page), "an answer")
    assert np.isfinite(page.number("[data-read=value]"))
    needed, given = page.browser.execute_script(
        "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert needed <= given
    assert page.severe() == []


def test_a_slider_moves_the_curve_the_edges_and_the_call(page: Page) -> None:
    page.open("/losses/huber")
    page.until(lambda: drawn(page), "an answer")
    before = page.one(".line.value").get_attribute("d")
    page.set("#set-delta", 0.3)  # a power of ten: about 2
    page.until(lambda: page.number("[data-at=delta] td:nth-of-type(1)") > 1.9, "the edge at delta")
    delta = page.number("[data-setting=delta] output")
    assert page.one(".line.value").get_attribute("d") != before
    assert page.number("[data-at=delta] td:nth-of-type(2)") == pytest.approx(delta**2 / 2, rel=1e-3)
    assert f'"delta": {delta:g}' in page.text("#call code")


def test_what_is_read_out_is_what_the_service_computes(page: Page) -> None:
    page.open("/losses/huber")
    page.until(lambda: drawn(page), "an answer")
    plot = page.one("svg[role=slider]")
    plot.send_keys(Keys.END)
    page.until(lambda: page.number("[data-read=at]") == 4, "the end of the axis")
    assert (page.number("[data-read=value]"), page.number("[data-read=gradient]")) == (3.5, 1)
    assert page.number('[data-at="1000000.0"] td:nth-of-type(2)') == 999999.5


def test_the_script_writes_numbers_as_the_server_does(page: Page) -> None:
    rng = np.random.default_rng(1)
    ties = [
        -1.3125,
        2254.5,
        43165.0,
        0.5,
        999999.5,
        1e6,
        1e5,
        99999.5,
        0.99999949,
        5e-324,
        1.7e308,
        1e-4,
        0.0,
    ]
    numbers = [*ties, *(rng.normal(size=500) * 10.0 ** rng.integers(-12, 13, 500)).tolist()]
    page.open("/")
    source = page.browser.execute_script("return document.querySelector('link[href$=\"api.js\"]').href")
    written = page.browser.execute_async_script(
        "const [source, numbers, done] = arguments;"
        "import(source).then(({show}) => done(numbers.map((x) => show(Number(x)))))",
        source,
        list(map(repr, numbers)),
    )
    assert written == [shown(number) for number in numbers]


def test_a_point_is_dragged(page: Page) -> None:
    page.open("/losses/triplet_margin")
    page.until(lambda: drawn(page), "an answer")
    before = page.number("[data-read=value]")
    negative = page.one("[aria-label='negative 0']")
    ActionChains(page.browser).drag_and_drop_by_offset(negative, 0, 60).perform()
    page.until(lambda: page.number("[data-read=value]") != before, "another loss")


def test_a_box_follows_the_pointer_in_small_steps(page: Page) -> None:
    page.open("/losses/giou")
    page.until(lambda: drawn(page), "an answer")
    before = float(page.one("rect.box0").get_attribute("x") or "nan")
    chain = ActionChains(page.browser, duration=0).click_and_hold(page.one("rect.box0"))
    for _ in range(200):
        chain.move_by_offset(1, 0)
    chain.release().perform()
    page.until(
        lambda: abs(float(page.one("rect.box0").get_attribute("x") or "nan") - before - 200) < 0.01,
        "200 pixels to the right",
    )


@pytest.mark.parametrize("width", [NARROW, WIDE[0]])
@pytest.mark.parametrize("key", [Keys.ARROW_LEFT, Keys.ARROW_RIGHT, Keys.ARROW_UP, Keys.ARROW_DOWN])
@pytest.mark.parametrize("part", ["rect.box1", "circle.box1"])
def test_a_box_stays_within_the_picture(page: Page, width: int, key: str, part: str) -> None:
    page.resize(width)
    page.open("/losses/giou")
    page.until(lambda: drawn(page), "an answer")
    page.browser.execute_script("document.querySelector(arguments[0]).focus()", part)
    page.press(*[key] * 100)
    over = (
        "const {left, right, top, bottom} = document.querySelector('[data-picture] svg').getBoundingClientRect();"
        "return ['rect.box1', 'circle.box1'].map((part) => document.querySelector(part).getBoundingClientRect())"
        ".map((box) => Math.max(left - box.left, box.right - right, top - box.top, box.bottom - bottom))"
    )
    page.until(lambda: "answered" in page.text("[data-live]"), "an answer")
    assert max(page.browser.execute_script(over)) <= 1.5  # half a stroke


def test_a_bar_and_the_true_class_are_changed(page: Page) -> None:
    page.open("/losses/cross_entropy")
    page.until(lambda: drawn(page), "an answer")
    page.set(".class:nth-of-type(2) input[type=range]", 4)
    page.until(lambda: page.number("[data-read=value]") < 0.4, "a confident true class")
    page.browser.execute_script("document.querySelectorAll('.class input[type=radio]')[1].click()")
    page.until(lambda: page.number("[data-read=value]") > 1, "another true class")


def test_an_error_is_shown_in_the_very_cell(page: Page) -> None:
    page.open('/try#bce={"input":[0.5,0.25],"target":[1,0]}')
    page.until(lambda: page.text("[data-answer]"), "an answer")
    page.set('[data-at="input[1]"]', "1.5")
    page.until(lambda: page.all("[aria-invalid=true]"), "a fault")
    (wrong,) = page.all("[aria-invalid=true]")
    assert wrong.get_attribute("data-at") == "input[1]"
    assert page.text("[data-problem]") == "input[1] should be numbers in [0, 1]; it is 1.5. "
    page.set('[data-at="input[1]"]', "0.75")
    page.until(lambda: not page.all("[aria-invalid=true]"), "no fault")


def test_what_is_typed_counts_as_a_batch_of_one(page: Page) -> None:
    def count(metric: str) -> float:
        lines = httpx.get(f"{page.url}/metrics").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"lossd_{metric}"))

    refused = 'batched_calls_total{loss="log_cosh",status="422"}'
    batches = 'requests_total{format="none",loss="none",method="POST",route="/v1/batch",status="200"}'
    alone = 'requests_total{format="json",loss="log_cosh"'
    before = {metric: count(metric) for metric in (refused, batches, alone)}
    page.open('/try#log_cosh={"input":["x"],"target":[1]}')
    page.until(lambda: page.text("[data-problem]"), "a refusal")
    page.until(lambda: count(refused) > before[refused], "the call's own status")
    assert count(batches) > before[batches]
    assert count(alone) == before[alone]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"target": [1, 0, 1]}, "shape"),
        ({"input": [[0.5], [0.5, 0.5]]}, "input[1] should be"),
        ({"input": ["0,5", 0.25]}, "input[0] should be a number"),
        ({"input": [], "target": []}, "reduction should be something to average"),
        ({"input": None}, "input should be"),
        ({"reduction": "median"}, "reduction should be"),
        ({"target": "calls[0].x"}, 'it is the string "calls[0].x".'),
    ],
)
def test_a_call_that_is_refused_is_no_error_of_the_page(
    page: Page, change: dict[str, object], problem: str
) -> None:
    body = {"input": [0.5, 0.25], "target": [1, 0], **change}
    page.open(f"/try#bce={json.dumps(body)}")
    page.until(lambda: problem in page.text("[data-problem]"), problem)
    assert page.text("[data-problem]").startswith((*body, "reduction"))
    assert page.severe() == []


@pytest.mark.parametrize(
    ("address", "loss", "problem"),
    [
        ("huber={}", "huber", ""),
        ("huber=[]", "huber", ""),
        ("huber=5", "huber", ""),
        ("huber=%", "huber", ""),
        ('bce={"reduction":"sum"}', "bce", ""),
        ('bce={"reducton":"sum"}', "bce", "reducton should be"),
        ("reg:squarederror", "mse", ""),
    ],
)
def test_an_address_without_arrays_has_those_of_the_example(
    page: Page, address: str, loss: str, problem: str
) -> None:
    page.open(f"/try#{address}")
    page.until(lambda: page.text("[data-problem]" if problem else "[data-answer]"), "an answer")
    assert page.one("#which").get_attribute("value") == loss
    assert page.text("[data-problem]").startswith(problem)
    first = LOSSES[loss].example.call["input"][0]
    assert float(page.one('[data-at="input[0]"]').get_attribute("value") or "nan") == first
    assert page.severe() == []


def test_an_address_of_no_loss_is_told(page: Page) -> None:
    page.open("/try#hubr")
    page.until(lambda: "did you mean huber" in page.text("[data-problem]"), "what is wrong")
    assert page.one("#which").get_attribute("value") == ""
    assert [entry.rpartition(" - ")[2] for entry in page.severe()] == [
        "Failed to load resource: the server responded with a status of 404 (Not Found)"
    ]


def test_a_number_typed_beside_a_bar_is_no_error_of_the_page(page: Page) -> None:
    page.open("/losses/rank_ndcg")
    page.until(lambda: drawn(page), "an answer")
    field = ".bars input[type=number]"
    for typed in ("", "-1"):
        page.set(field, typed)
        page.until(lambda: "expected" in page.text("[data-live]"), "a refusal")
        assert "calls[" not in page.text("[data-live]")
        page.set(field, "1")
        page.until(lambda: "answered" in page.text("[data-live]"), "an answer")
    assert page.severe() == []


def test_the_address_holds_the_call(page: Page) -> None:
    page.open("/try#huber")
    page.until(lambda: page.text("[data-answer]"), "an answer")
    page.set('[data-at="input[0]"]', "7")
    page.until(lambda: '"input":[7' in unquote(page.browser.current_url), "the call in the address")
    address = page.browser.current_url.removeprefix(page.url)
    answer = page.text("[data-answer] dd")
    page.open(address)
    page.until(lambda: page.text("[data-answer] dd") not in ("", "None"), "an answer")
    assert page.one('[data-at="input[0]"]').get_attribute("value") == "7"
    assert page.text("[data-answer] dd") != ""
    assert answer != ""


@pytest.mark.parametrize("width", [NARROW, WIDE[0]])
def test_every_option_says_what_it_means_under_the_focus(page: Page, width: int) -> None:
    page.resize(width)
    page.open("/try#huber")
    page.until(lambda: page.text("[data-answer]"), "an answer")
    told = httpx.get(f"{page.url}/v1/losses/huber").json()
    known = {**told["settings"], **told["options"]}
    tips = page.all(".tipped > .tip")
    assert len(tips) > 10
    assert not any(tip.is_displayed() for tip in tips)
    for tip in tips:
        name = str(tip.get_attribute("id")).removeprefix("tip-").removeprefix("with-")
        assert tip.get_attribute("textContent") == known[name]["description"].replace("`", "")
        control = page.one(f'[aria-describedby="{tip.get_attribute("id")}"]')
        page.browser.execute_script("arguments[0].focus({focusVisible: true})", control)
        page.until(tip.is_displayed, name)
        box = tip.rect
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
    page.press(Keys.ESCAPE)
    page.until(lambda: not tips[-1].is_displayed(), "no tip after Escape")


def test_an_array_is_pasted_as_numpy_prints_it(page: Page) -> None:
    page.open("/try#mse")
    page.until(lambda: page.text("[data-answer]"), "an answer")
    page.browser.execute_script(PASTE, "input", "array([[1., 2.5],\n       [nan, -inf]])")
    page.until(lambda: page.all('[data-at="input[1][0]"]'), "two rows")
    assert page.one('[data-at="input[1][0]"]').get_attribute("value") == "NaN"
    assert page.one('[data-at="input[1][1]"]').get_attribute("value") == "-Infinity"


def test_how_an_array_was_read_is_said_beside_it(page: Page) -> None:
    page.open("/try#mse")
    page.until(lambda: page.text("[data-answer]"), "an answer")
    page.browser.execute_script(PASTE, "input", ",a,b\n0,1.5,2\n1,4,5\n")
    page.until(lambda: page.all(".reading"), "how it was read")
    said = "2 rows × 2 columns; header left out: a, b; index left out"
    assert page.text("[data-argument=input] .reading") == said
    page.browser.execute_script(PASTE, "input[0]", "1\t\t3")
    page.until(lambda: page.one("[data-problem]").is_displayed(), "a refusal")
    page.until(lambda: "got an empty cell - at row 1, column 2" in page.text("[data-problem]"), "its place")
    assert page.text("[data-argument=input] .reading") == said


def test_a_weight_and_a_mask_are_added(page: Page) -> None:
    page.open("/try#mse")
    page.until(lambda: page.text("[data-answer]"), "an answer")
    for name in ("sample_weight", "mask"):
        page.browser.execute_script(
            "[...document.querySelectorAll('[data-tools] button')].find((b) => b.textContent === arguments[0]).click()",
            f"with {name}",
        )
    page.set('[data-at="mask[1]"]', "false")
    page.until(lambda: page.number("[data-answer] div:nth-child(3) dd") == 3, "three of four values")
    page.until(
        lambda: '"datatype": "BOOL"' in page.text('[data-code="Open Inference"]'), "the mask as an input"
    )
    assert page.severe() == []


@pytest.mark.parametrize("kind", ["npy", "npz", "csv"])
def test_a_file_is_dropped(page: Page, tmp_path: Path, kind: str) -> None:
    values = np.array([[1.5, -2.0], [3.25, np.inf]])
    file = tmp_path / f"input.{kind}"
    if kind == "npy":
        np.save(file, np.asfortranarray(values.astype(np.float32)))
    elif kind == "npz":
        np.savez_compressed(file, input=values, sample_weight=2 * np.ones((2, 2)), other=np.arange(3))
    else:
        file.write_text("a,b\n1.5,-2\n3.25,inf\n")
    page.open("/try#mse")
    page.until(lambda: page.all("[data-argument=input]"), "an array")
    page.browser.execute_script(DROP, file.name, list(file.read_bytes()))
    page.until(lambda: page.all('[data-at="input[1][1]"]'), "two rows")
    shown = [page.one(f'[data-at="input[{r}][{c}]"]').get_attribute("value") for r in (0, 1) for c in (0, 1)]
    assert shown == ["1.5", "-2", "3.25", "Infinity"]
    if kind == "npz":
        assert page.one('[data-at="sample_weight[1][1]"]').get_attribute("value") == "2"


def test_an_array_with_which_the_numbers_are_too_many_is_marked(
    browser: WebDriver, small: Served, tmp_path: Path
) -> None:
    page = Page(browser, small.url).open("/try#mse")
    page.until(lambda: page.text("[data-answer]"), "an answer")
    file = tmp_path / "input.npy"
    np.save(file, np.zeros((2, 4)))
    page.browser.execute_script(DROP, file.name, list(file.read_bytes()))
    page.until(lambda: page.text("[data-problem]"), "what is wrong")
    assert page.text("[data-problem]").startswith("target should be at most 10 elements")
    assert [figure.get_attribute("data-argument") for figure in page.all(".wrong")] == ["target"]


@pytest.mark.parametrize("name", LOSSES)
def test_the_programs_of_try_are_those_of_the_page_of_the_loss(page: Page, name: str) -> None:
    page.open(f"/try#{name}")
    page.until(lambda: len(page.text("[data-code=curl]")) > 10, "a program")
    page.until(lambda: page.text("[data-answer] dd") not in ("", "None"), "an answer")
    for snippet in snippets(LOSSES[name], posted(LOSSES[name]), url=page.url):
        written = Markup(snippet.code).unescape()
        place = f'[data-code="{snippet.language}"]'
        page.until(lambda w=written, p=place: page.text(p) == w, f"{snippet.language}: {written}")


def test_the_copied_curl_runs(page: Page, tmp_path: Path) -> None:
    page.open("/losses/cross_entropy")
    page.until(lambda: drawn(page), "an answer")
    done = subprocess.run(
        ["sh", "-c", page.text("#call code")], capture_output=True, check=True, timeout=PATIENCE_SECONDS
    )
    assert json.loads(done.stdout)["loss"]["mean"] == pytest.approx(1.0177, rel=1e-4)


def test_lines_are_fitted_to_their_known_slopes(page: Page) -> None:
    page.open("/compare")
    page.until(lambda: "160 of 160" in page.text("[data-live]"), "the last step")
    fitted = {
        row.find_element(By.TAG_NAME, "code").text: float(row.find_elements(By.TAG_NAME, "td")[0].text)
        for row in page.all("[data-fits] tr")
    }
    x = np.array([0.4, 1.1, 1.9, 2.6, 3.4, 4.1, 4.9, 5.7, 6.4, 7.2, 7.9, 8.6, 8.2, 9.3])
    noise = np.array([0.3, -0.4, 0.2, 0.5, -0.3, -0.2, 0.4, -0.5, 0.1, 0.3, -0.3, 0.2])
    y = np.append(1.5 + 0.9 * x[:12] + noise, [0.9, 1.4])
    assert fitted["mse"] == pytest.approx(np.polyfit(x, y, 1)[0], abs=0.005)
    assert fitted["huber 10"] == pytest.approx(fitted["mse"], abs=0.01)
    assert fitted["l1"] == pytest.approx(0.82, abs=0.02)  # through two of the points
    assert fitted["mse"] < fitted["huber 1"] < 0.9


def test_lines_are_fitted_before_the_curves_have_come(page: Page) -> None:
    """Hold back what asks for a curvature, as the curves alone do."""
    held = (
        "const real = fetch; window.fetch = (url, options) => "
        "options?.body?.includes('hessian') ? new Promise(() => {}) : real(url, options)"
    )
    script = page.browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": held})
    try:
        page.open("/compare")
        page.until(lambda: len(page.all("[data-scatter] .line:not(.lead)")) == 5, "five lines")
    finally:
        page.browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)


def test_a_loss_is_added_to_the_comparison(page: Page) -> None:
    page.open("/compare")
    page.until(lambda: len(page.all("[data-legend] tr")) == 5, "five losses")
    page.browser.execute_script("document.querySelector('[data-add] button').click()")
    page.until(lambda: len(page.all("[data-fits] tr")) == 6, "six losses")
    assert "cauchy 1" in page.text("[data-legend]")


ADD = """
    const form = document.querySelector('[data-add]'), {loss, value} = form.elements;
    loss.value = arguments[0]; loss.onchange(); value.value = arguments[1]; form.requestSubmit();"""


def test_every_line_that_is_added_looks_different_and_fits_into_the_legend(page: Page) -> None:
    page.resize(WIDE[0])
    page.open("/compare")
    page.until(lambda: page.all("[data-overlay] .plot"), "the curves")
    for i, scale in enumerate(("0.000123456", "2.5", "0.003", "4.75", "0.5", "6", "7", "8", "9")):
        page.browser.execute_script(ADD, "pseudo_huber", scale)
        page.until(lambda rows=6 + i: len(page.all("[data-legend] tr")) == rows, scale)
    looks = page.browser.execute_script(
        "return [...document.querySelectorAll('[data-legend] .line')].map((line) => getComputedStyle(line))"
        ".map(({color, strokeDasharray}) => color + strokeDasharray)"
    )
    assert len(looks) == len(set(looks)) == 14
    legend, column = page.one(".legend"), page.one(".compare .controls")
    assert legend.size["width"] <= column.size["width"]


@pytest.mark.parametrize("typed", ["", "0,5", "-1"])
def test_a_setting_that_is_refused_is_no_error_of_the_page(page: Page, typed: str) -> None:
    page.open("/compare")
    page.until(lambda: "160 of 160" in page.text("[data-live]"), "the last step")
    page.browser.execute_script(ADD, "cauchy", typed)
    page.until(lambda: "expected" in page.text("[data-live]"), "a refusal")
    assert "got number 0" not in page.text("[data-live]")
    assert "calls[" not in page.text("[data-live]")
    assert len(page.all("[data-legend] tr")) == 5
    assert page.severe() == []


def test_a_comparison_goes_on_once_the_key_is_given(browser: WebDriver, guarded: Served) -> None:
    page = Page(browser, guarded.url).open("/compare")
    page.until(lambda: page.all("dialog.access[open]"), "the question")
    page.press(Keys.ESCAPE)
    page.until(lambda: "key" in page.text("[data-live]").lower(), "that a key is missing")
    browser.execute_script("document.querySelector('[data-legend] input').click()")
    page.until(lambda: page.all("dialog.access[open]"), "the question again")
    page.press(Keys.ESCAPE)
    page.until(lambda: not page.all("dialog.access[open]"), "no question")
    browser.execute_script("document.querySelector('[data-run]').click()")
    page.until(lambda: page.all("dialog.access[open]"), "the question once more")
    page.one("dialog.access input").send_keys(KEY, Keys.ENTER)
    page.until(lambda: "160 of 160" in page.text("[data-live]"), "the last step")
    browser.execute_script("document.querySelector('[data-which] [value=gradient]').click()")
    assert len(page.all("[data-overlay] .line")) == 4
    assert "–" not in [cell.text for cell in page.all("[data-legend] td")]
    assert [entry for entry in page.severe() if "401" not in entry] == []


@pytest.mark.parametrize("width", [NARROW, WIDE[0]])
def test_every_fitted_line_has_its_name_beside_it(page: Page, width: int) -> None:
    page.resize(width)
    page.open("/compare")
    page.until(lambda: len(page.all("[data-scatter] .line:not(.lead)")) == 5, "five lines")
    page.browser.execute_script(
        "const chooser = document.querySelector('[data-add] select'); chooser.value = 'pseudo_huber';"
        "chooser.onchange(); document.querySelector('[data-add] button').click()"
    )
    page.until(lambda: "960 calls" in page.text("[data-live]"), "the last step of six losses")
    read = (
        "const figure = document.querySelector(arguments[0]), edge = figure.getBoundingClientRect().right;"
        "return [...figure.querySelectorAll('.end')].map((name) => [name.textContent, "
        "name.previousSibling.getAttribute('class'), edge - name.getBoundingClientRect().right])"
    )
    lines = (
        "return [...document.querySelectorAll('[data-fits] .line')].map((line) => line.getAttribute('class'))"
    )
    names = ["mse", "l1", "huber 0.1", "huber 1", "huber 10", "pseudo_huber 1"]
    expected = dict(zip(names, page.browser.execute_script(lines), strict=True))
    for figure in ("[data-scatter]", "[data-descent]"):
        named = page.browser.execute_script(read, figure)
        assert {name: lead for name, lead, _ in named} == {n: f"{line} lead" for n, line in expected.items()}
        assert min(left for *_, left in named) > 0
        assert overlapping(page, f"{figure} .end") == []


@pytest.mark.parametrize("width", [NARROW, WIDE[0]])
@pytest.mark.parametrize("name", [name for name, loss in LOSSES.items() if loss.picture.kind == "plane"])
def test_names_of_points_do_not_cover_each_other(page: Page, name: str, width: int) -> None:
    page.resize(width)
    page.open(f"/losses/{name}")
    page.until(lambda: drawn(page), "an answer")
    assert overlapping(page, "[data-picture] .end, [data-picture] .point") == []
    if name == "triplet_margin":
        places = (" (0, 0)", " (3, 4)", " (0, 2)") if width > NARROW else ("", "", "")
        names = ("anchor", "positive", "negative")
        shown = {e.text for e in page.all("[data-picture] .end")}
        assert shown == {f"{name}{place}" for name, place in zip(names, places, strict=True)}


def overlapping(page: Page, selector: str) -> list[str]:
    """Return the texts of which two elements cover each other by more than a hair."""
    return page.browser.execute_script(
        "const all = [...document.querySelectorAll(arguments[0])]"
        ".map((e) => [e.textContent, e.getBoundingClientRect()]);"
        "const over = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 "
        "&& Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3;"
        "return all.flatMap(([name, a], i) => all.slice(i + 1).filter(([other, b]) => (name || other) && over(a, b))"
        ".map(([other]) => `${name} and ${other}`))",
        selector,
    )


def test_everything_is_reached_by_keyboard(page: Page) -> None:
    page.open("/losses/huber")
    page.until(lambda: drawn(page), "an answer")
    page.press(Keys.TAB)
    assert page.browser.execute_script("return document.activeElement.className") == "skip"
    page.press("/")
    assert page.focused() == "Find a loss by any name"
    reached = set()
    for _ in range(40):
        page.press(Keys.TAB)
        reached.add(page.focused())
    assert "set-delta" in reached
    assert any("huber: loss" in name for name in reached)
    page.one("#set-delta").send_keys(Keys.ARROW_RIGHT)
    page.until(lambda: page.number("[data-setting=delta] output") > 1, "a larger delta")
    page.one("[role=tab]").send_keys(Keys.ARROW_RIGHT)
    assert page.one("[role=tab][aria-selected=true]").text == "Python"


def test_a_gradient_is_checked_on_the_page(page: Page) -> None:
    page.open("/losses/huber")
    page.browser.execute_script("document.querySelector('[data-check]').click()")
    page.until(lambda: "largest deviation" in page.text("[data-checked]"), "a check")


GONE = "The server does not answer."


@pytest.mark.parametrize(
    ("path", "ready", "do", "where"),
    [
        ("/compare", "[data-live]", "document.querySelector('[data-run]').click()", "[data-live]"),
        *(
            (
                f"/losses/{name}",
                "[data-live]",
                "const slider = document.querySelector('.controls input[type=range]');"
                "slider.value = slider.max; slider.dispatchEvent(new Event('input'))",
                "[data-live]",
            )
            for name in ("huber", "triplet_margin", "cross_entropy")
        ),
        ("/losses/huber", "[data-live]", "document.querySelector('[data-check]').click()", "[data-checked]"),
        (
            "/try#huber",
            "[data-answer]",
            "const cell = document.querySelector('[data-at=\\'input[0]\\']');"
            "cell.value = 7; cell.dispatchEvent(new Event('input'))",
            "[data-problem]",
        ),
    ],
)
def test_every_page_says_that_the_server_is_gone(
    page: Page, path: str, ready: str, do: str, where: str
) -> None:
    page.open(path)
    page.until(lambda: page.text(ready), "an answer")
    page.browser.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["*"]})
    page.browser.execute_script(do)
    page.until(lambda: page.text(where) == GONE, "that the server does not answer")
    page.browser.execute_cdp_cmd("Network.setBlockedURLs", {"urls": []})


def test_a_file_without_numbers_changes_nothing(page: Page) -> None:
    page.open("/try#mse")
    page.until(lambda: page.text("[data-answer]"), "an answer")
    before = page.one('[data-at="input[0]"]').get_attribute("value")
    page.browser.execute_script(DROP, "notes.txt", list(b"hello"))
    page.until(lambda: "notes.txt does not read as an array" in page.text("[data-problem]"), "a refusal")
    assert page.one('[data-at="input[0]"]').get_attribute("value") == before


def test_an_answer_goes_with_the_arrays_that_it_belonged_to(page: Page) -> None:
    page.open("/try#mse")
    page.until(lambda: page.text("[data-answer]"), "an answer")
    page.browser.execute_script(PASTE, "input", "[[1, 2], [3]]")
    page.until(lambda: page.text("[data-problem]"), "a refusal")
    assert page.text("[data-answer]") == ""
    assert "`" not in page.text("[data-problem]")


@pytest.mark.parametrize("path", ["/", "/losses/huber"])
def test_the_navigation_of_a_phone_has_everything_in_one_line(page: Page, path: str) -> None:
    page.resize(NARROW)
    page.open(path)
    links = [(link.text, link.rect["y"]) for link in page.all(".bar nav a")]
    assert [text for text, _ in links] == ["Losses", "Try", "Compare", "API"]
    assert len({y for _, y in links}) == 1


def test_the_tabs_of_a_phone_stand_in_one_line(page: Page) -> None:
    page.resize(NARROW)
    page.open("/losses/huber")
    page.until(lambda: page.all("#call [role=tab]"), "tabs")
    assert len({tab.rect["y"] for tab in page.all("#call [role=tab]")}) == 1


def test_a_long_request_is_stopped(page: Page) -> None:
    page.open("/try#huber")
    page.until(lambda: page.text("[data-answer]"), "an answer")
    page.browser.execute_script(
        "const real = fetch; window.fetch = (url, options) => options?.method === 'POST' ? new Promise((_, fail) => "
        "options.signal.addEventListener('abort', () => fail(new DOMException('', 'AbortError')))) : real(url, options)"
    )
    page.set('[data-at="input[0]"]', "9")
    page.until(lambda: not page.one("[data-waiting]").get_attribute("hidden"), "progress")
    page.one("[data-stop]").click()
    page.until(lambda: "Stopped" in page.text("[data-problem]"), "that it stopped")


@pytest.mark.parametrize("path", ["/", "/try", "/compare", MISSING, *(f"/losses/{name}" for name in KINDS)])
def test_a_page_fits_into_a_phone(page: Page, path: str) -> None:
    page.resize(NARROW)
    page.open(path)
    page.until(lambda: page.browser.execute_script("return document.readyState") == "complete", "the page")
    assert page.browser.execute_script("return document.documentElement.scrollWidth") <= NARROW
    if path.startswith("/losses") and path != MISSING:
        page.until(lambda: drawn(page), "an answer")
        cut = "return [...document.querySelectorAll('.facts')].filter((t) => t.scrollWidth > t.parentNode.clientWidth)"
        assert page.browser.execute_script(f"{cut}.map((table) => table.className)") == []


@pytest.mark.parametrize("name", [name for name, loss in LOSSES.items() if loss.picture.kind == "bars"])
def test_bars_fit_into_a_phone(page: Page, name: str) -> None:
    page.resize(NARROW)
    page.open(f"/losses/{name}")
    page.until(lambda: drawn(page), "an answer")
    needed, given = page.browser.execute_script(
        "const {scrollWidth, clientWidth} = document.querySelector('.bars'); return [scrollWidth, clientWidth]"
    )
    assert needed <= given


@pytest.mark.parametrize("name", [name for name, loss in LOSSES.items() if loss.picture.kind == "bars"])
@pytest.mark.parametrize("width", [NARROW, WIDE[0]])
def test_numbers_beside_bars_fit_into_their_columns(page: Page, name: str, width: int) -> None:
    page.resize(width)
    page.open(f"/losses/{name}")
    page.until(lambda: drawn(page), "an answer")
    beyond = (
        "return [...document.querySelectorAll('.bars .class > .n, .bars input[type=number]')]"
        ".filter((cell) => cell.scrollWidth > cell.clientWidth + 1).map((cell) => cell.value ?? cell.textContent)"
    )
    assert page.browser.execute_script(beyond) == []


@pytest.mark.parametrize("width", [NARROW, WIDE[0]])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("path", ["/", "/try", "/compare", MISSING, *(f"/losses/{name}" for name in KINDS)])
def test_nobody_is_kept_out(page: Page, path: str, dark: bool, width: int) -> None:
    with shown_as(page.browser, dark=dark, width=width):
        page.open(path)
        if path.startswith("/losses") and path != MISSING:
            page.until(lambda: drawn(page), "an answer")
            page.browser.execute_script("document.querySelector('[data-check]').click()")
            page.until(lambda: "evaluations" in page.text("[data-checked]"), "a check")
        assert barriers(page.browser) == []


@pytest.mark.parametrize("width", [NARROW, WIDE[0]])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("path", "state"),
    [
        ("/?q=huber", ".alias code.hit"),
        ("/?q=zzzzz", ".none:not([hidden])"),
        ('/try#bce={"input":[0.5,1.5],"target":[1,0]}', "[aria-invalid=true]"),
        ('/try#bce={"input":[0.5,0.5],"target":[1,0],"mask":[true,false]}', "[data-answer] dd"),
    ],
)
def test_nobody_is_kept_out_by_what_a_page_answers(
    page: Page, path: str, state: str, dark: bool, width: int
) -> None:
    with shown_as(page.browser, dark=dark, width=width):
        page.open(path)
        page.until(lambda: page.all(state), state)
        page.browser.execute_script(
            "for (const each of document.querySelectorAll('details')) each.open = true"
        )
        assert barriers(page.browser) == []


def test_a_key_is_asked_for_and_kept_in_memory_alone(browser: WebDriver, guarded: Served) -> None:
    page = Page(browser, guarded.url).open("/losses/huber")
    page.until(lambda: page.all("dialog.access[open]"), "the question")
    assert not page.one("dialog.access .refused").is_displayed()
    page.one("dialog.access input").send_keys("lossd_wrong_0123456789", Keys.ENTER)
    page.until(lambda: page.all("dialog.access[open]"), "the question again")
    page.until(lambda: page.one("dialog.access input").get_attribute("value") == "", "an empty field")
    page.until(lambda: page.one("dialog.access .refused").is_displayed(), "that the key was refused")
    page.one("dialog.access input").send_keys(KEY, Keys.ENTER)
    page.until(lambda: drawn(page), "an answer")
    kept = page.browser.execute_script(
        "return JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href])"
    )
    assert KEY not in kept
    page.open("/losses/huber")
    page.until(lambda: page.all("dialog.access[open]"), "the question, as the page was closed")


def test_programs_of_try_send_the_key_that_the_server_asks_for(browser: WebDriver, guarded: Served) -> None:
    page = Page(browser, guarded.url).open("/try#huber")
    page.until(lambda: page.all("dialog.access[open]"), "the question")
    page.one("dialog.access input").send_keys(KEY, Keys.ENTER)
    page.until(lambda: page.text("[data-answer] dd") not in ("", "None"), "an answer")
    for snippet in snippets(LOSSES["huber"], posted(LOSSES["huber"]), url=page.url, guarded=True):
        written = Markup(snippet.code).unescape()
        assert "LOSSD_TOKEN" in written
        place = f'[data-code="{snippet.language}"]'
        page.until(lambda w=written, p=place: page.text(p) == w, snippet.language)


@pytest.mark.parametrize("path", ["/", "/try", "/compare", "/losses/huber"])
def test_the_question_for_a_key_is_wide_enough_to_read(
    browser: WebDriver, guarded: Served, path: str
) -> None:
    page = Page(browser, guarded.url).open(path)
    if path == "/":  # whose call nobody asked for
        page.until(lambda: page.text("[data-wire=status]") == "401", "a refusal")
        assert page.all("dialog.access[open]") == []
        page.one("[data-key]").click()
    page.until(lambda: page.all("dialog.access[open]"), "the question")
    size = page.one("dialog.access").size
    assert size["width"] > 280
    assert size["height"] > 150


@pytest.mark.parametrize("path", ["/losses/huber", "/compare"])
def test_a_page_that_is_loaded_again_is_not_sent_again(page: Page, server: Served, path: str) -> None:
    def statuses() -> list[int]:
        return [record["status"] for record in server.log() if record.get("path") == path]

    page.open(path)
    shown_first, before = page.text("main"), len(statuses())
    page.browser.refresh()
    page.until(lambda: len(statuses()) > before, "the browser asks again")
    assert statuses()[before:] == [304]
    assert page.text("h1") in shown_first


def test_pages_work_behind_a_proxy_that_serves_them_under_a_path(browser: WebDriver, server: Served) -> None:
    with under_a_path(server.url, "/some/where") as url:
        page = Page(browser, url).open("/losses/giou")
        page.until(lambda: drawn(page), "an answer")
        assert f"curl -s {url}/v1/losses/giou" in page.text("#call code")
        page.browser.get_log("browser")
        page.open("/")
        page.set("#q", "giou")
        page.until(lambda: page.text("[data-count]").startswith("1 of"), "what was found")
        page.one("#q").send_keys(Keys.ENTER)
        page.until(lambda: page.browser.current_url == f"{url}/losses/giou", "the page of what was found")
        assert page.severe() == []


@contextlib.contextmanager
def under_a_path(server: str, prefix: str) -> Iterator[str]:
    """Hand on what lies under a path to a server, without the path."""

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("content-length", 0))
            answer = httpx.request(
                self.command,
                server + self.path.removeprefix(prefix),
                content=self.rfile.read(length),
                headers={"content-type": self.headers.get("content-type", ""), "accept-encoding": "identity"},
            )
            found = self.path.startswith(prefix + "/")
            self.send_response(answer.status_code if found else 404)
            for name in ("content-type", "content-security-policy"):
                if name in answer.headers:
                    self.send_header(name, answer.headers[name])
            self.send_header("content-length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as proxy:
        thread = threading.Thread(target=proxy.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{proxy.server_port}{prefix}"
        finally:
            proxy.shutdown()
            thread.join()
