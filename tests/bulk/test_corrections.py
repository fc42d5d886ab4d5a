"""A journal goes on after a wrong row was corrected: parts whose files are as they were are not computed again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lossd.bulk import local
from lossd.bulk.errors import UnusableFile
from lossd.bulk.job import Job, run_part
from lossd.bulk.journal import Journal
from lossd.bulk.plan import plan
from lossd.bulk.sources import fingerprint, parse_name
from lossd.engine import evaluate
from lossd.errors import InvalidCall
from lossd.losses import find
from lossd.message import Array, Call, Part

CUTS = [9000, 17_000]  # parts have 4,096 rows: the last shard has rows of the last part alone
WRONG = 18_003


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the numbers of the parts that are computed."""
    numbers: list[int] = []

    def run(job: Job, number: int, threads: int) -> Part:
        part = run_part(job, number, threads)
        numbers.append(number)
        return part

    monkeypatch.setattr(local, "run_part", run)
    return numbers


@pytest.fixture
def wrong(labels: Array) -> Array:
    return _with_label(labels, 99)


def _with_label(labels: Array, label: int) -> Array:
    changed = labels.copy()
    changed[WRONG] = label
    return changed


def _save(folder: Path, labels: Array, cuts: list[int]) -> None:
    """Write the shards of the labels that differ from what is there."""
    for place, part in enumerate(np.split(labels, cuts)):
        path = folder / f"target{place}.npy"
        if not path.exists() or (np.load(path) != part).any():
            np.save(path, part)


def _run(folder: Path, **options: Any) -> dict[str, Any]:
    files = {"input": str(folder / "input.npy"), "target": str(folder / "target*.npy")}
    if (folder / "weight.npy").exists():
        files["weight"] = str(folder / "weight.npy")
    job = plan("cross_entropy", files, options, {"gradient.input": str(folder / "gradient.npy")})
    with Journal(str(folder / "journal"), job.identity()) as journal:
        return local.run(job, journal)


@pytest.mark.parametrize(("cuts", "again"), [(CUTS, [4]), ([9000], [2, 3, 4]), ([], [0, 1, 2, 3, 4])])
def test_parts_of_other_files_are_kept(
    tmp_path: Path,
    logits: Array,
    labels: Array,
    wrong: Array,
    computed: list[int],
    cuts: list[int],
    again: list[int],
) -> None:
    """Size and time say that a file has changed, not where: of one file alone all parts are computed again."""
    np.save(tmp_path / "input.npy", logits)
    _save(tmp_path, wrong, cuts)
    with pytest.raises(InvalidCall, match=r"target\[\d+\] of .*target\d\.npy"):
        _run(tmp_path)
    assert computed == [0, 1, 2, 3]
    computed.clear()
    _save(tmp_path, labels, cuts)
    found = _run(tmp_path)
    assert computed == again
    whole = evaluate(find("cross_entropy"), Call({"input": logits, "target": labels}, {"gradient": True}))
    assert found["loss"] == whole.loss
    np.testing.assert_array_equal(np.load(tmp_path / "gradient.npy"), whole.gradient["mean"]["input"])


def test_a_finished_output_is_not_changed_by_a_correction(
    tmp_path: Path, logits: Array, labels: Array
) -> None:
    np.save(tmp_path / "input.npy", logits)
    _save(tmp_path, labels, CUTS)
    _run(tmp_path)
    before = np.load(tmp_path / "gradient.npy")
    _save(tmp_path, _with_label(labels, (labels[WRONG] + 1) % 40), CUTS)
    with pytest.raises(UnusableFile, match="remove the journal to begin anew, got one that is finished"):
        _run(tmp_path)
    np.testing.assert_array_equal(np.load(tmp_path / "gradient.npy"), before)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"denominator": 5.0}, "another choice of rows"), ({}, "another options, choice of rows")],
)
def test_a_correction_by_which_a_row_is_ignored_is_refused(
    tmp_path: Path, logits: Array, labels: Array, wrong: Array, options: dict[str, Any], message: str
) -> None:
    """It changes the blocks of all parts."""
    np.save(tmp_path / "input.npy", logits)
    _save(tmp_path, wrong, CUTS)
    with pytest.raises(InvalidCall):
        _run(tmp_path, **options)
    _save(tmp_path, _with_label(labels, -100), CUTS)
    with pytest.raises(UnusableFile, match=message):
        _run(tmp_path, **options)


def test_what_all_parts_depend_on_is_named(tmp_path: Path, logits: Array, labels: Array) -> None:
    np.save(tmp_path / "input.npy", logits)
    np.save(tmp_path / "weight.npy", np.linspace(1, 2, logits.shape[1], dtype=np.float32))
    _save(tmp_path, _with_label(labels, 3), CUTS)
    _run(tmp_path)
    _save(tmp_path, _with_label(labels, 30), CUTS)
    with pytest.raises(UnusableFile, match="another denominator, which every gradient is divided by"):
        _run(tmp_path)
    np.save(tmp_path / "weight.npy", np.linspace(1, 3, logits.shape[1], dtype=np.float32))
    with pytest.raises(UnusableFile, match="files that have changed since: --weight"):
        _run(tmp_path)


def test_a_folder_that_is_an_array_has_the_state_of_its_files(tmp_path: Path) -> None:
    """A chunk of a Zarr array is written anew without a change of the array's own folder."""
    chunk = tmp_path / "x.zarr" / "c" / "0"
    chunk.parent.mkdir(parents=True)
    chunk.write_bytes(b"1")
    before = fingerprint(parse_name(str(tmp_path / "x.zarr")))
    chunk.write_bytes(b"12")
    assert fingerprint(parse_name(str(tmp_path / "x.zarr"))) != before
