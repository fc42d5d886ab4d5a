"""The program of each language runs by the commands in its head, and prints what hand arithmetic gives."""

from __future__ import annotations

import math
import re
import shutil
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.api.serving import Served
from tests.languages.toolchain import NODE_MODULES, ROOT, need, need_node_modules, run

PROGRAMS = ROOT / "examples" / "languages"

# Residuals -0.5, 0, 3 and -2 with delta 1: losses 1/8, 0, 5/2 and 3/2, slopes -1/2, 0, 1 and -1, over four.
HUBER = {"huber loss": [33 / 32], "huber gradient": [-1 / 8, 0, 1 / 4, -1 / 4]}
# Equal logits of four classes cost log 4; a logit of log 3 beside three zeros is a probability of one half.
CROSS_ENTROPY = {
    "cross_entropy loss": [(math.log(4) + math.log(2)) / 2],
    "cross_entropy gradient": [1 / 8, 1 / 8, -3 / 8, 1 / 8, -1 / 4, 1 / 12, 1 / 12, 1 / 12],
}


@dataclass(frozen=True)
class Program:
    """A file of ``examples/languages``, what it needs, and what it prints."""

    source: str
    probe: Sequence[str]
    prints: dict[str, list[float]]

    @property
    def language(self) -> str:
        return self.source.partition(".")[2]


LANGUAGES = [
    Program("lossd.sh", ["curl", "--version"], HUBER | CROSS_ENTROPY),
    Program("lossd.mjs", ["node", "-e", "fetch"], HUBER | CROSS_ENTROPY),
    Program("Lossd.java", ["javac", "-version"], HUBER | CROSS_ENTROPY),
    Program("lossd.go", ["go", "version"], HUBER | CROSS_ENTROPY),
    Program("lossd.R", ["Rscript", "-e", "library(curl); library(jsonlite)"], HUBER | CROSS_ENTROPY),
    Program("lossd.pl", ["perl", "-MHTTP::Tiny", "-MJSON::PP", "-e1"], HUBER | CROSS_ENTROPY),
    Program(
        "lossd.c",
        ["cc", "-E", "-include", "curl/curl.h", "-include", "cjson/cJSON.h", "-x", "c", "/dev/null"],
        HUBER,
    ),
    Program("lossd.ts", ["node", "-e", "fetch"], HUBER),
]
SERVER = "http://127.0.0.1:8000"  # in the heads; the tests' server has another port

each_language = pytest.mark.parametrize("program", LANGUAGES, ids=lambda program: program.language)


@pytest.mark.slow
@each_language
def test_a_program_prints_loss_and_gradient_or_fails(
    program: Program, server: Served, tmp_path: Path
) -> None:
    command = build(program, server, tmp_path)

    result = run_line(command, tmp_path, server.url)
    assert result.returncode == 0, result.stderr
    printed = numbers(result.stdout)
    assert printed.keys() == program.prints.keys()
    for what, expected in program.prints.items():
        # As float32, or in the seven digits that some languages print.
        assert printed[what] == pytest.approx(expected, rel=1e-6), what

    refused = run_line(command, tmp_path, f"{server.url}/nowhere")
    assert refused.returncode != 0
    assert "404" in refused.stdout + refused.stderr

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: nothing else can take the port
        port = taken.getsockname()[1]
        alone = run_line(command, tmp_path, f"http://127.0.0.1:{port}")
    assert alone.returncode != 0
    assert alone.stderr


def test_every_program_is_run() -> None:
    assert {program.source for program in LANGUAGES} == {path.name for path in PROGRAMS.iterdir()}


def test_some_programs_send_arrays_and_all_ask_one_variable_for_the_server() -> None:
    texts = {program.source: (PROGRAMS / program.source).read_text() for program in LANGUAGES}
    assert sum("application/vnd.safetensors" in text for text in texts.values()) >= 3
    assert [name for name, text in texts.items() if "LOSSD_URL" not in text] == []


def build(program: Program, server: Served, folder: Path) -> str:
    """Copy a program into a folder and follow its head there; return the last command, which runs it."""
    need(f"the tools of {program.source}", program.probe)
    shutil.copy(PROGRAMS / program.source, folder)
    *first, last = commands(program.source)
    for command in first:
        follow(command, folder, server.url)
    return last


def commands(source: str) -> list[str]:
    """Return the commands in the head of a program: behind "Build:" and "Run:", or lines that are indented."""
    head = "\n".join((PROGRAMS / source).read_text().splitlines()[:25])
    named = re.findall(r"\b(?:Build|Run): +(?:\{@code )?(.*?)\}?$", head, flags=re.MULTILINE)
    return named or re.findall(r"(?m)^//   (.*)$", head)


def follow(command: str, folder: Path, url: str) -> None:
    """Run a command of a head that has to succeed; packages come from where they are pinned."""
    if command.startswith("npm install "):
        link_modules(command, folder)
        return
    result = run_line(command, folder, url)
    assert result.returncode == 0, result.stdout + result.stderr


def run_line(command: str, folder: Path, url: str) -> CompletedProcess[str]:
    """Run a command of a head, with another server than the one that it names."""
    strict = re.sub(r"^cc ", "cc -Wall -Wextra -Werror -pedantic ", command)
    return run(["sh", "-c", strict.replace(SERVER, url)], folder)


def link_modules(command: str, folder: Path) -> None:
    """Take the packages that a head installs from ``openapi/node_modules``, which has them pinned."""
    need_node_modules()
    wanted = command.split()[2:]
    assert [name for name in wanted if not (NODE_MODULES / name).is_dir()] == []
    (folder / "node_modules").symlink_to(NODE_MODULES)


def test_every_program_says_how_to_run_it() -> None:
    for program in LANGUAGES:
        *first, last = commands(program.source)
        assert f"LOSSD_URL={SERVER} " in last
        assert bool(first) == (program.language in ("c", "ts"))


def numbers(text: str) -> dict[str, list[float]]:
    """Read lines such as ``huber gradient 0.5 1``, or the server's own answers in the order of the calls."""
    answers = re.findall(r'"loss":\{"mean":([^}]+)\},"gradient":\{"mean":\{"input":([^}]+)\}', text)
    named = re.findall(r"(?m)^(\w+ (?:loss|gradient)) (.*)$", text)
    for loss, (value, gradient) in zip(["huber", "cross_entropy"], answers, strict=False):
        named += [(f"{loss} loss", value), (f"{loss} gradient", gradient)]
    return {what: [float(number) for number in re.findall(r"[-\d.e]+", rest)] for what, rest in named}
