"""The code in the documentation of the client runs as it stands, block after block."""

from __future__ import annotations

import re
from importlib.util import find_spec

import pytest

from tests.api.serving import ROOT, Served

TEXT = (ROOT / "docs" / "client.md").read_text()
BLOCKS = re.findall(r"```python( torch)?\n(.*?)```", TEXT, flags=re.DOTALL)


@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_the_documented_code_runs(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOSSD_URL", server.url)
    assert len(BLOCKS) >= 10
    names: dict[str, object] = {}
    for needs_torch, code in BLOCKS:
        if not needs_torch or find_spec("torch"):
            exec(compile(code.replace("http://127.0.0.1:8000", server.url), "docs/client.md", "exec"), names)
    names["client"].close()  # type: ignore[attr-defined]


def test_every_setting_is_in_the_table() -> None:
    from inspect import signature

    from lossd.client import LossClient

    settings = set(signature(LossClient.__init__).parameters) - {"self", "http"}
    assert settings <= set(re.findall(r"(?m)^\| `(\w+)` \|", TEXT))
