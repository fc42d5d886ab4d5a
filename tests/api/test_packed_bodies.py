"""Small packed bodies that hold much: each is refused or answered while a caller beside it is served."""

from __future__ import annotations

import gzip
import re
import socket
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.api.bystander import PATIENCE_SECONDS, Bystander, clear_peak, peak_mib
from tests.api.excessive import JSON, MESSAGEPACK
from tests.api.serving import Served, raw_request, serve
from tests.wire.array_cases import deflated, npy, single

# What a body of 64 MiB is unpacked to, and what its numbers take; 20 million of them took 1.4 GiB.
MOST_MIB = 300
PROMISED_MIB = 484  # by docs/operations.md
# Beside whatever else the machine does; where the parser kept the lock, a caller waited for up to 10 s.
MOST_WAIT_SECONDS = 1.0
SIZE = 60_000_000
NPZ = "application/x-npz"
MSE = "/v1/losses/mse"
INFER = "/v2/models/mse/infer"
WIDE = "\N{GRINNING FACE}".encode()  # Python makes a string with it of four bytes for each character


def _lists(item: bytes, end: bytes = b"1]}", start: bytes = b'{"input":[') -> bytes:
    return start + (item + b",") * (SIZE // (len(item) + 1)) + end


def _ints(count: int, last: bytes = b"\x01") -> bytes:
    """Write a call with a list of so many items in MessagePack."""
    return b"\x82\xa6target\x01\xa5input\xdd" + count.to_bytes(4, "big") + b"\x01" * (count - 1) + last


PACKED: Mapping[str, tuple[bytes, str, int]] = {
    "empty lists": (_lists(b"[]"), JSON, 413),
    "empty objects": (_lists(b"{}", start=b'{"axis":['), JSON, 413),
    "rows of one": (_lists(b"[1]"), JSON, 413),
    "lists in lists": (b'{"input":' + b"[" * SIZE, JSON, 413),
    "rows of many": (_lists(b"[" + b"0," * 99 + b"0]", b"[1]]}"), JSON, 413),
    "a word at the end": (_lists(b"1.5", b"x]}"), JSON, 400),
    "a text": (b'{"input":"' + b"A" * SIZE + b'"}', JSON, 413),
    "a key": (b'{"' + b"a" * SIZE + WIDE + b'":1}', JSON, 413),
    "a quoted text": (b'{"axis":"' + rb"\"" * (SIZE // 2) + WIDE + b'"}', JSON, 413),
    "data that is no base64": (b'{"input":{"data":"' + b"a" * SIZE + WIDE + b'"}}', JSON, 413),
    "data under another name": (b'{"data":"' + b"a" * SIZE + b'"}', JSON, 400),
    "a key of MessagePack": (
        b"\x81\xdb" + (SIZE + 4).to_bytes(4, "big") + b"a" * SIZE + WIDE + b"\x01",
        MESSAGEPACK,
        413,
    ),
    "a text of MessagePack": (
        b"\x81\xa5input\xdb" + (SIZE + 4).to_bytes(4, "big") + b"a" * SIZE + WIDE,
        MESSAGEPACK,
        413,
    ),
    "white space": (b" " * SIZE, JSON, 413),
    "numbers": (_lists(b"1.5"), JSON, 422),
    "short numbers": (_lists(b"1"), JSON, 413),
    "booleans": (_lists(b"true", b"true]}"), JSON, 422),
    "numbers and a string": (_lists(b"1.5", b'"NaN"]}'), JSON, 413),
    "strings": (_lists(b'"NaN"', b'"NaN"]}'), JSON, 413),
    "one number": (b'{"input":[1.' + b"1" * SIZE + b"]}", JSON, 413),
    "wide strings": (_lists(b'"' + b"a" * 4000 + WIDE + b'"', start=b'{"axis":['), JSON, 413),
    "a long option": (_lists(b"1", start=b'{"axis":['), JSON, 413),
    "three million numbers and a string": (
        b'{"target":1,"input":[' + b"1.5," * 3_000_000 + b'"NaN"]}',
        JSON,
        422,
    ),
    "numbers of MessagePack": (_ints(20_000_000), MESSAGEPACK, 422),
    "more numbers of MessagePack": (_ints(30_000_000), MESSAGEPACK, 413),
    "numbers and a string of MessagePack": (_ints(20_000_000, b"\xa3NaN"), MESSAGEPACK, 422),
    "rows of MessagePack of which one is shorter": (
        b"\x81\xa5input\xdd" + (10**6).to_bytes(4, "big") + (b"\x9f" + b"\x01" * 15) * (10**6 - 1) + b"\x90",
        MESSAGEPACK,
        422,
    ),
    "empty lists of MessagePack": (
        b"\x81\xa5input\xdd" + SIZE.to_bytes(4, "big") + b"\x90" * SIZE,
        MESSAGEPACK,
        413,
    ),
}


CALLS = b'{"calls":[{"loss":"mse","input":['
INPUTS = b'{"inputs":[{"name":"input","shape":[1],"datatype":"FP64","data":['
OTHER_ROUTES: Mapping[str, tuple[str, bytes, str, int]] = {
    "batch": ("/v1/batch", _lists(b"1.5", b'"NaN"]}]}', CALLS), JSON, 413),
    "batch of MessagePack": (
        "/v1/batch",
        b"\x81\xa5calls\x91\x83\xa4loss\xa3mse" + _ints(20_000_000)[1:],
        MESSAGEPACK,
        200,  # the call is refused alone
    ),
    "parts": (f"{MSE}/combine", _lists(b"1.5", start=b'{"parts":['), JSON, 413),
    "gradcheck": (f"{MSE}/gradcheck", _lists(b"1.5", b'"NaN"]}'), JSON, 413),
    "inference": (INFER, _lists(b"1.5", b'"NaN"]}]}', INPUTS), JSON, 413),
    "parameters": (INFER, _lists(b"1", b"1]}}", b'{"inputs":[],"parameters":{"axis":['), JSON, 413),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.mark.slow
@pytest.mark.parametrize(("content", "media_type", "status"), PACKED.values(), ids=PACKED)
def test_a_packed_body_harms_no_one(server: Served, content: bytes, media_type: str, status: int) -> None:
    assert_harmless(server, MSE, content, media_type, status)


@pytest.mark.slow
@pytest.mark.parametrize(("path", "content", "media_type", "status"), OTHER_ROUTES.values(), ids=OTHER_ROUTES)
def test_a_packed_body_of_another_route_harms_no_one(
    server: Served, path: str, content: bytes, media_type: str, status: int
) -> None:
    assert_harmless(server, path, content, media_type, status)


@pytest.mark.slow
def test_packed_bodies_at_the_same_time_stay_within_what_a_server_may_hold(tmp_path: Path) -> None:
    packed = gzip.compress(_ints(16_000_000), 1)
    with serve(tmp_path) as server, ThreadPoolExecutor(4) as callers:
        answers = list(callers.map(lambda _: post_packed(server, MSE, packed, MESSAGEPACK), range(4)))
        assert {answer.status_code for answer in answers} <= {422, 503}
        assert peak_mib(server) <= PROMISED_MIB


def assert_harmless(server: Served, path: str, content: bytes, media_type: str, status: int) -> None:
    """Send a body packed: the server must stay small, and answer others meanwhile."""
    packed = gzip.compress(content, 1)
    clear_peak(server)
    before = peak_mib(server)
    with Bystander(server) as bystander:
        answer = post_packed(server, path, packed, media_type)
    assert answer.status_code == status, answer.text
    assert peak_mib(server) - before <= MOST_MIB
    assert max(bystander.waits) < MOST_WAIT_SECONDS


def post_packed(server: Served, path: str, packed: bytes, media_type: str) -> httpx.Response:
    """Send a body that gzip has packed."""
    headers = {"content-type": media_type, "content-encoding": "gzip"}
    return httpx.post(f"{server.url}{path}", content=packed, headers=headers, timeout=PATIENCE_SECONDS)


def test_arrays_in_npz_are_counted_before_they_are_inflated(tmp_path: Path) -> None:
    """A stream that is damaged at its end is a 400 only to one who inflates it."""
    size = 6 << 20
    content = npy("'|i1'", f"({size},)", bytes(size))
    body = single(content, packed=deflated(content)[:-3])
    limits = {"LOSSD_MAX_BODY_BYTES": str(8 << 20), "LOSSD_MAX_IN_FLIGHT_BYTES": str(8 << 20)}
    with serve(tmp_path, **limits) as server:
        post = partial(
            httpx.post, f"{server.url}/v1/losses/mse", content=body, headers={"content-type": NPZ}, timeout=60
        )
        assert post().status_code == 400
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as other:
            other.sendall(raw_request("/v1/losses/mse", bytes(size), Content_Length=str(size + 1)))
            server_holds(server, size)
            refused = post()
    assert (refused.status_code, "bytes in flight" in refused.json()["detail"]) == (503, True)


def server_holds(server: Served, size: int) -> None:
    """Wait until a server holds about so many bytes."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        found = re.search(r"^lossd_held_bytes(?:{.*})? (\S+)$", httpx.get(f"{server.url}/metrics").text, re.M)
        if found and float(found[1]) > 0.7 * size:
            return
        time.sleep(0.02)
    pytest.fail("the body did not arrive")
