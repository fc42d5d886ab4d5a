"""A server that the real client of the protocol reaches over a socket, and the same service in this process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.api.serving import InProcess, Served, serve


@pytest.fixture(scope="session")
def service() -> InProcess:
    """Return the application in this process, with the default settings."""
    return InProcess()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Run one server process for every test."""
    variables = {"LOSSD_MAX_BODY_BYTES": "4000000", "LOSSD_INLINE_BODY_BYTES": "1000"}
    with serve(tmp_path_factory.mktemp("server"), **variables) as running:
        yield running
