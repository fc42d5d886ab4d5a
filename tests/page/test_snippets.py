"""The programs that the pages show are run, each against a server, and give the loss of the worked example."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from markupsafe import Markup

from lossd.access.keys import write_entry
from lossd.engine import evaluate
from lossd.losses import LOSSES
from lossd.message import Call
from lossd.page.pages import posted
from lossd.page.samples import example_call
from lossd.page.snippets import snippets
from tests.api.serving import Served, serve
from tests.languages.toolchain import need, run

# Of what has to be compiled, one loss of each kind of picture.
FEW = ("huber", "cross_entropy", "giou", "ctc", "cox", "triplet_margin_with_distance")


@dataclass(frozen=True)
class Toolchain:
    """How a language's programs are run, and what for."""

    needs: str
    probe: Sequence[str]
    commands: Sequence[Sequence[str]]
    names: Collection[str] = FEW
    digits: int = 5


_CURL = Toolchain("curl", ["curl", "--version"], [["sh", "{file}"]], names=LOSSES)
LANGUAGES: Mapping[str, Toolchain] = {
    "curl": _CURL,
    "Open Inference": _CURL,
    "Python": Toolchain("Python", [sys.executable, "--version"], [[sys.executable, "{file}"]], names=()),
    "JavaScript": Toolchain("node", ["node", "--version"], [["node", "{file}"]], names=LOSSES),
    "Go": Toolchain("go", ["go", "version"], [["go", "run", "{file}"]]),
    "Java": Toolchain("java", ["javac", "-version"], [["java", "{file}"]]),
    "R": Toolchain(
        "R", ["Rscript", "-e", "library(curl); library(jsonlite)"], [["Rscript", "{file}"]], digits=3
    ),
    "C": Toolchain(
        "a C compiler with libcurl",
        ["cc", "-fsyntax-only", "-include", "curl/curl.h", "-xc", "/dev/null"],
        [["cc", "-Wall", "-Werror", "-o", "call", "{file}", "-lcurl"], ["./call"]],
    ),
}
# Programs that run in this process, with what they import.
IMPORTED = {"Python": "lossd", "PyTorch": "torch"}
KEY = "lossd_somebody_0123456789"
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("server")) as running:
        yield running


def written(server: Served, name: str, language: str, folder: Path, *, guarded: bool = False) -> Path:
    """Write the program of a loss's worked example to a file."""
    shown = snippets(LOSSES[name], posted(LOSSES[name]), url=server.url, guarded=guarded)
    found = {each.language: each for each in shown}
    file = folder / found[language].file
    file.write_text(Markup(found[language].code).unescape())
    return file


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Return a server that asks for a key."""
    folder = tmp_path_factory.mktemp("guarded")
    keys = folder / "keys.toml"
    keys.write_text(write_entry("somebody", KEY, ["evaluate"]))
    with serve(folder, LOSSD_AUTH="keys", LOSSD_KEYS_FILE=str(keys)) as running:
        yield running


def mean(name: str) -> float:
    return float(evaluate(LOSSES[name], example_call(LOSSES[name])).loss["mean"])


def assert_prints(text: str, expected: float, digits: int = 4) -> None:
    """Look for a number among those printed: PyTorch shows four digits, R three."""
    found = [float(number) for number in NUMBER.findall(text)]
    assert np.isclose(found, expected, rtol=0.5 * 10.0 ** (1 - digits)).any(), text


@pytest.mark.slow
@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("language", ["Python", pytest.param("PyTorch", marks=pytest.mark.torch)])
def test_python(
    server: Served, tmp_path: Path, language: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Run a program in this process, for to start Python and import what it needs takes longer than the call."""
    module = IMPORTED[language]
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"needs {module}")
    file = written(server, name, language, tmp_path)
    exec(compile(file.read_text(), str(file), "exec"), {"__name__": "__main__"})
    assert_prints(capsys.readouterr().out, mean(name))


