"""Floods that take every connection and renew themselves, and the healthy callers beside them."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.serving import GOOD, Served, raw_request, serve
from tests.api.test_connections import HALF_A_HEAD, WHOLE_HEAD
from tests.api.test_holding import reader_of_little
from tests.api.test_socket import PATH

MOST = 60
LIFETIME = 2.5  # seconds of a connection of a flood, less than any time-out
CALLS = 30
# What each connection of a flood sends, and reads nothing.
FLOODS = {
    "silent": b"",
    "half a head": HALF_A_HEAD,
    "a body that never begins": raw_request(PATH, b"", Content_Length="1000"),
    "a body that stops": raw_request(PATH, b'{"input": [', Content_Length="1000"),
    "a body in chunks that stops": raw_request(PATH, b"1\r\n{\r\n", Transfer_Encoding="chunked"),
    "idle": WHOLE_HEAD,
    "answers that nobody reads": b"GET /openapi.json HTTP/1.1\r\nHost: lossd\r\n\r\n" * 12,
}


@pytest.mark.slow
@pytest.mark.parametrize("sent", FLOODS.values(), ids=FLOODS)
def test_a_flood_that_renews_itself_leaves_healthy_callers_alone(sent: bytes, tmp_path: Path) -> None:
    with serve(tmp_path, LOSSD_MAX_CONNECTIONS=str(MOST)) as server, httpx.Client(timeout=60) as kept_open:
        assert outcome(kept_open, server) == "200"
        with flood(server, sent):
            kept: Counter[str] = Counter()
            new: Counter[str] = Counter()
            for _ in range(CALLS):
                time.sleep(0.1)
                kept[outcome(kept_open, server)] += 1
                with httpx.Client(timeout=60) as newcomer:
                    new[outcome(newcomer, server)] += 1
    assert kept["200"] >= 0.9 * CALLS, kept
    assert new["200"] >= 0.8 * CALLS, new


def outcome(client: httpx.Client, server: Served) -> str:
    """Return the status of a call, or the error that it ended with."""
    try:
        return str(client.post(server.url + PATH, json=GOOD).status_code)
    except httpx.TransportError as error:
        return type(error).__name__


@contextlib.contextmanager
def flood(server: Served, sent: bytes) -> Iterator[None]:
    """Keep more connections open than the server takes, each of which gives way to a new one in its time."""
    ended = threading.Event()
    full = threading.Event()

    def renew() -> None:
        count = MOST + MOST // 2
        with contextlib.ExitStack() as all_of_them:
            open_ones: deque[socket.socket] = deque()
            while not ended.is_set():
                connection = all_of_them.enter_context(reader_of_little(server))
                with contextlib.suppress(ConnectionError):
                    connection.sendall(sent)
                open_ones.append(connection)
                if len(open_ones) > count:
                    open_ones.popleft().close()
                    full.set()
                    ended.wait(LIFETIME / count)

    thread = threading.Thread(target=renew)
    thread.start()
    full.wait(60)
    yield
    ended.set()
    thread.join()
