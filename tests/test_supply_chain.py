"""What lossd brings along: under which licences, and the bill of materials that the image holds."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.markers import default_environment

from tests.test_packaging import read_lock

ROOT = Path(__file__).parents[1]
DOCKERFILE = (Path(__file__).parents[1] / "Dockerfile").read_text()
ALLOWED = {
    *("MIT", "BSD-2-Clause", "BSD-3-Clause", "0BSD", "Apache-2.0", "PSF-2.0", "Zlib", "CC0-1.0"),
    "MPL-2.0",  # orjson, part of which is so; it asks for the source of changed files alone
}
# Of packages that state none in a form that a program reads: the licence, and words of the text that they carry.
READ_BY_HAND = {
    "h11": ("MIT", "Permission is hereby granted, free of charge"),
    "jinja2": ("BSD-3-Clause", "Neither the name of the copyright holder"),
    "pysimdjson": ("MIT AND Apache-2.0", "Permission is hereby granted, free of charge"),
    "python-dotenv": ("BSD-3-Clause", "Neither the name of"),
    "uvloop": ("MIT OR Apache-2.0", "MIT License"),
}


def needed() -> list[str]:
    """Name the packages of the runtime lock that this platform has."""
    here = default_environment()
    pins = read_lock("runtime").items()
    return [name for name, pin in pins if not pin.marker or pin.marker.evaluate(dict(here))]


def identifiers(expression: str) -> set[str]:
    """Return the licences of an SPDX expression; of alternatives one allowed is enough."""
    found = set()
    for part in re.split(r"\bAND\b", expression):
        alternatives = set(re.findall(r"[\w.-]+", part)) - {"OR"}
        found |= alternatives & ALLOWED or alternatives
    return found


def licence_texts(name: str) -> str:
    files = distribution(name).files or []
    texts = [each for each in files if re.search(r"(?i)licen[cs]e|copying", each.name)]
    return " ".join(" ".join(each.read_text().split()) for each in texts)


@pytest.mark.parametrize("name", needed())
def test_every_package_that_serves_has_an_allowed_licence(name: str) -> None:
    try:
        stated = distribution(name).metadata.get("License-Expression")
    except PackageNotFoundError:
        pytest.skip(f"{name} is not installed")
    if stated is None:
        stated, words = READ_BY_HAND[name]
        assert words in licence_texts(name)
    else:
        assert name not in READ_BY_HAND
    assert identifiers(stated) <= ALLOWED


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("MIT", {"MIT"}),
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", {"MPL-2.0", "Apache-2.0", "MIT"}),
        ("MIT OR GPL-3.0-only", {"MIT"}),
        ("MIT AND GPL-3.0-only", {"MIT", "GPL-3.0-only"}),
        ("LGPL-3.0-only OR GPL-3.0-only", {"LGPL-3.0-only", "GPL-3.0-only"}),
    ],
)
def test_of_alternatives_an_allowed_one_is_enough_and_of_a_conjunction_none_is(
    expression: str, found: set[str]
) -> None:
    assert identifiers(expression) == found


def test_the_image_writes_its_bill_of_materials_with_a_tool_that_it_does_not_keep() -> None:
    build, last = re.split(r"(?m)^FROM ", DOCKERFILE)[1:]
    assert "requirements/sbom.txt" in build
    assert "cyclonedx-py environment" in build
    assert re.findall(r"COPY --from=build (\S+)", last) == ["/opt/lossd"]
    assert "/opt/lossd/sbom.cdx.json" in build


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cyclonedx-py") is None, reason="cyclonedx-py is not installed")
def test_the_bill_of_materials_has_every_package_with_its_version_and_licence(tmp_path: Path) -> None:
    file = tmp_path / "sbom.json"
    command = ["cyclonedx-py", "environment", "--output-reproducible", "-o", str(file), sys.executable]
    subprocess.run(command, check=True, capture_output=True)
    components = {
        each["name"].lower().replace("_", "-"): each for each in json.loads(file.read_text())["components"]
    }
    assert components["numpy"]["version"] == distribution("numpy").version
    assert components["numpy"]["licenses"]
    assert components["numpy"]["purl"].startswith("pkg:pypi/numpy@")
    assert {"lossd", "orjson", "uvicorn"} <= components.keys()


def test_every_package_that_serves_is_explained() -> None:
    locked = re.findall(r"(?m)^([\w.-]+)==", (ROOT / "requirements" / "runtime.txt").read_text())
    note = (ROOT / "docs" / "decisions" / "dependencies.md").read_text().lower()
    explained = re.sub(r"[._]", "-", note)
    assert locked
    assert [name for name in locked if not re.search(rf"\b{re.escape(name)}\b", explained)] == []
