"""The documentation is true: its code runs, its links lead somewhere, its reference is that of the declarations."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.serving import Served, serve
from tests.languages.toolchain import need, run
from tests.page.reference import DOCS, NOTE, PAGES

ROOT = DOCS.parent
TAUGHT = sorted(
    str(file.relative_to(DOCS))
    for part in ("tutorial", "how-to", "explanation")
    for file in (DOCS / part).glob("*.md")
)
PAGES_OF_ALL = sorted(str(file.relative_to(ROOT)) for file in [*DOCS.rglob("*.md"), ROOT / "README.md"])
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("server")) as running:
        yield running


def blocks(page: str, language: str) -> list[str]:
    return [code for found, code in BLOCK.findall((DOCS / page).read_text()) if found == language]


@pytest.mark.slow
def test_the_site_refuses_a_link_that_leads_nowhere(tmp_path: Path) -> None:
    """Build a site with such a link as `make docs` does: MkDocs counts no warnings under ``--quiet``."""
    command = shlex.split(re.findall(r"bin/(mkdocs build.*)", (ROOT / "Makefile").read_text())[0])
    assert "--strict" in command
    assert not {"-q", "--quiet"} & {*command}
    if importlib.util.find_spec("mkdocs") is None:
        pytest.skip("needs MkDocs, which `make lint` installs")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("[nowhere](nowhere.md)")
    (tmp_path / "mkdocs.yml").write_text("site_name: lossd\ntheme: mkdocs\n")
    done = run([sys.executable, "-m", *command], tmp_path)
    assert done.returncode == 1, done.stderr
    assert "nowhere.md" in done.stderr


def test_there_is_code_to_run() -> None:
    languages = {language for page in TAUGHT for language, _ in BLOCK.findall((DOCS / page).read_text())}
    assert languages == {"console", "python", "javascript"}, "what else there is needs a test below"


@pytest.mark.parametrize("page", [page for page in TAUGHT if blocks(page, "python")])
def test_python_runs_block_after_block(server: Served, page: str) -> None:
    names: dict[str, object] = {}
    for code in blocks(page, "python"):
        exec(compile(code.replace("http://127.0.0.1:8000", server.url), page, "exec"), names)
    if "client" in names:
        names["client"].close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("page", [page for page in TAUGHT if blocks(page, "javascript")])
def test_javascript_prints_what_is_said(server: Served, page: str, tmp_path: Path) -> None:
    need("node", ["node", "--version"])
    text, code = (DOCS / page).read_text(), "".join(blocks(page, "javascript"))
    assert f"It prints `{printed(code, server, tmp_path)}`" in text


def test_what_the_first_tutorial_imports_is_installed_by_it() -> None:
    text = (DOCS / "tutorial/first-call.md").read_text()
    assert text.index("pip install '.[client]'") < text.index("from lossd.client")


def test_the_names_of_frameworks_say_their_form_and_the_names_of_arguments() -> None:
    text = (DOCS / "frameworks.md").read_text()
    for told in ("without the modules in front", "`y_pred` and `y_true`"):
        assert told in text


def test_javascript_with_another_loss_prints_what_is_said(server: Served, tmp_path: Path) -> None:
    need("node", ["node", "--version"])
    page = "tutorial/training-without-autograd.md"
    text, code = (DOCS / page).read_text(), "".join(blocks(page, "javascript"))
    said = re.search(r"write `(evaluate\(.*\))` for\sthe call of `huber`, and it prints `(.*?)`", text)
    assert said is not None
    changed, count = re.subn(r"evaluate\(\"huber\".*\)", said[1], code)
    assert (count, printed(changed, server, tmp_path)) == (1, said[2])


def printed(code: str, server: Served, folder: Path) -> str:
    (folder / "train.mjs").write_text(code)
    done = run(["node", "train.mjs"], folder, LOSSD_URL=server.url)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("page", [page for page in TAUGHT if blocks(page, "console")])
def test_a_command_answers_as_printed(server: Served, page: str) -> None:
    for block in blocks(page, "console"):
        command, _, answer = block.removeprefix("$ ").rpartition("'\n")
        words = shlex.split(command.replace("\\\n", " ") + "'")
        assert "Content-Type: application/json" in words  # curl by itself calls it a form
        body = json.loads(words[words.index("-d") + 1])
        url = next(word for word in words if word.startswith("http"))
        assert httpx.post(server.url + httpx.URL(url).path, json=body).text == answer.strip()


@pytest.mark.parametrize("page", PAGES_OF_ALL)
def test_a_link_leads_to_what_is_there(page: str) -> None:
    file = ROOT / page
    for link in LINK.findall(BLOCK.sub("", file.read_text())):
        address, _, anchor = link.partition("#")
        if link.startswith(("http:", "https:", "mailto:")) or address.startswith("/"):
            continue
        target = (file.parent / address) if address else file
        assert target.exists(), link
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), link


def anchors(file: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and MkDocs write them."""
    headings = re.findall(r"(?m)^#+ (.+)$", file.read_text())
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.declarations
@pytest.mark.parametrize("name", PAGES)
def test_the_reference_is_that_of_the_declarations(name: str) -> None:
    assert (DOCS / name).read_text() == NOTE + PAGES[name](), "make reference writes it"
