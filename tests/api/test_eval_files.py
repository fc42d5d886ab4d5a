"""``lossd eval`` with arrays from files: every format gives the same call, and what is wrong names its file."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lossd.__main__ import main

INPUT = np.array([1.0, 2.0, 3.0])
TARGET = np.array([1.0, 2.0, 5.0])
ASKED = ["--reduction", "mean", "none", "--gradient"]
# By hand: residuals 0, 0 and -2, of which huber keeps 1 - 1/2 per unit beyond 1.
ANSWER = {
    "loss": {"mean": 0.5, "none": [0.0, 0.0, 1.5]},
    "gradient": {"mean": {"input": [0.0, 0.0, -1 / 3]}, "none": {"input": [0.0, 0.0, -1.0]}},
    "count": 3,
    "denominator": 3.0,
}
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Run:
    """Evaluate in a folder of its own; return exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)

    def call(*words: str, loss: str = "huber") -> tuple[int, str, str]:
        code = main(["eval", "--loss", loss, *words])
        sys.stdout.flush()
        out, err = capfdbinary.readouterr()
        return code, out.decode(), err.decode()

    return call


def one_array_a_file(folder: Path) -> None:
    np.save("a.npy", INPUT)
    np.savez("one.npz", TARGET)
    np.savez("both.npz", input=INPUT, target=TARGET, other=TARGET * 9)
    Path("a.csv").write_text("1\n2\n3\n")
    Path("named.csv").write_text("id,input,target\n0,1,1\n1,2,2\n\n2,3,5\n")
    Path("titled.csv").write_bytes(b'\xef\xbb\xbf"truth"\r\n1.0\r\n2e0\r\n+5\r\n')
    Path("b.json").write_text("[1, 2, 5]")
    Path("both.json").write_text('{"input": [1, 2, 3], "target": [1, 2, 5]}')


@pytest.mark.parametrize(
    "left", ["a.npy", "both.npz", "both.npz:input", "a.csv", "named.csv", "both.json", "[1, 2, 3]"]
)
@pytest.mark.parametrize(
    "right",
    [
        "one.npz",
        "both.npz",
        "both.npz:target",
        "named.csv",
        "named.csv:target",
        "titled.csv",
        "b.json",
        "both.json:target",
    ],
)
def test_every_format_gives_the_same_answer(run: Run, tmp_path: Path, left: str, right: str) -> None:
    one_array_a_file(tmp_path)
    code, out, err = run("--input", left, "--target", right, *ASKED)
    assert (code, err) == (0, "")
    assert json.loads(out) == ANSWER


def test_the_columns_of_a_table_are_the_last_axis_and_whole_numbers_are_indices(run: Run) -> None:
    Path("logits.csv").write_text("a,b\n0,0\n0,0\n")
    Path("classes.csv").write_text("1\n0\n")
    code, out, err = run("--input", "logits.csv", "--target", "classes.csv", loss="cross_entropy")
    assert (code, err) == (0, "")
    assert json.loads(out)["loss"]["mean"] == pytest.approx(np.log(2), rel=1e-15)


def test_numbers_that_are_not_finite_are_read(run: Run) -> None:
    Path("a.csv").write_text("nan\n-inf\n3\n")
    code, out, _ = run("--input", "a.csv", "--target", "[0, 0, 0]", "--reduction", "none", loss="l1")
    assert code == 0
    assert json.loads(out)["loss"]["none"] == ["NaN", "Infinity", 3.0]


def test_parquet_is_read_where_pyarrow_is_there(run: Run) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table({"input": INPUT, "target": TARGET}), "both.parquet")
    code, out, err = run("--input", "both.parquet", "--target", "both.parquet:target", *ASKED)
    assert (code, err) == (0, "")
    assert json.loads(out) == ANSWER
    code, _, err = run("--input", "both.parquet:x", "--target", "1")
    assert code == 2
    assert "one of the columns input, target" in err


def test_parquet_says_what_to_install(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)  # as if it were not installed
    Path("a.parquet").write_bytes(b"PAR1")
    code, _, err = run("--input", "a.parquet", "--target", "1")
    assert code == 2
    assert "a.parquet" in err
    assert "pip install pyarrow" in err


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["--gradient"], ["input"]),
        (["--gradient", "true"], ["input"]),
        (["--gradient", "input"], ["input"]),
        (["--gradient=target"], ["target"]),
        (["--gradient", "input,target"], ["input", "target"]),
        (["--gradient", "input", "target"], ["input", "target"]),
        (["--gradient", '["target"]'], ["target"]),
        (["--gradient", "input, delta"], ["input", "delta"]),
        (["--gradient", "false"], []),
    ],
)
def test_gradient_names_one_or_several_arguments(run: Run, words: list[str], names: list[str]) -> None:
    code, out, err = run("--input", "[3]", "--target", "[0]", *words)
    assert (code, err) == (0, "")
    assert list(json.loads(out).get("gradient", {}).get("mean", {})) == names


