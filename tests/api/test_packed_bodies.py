"""Small packed bodies that hold much: each is refused or answered while a caller beside it is served."""

from __future__ import annotations

import gzip
import re
import socket
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.api.bystander import PATIENCE_SECONDS, Bystander, peak_mib
from tests.api.excessive import JSON, MESSAGEPACK
from tests.api.serving import Served, raw_request, serve
from tests.wire.array_cases import deflated, npy, single

# What a body of 64 MiB is unpacked to, and what its numbers take as Python's; empty lists alone took 1.8 GiB.
MOST_MIB = 700
# Beside whatever else the machine does; where the parser kept the lock, a caller waited for up to 10 s.
MOST_WAIT_SECONDS = 1.0
SIZE = 60_000_000
NPZ = "application/x-npz"
WIDE = "\N{GRINNING FACE}".encode()  # Python makes a string with it of four bytes for each character


def _lists(item: bytes, end: bytes = b"1]}", start: bytes = b'{"input":[') -> bytes:
    return start + (item + b",") * (SIZE // (len(item) + 1)) + end


PACKED: Mapping[str, tuple[bytes, str, int]] = {
    "empty lists": (_lists(b"[]"), JSON, 413),
    "empty objects": (_lists(b"{}", start=b'{"axis":['), JSON, 413),
    "rows of one": (_lists(b"[1]"), JSON, 413),
    "lists in lists": (b'{"input":' + b"[" * SIZE, JSON, 413),
    "rows of many": (_lists(b"[" + b"0," * 99 + b"0]", b"[1]]}"), JSON, 422),
    "a word at the end": (_lists(b"1", b"x]}"), JSON, 400),
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
    "white space": (b" " * SIZE, JSON, 400),
    "empty lists of MessagePack": (
        b"\x81\xa5input\xdd" + SIZE.to_bytes(4, "big") + b"\x90" * SIZE,
        MESSAGEPACK,
        413,
    ),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.mark.slow
@pytest.mark.parametrize(("content", "media_type", "status"), PACKED.values(), ids=PACKED)
def test_a_packed_body_harms_no_one(server: Served, content: bytes, media_type: str, status: int) -> None:
    packed = gzip.compress(content, 1)
    before = peak_mib(server)
    with Bystander(server) as bystander:
        answer = httpx.post(
            f"{server.url}/v1/losses/mse",
            content=packed,
            headers={"content-type": media_type, "content-encoding": "gzip"},
            timeout=PATIENCE_SECONDS,
        )
    assert answer.status_code == status, answer.text
    assert peak_mib(server) - before <= MOST_MIB
    assert max(bystander.waits) < MOST_WAIT_SECONDS


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
