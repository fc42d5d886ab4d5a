"""The pages as they are served: complete without a script, cached, within their policy, never without a key's leave."""

from __future__ import annotations

import gzip
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from lossd.access.keys import write_entry
from lossd.api.site import POLICY
from lossd.losses import LOSSES
from lossd.page import assets
from lossd.page.frameworks import by_framework
from lossd.page.pages import posted
from lossd.page.snippets import snippets
from tests.api.serving import InProcess

FIRST_VIEW_BYTES = 150_000
PAGES = ("/", "/try", "/compare", *(f"/losses/{name}" for name in LOSSES))


class Page(HTMLParser):
    """What a page refers to, its text, and what a strict policy would refuse."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.inline: list[str] = []
        self.words: list[str] = []
        self._script = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.addresses += [given[name] or "" for name in ("href", "src", "action") if name in given]
        self.ids += [given["id"] or ""] if "id" in given else []
        self.inline += [f"{tag} {name}" for name in given if name == "style" or name.startswith("on")]
        self._script = tag == "script"

    def handle_data(self, data: str) -> None:
        if self._script and data.strip():
            self.inline.append("script")
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())


def test_the_worked_example_says_what_the_mean_divides_by(service: InProcess) -> None:
    """The loss of 0.5193 has two labels: divided by them it is 0.2597, which is the mean of one sample."""
    text = read(service, "/losses/ctc").text
    assert "the sum of the losses, each divided by its target_lengths, over 1;" in text
    assert "each divided" not in read(service, "/losses/mse").text


@pytest.fixture(scope="module")
def service() -> InProcess:
    return InProcess()


def read(service: InProcess, path: str) -> Page:
    response = service.request("GET", path)
    assert response.status_code == 200
    return Page(response.text)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_needs_nothing_that_its_policy_refuses(service: InProcess, path: str) -> None:
    response = service.request("GET", path)
    assert response.headers["content-security-policy"] == POLICY
    assert "unsafe" not in POLICY
    page = Page(response.text)
    assert page.inline == []
    assert len(page.ids) == len(set(page.ids))


@pytest.mark.parametrize("path", ["/", "/losses/huber"])
def test_every_address_of_a_page_is_served(service: InProcess, path: str) -> None:
    for address in {a.partition("#")[0] for a in read(service, path).addresses}:
        if address and not address.startswith("https://"):
            base = path.rpartition("/")[0] + "/"
            target = re.sub(r"^/losses/\.\./", "/", base + address.removeprefix("./"))
            assert service.request("GET", target).status_code in (200, 307), address


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_reads_without_a_script(service: InProcess, name: str) -> None:
    loss = LOSSES[name]
    text = read(service, f"/losses/{name}").text
    plain = loss.summary.replace("`", "")
    assert plain in text
    assert " ".join(loss.use.replace("`", "").split()) in text
    assert " ".join(loss.avoid.replace("`", "").split()) in text
    for shown in (*loss.by_name, *loss.settings, *(alias.name for alias in loss.aliases)):
        assert shown in text
    assert f"The mean divides by {str(loss.denominator).replace('`', '')}" in text
    assert "one million" in text or "not a number" in text
    assert "client." + name in text


def test_the_catalogue_has_every_loss_and_every_name_of_a_framework(service: InProcess) -> None:
    page = read(service, "/")
    for name in LOSSES:
        assert f"./losses/{name}" in page.addresses
    for framework, names in by_framework().items():
        assert framework in page.text
        assert all(name.name in page.text for name in names)


def test_compare_comes_with_its_first_curves_drawn(service: InProcess) -> None:
    html = service.request("GET", "/compare").text
    for key in ("mse", "l1", "huber-0", "huber-1", "huber-2"):
        (d,) = re.findall(rf'<path class="line s-{key}"[^>]* d="([^"]*)"', html)
        assert d.count("L") > 300


def test_an_alias_leads_to_the_loss(service: InProcess) -> None:
    response = service.request("GET", "/losses/HuberLoss")
    assert (response.status_code, response.headers["location"]) == (307, "huber")
    assert service.request("GET", "/losses/hubert").status_code == 404


HTML = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("hubert", "huber"),
        ("crossentropy_loss", "cross_entropy"),
        ("keras.losses.CTC", "ctc"),
        ("NTXent", "nt_xent"),
        ("smooth", "smooth_l1"),
    ],
)
def test_a_browser_is_told_which_losses_are_near(service: InProcess, name: str, near: str) -> None:
    response = service.request("GET", f"/losses/{name}", headers=HTML)
    assert response.status_code == 404
    assert response.headers["content-security-policy"] == POLICY
    assert f"../losses/{near}" in Page(response.text).addresses


@pytest.mark.parametrize(
    ("name", "loss"), [("crossentropyloss", "cross_entropy"), ("keras.losses.huber", "huber")]
)
def test_a_name_in_another_spelling_leads_to_its_loss_alone(service: InProcess, name: str, loss: str) -> None:
    addresses = Page(service.request("GET", f"/losses/{name}", headers=HTML).text).addresses
    assert [a for a in addresses if a.startswith("../losses/")] == [f"../losses/{loss}"]


@pytest.mark.parametrize(
    ("path", "root", "near"),
    [("/nope", "./", None), ("/huberr", "./", "huber"), ("/some/where/hubr", "../../", "huber")],
)
def test_a_browser_gets_a_page_wherever_nothing_is(
    service: InProcess, path: str, root: str, near: str | None
) -> None:
    response = service.request("GET", path, headers=HTML)
    assert (response.status_code, response.headers["content-security-policy"]) == (404, POLICY)
    page = Page(response.text)
    assert f"{root}#catalogue" in page.addresses
    assert near is None or f"{root}losses/{near}" in page.addresses
    assert path in page.text
    assert service.log()[-1]["problem"] == service.request("GET", path).json()["detail"]


@pytest.mark.parametrize("path", ["/v1/nope", "/v2/nope", "/a/b/c/d/e/f/g/h/i/j"])
def test_a_path_of_programs_stays_a_problem(service: InProcess, path: str) -> None:
    response = service.request("GET", path, headers=HTML)
    assert (response.status_code, "json" in response.headers["content-type"]) == (404, True)
    assert (
        service.request("POST", "/nope", headers=HTML).headers["content-type"] == "application/problem+json"
    )


def test_a_browser_is_told_why_a_name_is_not_offered(service: InProcess) -> None:
    text = Page(service.request("GET", "/losses/DiceLoss", headers=HTML).text).text
    assert service.request("GET", "/losses/DiceLoss").json()["detail"].replace("`", "")[1:] in text


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("/losses", "./#catalogue"),
        ("/losses/", "../#catalogue"),
        ("/losses/huber/", "../huber"),
        ("/compare/", "../compare"),
        ("/try/", "../try"),
    ],
)
def test_a_path_with_or_without_a_slash_leads_to_its_page(
    service: InProcess, path: str, address: str
) -> None:
    response = service.request("GET", path, headers=HTML)
    assert (response.status_code, response.headers["location"]) == (307, address)


def test_a_call_sent_to_a_page_is_told_the_path_of_calls(service: InProcess) -> None:
    response = service.request("POST", "/losses/huber", json={"input": [1], "target": [1]})
    assert response.status_code == 405
    assert response.json()["detail"].endswith("; POST /v1/losses/huber computes")
    assert "computes" not in service.request("POST", "/compare").json()["detail"]


def test_only_losses_that_are_near_are_shown(service: InProcess) -> None:
    for name, near in {"nope": [], "hubber": ["../losses/huber"], "log_loss": ["../losses/bce"]}.items():
        addresses = Page(service.request("GET", f"/losses/{name}", headers=HTML).text).addresses
        assert [each for each in addresses if "/losses/" in each and "/v1/" not in each] == near


def test_a_name_that_is_like_none_leads_to_all(service: InProcess) -> None:
    response = service.request("GET", "/losses/%3Cb%3Ezzzz", headers=HTML)
    assert response.status_code == 404
    assert "<b>" not in response.text
    assert "../#catalogue" in Page(response.text).addresses
    assert service.request("GET", "/losses/zzzz").headers["content-type"] == "application/problem+json"


def test_files_are_kept_for_good_and_pages_are_asked_about(service: InProcess) -> None:
    version = assets.version()
    for name, asset in assets.assets().items():
        response = service.request(
            "GET", f"/static/{version}/{name}", headers={"accept-encoding": "identity"}
        )
        assert response.content == asset.content
        assert response.headers["content-type"] == asset.media_type
        assert "immutable" in response.headers["cache-control"]
        assert response.headers["x-content-type-options"] == "nosniff"
    assert service.request("GET", "/static/another/lossd.css").status_code == 404
    assert service.request("GET", f"/static/{version}/../pages.py").status_code == 404
    assert service.request("GET", "/").headers["cache-control"] == "no-cache"


def test_the_version_follows_every_file(monkeypatch: pytest.MonkeyPatch) -> None:
    before = assets.version()
    changed = {**assets.assets(), "lossd.css": assets.Asset(b"", "text/css")}
    monkeypatch.setattr(assets, "assets", lambda: changed)
    assets.version.cache_clear()
    try:
        assert assets.version() != before
    finally:
        monkeypatch.undo()
        assets.version.cache_clear()


@pytest.mark.parametrize("path", PAGES)
def test_the_first_view_is_small(service: InProcess, path: str) -> None:
    """Count what the browser loads at first: the page, its preloads, style and scripts, all as they are sent."""
    page = read(service, path)
    wanted = {a for a in page.addresses if "/static/" in a}
    scripts = {a for a in wanted if a.endswith(".js")}
    size = len(service.request("GET", path).content and _sent(service, path))
    for address in wanted | {a.rpartition("/")[0] + "/plot.js" for a in scripts}:
        size += len(_sent(service, "/static/" + address.partition("/static/")[2]))
    assert size < FIRST_VIEW_BYTES


def _sent(service: InProcess, path: str) -> bytes:
    response = service.request("GET", path, headers={"accept-encoding": "gzip"})
    packed = response.headers.get("content-encoding") == "gzip"
    return gzip.compress(response.content, 9) if packed else response.content


def test_pages_need_no_key_and_calls_do(tmp_path: Path) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text(write_entry("somebody", "lossd_somebody_0123456789", ["evaluate"]))
    guarded = InProcess(auth="keys", keys_file=str(keys))
    for path in ("/", "/losses/huber", "/try", "/compare", f"/static/{assets.version()}/lossd.css"):
        assert guarded.request("GET", path).status_code == 200
    assert guarded.post("mse", json={"input": [1], "target": [0]}).status_code == 401


def test_programs_send_a_key_where_the_server_asks_for_one(tmp_path: Path, service: InProcess) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text(write_entry("somebody", "lossd_somebody_0123456789", ["evaluate"]))
    guarded = InProcess(auth="keys", keys_file=str(keys))
    languages = len(snippets(LOSSES["huber"], posted(LOSSES["huber"])))
    assert read(guarded, "/losses/huber").text.count("LOSSD_TOKEN") >= languages
    assert "data-guarded" in guarded.request("GET", "/try").text
    for path in ("/losses/huber", "/try"):
        html = service.request("GET", path).text
        assert "LOSSD_TOKEN" not in html
        assert "guarded" not in html
