"""The README is generated or true: its tables are the declarations', its commands are run, its loss is declared.

The commands of `docs/open-inference.md` are run as well.
"""

import asyncio
import inspect
import re
import shlex
from pathlib import Path

import httpx
import pytest

from lossd.app import create_app
from lossd.losses import LOSSES
from lossd.settings import Settings
from tests.tables import README, TABLES, filled


@pytest.mark.declarations
@pytest.mark.parametrize("file", TABLES, ids=lambda file: file.name)
def test_tables_are_those_of_the_declarations(file: Path) -> None:
    assert filled(file) == file.read_text(), "make readme writes them"


PAGES = (README, README.parent / "docs" / "open-inference.md")


def curls() -> list[tuple[str, str, str]]:
    """Return each curl of the pages: path, body, and the answer printed below it."""
    text = "\n".join(page.read_text() for page in PAGES)
    blocks = re.findall(r"^\$ (curl (?:.|\n)*?)\n(\{.*\})\n```$", text, flags=re.MULTILINE)
    found = []
    for command, answer in blocks:
        words = shlex.split(command.replace("\\\n", " "))
        url = next(word for word in words if word.startswith("http"))
        found.append((httpx.URL(url).path, words[words.index("-d") + 1], answer))
    return found


def test_there_are_commands_to_check() -> None:
    assert len(curls()) >= 5


@pytest.mark.parametrize(("path", "body", "answer"), curls(), ids=[path for path, _, _ in curls()])
def test_a_command_answers_as_printed(path: str, body: str, answer: str) -> None:
    async def post() -> httpx.Response:
        transport = httpx.ASGITransport(app=create_app(Settings()))
        async with httpx.AsyncClient(transport=transport, base_url="http://lossd") as client:
            return await client.post(path, content=body, headers={"Content-Type": "application/json"})

    assert asyncio.run(post()).text == answer


def test_the_loss_that_is_shown_is_the_declaration_in_the_catalogue() -> None:
    (block,) = re.findall(r"```python\n(@\w*loss.*?)```", README.read_text(), flags=re.DOTALL)
    (name,) = re.findall(r"^def (\w+)\(", block, flags=re.MULTILINE)
    assert block == inspect.getsource(LOSSES[name].kernel)