OPTIONS: list[dict[str, Any]] = [
    {"reduction": ["sum", "mean"]},
    {"reduction": ["none"], "encoding": "base64"},
    {"hessian": True, "convention": "gbm"},
    {"hvp.input": [1.0, 0.0, 0.0], "reduction": ["sum", "none"]},
    {"hvp": [1.0, 0.0, 0.0], "hvp.target": [0.0, 2.0, 0.0]},
]


def call_with(more: dict[str, Any]) -> dict[str, Any]:
    return {"input": [1.0, 2.0, 4.0], "target": [1.0, 1.5, 1.0], "gradient": True, **more}


def ran(server: Served, language: str, call: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the program of a call, and the names that it has defined when it has ended."""
    if importlib.util.find_spec(IMPORTED[language]) is None:
        pytest.skip(f"needs {IMPORTED[language]}")
    shown = {each.language: each for each in snippets(LOSSES["mse"], call, url=server.url)}
    code = Markup(shown[language].code).unescape()
    defined: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(code, language, "exec"), defined)
    return code, defined


@pytest.mark.parametrize("more", OPTIONS)
def test_python_computes_a_call_with_its_options_and_prints_it(
    server: Served, more: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    call = call_with(more)
    _, defined = ran(server, "Python", call)
    printed = capsys.readouterr().out
    arrays = {
        name: np.array(value) for name, value in call.items() if type(value) is list and name != "reduction"
    }
    options = {name: value for name, value in call.items() if name not in arrays and name != "encoding"}
    expected = evaluate(LOSSES["mse"], Call(arrays, options))
    for reduction, value in expected.loss.items():
        found = defined["result"][reduction]
        np.testing.assert_array_equal(found.value, value)
        assert str(found.value) in printed
        for kind in ("gradient", "hessian", "hvp"):
            of_arguments = getattr(expected, kind).get(reduction, {})
            assert getattr(found, kind).keys() == of_arguments.keys()
            for name, derivative in of_arguments.items():
                np.testing.assert_array_equal(getattr(found, kind)[name], derivative)
            assert not of_arguments or str(getattr(found, kind)) in printed


@pytest.mark.torch
@pytest.mark.parametrize("more", OPTIONS)
def test_pytorch_says_what_it_leaves_out(server: Served, more: dict[str, Any]) -> None:
    code, defined = ran(server, "PyTorch", call_with(more))
    several = more.get("reduction", ["mean"])
    chosen = "sum" if "sum" in several else several[0]
    left = {name for name in more if name not in ("reduction", "encoding")}
    left |= {f"the reduction {name}" for name in several if name != chosen}
    said = re.findall("# This program leaves out (.*)[.]\n", code)
    assert {name for names in said for name in names.split(", ")} == left
    squares = [0.0, 0.25, 9.0]
    expected = {"sum": sum(squares), "mean": sum(squares) / 3, "none": squares}[chosen]
    np.testing.assert_allclose(defined["loss"].detach().numpy(), expected)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        (
            "mse",
            call_with({"hvp": [1.0, 0.0, 0.0], "hvp.target": [0.0, 2.0, 0.0], "mask": [True, False, True]}),
        ),
        ("ranking_softmax", call_with({"group": [1, 2], "sample_weight": [1.0, 3.0]})),
    ],
)
def test_open_inference_has_every_array_as_an_input(server: Served, name: str, call: dict[str, Any]) -> None:
    shown = {each.language: each for each in snippets(LOSSES[name], call, url=server.url)}
    (body,) = re.findall("-d '(.*)'", Markup(shown["Open Inference"].code).unescape(), re.DOTALL)
    answer = httpx.post(f"{server.url}/v2/models/{name}/infer", content=body)
    arrays = {each: np.array(value) for each, value in call.items() if type(value) is list}
    expected = evaluate(LOSSES[name], Call(arrays, {"gradient": True}))
    outputs = {each["name"]: each["data"] for each in answer.raise_for_status().json()["outputs"]}
    assert outputs["loss"] == [expected.loss["mean"]]
    assert outputs["gradient.input"] == expected.gradient["mean"]["input"].tolist()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("language", "name"), [(language, name) for language, how in LANGUAGES.items() for name in how.names]
)
def test_a_program_in_another_language(server: Served, tmp_path: Path, language: str, name: str) -> None:
    how = LANGUAGES[language]
    file = written(server, name, language, tmp_path)
    printed = output(how, file)
    assert_prints(printed, mean(name), digits=how.digits)
    assert "gradient" in printed or how is not _CURL


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_program_sends_the_key_that_the_server_asks_for(
    guarded: Served, tmp_path: Path, language: str
) -> None:
    how = LANGUAGES[language]
    file = written(guarded, "huber", language, tmp_path, guarded=True)
    assert_prints(output(how, file, LOSSD_TOKEN=KEY), mean("huber"), digits=how.digits)


def output(how: Toolchain, file: Path, **variables: str) -> str:
    """Build and run a program, and return what it prints."""
    need(how.needs, how.probe)
    for command in how.commands:
        done = run([part.format(file=file.name) for part in command], file.parent, **variables)
        assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.parametrize(
    ("more", "reduction"),
    [
        ({"hessian": True, "convention": "gbm"}, "mean"),
        ({"reduction": ["none", "sum", "mean"], "upstream": [1, 1, 1, 1], "encoding": "base64"}, "sum"),
        ({"reduction": "none", "hvp": [1, 1, 1, 1], "sample_weight": [1, 2, 1, 1]}, "none"),
    ],
)
def test_options_that_are_not_of_the_bridge_are_left_out(
    server: Served, more: dict[str, Any], reduction: str, capsys: pytest.CaptureFixture[str]
) -> None:
    call = {"input": [1, 2, 3, 4], "target": [0, 0, 0, 9], "gradient": True, **more}
    shown = {each.language: each for each in snippets(LOSSES["mse"], call, url=server.url)}
    exec(Markup(shown["PyTorch"].code).unescape(), {"__name__": "__main__"})
    arrays = {name: np.asarray(call[name], float) for name in ("input", "target")}
    weight = np.asarray(call.get("sample_weight", 1.0))
    squares = weight * np.square(arrays["input"] - arrays["target"])
    printed = capsys.readouterr().out
    for expected in {"mean": [squares.mean()], "sum": [squares.sum()], "none": squares}[reduction]:
        assert_prints(printed, expected)


@pytest.mark.slow
@pytest.mark.parametrize("language", ["curl", "Open Inference"])
def test_a_call_too_long_for_an_argument_runs(server: Served, tmp_path: Path, language: str) -> None:
    numbers = [x / 7 for x in range(10_000)]
    call = {"input": numbers, "target": [0.0] * len(numbers)}
    shown = {each.language: each for each in snippets(LOSSES["mse"], call, url=server.url)}
    (tmp_path / shown[language].file).write_text(Markup(shown[language].code).unescape())
    printed = output(_CURL, tmp_path / shown[language].file)
    assert_prints(printed, float(np.mean(np.square(numbers))), digits=6)


def test_what_a_slider_moves_is_marked() -> None:
    for snippet in snippets(LOSSES["huber"], {**posted(LOSSES["huber"]), "delta": 1.0}, ["delta"]):
        assert snippet.code.count('<span data-bind="delta">1</span>') == 1


def test_weights_and_masks_are_inputs_of_open_inference() -> None:
    call = {**posted(LOSSES["mse"]), "sample_weight": [1, 2, 1, 1], "mask": [True, True, False, True]}
    (infer,) = [each.code for each in snippets(LOSSES["mse"], call) if each.language == "Open Inference"]
    body = json.loads(Markup(infer).unescape().partition("-d '")[2].removesuffix("'"))
    kinds = {each["name"]: each["datatype"] for each in body["inputs"]}
    assert kinds == {"input": "FP64", "target": "FP64", "sample_weight": "FP64", "mask": "BOOL"}
    assert body["parameters"] == {"gradient": True}


def test_quotes_and_markup_in_a_call_stay_what_they_are() -> None:
    call = {"input": [1.0], "target": [0.0], "strange": "<b>'\"</b>"}
    shown = {each.language: each.code for each in snippets(LOSSES["mse"], call)}
    assert all("<b>" not in code for code in shown.values())
    assert "'\\''" in Markup(shown["curl"]).unescape()
