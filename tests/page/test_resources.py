"""Pages and their files as HTTP has them: compressed for whom it suits, tagged, and not sent again while unchanged."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lossd.access.keys import write_entry
from lossd.api import site
from lossd.declaration.loss import Loss
from lossd.engine import evaluate
from lossd.message import Answer, Call
from lossd.page import assets, pages, samples
from tests.api.serving import InProcess

HTML = {"accept": "text/html"}
KEPT = (
    *("/", "/try", "/compare", "/losses/huber", "/docs", "/docs/swagger-ui.css"),
    f"/static/{assets.version()}/lossd.css",
)


@pytest.fixture(scope="module")
def service() -> InProcess:
    return InProcess()


# RFC 9110, 12.5.3: a weight of 0 refuses, `*` stands for what is not named, and names compare as wholes.
@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip", "gzip"),
        ("GZip", "gzip"),
        ("gzip, deflate, br, zstd", "gzip"),
        ("br;q=1.0, gzip;q=0.8, *;q=0.1", "gzip"),
        ("zstd, gzip;q=0.5", "gzip"),
        ("*", "gzip"),
        ("gzip;q=0", None),
        ("gzip;q=0.0, deflate", None),
        ("*;q=0", None),
        ("*, gzip;q=0", None),
        ("br, notgzip", None),
        ("x-gzip-not", None),
        ("identity, gzip;q=0.5", None),
        ("identity", None),
        ("", None),
    ],
)
@pytest.mark.parametrize("path", ["/losses/huber", KEPT[-1]])
def test_a_page_is_compressed_for_whom_it_suits(
    service: InProcess, path: str, accepted: str, encoding: str | None
) -> None:
    response = service.request("GET", path, headers={"accept-encoding": accepted})
    assert response.headers.get("content-encoding") == encoding
    assert response.headers["vary"] == "accept-encoding"
    assert response.content == service.request("GET", path, headers={"accept-encoding": ""}).content


@pytest.mark.parametrize("path", KEPT)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_the_caller_has_is_not_sent_again(service: InProcess, path: str, method: str) -> None:
    first = service.request(method, path)
    again = service.request(method, path, headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert "content-length" not in again.headers
    # RFC 9110, 15.4.5: what a 200 would say of the answer that the caller keeps.
    for name in ("etag", "cache-control", "vary", "content-security-policy"):
        assert again.headers.get(name) == first.headers.get(name)
    assert first.headers["etag"]


# RFC 9110, 8.8.3 and 13.1.2: a list or `*`, compared weakly.
@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ("*", 304),
        (" * ", 304),
        ("{opaque}", 304),
        ("W/{opaque}", 304),
        ('"other", W/{opaque}', 304),
        ('"a, b",{opaque}', 304),
        ('"other"', 200),
        ('W/"other", "another"', 200),
        ('"*"', 200),
        ("{bare}", 200),
        ('"a{bare}"', 200),
        ("", 200),
        ('"', 200),
    ],
)
def test_a_condition_is_read_as_the_standard_has_it(service: InProcess, condition: str, status: int) -> None:
    (opaque,) = re.fullmatch(r'(?:W/)?("[!#-~]+")', service.request("GET", "/try").headers["etag"]).groups()
    asked = condition.format(opaque=opaque, bare=opaque.strip('"'))
    assert service.request("GET", "/try", headers={"if-none-match": asked}).status_code == status


def test_a_condition_in_several_lines_is_one_list(service: InProcess) -> None:
    tag = service.request("GET", "/try").headers["etag"]
    lines = [("if-none-match", '"other"'), ("if-none-match", tag)]
    assert service.request("GET", "/try", headers=lines).status_code == 304


def test_a_tag_stands_for_what_is_sent(service: InProcess, tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(write_entry("somebody", "lossd_somebody_0123456789", ["evaluate"]))
    guarded = InProcess(auth="keys", keys_file=str(file))  # whose programs send a key
    read = [server.request("GET", path) for server in (service, guarded) for path in KEPT]
    by_content = {response.content: response.headers["etag"] for response in read}
    alike = [path for path in KEPT if path.startswith(("/docs", "/static/"))]
    assert len(set(by_content.values())) == len(by_content) == 2 * len(KEPT) - len(alike)
    assert all(response.headers["etag"] == by_content[response.content] for response in read)


def test_a_page_of_nothing_is_always_sent(service: InProcess) -> None:
    """RFC 9110, 13.2.1: a condition has no part in an answer that would not be a 200 without it."""
    for path in ("/losses/hubr", "/nope"):
        response = service.request("GET", path, headers={**HTML, "if-none-match": "*"})
        assert response.status_code == 404
        assert "etag" not in response.headers
        assert "Not found" in response.text


def test_of_visitors_who_come_together_one_has_the_page_rendered(
    service: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluated = []

    def counted(loss: Loss, call: Call) -> Answer:
        evaluated.append(loss.name)
        return evaluate(loss, call)

    monkeypatch.setattr(samples, "evaluate", counted)
    for cached in (site._page, site._rendered):
        cached.cache_clear()
    answers = service.together([("GET", "/compare", {})] * 20)
    assert {answer.status_code for answer in answers} == {200}
    assert evaluated == [line["loss"] for line in pages.COMPARED]
