"""A file under an output's name is whole, and no input is ever written over."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from lossd.bulk import local, outputs
from lossd.bulk.errors import UnusableFile
from lossd.bulk.job import Job, run_part
from lossd.bulk.journal import Journal
from lossd.bulk.outputs import written
from lossd.bulk.plan import plan
from lossd.engine import evaluate
from lossd.errors import InvalidCall, invalid
from lossd.losses import find
from lossd.message import Array, Call, Part


@pytest.fixture
def files(tmp_path: Path, logits: Array, labels: Array) -> dict[str, str]:
    for name, array in {"input": logits, "target": labels}.items():
        np.save(tmp_path / f"{name}.npy", array)
    return {name: str(tmp_path / f"{name}.npy") for name in ("input", "target")}


def _run(files: dict[str, str], outputs: dict[str, str], journal: str = "") -> None:
    job = plan("cross_entropy", files, {}, outputs)
    with Journal(journal, job.identity()) as opened:
        local.run(job, opened)


def _stop_after(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    def stops(job: Job, number: int, threads: int) -> Part:
        if number == most:
            raise KeyboardInterrupt
        return run_part(job, number, threads)

    monkeypatch.setattr(local, "run_part", stops)


def _interrupt(
    monkeypatch: pytest.MonkeyPatch, files: dict[str, str], outputs: dict[str, str], to: str
) -> None:
    with monkeypatch.context() as patch:
        _stop_after(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            _run(files, outputs, to)


@pytest.mark.parametrize("way", ["same", "relative", "link", "hard link"])
def test_an_output_that_is_an_input_is_refused_by_whatever_path(
    tmp_path: Path, files: dict[str, str], logits: Array, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    path = tmp_path / "other.npy"
    if way == "link":
        path.symlink_to(files["input"])
    elif way == "hard link":
        os.link(files["input"], path)
    else:
        path = Path({"same": files["input"], "relative": "folder/../input.npy"}[way])
    with pytest.raises(
        UnusableFile, match=r"--out gradient\.input that is no input, got --input .*input\.npy"
    ):
        _run(files, {"gradient.input": str(path)})
    np.testing.assert_array_equal(np.load(files["input"]), logits)
    assert not [*tmp_path.glob("*.part")]


@pytest.mark.parametrize("name", ["c/out.npy", "out.zarr"])
def test_an_output_within_a_store_that_is_an_input_is_refused(
    tmp_path: Path, files: dict[str, str], logits: Array, name: str
) -> None:
    zarr = pytest.importorskip("zarr")
    store = tmp_path / "input.zarr"
    zarr.save_array(str(store), logits)
    before = sorted(store.rglob("*"))
    with pytest.raises(UnusableFile, match=r"--out loss that is no input, got --input .*input\.zarr"):
        _run({**files, "input": str(store)}, {"loss": str(store / name)})
    assert sorted(store.rglob("*")) == before


def test_two_outputs_of_one_name_are_refused(tmp_path: Path, files: dict[str, str]) -> None:
    path = str(tmp_path / "q.npy")
    with pytest.raises(UnusableFile, match=r"that of --out loss"):
        _run(files, {"loss": path, "gradient.input": path})


@pytest.mark.parametrize("name", ["q.npy", "q.zarr", "q.parquet"])
def test_a_job_that_fails_leaves_no_output(
    tmp_path: Path, files: dict[str, str], labels: Array, name: str
) -> None:
    pytest.importorskip({"q.zarr": "zarr", "q.parquet": "pyarrow"}.get(name, "numpy"))
    wrong = labels.copy()
    wrong[-1] = 99
    np.save(files["target"], wrong)
    with pytest.raises(InvalidCall):
        _run(files, {"gradient.input": str(tmp_path / name)})
    assert not [*tmp_path.glob("q*")]


@pytest.mark.parametrize("name", ["q.npy", "q.zarr", "q.parquet"])
def test_an_output_has_its_name_when_it_is_whole(
    tmp_path: Path, files: dict[str, str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip({"q.zarr": "zarr", "q.parquet": "pyarrow"}.get(name, "numpy"))
    outputs, journal = {"gradient.input": str(tmp_path / name)}, str(tmp_path / "journal")
    _interrupt(monkeypatch, files, outputs, journal)
    assert len([*tmp_path.glob(f"{name}.*.part")]) == len([*tmp_path.glob("q*")]) == 1
    for _ in range(2):  # the rest, and what is finished once more
        _run(files, outputs, journal)
        assert sorted(path.name for path in tmp_path.glob("q*")) == [name]


def test_a_journal_of_another_job_is_refused_before_outputs_are_made(
    tmp_path: Path, files: dict[str, str]
) -> None:
    journal = str(tmp_path / "journal")
    _run(files, {}, journal)
    with pytest.raises(UnusableFile, match="one of another options, list of outputs"):
        _run(files, {"loss": str(tmp_path / "q.npy")}, journal)
    assert not [*tmp_path.glob("q*")]


def test_an_output_that_is_missing_is_named(
    tmp_path: Path, files: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs, journal = {"gradient.input": str(tmp_path / "q.npy")}, str(tmp_path / "journal")
    _interrupt(monkeypatch, files, outputs, journal)
    next(tmp_path.glob("q.npy.*.part")).unlink()
    with pytest.raises(UnusableFile, match=r"the output that the journal remembers.* got no file .*q\.npy"):
        _run(files, outputs, journal)


def test_each_journal_goes_on_with_an_unfinished_output_of_its_own(
    tmp_path: Path, files: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs, journal = {"gradient.input": str(tmp_path / "q.npy")}, str(tmp_path / "journal")
    _interrupt(monkeypatch, files, outputs, journal)
    _interrupt(monkeypatch, files, outputs, str(tmp_path / "another"))
    assert len([*tmp_path.glob("q.npy.*.part")]) == 2
    for each in (journal, str(tmp_path / "another")):
        _run(files, outputs, each)
    assert [path.name for path in tmp_path.glob("q*")] == ["q.npy"]


def test_a_finished_output_that_was_changed_is_noticed(tmp_path: Path, files: dict[str, str]) -> None:
    outputs, journal = {"gradient.input": str(tmp_path / "q.npy")}, str(tmp_path / "journal")
    _run(files, outputs, journal)
    with (tmp_path / "q.npy").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x55")
    with pytest.raises(UnusableFile, match=r"got a file that has changed since .*q\.npy"):
        _run(files, outputs, journal)


def test_a_folder_that_is_there_is_not_written_into(tmp_path: Path, files: dict[str, str]) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "q.parquet").mkdir()
    with pytest.raises(UnusableFile, match=r"no \.parquet of that name"):
        _run(files, {"loss": str(tmp_path / "q.parquet")})


def test_a_file_of_the_same_shape_is_replaced_and_others_are_kept(
    tmp_path: Path, files: dict[str, str], labels: Array
) -> None:
    path = tmp_path / "q.npy"
    for _ in range(2):
        _run(files, {"loss": str(path)})
    assert np.load(path).shape == labels.shape
    path.write_bytes(b"text")
    with pytest.raises(UnusableFile, match="a file of another kind"):
        _run(files, {"loss": str(path)})
    assert path.read_bytes() == b"text"


def _jobs(files: dict[str, str], path: str) -> list[Job]:
    """Return two jobs of unequal settings with one output."""
    return [
        plan("cross_entropy", files, {"label_smoothing": smoothing}, {"gradient.input": path})
        for smoothing in (0.0, 0.5)
    ]


def _gradient(logits: Array, labels: Array, job: Job) -> Array:
    options = {"label_smoothing": job.options["label_smoothing"], "gradient": True}
    call = Call({"input": logits, "target": labels}, options)
    return evaluate(find("cross_entropy"), call).gradient["mean"]["input"]


def test_two_runs_with_one_output_each_give_it_a_whole_file(
    tmp_path: Path, files: dict[str, str], logits: Array, labels: Array
) -> None:
    path = str(tmp_path / "q.npy")
    one, other = _jobs(files, path)
    with Journal("", one.identity()) as journal, written(one, journal) as one:
        run_part(one, 0)
        with Journal("", other.identity()) as later, written(other, later) as other:
            for number in range(other.parts):
                run_part(other, number)
        np.testing.assert_array_equal(np.load(path), _gradient(logits, labels, other))
        for number in range(1, one.parts):
            run_part(one, number)
    np.testing.assert_array_equal(np.load(path), _gradient(logits, labels, one))
    assert not [*tmp_path.glob("*.part*")]


def test_a_task_of_a_dead_run_does_not_write_into_the_output_of_the_next(
    tmp_path: Path, files: dict[str, str], logits: Array, labels: Array
) -> None:
    """A worker that was stopped goes on when its job has no client any more and another has the same output."""
    path = str(tmp_path / "q.npy")
    dead, alive = _jobs(files, path)
    with (
        Journal("", dead.identity()) as journal,
        pytest.raises(KeyboardInterrupt),
        written(dead, journal) as dead,
    ):
        raise KeyboardInterrupt
    with Journal("", alive.identity()) as journal, written(alive, journal) as alive:
        for number in range(alive.parts):
            run_part(alive, number)
        with pytest.raises(FileNotFoundError, match=r"q\.npy"):
            run_part(dead, 2)
    np.testing.assert_array_equal(np.load(path), _gradient(logits, labels, alive))


def _make_folder(path: Path) -> None:
    path.mkdir()
    (path / "other").write_bytes(b"")


@pytest.mark.parametrize("name", ["q.zarr", "q.parquet"])
def test_a_folder_that_appears_while_a_run_goes_on_is_kept(
    tmp_path: Path, files: dict[str, str], name: str
) -> None:
    pytest.importorskip({"q.zarr": "zarr", "q.parquet": "pyarrow"}[name])
    job = plan("cross_entropy", files, {}, {"loss": str(tmp_path / name)})
    with (
        Journal("", job.identity()) as journal,
        pytest.raises(UnusableFile, match="of that name"),
        written(job, journal),
    ):
        _make_folder(tmp_path / name)
    assert [path.name for path in tmp_path.glob("q*")] == [name]
    assert [path.name for path in (tmp_path / name).iterdir()] == ["other"]


def test_an_output_that_is_removed_while_a_run_goes_on_is_named(
    tmp_path: Path, files: dict[str, str]
) -> None:
    job = plan("cross_entropy", files, {}, {"loss": str(tmp_path / "q.npy")})
    with (
        Journal("", job.identity()) as journal,
        pytest.raises(UnusableFile, match=r"none: it was removed meanwhile - at `.*q\.npy`"),
        written(job, journal),
    ):
        next(tmp_path.glob("q.npy.*.part")).unlink()


def test_a_failed_run_removes_a_folder_that_workers_still_write_to(
    tmp_path: Path, files: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of another part made the folder not empty, and the error of the row was lost."""
    pytest.importorskip("pyarrow")
    job = plan("cross_entropy", files, {}, {"loss": str(tmp_path / "q.parquet")})
    late, rmtree = iter([True, False]), outputs.shutil.rmtree

    def remove(path: str, **options: bool) -> None:
        rmtree(path, **options)
        if next(late):
            (Path(path) / "part-of-a-worker").parent.mkdir()

    monkeypatch.setattr(outputs.shutil, "rmtree", remove)
    with (
        Journal("", job.identity()) as journal,
        pytest.raises(InvalidCall, match="a wrong row"),
        written(job, journal),
    ):
        raise invalid("target[3]", "a wrong row", "one")
    assert not [*tmp_path.glob("q*")]
