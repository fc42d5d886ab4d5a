"""Settings come from LOSSD_ variables, are checked, and are documented as they are."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from lossd.settings import MIB, Settings, settings_table, variable


def test_a_variable_sets_its_field_and_an_argument_wins_over_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOSSD_PORT", "9000")
    assert Settings().port == 9000
    assert Settings(port=1).port == 1


def test_an_empty_variable_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOSSD_UDS", "")
    assert Settings().uds is None


def test_an_unknown_variable_is_refused_with_the_nearest_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOSSD_MAX_BODY_BITES", "1")
    with pytest.raises(
        ValidationError, match=r"got LOSSD_MAX_BODY_BITES; did you mean LOSSD_MAX_BODY_BYTES\?"
    ):
        Settings()


@pytest.mark.parametrize("other", ["LOSSD_URLS", "LOSSD_UR"])
def test_the_address_that_clients_read_is_tolerated_and_nothing_like_it(
    monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    monkeypatch.setenv("LOSSD_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("LOSSD_TOKEN", "lossd_key")
    assert "url" not in Settings().model_dump()
    monkeypatch.setenv(other, "http://127.0.0.1:9")
    with pytest.raises(
        ValidationError, match=f"expected a known setting, got {other}; the README lists them"
    ):
        Settings()


def test_an_unknown_argument_is_refused() -> None:
    with pytest.raises(ValidationError, match="ports"):
        Settings(ports=1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"port": 65536},
        {"workers": 0},
        {"max_body_bytes": 0},
        {"body_timeout_seconds": 0},
        {"log_level": "loud"},
    ],
)
def test_a_value_out_of_range_is_refused(wrong: dict[str, int | str]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Settings(**wrong)


def test_the_budget_must_admit_the_largest_body() -> None:
    assert Settings(max_body_bytes=10, max_in_flight_bytes=10)
    with pytest.raises(ValidationError, match="LOSSD_MAX_IN_FLIGHT_BYTES"):
        Settings(max_body_bytes=11, max_in_flight_bytes=10)


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().port = 1


def test_the_table_has_each_setting_with_its_default_and_its_meaning() -> None:
    header, rule, *rows = settings_table().splitlines()
    assert header.count("|") == rule.count("|") == 4
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert [name for name, _, _ in cells] == [f"`{variable(field)}`" for field in Settings.model_fields]
    assert all(len(row) == 3 and row[2].endswith(".") for row in cells)
    assert [f"`{variable('max_body_bytes')}`", f"`{64 * MIB}` (64 MiB)"] in [row[:2] for row in cells]