@pytest.mark.parametrize("words", [["0,1"], ["0, 1"], ["0", "1"], ["[0, 1]"]])
def test_axes_may_be_joined_by_commas(run: Run, words: list[str]) -> None:
    code, out, err = run("--input", "[[3]]", "--target", "[[0]]", "--axis", *words)
    assert (code, err) == (0, "")
    assert json.loads(out)["loss"] == {"mean": 2.5}


def test_reductions_may_be_joined_by_commas(run: Run) -> None:
    code, out, _ = run("--input", "[3]", "--target", "[0]", "--reduction", "mean,sum")
    assert code == 0
    assert json.loads(out)["loss"] == {"mean": 2.5, "sum": 2.5}


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("a.npy", b"not an array", "expected an array in .npy format"),
        ("a.npz", b"not an archive", "expected arrays in .npz format"),
        ("a.csv", b"1\nx\n3\n", 'expected a number, got "x" - at `a.csv`, row 2, column 1'),
        ("a.csv", b"u,v\n1,2\n3,\n", 'expected a number, got "" - at `a.csv`, row 3, column v'),
        ("a.csv", b"1,2\n3\n", "expected 2 columns, got 1 - at `a.csv`, row 2"),
        ("a.csv", b"", "expected numbers, got none - at `a.csv`"),
        ("a.csv", b"input\n", "expected numbers, got none - at `a.csv`"),
        ("a.csv", b"\xff\xfe", "expected text in UTF-8"),
        ("a.csv", b"1;2\n", "expected columns separated by commas, got semicolons - at `a.csv`"),
        ("a.csv", b"a;b\n1,5;2\n", "expected columns separated by commas, got semicolons - at `a.csv`"),
        ("a.csv", b"1\t2\n", "expected columns separated by commas, got tabs - at `a.csv`"),
        ("a.json:u", b"[1, 2]", "expected an object with the member u, got a JSON value of another type"),
        ("a.json", b"[1, 2", "expected JSON"),
        ("a.json", b"[1, [2]]", "at `a.json[1]`"),
        ("a.csv:speed", b"u,v\n1,2\n", "expected one of the columns u, v, got speed - at `a.csv`"),
        ("a.csv:speed", b"1,2\n", "expected a header with the column speed, got numbers - at `a.csv`"),
        ("a.npy:speed", b"", "expected no name, since the file holds one array, got speed - at `a.npy`"),
        ("a.json:speed", b'{"u": 1}', "expected one of the members u, got speed - at `a.json`"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(run: Run, name: str, content: bytes, complaint: str) -> None:
    Path(name.partition(":")[0]).write_bytes(content)
    code, out, err = run("--input", name, "--target", "1")
    assert (code, out) == (2, "")
    assert err.startswith("lossd eval: ")
    assert complaint in err
    assert err.count("\n") == 1


def test_an_archive_of_several_arrays_says_which_it_has(run: Run) -> None:
    np.savez("many.npz", x=INPUT, y=TARGET)
    for name, got in (("many.npz", "no name"), ("many.npz:z", "z")):
        code, _, err = run("--input", name, "--target", "1")
        assert code == 2
        assert f"expected one of the arrays x, y, as in many.npz:x, got {got} - at `many.npz`" in err


@pytest.mark.parametrize("name", ["a.npy", "a.npz:x", "a.csv", "a.json", "a.parquet"])
def test_a_file_that_is_not_there_is_named(run: Run, name: str) -> None:
    code, _, err = run("--input", name, "--target", "1")
    file = name.partition(":")[0]
    assert (code, err) == (2, f"lossd eval: {file}: No such file or directory\n")


@pytest.mark.parametrize("word", ["a.txt", "x", "1,two,3", "[1, 2", "a.tsv", "a.tsv:x"])
def test_text_that_is_no_array_is_told_what_would_be(run: Run, word: str) -> None:
    code, _, err = run("--input", word, "--target", "1")
    assert code == 2
    expected = (
        "a file (.npy, .npz, .csv, .json, .parquet), numbers as in 1,2,3 or JSON as in '[[1, 2], [3, 4]]'"
    )
    assert f'expected {expected}, got "{word}" - at `input`' in err


def test_a_pattern_is_told_how_it_is_read(run: Run) -> None:
    code, _, err = run("--input", "part-*.npy", "--target", "1")
    assert code == 2
    assert "--in-parts reads patterns" in err


def test_an_argument_comes_from_one_file(run: Run) -> None:
    np.save("a.npy", INPUT)
    np.save("b.npy", INPUT)
    code, _, err = run("--input", "a.npy", "b.npy", "--target", "1")
    assert code == 2
    assert "expected one file, got a.npy b.npy - at `input`" in err


def test_objects_in_an_archive_are_never_unpickled(run: Run) -> None:
    np.savez("a.npz", x=np.array([object()], dtype=object))
    code, _, err = run("--input", "a.npz", "--target", "1")
    assert code == 2
    assert "a.npz" in err
