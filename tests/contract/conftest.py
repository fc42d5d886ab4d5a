"""The server that generated clients call."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.api.serving import Served, serve


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Run one server process for a module."""
    with serve(tmp_path_factory.mktemp("server")) as running:
        yield running
