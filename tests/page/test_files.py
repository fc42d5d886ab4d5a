"""Text and files as Try reads them into arrays, in a browser: the array, and what is said of how it was read."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from tests.api.browser import browse
from tests.api.serving import serve

pytestmark = pytest.mark.slow

Read = Callable[[str, str | bytes], Any]
INF, NAN = "Infinity", "NaN"
READ = """
    const [name, content, done] = arguments;
    const source = document.querySelector('link[href$="files.js"]').href;
    const file = new File([typeof content === 'string' ? content : new Uint8Array(content)], name);
    import(source).then(async ({readFile, readingOf}) => {
        const [array] = Object.values(await readFile(file));
        done([array, readingOf(array)]);
    }).catch((error) => done(error.message))"""


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Read]:
    """Return what reads a file by its name and content: an array and its reading, or an error's message."""
    with serve(tmp_path_factory.mktemp("server")) as server, browse() as browser:
        browser.get(f"{server.url}/try")

        def read_file(name: str, content: str | bytes) -> Any:
            sent = content if isinstance(content, str) else list(content)
            return browser.execute_async_script(READ, name, sent)

        yield read_file


@pytest.mark.parametrize(
    ("text", "array", "reading"),
    [
        # As pandas writes CSV, with its index and without; as R does; a table of a spreadsheet.
        (
            ",a,b\n0,1.5,2\n1,4,5\n",
            [[1.5, 2], [4, 5]],
            "2 rows × 2 columns; header left out: a, b; index left out",
        ),
        (
            ",0,1\n0,1.5,2\n1,4,5\n",
            [[1.5, 2], [4, 5]],
            "2 rows × 2 columns; header left out: 0, 1; index left out",
        ),
        (",x\n2020-01-01,1.5\n2020-01-02,2\n", [1.5, 2], "2 numbers; header left out: x; index left out"),
        ('"","a","b"\n"1",1.5,2\n', [1.5, 2], "2 numbers; header left out: a, b; index left out"),
        ("a,b\n1.5,-2\n3,inf\n", [[1.5, -2], [3, INF]], "2 rows × 2 columns; header left out: a, b"),
        (
            "\ta\tb\r\n0\t1\t2\r\n1\t3\t4\r\n",
            [[1, 2], [3, 4]],
            "2 rows × 2 columns; header left out: a, b; index left out",
        ),
        (
            "   my loss\n0      0.5\n1      1.5\n",
            [0.5, 1.5],
            "2 numbers; header left out: my loss; index left out",
        ),
        (
            "   first loss  second one\n0         0.5         1.0\n1         1.5         2.0\n",
            [[0.5, 1], [1.5, 2]],
            "2 rows × 2 columns; header left out: first loss, second one; index left out",
        ),
        (
            "0,5\n1,5E-03",
            [[0, 5], [1, 0.005]],
            "2 rows × 2 columns; commas separate columns (write decimals with a point)",
        ),
        ("1\t2\n3\t−4", [[1, 2], [3, -4]], "2 rows × 2 columns"),
        ("1.5\n2.5\n", [1.5, 2.5], "2 numbers"),
        ("0.1, 0.5, 0.9", [0.1, 0.5, 0.9], "3 numbers"),
        # Decimal commas beside another separator; without one a comma separates, and that is said.
        ("1,5;2,5\n3,5;4", [[1.5, 2.5], [3.5, 4]], "2 rows × 2 columns; decimal commas: 1,5 is 1.5"),
        ("a\tb\n-1,5\t2", [-1.5, 2], "2 numbers; header left out: a, b; decimal commas: -1,5 is -1.5"),
        (
            "1,5\n2,5\n3,5",
            [[1, 5], [2, 5], [3, 5]],
            "3 rows × 2 columns; commas separate columns (write decimals with a point)",
        ),
        # As pandas prints.
        (
            "     0    1\n0  1.5  2.5\n1  4.5  5.5",
            [[1.5, 2.5], [4.5, 5.5]],
            "2 rows × 2 columns; header left out: 0, 1; index left out",
        ),
        (
            "0    1\n0  1.5  2.5\n1  4.5  5.5",
            [[1.5, 2.5], [4.5, 5.5]],
            "2 rows × 2 columns; header left out: 0, 1; index left out",
        ),
        (
            "      a    b\nid          \n7   1.5  2.5\n8   1.0  2.0",
            [[1.5, 2.5], [1, 2]],
            "2 rows × 2 columns; header left out: a, b; index left out",
        ),
        ("0    1.5\n1    NaN\nName: x, dtype: float64", [1.5, NAN], "2 numbers; index left out"),
        # As NumPy, Python, PyTorch and JSON write.
        ("[1.e+00 2.e-05]", [1, 2e-5], "2 numbers"),
        (
            "array([[1.e+00, 2.],\n       [nan, -inf]], dtype=float32)",
            [[1, 2], [NAN, "-Infinity"]],
            "2 rows × 2 columns",
        ),
        ("[[ 1.  .5]\n [-3.  4.]]", [[1, 0.5], [-3, 4]], "2 rows × 2 columns"),
        ("[np.float64(1.5), np.float64(inf)]", [1.5, INF], "2 numbers"),
        ("tensor([[[1.]]], device='cuda:0')", [[[1]]], "1 × 1 × 1"),
        ('[true, "NaN", 1E3]', [True, NAN, 1000], "3 numbers"),
        ("[[1, 2], [3]]", [[1, 2], [3]], "2 rows of unequal lengths"),
    ],
)
def test_an_array_is_read_from_text_and_said_how(read: Read, text: str, array: object, reading: str) -> None:
    assert read("text.csv", text) == [array, reading]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("1\t\t3\n4\t\t6", "a number, got an empty cell - at row 1, column 2"),
        ("a,b\n1,", "a number, got an empty cell - at row 2, column 2"),
        ("1\n\n3", "a number, got an empty cell - at row 2, column 1"),
        (",1.5,2\n1,2,3", "a number, got an empty cell - at row 1, column 1"),
        ("#N/A\n1\n2", 'a number, got "#N/A" - at row 1, column 1'),
        ("1%\t2%\n1\t2", 'a number, got "1%" - at row 1, column 1'),
        ("$1\n$2", 'a number, got "$1" - at row 1, column 1'),
        ("a,1\n2,3", 'a number, got "a" - at row 1, column 1'),
        (",a\n0,1\n1,x", 'a number, got "x" - at row 3, column 2'),
        ("hello", 'a number, got "hello" - at row 1, column 1'),
        ("1e999", 'a number, got "1e999" - at row 1, column 1'),
        ('"1,234",2\n3,4', 'a number, got "1,234" - at row 1, column 1'),
        ("1,5;2.5", 'decimal commas or decimal points, got both, "1,5" and "2.5" - at row 1, column 1'),
        ("x\n1,5\n2,5", "2 names of columns, got 1 - at row 1"),
        ("1,2\n3", "2 columns, got 1 - at row 2"),
        ("", "numbers, got an empty text - at row 1"),
        (
            "     a\n0  1.5\n..  ...\n99  2.5\n\n[100 rows x 1 columns]",
            'a number, got "...": print the array whole - at row 3, column 2',
        ),
        ("[1. 2. ... 9.]", 'a number, got "...": print the array whole - at [2]'),
        ("[[1, 2], [3, null]]", 'a number, got "null" - at [1][1]'),
        ("[1,,2]", "a number, got a comma - at [1]"),
        ("[1 2", "a closing bracket, got the end of the text - at [2]"),
        ("[1] [2]", 'one array, got more behind it, "[" - at its end'),
    ],
)
def test_what_is_no_array_is_refused_with_its_place(read: Read, text: str, problem: str) -> None:
    assert read("text.csv", text) == f"expected {problem}"


