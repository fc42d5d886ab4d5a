"""The contract lints clean, two generators of clients take all of it, and their clients call a real server.

The client of openapi-typescript is ``examples/languages/lossd.ts`` too, whose own test runs it.
"""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lossd.losses import LOSSES
from lossd.wire import CODECS
from tests.api.serving import ROOT, Served
from tests.languages.test_programs import PROGRAMS, commands, follow, run_line
from tests.languages.toolchain import NODE_MODULES, need_node_modules, run

CONTRACT = ROOT / "openapi" / "openapi.json"
DOCUMENT = json.loads(CONTRACT.read_bytes())
PYTHON_CLIENT = Path(__file__).parent / "generated_client_calls.py"
TYPESCRIPT_CLIENT = PYTHON_CLIENT.with_suffix(".ts")


@pytest.mark.slow
def test_the_contract_lints_without_an_error_or_a_warning(tmp_path: Path) -> None:
    assert problems(CONTRACT, tmp_path) == []


@pytest.mark.slow
def test_the_linter_finds_what_is_wrong(tmp_path: Path) -> None:
    broken = copy.deepcopy(DOCUMENT)
    operation = broken["paths"]["/v1/losses/huber"]["post"]
    del operation["summary"]
    operation["responses"]["200"]["content"]["application/json"]["schema"] = {
        "$ref": "#/components/schemas/No"
    }
    contract = tmp_path / "broken.json"
    contract.write_text(json.dumps(broken))
    assert {"operation-summary", "no-unresolved-refs"} <= {
        each["ruleId"] for each in problems(contract, tmp_path)
    }


def test_only_these_operations_refuse_nothing() -> None:
    """The linter's rule about refusals is off for them, and so for all."""
    without = {
        operation["operationId"]
        for methods in DOCUMENT["paths"].values()
        for operation in methods.values()
        if not any(status.startswith("4") for status in operation["responses"])
    }
    assert without == {"livez", "readyz", "v2_live", "v2_ready"}


@pytest.mark.slow
def test_a_generated_python_client_calls_every_loss_and_parts_and_batches(
    server: Served, tmp_path: Path
) -> None:
    pytest.importorskip("openapi_python_client", reason="needs openapi-python-client")
    made = generate(CONTRACT, tmp_path)
    assert made.returncode == 0, made.stdout + made.stderr
    result = run(
        [sys.executable, str(PYTHON_CLIENT), server.url, str(CONTRACT)],
        tmp_path,
        PYTHONPATH=str(tmp_path / "made"),
    )
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["loss"] == 33 / 32  # by hand in tests/languages
    assert found["gradient"] == [-1 / 8, 0, 1 / 4, -1 / 4]
    assert found["problem"] == ["Problem", 422, ["delta"]]
    assert found["losses"] == list(LOSSES)
    assert found["entry"] == "huber"
    assert found["checked"] == 2
    assert found["together"] == found["whole"]
    assert found["lost"] == [422, "parts"]
    assert found["batch"] == [200, 4.0, 422, "calls[1].delta"]
    assert found["counts"].keys() == LOSSES.keys()
    assert all(count > 0 for count in found["counts"].values())


@pytest.mark.slow
def test_a_contract_that_the_python_generator_cannot_take_is_noticed(tmp_path: Path) -> None:
    pytest.importorskip("openapi_python_client", reason="needs openapi-python-client")
    broken = copy.deepcopy(DOCUMENT)
    nested = {"type": "array", "items": {"$ref": "#/components/schemas/Tensor"}}
    broken["components"]["schemas"]["Tensor"]["anyOf"].append(nested)
    contract = tmp_path / "broken.json"
    contract.write_text(json.dumps(broken))
    assert generate(contract, tmp_path).returncode != 0


@pytest.mark.slow
def test_a_misspelt_option_does_not_compile_as_typescript(tmp_path: Path) -> None:
    program = (PROGRAMS / "lossd.ts").read_text()
    assert "delta: 1" in program
    result, _ = compiled(program.replace("delta: 1", "detla: 1"), tmp_path)
    assert result.returncode != 0
    assert "'detla' does not exist" in result.stdout


@pytest.mark.slow
def test_a_typescript_client_puts_parts_together_and_sends_batches(server: Served, tmp_path: Path) -> None:
    result, run_it = compiled(TYPESCRIPT_CLIENT.read_text(), tmp_path)
    assert result.returncode == 0, result.stdout
    result = run_line(run_it, tmp_path, server.url)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["together"] == found["whole"]
    assert found["lost"] == [422, "parts"]
    assert found["batch"] == [[200, 4.0, None], [422, None, "calls[1].delta"]]


def compiled(program: str, folder: Path) -> tuple[subprocess.CompletedProcess[str], str]:
    """Compile a program beside types made from the contract, as the head of lossd.ts tells; return what runs it too."""
    need_node_modules()
    *first, compile_it, run_it = commands("lossd.ts")
    for command in first:
        follow(command, folder, str(ROOT / "openapi"))  # where a server's /openapi.json would be
    (folder / "lossd.ts").write_text(program)
    return run_line(compile_it, folder, ""), run_it


def problems(contract: Path, folder: Path) -> list[dict[str, Any]]:
    """Lint a contract with the repository's rules."""
    need_node_modules()
    rules = ROOT / "openapi" / "redocly.yaml"
    words = ["lint", "--config", str(rules), "--format", "json", str(contract)]
    result = run([str(NODE_MODULES / ".bin" / "redocly"), *words], folder)
    found: list[dict[str, Any]] = json.loads(result.stdout)["problems"]
    assert bool(result.returncode) == bool(found)
    return found


def generate(contract: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Generate a Python client into ``folder/made``; a part of the contract that it cannot take is an error."""
    options = folder / "options.json"
    # The generator has to be told that these are bytes; and no formatter runs, since nobody reads this client.
    bytes_too = dict.fromkeys(CODECS.keys() - {"application/json"}, "application/octet-stream")
    options.write_text(json.dumps({"content_type_overrides": bytes_too, "post_hooks": []}))
    shutil.rmtree(folder / "made", ignore_errors=True)
    words = ["generate", "--path", str(contract), "--output-path", "made", "--config", str(options)]
    return run([sys.executable, "-m", "openapi_python_client", *words, "--fail-on-warning"], folder)
