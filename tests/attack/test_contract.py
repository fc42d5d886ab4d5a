"""The whole contract against a real server: requests that schemathesis makes from it, right and wrong in every place.

Every answer must be one that the document tells of: its status, its type, its headers and its schema; and what the
document forbids must be refused. `not_a_server_error` is not among the checks: 503 and 504 are answers that the
document has, a 500 is none. Nor is `unsupported_method`: it takes `/v1/losses/{name}` for a path that has no POST,
though `/v1/losses/mse`, which it puts there, has one.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.serving import ROOT, Served, environment, serve
from tests.soak import SMALL

CHECKS = (
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
)
EXAMPLES = 1  # of each kind and operation, beside those that cover the document
MOST_SECONDS = 90
DOCUMENT = ROOT / "openapi" / "openapi.json"
# What is wrong may also be answered as too late: a `Request-Timeout` near 0 ends before the body has come.
CONFIGURATION = """
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "406", "408", "409", "413", "415", "422", "428", "429", "5xx"]
"""


def run_schemathesis(
    server: Served, document: dict[str, Any], folder: Path, *options: str
) -> subprocess.CompletedProcess[str]:
    """Test a server against a document; the same requests each time."""
    file = folder / "openapi.json"
    file.write_text(json.dumps(document))
    (folder / "schemathesis.toml").write_text(CONFIGURATION)
    command = [sys.executable, "-m", "schemathesis.cli", "run", str(file), "--url", server.url]
    command += ["--checks", ",".join(CHECKS), "--max-examples", str(EXAMPLES), "--generation-deterministic"]
    command += ["--no-shrink", "--continue-on-failure", "--no-color", "--request-timeout", "60"]
    return subprocess.run(
        [*command, *options],
        cwd=folder,  # where it keeps what it found
        env=environment(PYTHONPATH=os.pathsep.join(filter(None, sys.path))),
        capture_output=True,
        check=False,
        text=True,
    )


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    with serve(tmp_path, **SMALL) as running:
        yield running


@pytest.mark.slow
def test_every_answer_is_one_of_the_contract(server: Served, tmp_path: Path) -> None:
    phases = ("--phases", "examples,coverage,fuzzing", "--max-time", str(MOST_SECONDS))
    done = run_schemathesis(server, json.loads(DOCUMENT.read_text()), tmp_path, *phases)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    tested, operations = map(int, re.search(r"Selected: (\d+)/(\d+)", done.stdout).groups())
    assert tested == operations > 50
    assert int(re.search(r"(\d+) generated", done.stdout)[1]) > 1000
    assert server.stop() == 0
    lines = server.log()
    assert 500 not in {line.get("status") for line in lines}
    assert "error" not in {line["level"] for line in lines}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("response", "found"),
    [("422", "Undocumented"), ("200", "Response violates schema")],
    ids=["a status that is missing", "a member that no answer has"],
)
def test_a_contract_that_says_something_else_is_noticed(
    server: Served, tmp_path: Path, response: str, found: str
) -> None:
    document = json.loads(DOCUMENT.read_text())
    if response == "200":
        document["components"]["schemas"]["Answer"]["required"].append("value")
    else:
        del document["paths"]["/v1/losses/mse"]["post"]["responses"][response]
    options = ("--phases", "examples,coverage", "--include-path", "/v1/losses/mse")
    done = run_schemathesis(server, document, tmp_path, *options)
    assert done.returncode == 1
    assert found in done.stdout
