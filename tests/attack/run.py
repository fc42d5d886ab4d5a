"""Sends malformed requests to a real server, and a healthy one after every 50, whose answer must be exact."""

from __future__ import annotations

import json
import random
import re
import socket
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.api.serving import GOOD, GOOD_LOSS, Served, raw_request, read_response
from tests.attack import requests
from tests.attack.decoders import DECODERS, attack
from tests.soak import MIB, resident_bytes

HEALTHY_EVERY = 50
TIMEOUT_SECONDS = 60.0  # no answer for so long is a hang
# A 503 would be a server that ran out of memory or of places: one caller alone must not bring it to that.
EXPECTED = {200, 400, 404, 406, 408, 413, 415, 422}
# 100: the caller waits for it; 501: a transfer coding; 503: too many pipelined.
EXPECTED_OF_RAW = EXPECTED | {100, 204, 405, 417, 426, 431, 501, 503}
STATUS_LINE = re.compile(rb"HTTP/1\.1 (\d{3}) ")
# The limit of a body, twice, is far beyond what bodies of 64 KiB may make a server hold; what it had is not counted.
MOST_GROWTH = 128 * MIB

BODY = json.dumps(GOOD).encode()
HEALTHY = raw_request("/v1/losses/mse", BODY, Content_Length=str(len(BODY)))


@dataclass
class Report:
    """What came of an attack.

    Attributes:
        answers: Kind and status to how often it was answered so; 0 is a connection that closed without an answer.
        decoded: Mutated bodies that a decoder read or refused, in this process.
        healthy: Healthy answers that were checked.
        longest: Seconds that the slowest answer took.
        resident: Bytes that the server held, at each check.
    """

    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    decoded: Counter[str] = field(default_factory=Counter)
    healthy: int = 0
    longest: float = 0.0
    resident: list[int] = field(default_factory=list)

    @property
    def sent(self) -> int:
        """Count the requests that went to the server."""
        return self.answers.total()

    def growth(self) -> int:
        """Return by how much the server grew beyond what it held at the first check."""
        return max(self.resident) - self.resident[0]

    def __str__(self) -> str:
        lines = [
            f"{self.sent} requests, {self.healthy} healthy answers between them, the slowest {self.longest:.2f} s"
        ]
        for kind in sorted({kind for kind, _ in self.answers}):
            counts = {status: n for (of, status), n in sorted(self.answers.items()) if of == kind}
            lines.append(f"{kind}: {sum(counts.values())}: {counts}")
        lines.append(f"decoders: {self.decoded.total()}: {dict(self.decoded)}")
        lines.append(
            "resident MiB: "
            + " ".join(str(size // MIB) for size in self.resident[:: len(self.resident) // 10 or 1])
        )
        return "\n".join(lines)


class Attacker:
    """Sends requests over connections that it opens anew where the server has closed one."""

    def __init__(self, server: Served, seed: int) -> None:
        self.server = server
        self.rng = random.Random(seed)
        self.report = Report()
        self._kept: socket.socket | None = None
        self._streams = requests.raw_seeds()

    def run(self, count: int) -> Report:
        """Send so many requests, half of them with a right head, and give as many bodies to the decoders."""
        names = list(DECODERS)
        for number in range(count):
            if number % HEALTHY_EVERY == 0:
                self.check()
            refused = attack(self.rng, names[number % len(names)])
            self.report.decoded["refused" if refused else "read"] += 1
            start = time.monotonic()
            self.send_body() if number % 2 else self.send_raw()
            self.report.longest = max(self.report.longest, time.monotonic() - start)
        self.check()
        self.close()
        return self.report

    def check(self) -> None:
        """Hold a healthy answer to what it must be, on the connection of what went before; and note the memory."""
        status, headers, body = self.exchange(HEALTHY)
        assert (status, headers["content-type"], json.loads(body)["loss"]) == (
            200,
            "application/json",
            GOOD_LOSS,
        ), body
        self.report.healthy += 1
        self.report.resident.append(resident_bytes(self.server.process.pid))

    def send_body(self) -> None:
        """Send a mutated body; whatever it is, there is one answer, of the form that its status has."""
        request = requests.body_request(self.rng)
        status, headers, body = self.exchange(request.written())
        self.report.answers["body", status] += 1
        assert status in EXPECTED, (request, body)
        if status != 200:
            assert_explained(request.path, status, headers["content-type"], body)

    def exchange(self, sent: bytes) -> tuple[int, dict[str, str], bytes]:
        """Send a request on the connection that is kept, and read its answer."""
        connection = self._kept = self._kept or self.connect()
        connection.sendall(sent)
        status, headers, body = read_response(connection)
        if headers.get("connection") == "close":
            self.close()
        return status, headers, body

    def send_raw(self) -> None:
        """Send bytes and the end of them on a connection of their own; the server answers, or closes it."""
        sent = requests.raw_request(self.rng, self._streams)
        received = b"".join(self.stream(sent))
        statuses = [int(status) for status in STATUS_LINE.findall(received)] or [0]
        assert not received or received.startswith(b"HTTP/1.1 "), (sent, received)
        assert EXPECTED_OF_RAW.issuperset(set(statuses) - {0}), (sent, received)
        self.report.answers["raw", statuses[-1]] += 1

    def stream(self, sent: bytes) -> Iterator[bytes]:
        """Send bytes on a new connection; yield what comes back until the server closes it."""
        with self.connect() as connection:
            try:
                connection.sendall(sent)
                connection.shutdown(socket.SHUT_WR)
                while data := connection.recv(1 << 16):
                    yield data
            except ConnectionError:  # the server need not read all of it
                return

    def connect(self) -> socket.socket:
        """Open a connection, on which silence is a failure."""
        connection = socket.create_connection(("127.0.0.1", self.server.port), timeout=TIMEOUT_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def close(self) -> None:
        """Close the connection that is kept."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None


def assert_explained(path: str, status: int, media_type: str, body: bytes) -> None:
    """Hold a refusal to the form that its path has."""
    document = json.loads(body)
    if path.startswith("/v2"):
        assert media_type == "application/json"
        assert document.keys() == {"error"}
        return
    assert media_type == "application/problem+json"
    assert document["status"] == status
    assert document["detail"]
