"""Archives are read as zipfile and NumPy write them, and every bad one is refused with the place of its error."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
import zlib

import ml_dtypes
import numpy as np
import pytest

from lossd.errors import BodyTooLarge, LossdError
from lossd.message import Call
from lossd.wire import CODECS, DecodeLimits
from lossd.wire.tensor import DTYPES
from lossd.wire.unpacked_size import inflated_size
from tests.wire.array_cases import FLOATS, ONE_MINUS_TWO, archive, deflated, member, npy, single
from tests.wire.json_cases import TENSORS
from tests.wire.refusal import LIMITS, assert_refused
from tests.wire.sameness import assert_same

MEDIA_TYPE = "application/x-npz"
CODEC = CODECS[MEDIA_TYPE]

NAMED = ("input.npy", member(FLOATS))

PK67 = "PK\6\7".ljust(20, "n")  # what the 20 bytes before the end record would be in an archive of ZIP64

MALFORMED = {
    "empty": (b"", "", "a ZIP archive"),
    "no archive": (b"PK\3\4" + bytes(50), "", "a ZIP archive"),
    "cut off": (archive(NAMED)[:-1], "", "a ZIP archive"),
    "trailing bytes": (archive(NAMED, behind=b"x"), "", "a ZIP archive without a comment"),
    "bytes in front": (b"x" + archive(NAMED), "byte 231", "got 55 bytes from byte 175"),
    "one entry less than there is": (archive(NAMED, NAMED, entries=1), "byte 350", "directory of 1 entries, got 2"),
    "no entry": (archive(NAMED, entries=0), "byte", "a central directory of at most 0 bytes"),
    "a large directory": (archive(("n" * 700, member(FLOATS))), "byte", "a central directory of at most 512 bytes"),
    "a comment": (archive(NAMED, comment=1) + b"x", "", "without a comment"),
    "a stated comment": (archive(NAMED, comment=1), "byte", "without a comment"),
    "one entry more than there is": (archive(NAMED, entries=2), "byte 175", "directory of 2 entries, got 1"),
    "257 members": (archive(*[NAMED] * 257), "byte", "at most 256 members, got 257"),
    "a name twice": (archive(NAMED, NAMED), "input.npy", "each name once"),
    "no suffix": (archive(("input", member(FLOATS))), "input", "ends in .npy"),
    "a path": (archive(("a/input.npy", member(FLOATS))), "central directory", "without a path"),
    "a path up": (archive(("..\\input.npy", member(FLOATS))), "central directory", "without a path"),
    "a name that does not print": (archive(("in\nput.npy", member(FLOATS))), "central directory", "a printable name"),
    "another name in the local header": (single(FLOATS, local_name=b"target.np"), "byte 0", "the local header"),
    "encrypted": (single(FLOATS, flags=0x801), "input.npy", "not encrypted"),
    "another method": (single(FLOATS, method=12), "input.npy", "compression method 12"),
    "a checksum that is wrong": (single(FLOATS, crc=1), "input.npy", "content of checksum 00000001"),
    "ZIP64": (archive((PK67, member(FLOATS))), "byte", "one of ZIP64"),
    "a size of ZIP64 without its extension": (single(FLOATS, size=2**32 - 1), "input.npy", "stored as they are"),
    "stored in another number of bytes": (single(FLOATS, size=len(FLOATS) + 1), "input.npy", "stored as they are"),
    "data beyond the directory": (
        archive(("input.npy", {**member(FLOATS), "size": 500, "packed": 500})), "input.npy", "500 bytes of data before",
    ),
    "a header elsewhere": (single(FLOATS, begin=5), "byte 5", "the local header"),
    "a header beyond the directory": (single(FLOATS, begin=160), "byte 160", "a local header"),
    "members that share bytes": (
        archive(NAMED, ("target.npy", member(FLOATS, begin=0, local_name=b"input.npy"))), "byte 0", "the local header",
    ),
    "no deflated stream": (single(FLOATS, packed=b"\xff" * 9), "input.npy", "an intact deflate stream"),
    "a deflated stream cut short": (single(FLOATS, packed=deflated(FLOATS)[:-3]), "input.npy", "cut short"),
    "a deflated stream with a tail": (single(FLOATS, packed=deflated(FLOATS) + b"x"), "input.npy", "1 more bytes"),
    "a deflated stream that is shorter than is said": (
        single(FLOATS, packed=deflated(FLOATS[:-4])), "input.npy", "136 bytes once decompressed, got 132",
    ),
    "a deflated stream that is longer than is said": (
        single(FLOATS, packed=deflated(FLOATS + b"x")), "input.npy", "136 bytes once decompressed, got more",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_a_bad_body_is_refused_at_its_place(name):
    assert_refused(MEDIA_TYPE, *MALFORMED[name])


HUGE = "(4294967296, 4294967296)"
TOO_LARGE = {
    "a product beyond 64 bits": single(npy("'<f4'", HUGE, ONE_MINUS_TWO)),
    "too many elements": single(npy("'|i1'", "(1001,)", bytes(1001))),
    "too many bytes": single(npy("'<f8'", "(1,)", bytes(100_000))),
    "a bomb": single(b"", packed=deflated(npy("'|i1'", "(100000000,)", bytes(1 << 20))), size=100_000_128),
}  # fmt: skip


@pytest.mark.parametrize("name", TOO_LARGE)
def test_arrays_beyond_the_limits_are_refused(name):
    with pytest.raises(BodyTooLarge):
        CODEC.decode_call(TOO_LARGE[name], TENSORS, LIMITS)


@pytest.mark.parametrize("claimed", [1 << 20, 900_000_000])
def test_an_archive_decompresses_no_further_than_it_states(claimed):
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    content = npy("'|i1'", f"({claimed},)", b"")
    bomb = (
        squeezer.compress(content)
        + b"".join(squeezer.compress(bytes(1 << 20)) for _ in range(100))
        + squeezer.flush()
    )
    body = single(b"", packed=bomb, size=len(content) + claimed)
    limits = DecodeLimits(max_elements=2**20, max_bytes=2**21)
    tracemalloc.start()
    try:
        with pytest.raises(LossdError):
            CODEC.decode_call(body, TENSORS, limits)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_we_read_what_numpy_writes(save):
    arrays = {
        "a": np.arange(6, dtype=np.float16).reshape(2, 3),
        "b": np.array(2.5),
        "c": np.array([True, False]),
        "d": np.empty((0, 4), np.int32),
        "e": np.arange(3).astype(ml_dtypes.bfloat16),
        "f": np.array([1 + 2j], np.complex64),
        "long": np.zeros(1 << 19),
    }
    file = io.BytesIO()
    save(file, **arrays, g=np.asfortranarray(arrays["a"]), h=np.array([1.5], ">f8"))
    read = CODEC.decode_call(file.getvalue(), TENSORS).arrays
    assert_same(dict(read), {**arrays, "g": arrays["a"], "h": np.array([1.5])})


def test_numpy_and_zipfile_read_what_we_write():
    arrays = {name: np.arange(6).astype(dtype).reshape(2, 3) for name, dtype in DTYPES.items()}
    body = b"".join(CODEC.encode_call(Call(arrays)))
    assert zipfile.ZipFile(io.BytesIO(body)).testzip() is None
    loaded = np.load(io.BytesIO(body))
    arrays["bfloat16"] = arrays["bfloat16"].view("V2")
    assert_same({name: loaded[name] for name in loaded}, arrays)


def test_a_member_written_to_a_stream_is_read_although_its_local_header_knows_no_size():
    class Pipe(io.BytesIO):
        def seekable(self):
            return False

        def tell(self):
            raise OSError

    pipe = Pipe()
    np.savez_compressed(pipe, a=np.arange(9.0))
    assert pipe.getvalue()[6] & 8, "the sizes should stand behind the data"
    assert_same(dict(CODEC.decode_call(pipe.getvalue(), TENSORS).arrays), {"a": np.arange(9.0)})


@pytest.mark.parametrize("count", [1, 5])
def test_the_size_of_what_is_deflated_is_known_before_it_is_inflated(count):
    arrays = {f"array_{number}": np.zeros(1000 + number) for number in range(count)}
    stored, packed = io.BytesIO(), io.BytesIO()
    np.savez(stored, **arrays)
    np.savez_compressed(packed, **arrays)
    with zipfile.ZipFile(packed) as read:
        expected = sum(entry.file_size for entry in read.infolist())
    assert inflated_size(packed.getvalue()) == expected
    assert inflated_size(stored.getvalue()) == 0
    # Where it is no archive, its reader says so.
    for cut in range(100):
        assert inflated_size(packed.getvalue()[:cut]) == 0
    assert inflated_size(b"PK" * 1000) == 0
