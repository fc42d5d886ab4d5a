"""A log gets a plain line now and then, a terminal a bar."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from lossd.bulk import local, progress
from lossd.bulk.job import Job, run_part
from lossd.bulk.journal import Journal
from lossd.bulk.plan import plan
from lossd.bulk.progress import Progress
from lossd.message import Array


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let ten seconds pass whenever someone looks."""
    seconds = count(100.0, 10.0)
    with monkeypatch.context() as patch:
        patch.setattr(progress.time, "monotonic", lambda: next(seconds))
        yield


@pytest.fixture
def job(tmp_path: Path, logits: Array, labels: Array) -> Job:
    for name, array in {"x": logits, "t": labels}.items():
        np.save(tmp_path / f"{name}.npy", array)
    return plan(
        "cross_entropy", {"input": str(tmp_path / "x.npy"), "target": str(tmp_path / "t.npy")}, {}, {}
    )


@pytest.mark.usefixtures("clock")
def test_a_line_every_half_minute_tells_rows_rate_and_time_left(
    job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    with Journal("", job.identity()) as journal:
        local.run(job, journal, show=progress.lines)
    out, err = capsys.readouterr()
    assert (job.rows, job.part_rows, job.parts, out) == (20_011, 4096, 5, "")
    # Three parts in thirty seconds, and 7,723 rows to go.
    assert err == "cross_entropy: 12288 of 20011 rows, 410 rows/s, 19 s left\n"


@pytest.mark.usefixtures("clock")
def test_the_rate_leaves_out_what_an_earlier_run_did(job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    with progress.lines(job, 8192) as shown:
        for _ in range(7):
            shown.update(100)
    assert capsys.readouterr().err.splitlines() == [
        "cross_entropy: 8492 of 20011 rows, 10 rows/s, 1152 s left",
        "cross_entropy: 8792 of 20011 rows, 10 rows/s, 1122 s left",
    ]


def test_rows_that_are_done_and_those_that_are_computed_make_the_whole(job: Job) -> None:
    """After a correction the last part may be among those that are done: it is shorter than the others."""
    counted: list[int] = []

    class Counts:
        def update(self, rows: int) -> None:
            counted.append(rows)

    def show(job: Job, done: int) -> AbstractContextManager[Progress]:
        counted.append(done)
        return nullcontext(Counts())

    with Journal("", job.identity()) as journal:
        for number in (1, 4):
            journal.add(number, run_part(job, number))
        local.run(job, journal, show=show)
    assert counted == [4096 + 3627, 4096, 4096, 4096]
    assert sum(counted) == job.rows


@pytest.mark.usefixtures("clock")
def test_a_log_that_is_gone_does_not_end_a_job(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken pipe was taken for a reader of the answer who has seen enough: exit code 0 and no answer."""
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as log:
        with monkeypatch.context() as patch, Journal("", job.identity()) as journal:
            patch.setattr(sys, "stderr", log)
            found = local.run(job, journal, show=progress.lines)
        with suppress(BrokenPipeError):
            log.close()
    assert found["count"] == job.rows


def test_a_job_without_standard_error_shows_nothing(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones(8))
    call = [sys.executable, "-m", "lossd", "eval", "--in-parts", "--loss", "mse"]
    call += ["--input", str(tmp_path / "x.npy"), "--target", str(tmp_path / "x.npy")]
    closed = ["sh", "-c", 'exec "$@" 2>&-', "sh", *call]
    done = subprocess.run(closed, stdout=subprocess.PIPE, timeout=300, check=False)
    assert done.returncode == 0
    assert json.loads(done.stdout)["count"] == 8


def test_a_terminal_without_tqdm_gets_lines(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    with progress.bar(job, 0) as shown, progress.lines(job, 0) as lines:
        assert type(shown) is type(lines)
