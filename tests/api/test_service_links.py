"""Variables that Kubernetes injects for services named like lossd are no settings."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError

from lossd.service_links import is_service_link, service_links
from lossd.settings import Settings
from tests.api.serving import GOOD, GOOD_LOSS, lossd, serve


def links(
    service: str, address: str = "10.96.7.21", *, port: int = 8000, name: str = "http"
) -> dict[str, str]:
    """Return what the kubelet sets for a Service with one named port (pkg/kubelet/envvars/envvars.go)."""
    host = f"[{address}]" if ":" in address else address
    return {
        f"{service}_SERVICE_HOST": address,
        f"{service}_SERVICE_PORT": str(port),
        f"{service}_SERVICE_PORT_{name.upper()}": str(port),
        f"{service}_PORT": f"tcp://{host}:{port}",
        f"{service}_PORT_{port}_TCP": f"tcp://{host}:{port}",
        f"{service}_PORT_{port}_TCP_PROTO": "tcp",
        f"{service}_PORT_{port}_TCP_PORT": str(port),
        f"{service}_PORT_{port}_TCP_ADDR": address,
    }


@pytest.mark.parametrize("service", ["LOSSD", "LOSSD_API", "LOSSD_MAX_BODY_BYTES"])
@pytest.mark.parametrize("address", ["10.96.7.21", "fd00::1:2"])
def test_the_whole_set_of_a_service_is_ignored(
    service: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    injected = links(service, address)
    for name, value in injected.items():
        monkeypatch.setenv(name, value)
    assert Settings() == Settings.model_construct()
    assert service_links({**injected, "PATH": "tcp://a:1"}, "LOSSD_") == sorted(injected)


def test_a_setting_beside_service_links_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in links("LOSSD").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LOSSD_PORT", "9000")  # a pod's own variable replaces the injected one
    assert Settings().port == 9000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LOSSD_PROT", "9000"),
        ("LOSSD_PORTS", "tcp://10.0.0.1:80"),
        ("LOSSD_SERVICE_HOST", "example.org"),
        ("LOSSD_SERVICE_PORT", "http"),
        ("LOSSD_PORT_8000_TCP", "8000"),
        ("LOSSD_PORT_8000_TCP_ADDR", "somewhere"),
        ("LOSSD_PORT_8000_QUIC", "quic://10.0.0.1:8000"),
        ("LOSSD_API_PORT", "8000"),
    ],
)
def test_what_only_looks_like_a_service_link_is_refused(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    assert not is_service_link(name, value)
    with pytest.raises(ValidationError, match=f"got {name}"):
        Settings()


def test_a_port_that_is_neither_a_number_nor_a_service_link_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LOSSD_PORT", "tcp:/10.0.0.1:80")
    with pytest.raises(ValidationError, match="port"):
        Settings()


def test_a_server_beside_a_service_of_its_name_starts_and_says_once_what_it_ignores(tmp_path: Path) -> None:
    injected = {**links("LOSSD"), **links("LOSSD_API")}
    with serve(tmp_path, "--port", "0", "--workers", "2", **injected) as server:
        server.wait_for("startup complete")
        assert httpx.post(server.url + "/v1/losses/mse", json=GOOD).json()["loss"] == GOOD_LOSS
        (line,) = [line for line in server.log() if "enableServiceLinks" in line["event"]]
    # The option --port wins over the variable.
    assert line["variables"] == sorted(injected.keys() - {"LOSSD_PORT"})


@pytest.mark.parametrize("words", [("healthcheck", "--host", "127.0.0.77"), ("losses",), ("eval", "--help")])
def test_no_command_stumbles_over_service_links(words: tuple[str, ...]) -> None:
    done = lossd(*words, **links("LOSSD"))
    assert done.returncode == (words[0] == "healthcheck"), done.stderr
    assert b"Traceback" not in done.stderr
    assert b"usage" not in done.stderr
