"""docs/operations.md names settings that exist, explains every limit, and links to what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lossd.settings import Settings, variable

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "operations.md").read_text()
LIMITS = TEXT.partition("## Every limit")[2].partition("\n## ")[0]
PAGES = ["SECURITY.md", "docs/operations.md", "docs/reliability.md"]
# How the server is reached, who may call, what it logs: explained where they are named.
NO_LIMITS = re.compile(
    "HOST|PORT|UDS|AUTH|KEYS_FILE|J[WK].*|TRUSTED.*|TLS.*|WORKERS|THREADS|CORS.*|LOG_.*|COMPRESS.*|OTEL.*|TRACE.*"
    "|DRAIN_SECONDS|SHUTDOWN_SECONDS|MAX_CALLERS|.*_BURST"
)


def test_every_setting_that_the_page_names_exists() -> None:
    named = {name.partition("=")[0] for name in re.findall(r"`LOSSD_(\w+)", TEXT)}
    named |= set(re.findall(r"`([A-Z]+_[A-Z_]+)`", LIMITS))
    of_kubernetes = {"PORT", "SERVICE_HOST"}
    assert named - of_kubernetes <= {field.upper() for field in Settings.model_fields}


@pytest.mark.parametrize("field", Settings.model_fields)
def test_every_limit_has_its_reason(field: str) -> None:
    name = variable(field).removeprefix("LOSSD_")
    if not NO_LIMITS.fullmatch(name):
        assert f"`{name}`" in LIMITS


@pytest.mark.parametrize("page", PAGES)
def test_every_link_and_every_test_that_a_page_names_is_there(page: str) -> None:
    text = (ROOT / page).read_text()
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    missing = [link for link in links if link and not ((ROOT / page).parent / link).exists()]
    missing += [name for name in re.findall(r"`(tests/\S+\.py)`", text) if not (ROOT / name).exists()]
    modules = re.findall(r"`python -m (tests[\w.]+)", text)
    places = {name: ROOT / name.replace(".", "/") for name in modules}
    missing += [
        name
        for name, place in places.items()
        if not place.with_suffix(".py").exists() and not (place / "__main__.py").exists()
    ]
    assert not missing
