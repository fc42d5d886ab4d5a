"""What is wrong with a scheduler, or with a row that a worker reads, is said in one line."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lossd.bulk import cluster
from lossd.bulk.errors import NoScheduler
from lossd.errors import invalid
from tests.operations.proxy import free_ports

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


@pytest.mark.slow
def test_a_scheduler_that_ends_during_a_job_is_named(tmp_path: Path) -> None:
    """Its futures are cancelled, which are no results."""
    np.save(tmp_path / "x.npy", np.ones((1_500_000, 16)))
    address = "tcp://127.0.0.1:{}".format(*free_ports(1))
    code = (
        "import sys; from distributed import LocalCluster\n"
        "if __name__ == '__main__':\n"
        "    port = int(sys.argv[1])\n"
        "    with LocalCluster(n_workers=1, host='127.0.0.1', scheduler_port=port, dashboard_address=None):\n"
        "        print('ready', flush=True); sys.stdin.read()\n"
    )
    (tmp_path / "cluster.py").write_text(code)
    command = [sys.executable, str(tmp_path / "cluster.py"), address.rpartition(":")[2]]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as workers:
        assert workers.stdout is not None
        assert workers.stdout.readline() == "ready\n"
        call = [sys.executable, "-m", "lossd", "eval", "--in-parts", "--loss", "mse", "--scheduler", address]
        call += ["--input", f"{tmp_path}/x.npy", "--target", f"{tmp_path}/x.npy"]
        call += ["--out", f"gradient.input={tmp_path}/q.npy"]
        with subprocess.Popen(call, stderr=subprocess.PIPE, text=True) as job:
            while not [*tmp_path.glob("q.npy.*.part")]:
                assert job.poll() is None
                time.sleep(0.01)
            workers.kill()
            _, err = job.communicate(timeout=120)
    lines = [line for line in err.splitlines() if line.startswith("lossd eval: ")]
    assert (job.returncode, len(lines)) == (2, 1), err
    assert address.removeprefix("tcp://") in lines[0]
    assert not [*tmp_path.glob("q*")]


def _killed() -> None:
    raise pytest.importorskip("distributed").KilledWorker("part 3", SimpleNamespace(address="here"), 3)


@pytest.mark.parametrize(
    ("end", "message"),
    [
        (lambda: (None, CancelledError("part 3 was cancelled")), "ended before the job: part 3 was"),
        (_killed, "the workers of tcp://here ended one after another"),
    ],
)
def test_a_cluster_that_is_lost_is_named(end: Callable[[], Any], message: str) -> None:
    results = cluster._results((end() for _ in range(1)), "tcp://here")
    with pytest.raises(NoScheduler, match=message):
        next(results)
