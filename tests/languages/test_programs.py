"""The program of each language runs as its user runs it, and prints what hand arithmetic gives."""

from __future__ import annotations

import json
import math
import re
import shutil
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

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
    """How a file of ``examples/languages`` is built and run, and what it prints."""

    source: str
    probe: Sequence[str]
    command: Sequence[str]
    prints: dict[str, list[float]]
    build: Sequence[str] = ()

    @property
    def language(self) -> str:
        return self.source.partition(".")[2]


LANGUAGES = [
    Program("lossd.sh", ["curl", "--version"], ["sh", "lossd.sh"], HUBER | CROSS_ENTROPY),
    Program("lossd.mjs", ["node", "-e", "fetch"], ["node", "lossd.mjs"], HUBER | CROSS_ENTROPY),
    Program("Lossd.java", ["javac", "-version"], ["java", "Lossd.java"], HUBER | CROSS_ENTROPY),
    Program("lossd.go", ["go", "version"], ["./lossd"], HUBER | CROSS_ENTROPY, ["go", "build", "lossd.go"]),
    Program(
        "lossd.R",
        ["Rscript", "-e", "library(curl); library(jsonlite)"],
        ["Rscript", "lossd.R"],
        HUBER | CROSS_ENTROPY,
    ),
    Program(
        "lossd.pl",
        ["perl", "-MHTTP::Tiny", "-MJSON::PP", "-e1"],
        ["perl", "lossd.pl"],
        HUBER | CROSS_ENTROPY,
    ),
    Program(
        "lossd.c",
        ["cc", "-E", "-include", "curl/curl.h", "-include", "cjson/cJSON.h", "-x", "c", "/dev/null"],
        ["./lossd"],
        HUBER,
        ["cc", "-Wall", "-Wextra", "-Werror", "-pedantic", "-o", "lossd", "lossd.c", "-lcurl", "-lcjson"],
    ),
    Program(
        "lossd.ts",
        ["node", "-e", "fetch"],
        ["node", "lossd.js"],
        HUBER,
        [str(NODE_MODULES / ".bin" / "tsc"), "--project", "."],
    ),
]
TSCONFIG = {
    "strict": True,
    "noUncheckedIndexedAccess": True,
    "module": "nodenext",
    "types": ["node"],
    "skipLibCheck": True,  # other people's declarations: a quarter of a minute
}

each_language = pytest.mark.parametrize("program", LANGUAGES, ids=lambda program: program.language)


@pytest.mark.slow
@each_language
def test_a_program_prints_loss_and_gradient_or_fails(
    program: Program, server: Served, tmp_path: Path
) -> None:
    build(program, tmp_path)

    result = run(program.command, tmp_path, LOSSD_URL=server.url)
    assert result.returncode == 0, result.stderr
    printed = numbers(result.stdout)
    assert printed.keys() == program.prints.keys()
    for what, expected in program.prints.items():
        # As float32, or in the seven digits that some languages print.
        assert printed[what] == pytest.approx(expected, rel=1e-6), what

    refused = run(program.command, tmp_path, LOSSD_URL=f"{server.url}/nowhere")
    assert refused.returncode != 0
    assert "404" in refused.stdout + refused.stderr

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: nothing else can take the port
        port = taken.getsockname()[1]
        alone = run(program.command, tmp_path, LOSSD_URL=f"http://127.0.0.1:{port}")
    assert alone.returncode != 0
    assert alone.stderr


def test_every_program_is_run() -> None:
    assert {program.source for program in LANGUAGES} == {path.name for path in PROGRAMS.iterdir()}


def test_some_programs_send_arrays_and_all_ask_one_variable_for_the_server() -> None:
    texts = {program.source: (PROGRAMS / program.source).read_text() for program in LANGUAGES}
    assert sum("application/vnd.safetensors" in text for text in texts.values()) >= 3
    assert [name for name, text in texts.items() if "LOSSD_URL" not in text] == []


def build(program: Program, folder: Path) -> None:
    """Copy a program into a folder and build it there as its first comment says."""
    need(f"the tools of {program.source}", program.probe)
    shutil.copy(PROGRAMS / program.source, folder)
    if program.language == "ts":
        prepare_types(folder)
    if program.build:
        built = run(program.build, folder)
        assert built.returncode == 0, built.stdout + built.stderr


def prepare_types(folder: Path) -> None:
    """Lay the types of the contract beside a TypeScript program."""
    need_node_modules()
    (folder / "node_modules").symlink_to(NODE_MODULES)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": TSCONFIG}))
    contract = ROOT / "openapi" / "openapi.json"
    words = ["--default-non-nullable=false", "--output", "contract.ts"]
    result = run([str(NODE_MODULES / ".bin" / "openapi-typescript"), str(contract), *words], folder)
    assert result.returncode == 0, result.stderr


def numbers(text: str) -> dict[str, list[float]]:
    """Read lines such as ``huber gradient 0.5 1``, or the server's own answers in the order of the calls."""
    answers = re.findall(r'"loss":\{"mean":([^}]+)\},"gradient":\{"mean":\{"input":([^}]+)\}', text)
    named = re.findall(r"(?m)^(\w+ (?:loss|gradient)) (.*)$", text)
    for loss, (value, gradient) in zip(["huber", "cross_entropy"], answers, strict=False):
        named += [(f"{loss} loss", value), (f"{loss} gradient", gradient)]
    return {what: [float(number) for number in re.findall(r"[-\d.e]+", rest)] for what, rest in named}
