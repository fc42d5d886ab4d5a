"""One server process for the tests of the client, and a client of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lossd.client import LossClient
from tests.api.serving import Served, serve


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("client")) as running:
        yield running


@pytest.fixture(scope="session")
def client(server: Served) -> Iterator[LossClient]:
    with LossClient(server.url, progress=None) as connected:
        yield connected
