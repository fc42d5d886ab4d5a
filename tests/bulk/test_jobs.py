"""Jobs over files have the bits of one call, also where they were interrupted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lossd.bulk import local
from lossd.bulk.errors import UnusableFile
from lossd.bulk.job import Job, answer, run_part
from lossd.bulk.journal import Journal
from lossd.bulk.outputs import written
from lossd.bulk.plan import plan
from lossd.engine import evaluate
from lossd.errors import InvalidCall
from lossd.losses import find
from lossd.message import Answer, Array, Call


def _saved(folder: Path, **arrays: Array) -> dict[str, str]:
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return {name: str(folder / f"{name}.npy") for name in arrays}


def _run(job: Job, journal: str = "", **options: Any) -> dict[str, Any]:
    with Journal(journal, job.identity()) as opened:
        return local.run(job, opened, **options)


def _whole(loss: str, arrays: dict[str, Array], **options: Any) -> Answer:
    return evaluate(find(loss), Call(arrays, options))


@pytest.mark.parametrize("reduction", ["mean", "sum", "batchmean"])
def test_values_and_gradients_have_the_bits_of_one_call(
    tmp_path: Path, logits: Array, labels: Array, reduction: str
) -> None:
    outputs = {"loss": str(tmp_path / "rows.npy"), "gradient.input": str(tmp_path / "gradient.npy")}
    arrays = {"input": logits, "target": labels}
    job = plan("cross_entropy", _saved(tmp_path, **arrays), {"reduction": reduction}, outputs)
    assert job.parts > 2
    found = _run(job)
    whole = _whole("cross_entropy", arrays, reduction=[reduction, "none"], gradient="input")
    assert found["loss"] == {reduction: whole.loss[reduction]}
    assert found["count"] == whole.count
    np.testing.assert_array_equal(np.load(outputs["gradient.input"]), whole.gradient[reduction]["input"])
    np.testing.assert_array_equal(np.load(outputs["loss"]), whole.loss["none"])


def test_ignored_masked_and_weighted_rows(tmp_path: Path, logits: Array, labels: Array) -> None:
    rng = np.random.default_rng(1)
    arrays = {
        "input": logits,
        "target": np.where(rng.random(len(labels)) < 0.2, -100, labels),
        "weight": rng.uniform(0.5, 2, logits.shape[1]).astype(np.float32),
        "sample_weight": rng.random(len(labels)).astype(np.float32),
        "mask": rng.random(len(labels)) < 0.7,
    }
    outputs = {"gradient.input": str(tmp_path / "gradient.npy")}
    options = {"reduction": "weighted_mean"}
    job = plan("cross_entropy", _saved(tmp_path, **arrays), options, outputs)
    found = _run(job)
    whole = _whole("cross_entropy", arrays, gradient="input", **options)
    assert found["loss"] == whole.loss
    assert found["count"] == whole.count
    assert found["denominator"] == whole.denominator
    np.testing.assert_array_equal(
        np.load(outputs["gradient.input"]), whole.gradient["weighted_mean"]["input"]
    )


@pytest.mark.parametrize("weighted", [False, True])
def test_a_sum_reports_the_denominator_that_one_call_reports(
    tmp_path: Path, logits: Array, labels: Array, weighted: bool
) -> None:
    arrays = {"input": logits, "target": labels}
    if weighted:
        arrays |= {"mask": labels > 0, "weight": np.linspace(0.5, 2, logits.shape[1], dtype=np.float32)}
    found = _run(plan("cross_entropy", _saved(tmp_path, **arrays), {"reduction": "sum"}, {}))
    whole = _whole("cross_entropy", arrays, reduction="sum")
    assert found["loss"] == whole.loss
    assert (found["count"], found["denominator"]) == (whole.count, whole.denominator)


def test_gradients_of_what_all_rows_share_are_added_up(tmp_path: Path, logits: Array, labels: Array) -> None:
    arrays = {
        "input": logits,
        "target": labels,
        "weight": np.linspace(0.5, 2, logits.shape[1], dtype=np.float32),
    }
    options = {"reduction": "sum", "gradient": ["weight"]}
    found = _run(plan("cross_entropy", _saved(tmp_path, **arrays), options, {}))
    whole = _whole("cross_entropy", arrays, **options)
    np.testing.assert_array_equal(found["gradient"]["sum"]["weight"], whole.gradient["sum"]["weight"])


def test_shards_of_any_length_are_one_array(tmp_path: Path, logits: Array, labels: Array) -> None:
    for place, part in enumerate(np.split(logits, [17, 5_000, 5_001, 19_000])):
        np.save(tmp_path / f"x{place}.npy", part)
    files = {**_saved(tmp_path, target=labels), "input": str(tmp_path / "x*.npy")}
    found = _run(plan("cross_entropy", files, {}, {}))
    assert found["loss"] == _whole("cross_entropy", {"input": logits, "target": labels}).loss


def test_a_job_goes_on_where_it_stopped(
    tmp_path: Path, logits: Array, labels: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = _saved(tmp_path, input=logits, target=labels)
    outputs, journal = {"gradient.input": str(tmp_path / "gradient.npy")}, str(tmp_path / "journal")
    job, done = plan("cross_entropy", files, {}, outputs), []

    def stops(job: Job, number: int, threads: int) -> Any:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(number)
        return run_part(job, number, threads)

    monkeypatch.setattr(local, "run_part", stops)
    with pytest.raises(KeyboardInterrupt):
        _run(job, journal)
    monkeypatch.setattr(
        local, "run_part", lambda *arguments: done.append(arguments[1]) or run_part(*arguments)
    )
    found = _run(plan("cross_entropy", files, {}, outputs), journal)
    assert sorted(done) == list(range(job.parts))
    whole = _whole("cross_entropy", {"input": logits, "target": labels}, gradient=True)
    assert found["loss"] == whole.loss
    np.testing.assert_array_equal(np.load(outputs["gradient.input"]), whole.gradient["mean"]["input"])


def test_a_wrong_row_is_named_by_its_file(tmp_path: Path, logits: Array, labels: Array) -> None:
    wrong = labels.copy()
    wrong[15_003] = 99
    for place, part in enumerate(np.split(wrong, [10_000])):
        np.save(tmp_path / f"t{place}.npy", part)
    files = {**_saved(tmp_path, input=logits), "target": str(tmp_path / "t*.npy")}
    with pytest.raises(InvalidCall, match=rf"target\[5003\] of {tmp_path}/t1.npy"):
        _run(plan("cross_entropy", files, {}, {}))


@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_threads_of_one_worker_read_parts_of_their_own(
    tmp_path: Path, logits: Array, labels: Array, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    """A packed member is a stream, which one thread may not move under another."""
    monkeypatch.setattr("lossd.bulk.plan.PART_BYTES", 1 << 17)
    if suffix == "npz":
        np.savez_compressed(tmp_path / "input.npz", input=logits)
    files = _saved(tmp_path, input=logits, target=labels) | {"input": str(tmp_path / f"input.{suffix}")}
    gradient = str(tmp_path / "gradient.npy")
    job = plan("cross_entropy", files, {}, {"gradient.input": gradient})

    with Journal("", job.identity()) as journal, ThreadPoolExecutor(4) as pool, written(job, journal) as job:
        parts = [*pool.map(lambda number: run_part(job, number), range(job.parts))]
    whole = _whole("cross_entropy", {"input": logits, "target": labels}, gradient=True)
    np.testing.assert_array_equal(np.load(gradient), whole.gradient["mean"]["input"])
    assert answer(job, dict(enumerate(parts)))["loss"] == whole.loss


def test_a_file_that_was_replaced_is_read_anew_by_the_next_job(
    tmp_path: Path, logits: Array, labels: Array
) -> None:
    """A worker of a cluster outlives jobs."""
    files = _saved(tmp_path, input=logits, target=labels)
    for values in (logits, np.roll(logits, 1)):
        np.save(tmp_path / "new.npy", values)
        (tmp_path / "new.npy").replace(files["input"])
        found = _run(plan("cross_entropy", files, {}, {}))
        assert found["loss"] == _whole("cross_entropy", {"input": values, "target": labels}).loss


@pytest.mark.parametrize(
    ("loss", "options", "message"),
    [
        ("nt_xent", {}, "rows stand alone"),
        ("cross_entropy", {"axis": 0}, "axis"),
        ("cross_entropy", {"hessian": True}, "hessian"),
        ("cross_entropy", {"reduction": "none"}, "out loss=FILE"),
        ("cross_entropy", {"gradient": True}, "drop --gradient and write --out gradient.NAME=FILE"),
        ("cross_entropy", {"gradient": "weight"}, "a sum, or a denominator"),
    ],
)
def test_what_has_no_parts_is_refused(
    tmp_path: Path, logits: Array, labels: Array, loss: str, options: dict[str, Any], message: str
) -> None:
    names = ("embeddings", "labels") if loss == "nt_xent" else ("input", "target")
    files = _saved(tmp_path, **dict(zip(names, (logits[:64], labels[:64]), strict=True)))
    if options.get("gradient") == "weight":
        files |= _saved(tmp_path, weight=np.ones(logits.shape[1]))
    with pytest.raises(InvalidCall, match=message):
        _run(plan(loss, files, options, {}))


def test_files_of_unequal_length_are_refused(tmp_path: Path, logits: Array, labels: Array) -> None:
    with pytest.raises((UnusableFile, InvalidCall), match=r"20010|20011"):
        plan("cross_entropy", _saved(tmp_path, input=logits, target=labels[:-1]), {}, {})


def test_files_without_a_row_are_a_call_of_nothing(tmp_path: Path) -> None:
    files = _saved(tmp_path, input=np.ones((0, 3)), target=np.zeros(0, int))
    found = _run(plan("cross_entropy", files, {"reduction": ["mean", "sum"], "empty": "zero"}, {}))
    assert found["loss"] == {"mean": 0.0, "sum": 0.0}
    outputs = {"gradient.input": str(tmp_path / "gradient.npy")}
    _run(plan("cross_entropy", files, {"reduction": "sum"}, outputs))
    assert np.load(outputs["gradient.input"]).shape == (0, 3)
