"""What a server process sets for the interpreter, once."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lossd.app import SWITCH_SECONDS
from tests.api.serving import environment


def asked(expression: str) -> float:
    """Return what an expression comes to in a process that serves."""
    words = f"import gc, sys; from lossd.app import *; app = serve_from_environment(); print({expression})"
    done = subprocess.run(
        [sys.executable, "-c", words], env=environment(), capture_output=True, check=True, text=True
    )
    return float(done.stdout)


def test_threads_ask_for_the_lock_sooner_than_in_other_processes() -> None:
    assert asked("sys.getswitchinterval()") == pytest.approx(SWITCH_SECONDS)
    assert sys.getswitchinterval() > SWITCH_SECONDS


def test_collections_pass_over_what_was_there_at_the_start() -> None:
    assert asked("gc.get_freeze_count()") > 10 * asked("len(gc.get_objects())")
