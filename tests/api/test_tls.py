"""TLS, and callers who show a certificate, with certificates of a test's own authority."""

from __future__ import annotations

import contextlib
import json
import re
import select
import socket
import ssl
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
import trustme
from pydantic import ValidationError

from lossd.client import LossClient, Unreachable
from lossd.settings import Settings
from tests.api.serving import GOOD, GOOD_LOSS, lossd, serve

PATH = "/v1/losses/mse"


class Certificates:
    """An authority, a server's certificate and a caller's, as files."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        server, caller = (
            self.authority.issue_cert("127.0.0.1", "localhost"),
            self.authority.issue_cert("trainer"),
        )
        self.ca, self.caller = folder / "ca.pem", folder / "caller.pem"
        self.certificate, self.key = folder / "server.pem", folder / "server.key"
        self.authority.cert_pem.write_to_path(self.ca)
        caller.private_key_and_cert_chain_pem.write_to_path(self.caller)
        server.private_key_pem.write_to_path(self.key)
        for part in server.cert_chain_pems:
            part.write_to_path(self.certificate, append=True)
        self.variables = {
            "LOSSD_TLS_CERTIFICATE_FILE": str(self.certificate),
            "LOSSD_TLS_KEY_FILE": str(self.key),
        }

    def trust(self, *, with_certificate: bool = False) -> ssl.SSLContext:
        """Return a context that trusts the authority."""
        context = ssl.create_default_context(cafile=str(self.ca))
        if with_certificate:
            context.load_cert_chain(self.caller)
        return context


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


def test_a_server_with_a_certificate_speaks_tls(tmp_path: Path, certificates: Certificates) -> None:
    with serve(tmp_path, **certificates.variables) as server:
        assert server.url.startswith("https://")
        with httpx.Client(base_url=server.url, verify=certificates.trust()) as client:
            for _ in range(3):
                assert client.post(PATH, json=GOOD).json()["loss"] == GOOD_LOSS
            large = np.random.default_rng(0).standard_normal(300_000)
            call = {"input": large.tolist(), "target": [0.0] * large.size, "gradient": True}
            answer = client.post(PATH, content=json.dumps(call)).json()
            np.testing.assert_allclose(
                answer["gradient"]["mean"]["input"], 2 / large.size * large, rtol=1e-12
            )
            assert client.post(PATH, content=b"{").status_code == 400
            assert client.post(PATH, content=b"x" * 10, headers={"content-length": "10"}).status_code == 400
        with LossClient(server.url, verify=certificates.trust(), progress=None) as caller:
            gradient = caller.mse(large, np.zeros_like(large), gradient=True).gradient["input"]
            np.testing.assert_allclose(gradient, 2 / large.size * large, rtol=1e-12)
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(server.url.replace("https", "http") + "/livez")
        with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
            LossClient(server.url, progress=None).losses()
        assert lossd("healthcheck", LOSSD_PORT=str(server.port), **certificates.variables).returncode == 0
        assert lossd("healthcheck", LOSSD_PORT=str(server.port)).returncode == 1


def test_a_server_that_asks_for_certificates_lets_only_their_owners_connect(
    tmp_path: Path, certificates: Certificates
) -> None:
    variables = {**certificates.variables, "LOSSD_TLS_CLIENT_CA_FILE": str(certificates.ca)}
    with serve(tmp_path, **variables) as server:
        trust = certificates.trust(with_certificate=True)
        assert httpx.post(server.url + PATH, json=GOOD, verify=trust).json()["loss"] == GOOD_LOSS
        with pytest.raises((httpx.ReadError, httpx.ConnectError, httpx.RemoteProtocolError)):
            httpx.get(server.url + "/livez", verify=certificates.trust())
        other = certificates.trust()
        trustme.CA().issue_cert("stranger").configure_cert(other)
        with pytest.raises((httpx.ReadError, httpx.ConnectError, httpx.RemoteProtocolError)):
            httpx.get(server.url + "/livez", verify=other)
        assert lossd("healthcheck", LOSSD_PORT=str(server.port), **variables).returncode == 0
        assert server.stop() == 0


def test_half_a_handshake_lasts_as_long_as_half_a_head(tmp_path: Path, certificates: Certificates) -> None:
    with (
        serve(tmp_path, LOSSD_HEAD_TIMEOUT_SECONDS="1", **certificates.variables) as server,
        socket.create_connection(("127.0.0.1", server.port)) as silent,
    ):
        silent.sendall(b"\x16\x03\x01\x02\x00\x01")  # a ClientHello begins
        silent.settimeout(30)  # uvloop alone waits 60 s
        with contextlib.suppress(ConnectionResetError):
            assert silent.recv(100) == b""


def test_handshakes_count_among_the_connections(tmp_path: Path, certificates: Certificates) -> None:
    variables = {**certificates.variables, "LOSSD_MAX_CONNECTIONS": "5", "LOSSD_HEAD_TIMEOUT_SECONDS": "300"}
    with serve(tmp_path, **variables) as server, contextlib.ExitStack() as opened:
        halves = [
            opened.enter_context(socket.create_connection(("127.0.0.1", server.port))) for _ in range(30)
        ]
        for half in halves:
            with contextlib.suppress(OSError):  # closed already
                half.sendall(b"\x16\x03\x01\x02\x00\x01")
        assert (
            httpx.post(server.url + PATH, json=GOOD, verify=certificates.trust()).json()["loss"] == GOOD_LOSS
        )
        deadline = time.monotonic() + 30
        while len(ended := select.select(halves, [], [], 1)[0]) < 25 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert len(ended) >= 25


def test_a_caller_without_a_place_reads_why_through_tls(tmp_path: Path, certificates: Certificates) -> None:
    variables = {**certificates.variables, "LOSSD_MAX_CONNECTIONS": "1", "LOSSD_BODY_TIMEOUT_SECONDS": "60"}
    with serve(tmp_path, **variables) as server:
        trust = certificates.trust()
        plain = socket.create_connection(("127.0.0.1", server.port))
        with trust.wrap_socket(plain, server_hostname="127.0.0.1") as busy:
            head = b"POST /v1/losses/mse HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n"
            busy.sendall(head)
            assert busy.recv(1000).startswith(b"HTTP/1.1 100")  # it has a call
            answer = httpx.get(server.url + "/livez", verify=trust, timeout=60)
            assert answer.status_code == 503
            assert "connections of this server are in use" in answer.json()["detail"]


def test_plain_http_on_a_port_with_tls_is_one_line_of_the_log(
    tmp_path: Path, certificates: Certificates
) -> None:
    with serve(tmp_path, **certificates.variables) as server:
        for _ in range(5):
            with pytest.raises(httpx.TransportError):
                httpx.get(server.url.replace("https", "http") + "/livez")
        assert httpx.get(server.url + "/livez", verify=certificates.trust()).status_code == 200
        assert len(re.findall("sent plain HTTP to this port", server.log_text())) == 1


def test_several_workers_speak_tls(tmp_path: Path, certificates: Certificates) -> None:
    with serve(tmp_path, "--workers", "2", **certificates.variables) as server:
        for _ in range(4):  # the client waits until the first worker listens
            with LossClient(server.url, verify=certificates.trust(), progress=None) as client:
                assert client.mse([1.0], [3.0]).value == 4


@pytest.mark.parametrize("field", ["tls_key_file", "tls_client_ca_file"])
def test_half_a_configuration_is_refused(field: str) -> None:
    with pytest.raises(ValidationError, match=f"LOSSD_TLS_CERTIFICATE_FILE beside LOSSD_{field.upper()}"):
        Settings(**{field: "x.pem"})


def test_files_that_are_none_are_one_line_and_exit_code_2(certificates: Certificates, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger.key"
    trustme.CA().issue_cert("stranger").private_key_pem.write_to_path(stranger)
    good = certificates.variables
    for wrong, said in (
        ({**good, "LOSSD_TLS_CERTIFICATE_FILE": "/nowhere"}, "No such file or directory"),
        ({**good, "LOSSD_TLS_KEY_FILE": str(stranger)}, "KEY_VALUES_MISMATCH"),
        ({**good, "LOSSD_TLS_CERTIFICATE_FILE": str(certificates.key)}, "LOSSD_TLS_CERTIFICATE_FILE"),
        ({**good, "LOSSD_TLS_CLIENT_CA_FILE": str(certificates.key)}, "LOSSD_TLS_CLIENT_CA_FILE"),
    ):
        result = lossd("serve", **wrong)
        assert (result.returncode, result.stdout) == (2, b"")
        (line,) = result.stderr.decode().splitlines()
        assert said in line