@pytest.mark.parametrize("order", "<>")
def test_every_half_is_read_as_numpy_reads_it(read: Read, order: str) -> None:
    bits = [*range(0, 1 << 16, 97), 1, 0x03FF, 0x0400, 0x7BFF, 0x7C00, 0xFC00, 0x7E00]
    halves = np.array(bits, np.uint16).view(np.float16).astype(f"{order}f2")
    array, reading = read("a.npy", saved(halves))
    np.testing.assert_array_equal([float(x) for x in array], halves.astype(np.float64))
    assert reading == f"{len(bits)} numbers"


def test_an_array_of_several_is_named(read: Read) -> None:
    file = io.BytesIO()
    np.savez_compressed(file, weights=np.ones((2, 3), np.float16))
    assert read("a.npz", file.getvalue()) == [[[1] * 3] * 2, "2 rows × 3 columns; array weights of the file"]


@pytest.mark.parametrize(("left", "part"), [(11, "a header"), (40, "a header"), (-1, "3 numbers of 8 bytes")])
def test_a_file_that_is_cut_short_is_refused(read: Read, left: int, part: str) -> None:
    whole = saved(np.ones(3))
    said = read("a.npy", whole[:left])
    got = len(whole[:left])
    assert said.endswith(f"bytes up to the end of {part}, got {got}: the file is cut short")


def saved(array: np.ndarray[Any, Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()
