"""What the tests do on a machine that lacks a language: they skip by its name, and in CI they fail."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NODE_MODULES = ROOT / "openapi" / "node_modules"
INSTALL = "sh tests/languages/install.sh installs them"
PATIENCE_SECONDS = 120


def need(name: str, probe: Sequence[str]) -> None:
    """Go on only if ``probe`` succeeds, a command that touches all that ``name`` needs."""
    if not succeeds(tuple(probe)):
        lack(f"needs {name}; {INSTALL}")


def need_node_modules() -> None:
    """Go on only with Node and the tools of ``openapi/package.json``."""
    need("node", ["node", "--version"])
    if not NODE_MODULES.is_dir():
        lack(f"needs openapi/node_modules; {INSTALL}")


def lack(reason: str) -> None:
    """Skip, but never in CI: there a language that is missing is a mistake in the setup."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@cache
def succeeds(command: tuple[str, ...]) -> bool:
    try:
        result = subprocess.run(command, capture_output=True, timeout=PATIENCE_SECONDS, check=False)
    except FileNotFoundError:
        return False
    return result.returncode == 0


def run(command: Sequence[str], folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end in a folder, with the caller's environment and these variables."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LOSSD_")}
    # A proxy of the caller's has no way to this machine's loopback; tools that report home are told not to.
    ours = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", "REDOCLY_TELEMETRY": "off", "NO_COLOR": "1"}
    return subprocess.run(
        command,
        cwd=folder,
        env={**inherited, **ours, **variables},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
