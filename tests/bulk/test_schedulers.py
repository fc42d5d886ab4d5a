"""What is wrong with a scheduler, or with a row that a worker reads, is said in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lossd.errors import invalid

pytest.importorskip("distributed")


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    np.save(tmp_path / "x.npy", np.zeros((400_000, 3)))
    target = np.zeros(400_000, int)
    target[-1] = 99
    np.save(tmp_path / "t.npy", target)
    return ["--input", str(tmp_path / "x.npy"), "--target", str(tmp_path / "t.npy")]


def _evaluate(files: list[str], *options: str) -> tuple[int, str]:
    call = [sys.executable, "-m", "lossd", "eval", "--in-parts", "--loss", "cross_entropy", *files, *options]
    done = subprocess.run(call, capture_output=True, text=True, timeout=300, check=False)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("local:0", "expected local:N with N >= 1, got local:0"),
        ("local:-1", "expected local:N with N >= 1, got local:-1"),
        ("local:x", "expected local:N with N >= 1, got local:x"),
        ("local", "expected local:N with N >= 1, got local "),
        ("here", "expected tcp://HOST:PORT or local:N, got here"),
    ],
)
def test_an_address_of_no_cluster_is_refused(files: list[str], address: str, message: str) -> None:
    code, err = _evaluate(files, "--scheduler", address)
    assert (code, err.count("\n")) == (2, 1), err
    assert message in err


@pytest.mark.slow
def test_a_scheduler_that_does_not_answer_is_named(files: list[str], tmp_path: Path) -> None:
    code, err = _evaluate(
        files, "--scheduler", "tcp://127.0.0.1:1", "--out", f"gradient.input={tmp_path / 'q.npy'}"
    )
    assert (code, err.count("\n")) == (2, 1), err
    assert "no scheduler answers at tcp://127.0.0.1:1" in err
    assert not [*tmp_path.glob("q*")]


@pytest.mark.slow
def test_a_wrong_row_is_one_line_from_workers_too(files: list[str]) -> None:
    code, err = _evaluate(files, "--scheduler", "local:2")
    assert (code, err.count("\n")) == (1, 1), err
    assert json.dumps("target[399999] of")[1:-1] in err


def test_errors_keep_their_places_where_dask_has_been_imported() -> None:
    """It has every exception copied by its own functions, from which a changed place did not come back."""
    moved = invalid("delta", "a number > 0", "-1").within("calls[0]")
    assert moved.errors[0].at == "calls[0].delta"
    assert str(moved) == "expected a number > 0, got -1 - at `calls[0].delta`"
