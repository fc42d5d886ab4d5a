"""``lossd eval --in-parts`` says in one line which file is at fault, and leaves no output of a job that fails."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from lossd.__main__ import main
from lossd.bulk import local

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Run:
    """Evaluate `x.npy` and `y.npy` in a folder of their own; return exit code, standard output and error."""
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.array([1.0, 2.0, 4.0]))
    np.save("y.npy", np.array([1.0, 0.0, 1.0]))

    def call(*words: str) -> tuple[int, str, str]:
        files = [] if "--input" in words else ["--input", "x.npy", "--target", "y.npy"]
        code = main(["eval", "--in-parts", "--loss", "mse", *files, *words])
        sys.stdout.flush()
        out, err = capfdbinary.readouterr()
        return code, out.decode(), err.decode()

    return call


def _left() -> list[str]:
    return sorted(path.name for path in Path().iterdir() if path.name not in ("x.npy", "y.npy"))


def test_files_are_evaluated_and_rows_written(run: Run) -> None:
    code, out, err = run("--out", "loss=l.npy", "--out", "gradient.input=g.npy", "--journal", "j")
    assert (code, err) == (0, "")
    assert json.loads(out)["loss"] == {"mean": 13 / 3}
    assert np.load("l.npy").tolist() == [0, 4, 9]
    assert np.load("g.npy") == pytest.approx(np.array([0, 4, 6]) / 3, rel=1e-15)
    assert _left() == ["g.npy", "j", "l.npy"]


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        (["loss=a.npy", "loss=b.npy"], "expected each output once, got --out loss twice"),
        (["gradient.input=a.npy", "gradient.input=a.npy"], "got --out gradient.input twice"),
        (["loss=a.npy", "gradient.input=./a.npy"], "a file for --out gradient.input alone"),
        (["loss=a.npy", "gradient.input=link.npy"], "a file for --out gradient.input alone"),
        (["loss=a.zarr", "gradient.input=a.zarr/b.npy"], "a file for --out gradient.input alone"),
        (["loss=a.zarr/b.npy", "gradient.input=a.zarr"], "a file for --out gradient.input alone"),
    ],
)
def test_an_output_has_one_file_of_its_own(run: Run, outputs: list[str], message: str) -> None:
    Path("link.npy").symlink_to("a.npy")
    code, _, err = run(*(word for output in outputs for word in ("--out", output)))
    assert (code, err.count("\n")) == (2, 1), err
    assert message in err
    assert _left() == ["link.npy"]


@pytest.mark.parametrize("journal", ["x.npy", "hard.npy", "l.npy", "./l.npy", "link", "s.zarr/j"])
def test_a_journal_that_is_an_input_or_an_output_is_refused(run: Run, journal: str) -> None:
    Path("link").symlink_to("l.npy")
    Path("s.zarr").mkdir()
    os.link("x.npy", "hard.npy")
    before = Path("x.npy").read_bytes()
    code, _, err = run("--journal", journal, "--out", "loss=l.npy", "--out", "gradient.input=s.zarr")
    assert (code, err.count("\n")) == (2, 1), err
    assert "expected a journal that is no input and no output, got --" in err
    assert _left() == ["hard.npy", "link", "s.zarr"]
    assert Path("x.npy").read_bytes() == before


@pytest.mark.parametrize("suffix", ["npy", "zarr", "parquet"])
def test_a_job_whose_last_output_cannot_be_made_leaves_none(run: Run, suffix: str) -> None:
    pytest.importorskip({"zarr": "zarr", "parquet": "pyarrow"}.get(suffix, "numpy"))
    code, _, err = run("--out", f"loss=l.{suffix}", "--out", "gradient.input=nodir/g.npy")
    assert (code, err.count("\n")) == (2, 1), err
    assert "nodir/g.npy" in err
    assert _left() == []


def test_what_another_job_left_stays_where_an_output_is_refused(run: Run) -> None:
    Path("l.npy").write_bytes(b"text")
    Path("l.npy.part").write_bytes(b"of another job")
    code, _, err = run("--out", "gradient.input=g.npy", "--out", "loss=l.npy")
    assert (code, err.count("\n")) == (2, 1), err
    assert Path("l.npy.part").read_bytes() == b"of another job"
    assert _left() == ["l.npy", "l.npy.part"]


def _journal(content: str) -> Callable[[Path], object]:
    """Return what makes an SQLite file."""

    def make(path: Path) -> None:
        with closing(sqlite3.connect(path)) as base:
            base.executescript(content)

    return make


PART = "create table part (number integer primary key, inputs, document);"
JOURNALS: Mapping[str, Callable[[Path], object]] = {
    "nodir/j": lambda path: None,
    "folder": lambda path: path.mkdir(),
    "text": lambda path: path.write_text("text" * 1000),
    "other": _journal("create table job (number)"),
    "words": _journal("create table job (text); insert into job values ('text')"),
    "list": _journal("create table job (text); insert into job values ('[1]')"),
    "parts": _journal("create table part (number)"),
    "outputs": _journal("create table output (name)"),
}


@pytest.mark.parametrize("name", JOURNALS)
def test_a_journal_that_is_none_is_named(run: Run, name: str) -> None:
    JOURNALS[name](Path(name))
    code, _, err = run("--journal", name, "--out", "loss=l.npy")
    assert (code, err.count("\n")) == (2, 1), err
    assert "expected a journal of lossd eval that can be read and written, got" in err
    assert f"at `{name}`" in err
    assert not [*Path().glob("l.npy*")]


@pytest.mark.parametrize("document", ["text", "{}", "[1]", '{"loss": 5}', None, 7])
def test_a_journal_whose_part_is_none_is_named(run: Run, document: object) -> None:
    assert run("--journal", "j")[0] == 0
    with closing(sqlite3.connect("j", isolation_level=None)) as base:
        base.execute("update part set document = ?", (document,))
    code, _, err = run("--journal", "j")
    assert (code, err.count("\n")) == (2, 1), err
    assert "at `j`" in err


@pytest.mark.parametrize("limit", [64, 1 << 20], ids=["made", "written"])
def test_a_file_that_cannot_grow_is_named_and_removed(run: Run, limit: int) -> None:
    np.save("x.npy", np.ones(200_000))
    np.save("y.npy", np.ones(200_000))
    code = (
        "import resource, signal, sys\n"
        "from lossd.__main__ import main\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    words = ["eval", "--loss", "mse", "--input", "x.npy", "--target", "y.npy", "--out", "loss=l.npy"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "lossd eval: l.npy: File too large\n")
    assert _left() == []


def test_text_in_a_store_is_named(run: Run) -> None:
    pytest.importorskip("zarr").create_array("s.zarr", shape=(3,), dtype=str)
    code, _, err = run("--input", "s.zarr", "--target", "y.npy")
    assert (code, err.count("\n")) == (2, 1), err
    assert "expected an array of numbers, got one of type StringDType() - at `s.zarr`" in err


def test_an_interruption_is_one_line_and_leaves_no_output(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(local, "run_part", interrupt)
    assert run("--out", "loss=l.npy") == (130, "", "lossd eval: interrupted\n")
    assert _left() == []


def test_an_error_of_the_system_without_a_file_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("Timed out during handshake")

    monkeypatch.setattr(local, "run_part", fail)
    assert run("--in-parts") == (2, "", "lossd eval: Timed out during handshake\n")
