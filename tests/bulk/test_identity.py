"""A journal goes on with the job that began it, and with no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from lossd.bulk import local
from lossd.bulk.errors import UnusableFile
from lossd.bulk.job import Job
from lossd.bulk.journal import Journal
from lossd.bulk.origins import Origins
from lossd.bulk.plan import plan
from lossd.bulk.sources import fingerprint, open_source, parse_name
from lossd.message import Array


def _run(job: Job, journal: Path) -> dict[str, Any]:
    with Journal(str(journal), job.identity()) as opened:
        return local.run(job, opened)


def test_another_array_of_the_same_file_is_another_job(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros(8), y=np.full(8, 5.0))
    np.save(tmp_path / "target.npy", np.zeros(8))

    def of(member: str) -> Job:
        files = {"input": f"{tmp_path / 'a.npz'}:{member}", "target": str(tmp_path / "target.npy")}
        return plan("huber", files, {}, {})

    assert _run(of("x"), tmp_path / "journal")["loss"] == {"mean": 0.0}
    with pytest.raises(UnusableFile, match="got one of another array or column of a file"):
        _run(of("y"), tmp_path / "journal")


def test_another_shared_array_of_the_same_file_is_another_job(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", a=np.array([1.0, 0.0]), b=np.array([0.0, 3.0]))
    np.save(tmp_path / "input.npy", np.zeros((8, 2)))
    np.save(tmp_path / "target.npy", np.zeros(8, int))

    def of(member: str) -> Job:
        files = {name: str(tmp_path / f"{name}.npy") for name in ("input", "target")}
        files["weight"] = f"{tmp_path / 'w.npz'}:{member}"
        return plan("cross_entropy", files, {"reduction": "sum"}, {})

    assert _run(of("a"), tmp_path / "journal")["loss"]["sum"] > 0
    with pytest.raises(UnusableFile, match="got one of another array or column of a file"):
        _run(of("b"), tmp_path / "journal")


def test_parts_of_a_file_that_is_replaced_after_it_was_opened_are_of_the_old_one(tmp_path: Path) -> None:
    files = _replaceable(tmp_path)
    began = plan("huber", files, {}, {})
    _replace(files["input"], np.full(8, 5.0))
    assert _run(began, tmp_path / "journal")["loss"] == {"mean": 0.0}
    assert _run(plan("huber", files, {}, {}), tmp_path / "journal")["loss"] == {"mean": 4.5}


def test_a_shared_file_that_is_replaced_after_it_was_opened_is_another(tmp_path: Path) -> None:
    files = _replaceable(tmp_path, input=np.zeros((8, 2)), target=np.zeros(8, int), weight=np.ones(2))
    began = plan("cross_entropy", files, {"reduction": "sum"}, {})
    _replace(files["weight"], np.array([3.0, 1.0]))
    _run(began, tmp_path / "journal")
    with pytest.raises(UnusableFile, match="got one of files that have changed since: --weight"):
        _run(plan("cross_entropy", files, {"reduction": "sum"}, {}), tmp_path / "journal")


def test_a_shard_that_appears_while_files_are_opened_has_no_state(tmp_path: Path) -> None:
    """So what is computed of it does not agree with the next run, and is computed again."""
    name = parse_name(str(tmp_path / "x*.npy"))
    _replaceable(tmp_path, x0=np.zeros(4))
    before = fingerprint(name)
    _replaceable(tmp_path, x1=np.zeros(4))
    assert Origins(open_source(name), before).between(0, 8) == [*before, [str(tmp_path / "x1.npy")]]


@pytest.mark.parametrize(
    ("before", "after", "outputs", "message"),
    [
        (np.float16, np.float64, {}, "type or shape of the arrays"),
        (
            np.float16,
            ml_dtypes.bfloat16,
            {"gradient.input": "g.npy"},
            "list of outputs, or type or shape of one",
        ),
    ],
)
def test_a_changed_type_is_told_in_words(
    tmp_path: Path, before: Any, after: Any, outputs: dict[str, str], message: str
) -> None:
    """Rows of bfloat16 have the bytes of float16: they went into a file that says float16."""
    files = _replaceable(tmp_path, target=np.zeros(8, int))
    files["input"] = str(tmp_path / "input.safetensors")
    outputs = {name: str(tmp_path / path) for name, path in outputs.items()}
    save_file({"input": np.zeros((8, 40), before)}, files["input"])
    _run(plan("cross_entropy", files, {}, outputs), tmp_path / "journal")
    save_file({"input": np.zeros((8, 40), after)}, files["input"])
    with pytest.raises(UnusableFile, match=f"journal of this job; .*, got one of another {message}"):
        _run(plan("cross_entropy", files, {}, outputs), tmp_path / "journal")


@pytest.mark.parametrize("cuts", [[2, 5], [3]])
def test_other_files_and_other_rows_in_them_are_told_in_words(tmp_path: Path, cuts: list[int]) -> None:
    files = _replaceable(tmp_path, target=np.zeros(8), x0=np.zeros(2), x1=np.zeros(6))
    files = {"input": str(tmp_path / "x*.npy"), "target": files["target"]}
    _run(plan("huber", files, {}, {}), tmp_path / "journal")
    _replaceable(tmp_path, **{f"x{place}": part for place, part in enumerate(np.split(np.zeros(8), cuts))})
    with pytest.raises(UnusableFile, match="got one of another list of files, or number of rows in one"):
        _run(plan("huber", files, {}, {}), tmp_path / "journal")


def _replaceable(folder: Path, **arrays: Array) -> dict[str, str]:
    arrays = arrays or {"input": np.zeros(8), "target": np.zeros(8)}
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return {name: str(folder / f"{name}.npy") for name in arrays}


def _replace(path: str, array: Array) -> None:
    """Put another file in place of one that may be open."""
    np.save(f"{path}.new.npy", array)
    Path(f"{path}.new.npy").replace(path)
