"""Text is read and written as UTF-8 whatever the locale is: each call that opens text names its encoding."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lossd.access.keys import write_entry
from lossd.losses import LOSSES
from tests.api.serving import environment, lossd

SERVICE = Path(__file__).parents[1] / "service"
# A locale without UTF-8, in which Python does not put one in its place.
ASCII = {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
# What opens text by its default mode, to the place of its argument `encoding`.
OPENERS = {"open": 3, "fdopen": 3, "TextIOWrapper": 1, "read_text": 0, "write_text": 1}


def without_encoding(source: str) -> Iterator[int]:
    """Find the lines that open text and leave its encoding to the locale."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and opens_text(node):
            given = len(node.args) > OPENERS[name_of(node)]
            if not given and "encoding" not in {keyword.arg for keyword in node.keywords}:
                yield node.lineno


def opens_text(call: ast.Call) -> bool:
    """Tell whether a call opens text; an `open` of another object than a path has a mode of its own."""
    name, mode = name_of(call), mode_of(call)
    if name not in OPENERS or mode is None or "b" in mode:
        return False
    is_method = isinstance(call.func, ast.Attribute)
    return not (name == "open" and is_method) and (is_method or name not in ("read_text", "write_text"))


def name_of(call: ast.Call) -> str:
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def mode_of(call: ast.Call) -> str | None:
    """Return the mode in which a call opens a file; None where it is no constant."""
    given = [keyword.value for keyword in call.keywords if keyword.arg == "mode"]
    if name_of(call) in ("open", "fdopen"):
        given += call.args[1:2]
    return next((value.value if isinstance(value, ast.Constant) else None for value in given), "r")


@pytest.mark.parametrize(
    "file", sorted(SERVICE.rglob("*.py")), ids=lambda file: str(file.relative_to(SERVICE))
)
def test_text_is_opened_with_an_encoding(file: Path) -> None:
    assert list(without_encoding(file.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("open(path)", True),
        ("open(path, 'w')", True),
        ("open(path, 'rb')", False),
        ("open(path, mode='rb')", False),
        ("open(path, encoding='utf-8')", False),
        ("(files('lossd') / 'x').read_text()", True),
        ("path.read_text('utf-8')", False),
        ("path.write_text(text)", True),
        ("path.write_text(text, encoding='utf-8')", False),
        ("os.fdopen(1, 'w', closefd=False)", True),
        ("os.open(path, os.O_RDONLY)", False),
        ("io.TextIOWrapper(file)", True),
        ("io.TextIOWrapper(file, 'utf-8')", False),
        ("await read_text(receive, None)", False),
    ],
)
def test_a_call_without_an_encoding_is_found(source: str, found: bool) -> None:
    assert bool(list(without_encoding(f"async def f():\n    {source}"))) == found


def test_pages_are_rendered_in_any_locale() -> None:
    render = "from lossd.api.site import PAGES; print(*(len(page(guarded=False)) for page in PAGES.values()))"
    rendered = subprocess.run(
        [sys.executable, "-c", render], env=environment(**ASCII), capture_output=True, text=True, check=False
    )
    assert rendered.stderr == ""
    assert len(rendered.stdout.split()) == len(LOSSES) + 3


def test_a_key_is_added_to_a_file_in_any_locale(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    file.write_text("# für Zoë\n" + write_entry("zoe", "lossd_zoe", ["evaluate"]), encoding="utf-8")
    made = lossd("keys", "new", "trainer", "--file", str(file), **ASCII)
    assert (made.returncode, made.stderr) == (0, b"")
    text = file.read_text(encoding="utf-8")
    assert text.startswith("# für Zoë\n")
    assert "trainer" in text
