"""The service as the tests of this folder meet it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.api.serving import InProcess, Served, serve


@pytest.fixture
def service() -> InProcess:
    """Return the application in this process, with the default settings."""
    return InProcess()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Run one server process for a module."""
    variables = {"LOSSD_BODY_TIMEOUT_SECONDS": "0.5", "LOSSD_INLINE_BODY_BYTES": "1000"}
    with serve(tmp_path_factory.mktemp("server"), **variables) as running:
        yield running
