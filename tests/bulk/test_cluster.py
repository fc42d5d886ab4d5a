"""Two workers, one of which is killed in the middle, come to the bits of one call."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lossd.bulk import cluster
from lossd.bulk import plan as plans
from lossd.bulk.job import Job, run_part
from lossd.bulk.journal import Journal
from lossd.engine import evaluate
from lossd.losses import find
from lossd.message import Array, Call

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # Dask's own, of sockets that a killed worker leaves
]


def _dies_once(job: Job, number: int) -> Any:
    """Kill this worker at the third part, the first time that anyone comes to it."""
    mark = Path(job.outputs["gradient.input"] + ".killed")
    if number == 2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number, run_part(job, number)


def test_a_killed_worker_changes_nothing(
    tmp_path: Path, logits: Array, labels: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed")
    logits, labels = np.tile(logits, (4, 1)), np.tile(labels, 4)
    np.save(tmp_path / "x.npy", logits)
    np.save(tmp_path / "t.npy", labels)
    monkeypatch.setattr(plans, "PART_BYTES", 1 << 17)
    monkeypatch.setattr(cluster, "_part", _dies_once)
    files = {"input": str(tmp_path / "x.npy"), "target": str(tmp_path / "t.npy")}
    gradient = str(tmp_path / "g.npy")
    job = plans.plan("cross_entropy", files, {}, {"gradient.input": gradient})
    assert job.parts > 16  # more than are sent at a time
    with Journal("", job.identity()) as journal:
        found = cluster.run(job, journal, "local:2")
    whole = evaluate(find("cross_entropy"), Call({"input": logits, "target": labels}, {"gradient": True}))
    assert Path(f"{gradient}.killed").exists()
    assert found["loss"] == whole.loss
    np.testing.assert_array_equal(np.load(gradient), whole.gradient["mean"]["input"])
