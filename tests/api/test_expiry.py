"""When keys and certificates end is a metric, and ``lossd keys list`` says whose key it is."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from lossd.access.keys import write_entry
from lossd.api.telemetry.expiry import certificate_expiry
from tests.api.serving import InProcess, lossd
from tests.api.test_metrics import samples_of, total

NEXT = datetime(2098, 2, 3, 4, 5, 6, tzinfo=UTC)
KEYS = (
    ("old", ["evaluate"], "2020-01-01"),
    ("prometheus", ["metrics"], "2098-02-03T04:05:06Z"),
    ("trainer", ["catalogue", "evaluate"], "2099-01-01"),
    ("always", ["evaluate"], None),
)


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    path = tmp_path / "keys.toml"
    path.write_text("".join(write_entry(name, f"lossd_{name}", *rest) for name, *rest in KEYS))
    return path


def metrics(**settings: object) -> str:
    headers = {"authorization": "Bearer lossd_prometheus"}
    return InProcess(**settings).request("GET", "/metrics", headers=headers).text


def test_the_end_of_the_next_key_is_a_metric(keys_file: Path) -> None:
    shown = samples_of(metrics(auth="keys", keys_file=str(keys_file)))
    assert total(shown, "lossd_key_expiry_timestamp_seconds") == NEXT.timestamp()


def test_what_never_ends_is_left_out(keys_file: Path) -> None:
    keys_file.write_text(write_entry("prometheus", "lossd_prometheus", ["metrics"]))
    assert "expiry" not in metrics(auth="keys", keys_file=str(keys_file))
    assert "expiry" not in metrics()


@pytest.mark.parametrize("year", [2030, 2049, 2050, 2120])
def test_the_end_of_the_first_certificate_of_a_file_is_read(year: int) -> None:
    ends = datetime(year, 3, 4, 5, 6, 7, tzinfo=UTC)
    authority = trustme.CA()
    served = authority.issue_cert("127.0.0.1", not_after=ends)
    text = served.private_key_and_cert_chain_pem.bytes().decode() + authority.cert_pem.bytes().decode()
    other = trustme.CA().issue_cert("x", not_after=datetime(2029, 1, 1, tzinfo=UTC)).cert_chain_pems[0]
    expected = min(ends.timestamp(), certificate_expiry(authority.cert_pem.bytes().decode()) or 0)
    assert certificate_expiry(text) == expected
    assert certificate_expiry(served.cert_chain_pems[0].bytes().decode()) == ends.timestamp()
    assert certificate_expiry(text + other.bytes().decode()) == datetime(2029, 1, 1, tzinfo=UTC).timestamp()


def test_the_end_of_the_certificate_is_a_metric(tmp_path: Path) -> None:
    ends = datetime.fromtimestamp(int(time.time()) + 1000, UTC)
    file = tmp_path / "server.pem"
    trustme.CA().issue_cert("127.0.0.1", not_after=ends).private_key_and_cert_chain_pem.write_to_path(file)
    shown = samples_of(metrics(tls_certificate_file=str(file)))
    assert total(shown, "lossd_tls_certificate_expiry_timestamp_seconds") == ends.timestamp()


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_text_around_a_certificate_may_have_any_encoding(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "server.pem"
    pem = trustme.CA().issue_cert("127.0.0.1").private_key_and_cert_chain_pem.bytes()
    file.write_bytes("# Zürich\n".encode(encoding) + pem)  # as `openssl x509 -text` puts it there
    assert "lossd_tls_certificate_expiry_timestamp_seconds" in metrics(tls_certificate_file=str(file))


def test_keys_are_listed_without_their_digests(keys_file: Path) -> None:
    listed = lossd("keys", "list", "--file", str(keys_file))
    assert listed.returncode == 0
    assert [line.split() for line in listed.stdout.decode().splitlines()] == [
        ["name", "scopes", "expires"],
        ["old", "evaluate", "2020-01-01T00:00:00Z", "(has", "expired)"],
        ["prometheus", "metrics", "2098-02-03T04:05:06Z"],
        ["trainer", "evaluate", "catalogue", "2099-01-01T00:00:00Z"],
        ["always", "evaluate", "never"],
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["list"], "expected a file, by --file or LOSSD_KEYS_FILE, got none"),
        (["list", "trainer", "--file", "x"], "expected no name, got 'trainer'"),
        (["list", "--file", "/nowhere"], "/nowhere: No such file or directory"),
        (["new"], "expected a name of at most 64 letters, digits and ._@-, got none"),
    ],
)
def test_wrong_usage_of_keys_is_exit_code_2(words: list[str], said: str) -> None:
    refused = lossd("keys", *words)
    assert refused.returncode == 2
    assert said in refused.stderr.decode()
