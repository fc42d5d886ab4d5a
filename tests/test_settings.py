"""This file is what a server takes from its environment, and what it refuses to overlook."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from lossd.settings import Settings


def test_a_setting_is_read_from_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOSSD_MAX_DEPTH", "3")
    assert Settings().max_depth == 3


def test_a_misspelt_variable_is_refused_with_the_nearest_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOSSD_MAX_DEPHT", "3")
    with pytest.raises(ValidationError, match=r"the nearest is LOSSD_MAX_DEPTH\), got LOSSD_MAX_DEPHT"):
        Settings()


@pytest.mark.parametrize("other", ["LOSSD_URLS", "LOSSD_UR"])
def test_the_address_that_clients_read_is_tolerated_and_nothing_like_it(
    monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    monkeypatch.setenv("LOSSD_URL", "http://127.0.0.1:9")
    assert "url" not in Settings().model_dump()
    monkeypatch.setenv(other, "http://127.0.0.1:9")
    with pytest.raises(ValidationError, match="expected a known setting"):
        Settings()
