"""The examples of docs/access.md hold."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from lossd.access.caller import SCOPES
from lossd.access.keys import read_keys
from lossd.access.rate import Bucket, Rate
from lossd.errors import RateLimited
from lossd.settings import OF_CLIENTS, Settings, variable
from tests.api.serving import ROOT, lossd

TEXT = (ROOT / "docs" / "access.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, flags=re.DOTALL)


def test_the_file_that_is_shown_is_a_keys_file() -> None:
    (text,) = blocks("toml")
    ((_, caller),) = read_keys(text.encode()).values()
    assert caller.name == "trainer"
    assert caller.scopes == {"evaluate", "catalogue"}
    assert caller.calls == Rate("calls", 100, 500)
    assert caller.work == Rate("work", 1e9, 1e10)


def test_the_commands_that_are_shown_make_keys(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    commands = [line for line in blocks("console")[0].splitlines() if line.startswith("$ lossd keys")]
    assert len(commands) == 2
    for command in commands:
        words = shlex.split(command.replace("keys.toml", str(path)))[2:]
        assert lossd(*words).returncode == 0
    assert [caller.name for _, caller in read_keys(path.read_bytes()).values()] == ["trainer", "prometheus"]


def test_the_refusal_that_is_shown_is_what_a_bucket_says() -> None:
    (text,) = blocks("http")
    bucket, limit = Bucket(), Rate("calls", 0.5, 5)
    for _ in range(5):
        bucket.take(limit)
    with pytest.raises(RateLimited) as raised:
        bucket.take(limit)
    shown = dict(line.lower().split(": ") for line in text.splitlines()[1:])
    assert shown == raised.value.headers


def test_scopes_and_settings_are_those_there_are() -> None:
    assert set(re.findall(r"(?m)^\| `([a-z]+)` \|", TEXT)) == set(SCOPES)
    assert (
        set(re.findall(r"LOSSD_\w+", TEXT)) <= {variable(name) for name in Settings.model_fields} | OF_CLIENTS
    )
