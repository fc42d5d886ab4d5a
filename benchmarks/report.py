"""Writes results down: Markdown tables, JSON, and the README between its markers."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
OUT = HERE / "out"
README = HERE / "README.md"
PACKAGES = ("numpy", "torch", "fastapi", "pydantic", "uvicorn", "orjson", "pysimdjson")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay out a Markdown table; every column but the first is of numbers."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def conditions() -> dict[str, Any]:
    """Return what a figure depends on besides the code: processor, packages, the allocator's settings."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "GLIBC_TUNABLES": os.environ.get("GLIBC_TUNABLES", ""),
    }


def conditions_line() -> str:
    """Say the same in one line of Markdown."""
    found = conditions()
    packages = ", ".join(f"{name} {number}" for name, number in found["packages"].items() if number)
    tunables = f", `GLIBC_TUNABLES={found['GLIBC_TUNABLES']}`" if found["GLIBC_TUNABLES"] else ""
    return f"{found['processor']}, {found['cores']} cores, CPython {found['python']}, {packages}{tunables}.\n"


def save(name: str, results: Any, text: str) -> None:
    """Keep results as JSON and text in ``benchmarks/out``."""
    OUT.mkdir(exist_ok=True)
    document = {"conditions": conditions(), "results": results}
    (OUT / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")
    (OUT / f"{name}.md").write_text(f"{conditions_line()}\n{text}")


def publish(name: str) -> None:
    """Put the text that was saved last into the README."""
    README.write_text(replaced(README.read_text(), name, (OUT / f"{name}.md").read_text()))


def replaced(document: str, name: str, text: str) -> str:
    """Put text between the markers of that name.

    Raises:
        ValueError: The document has no such markers.
    """
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    result, count = pattern.subn(lambda match: f"{begin}{text}{end}", document)
    if count != 1:
        raise ValueError(f"expected the markers of {name} once, got {count} of them")
    return result


def _processor() -> str:
    try:
        found = re.search(r"(?m)^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found[1] if found else platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
