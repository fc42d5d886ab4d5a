"""Compressed bodies unfold to what they were, never to more than is allowed, and never with a tail."""

from __future__ import annotations

import contextlib
import gzip
import sys
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossd.errors import BodyTooLarge, LossdError, MalformedBody
from lossd.wire.content_encoding import ENCODINGS, compress, decompress
from lossd.wire.unpacked_size import unpacked_size

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

every_encoding = pytest.mark.parametrize("encoding", ENCODINGS)
# Written by the standard library.
WRITERS = {"gzip": gzip.compress, "deflate": zlib.compress, "zstd": zstd.compress}
READERS = {"gzip": gzip.decompress, "deflate": zlib.decompress, "zstd": zstd.decompress}
NOISE = np.random.default_rng(0).bytes(3 << 20)
TEXT = b'{"input": [1, 2, 3]}'


@every_encoding
@pytest.mark.parametrize("content", [b"", TEXT, bytes(5 << 20), NOISE, NOISE[:1000] * 3000], ids=len)
def test_what_others_compress_is_read(encoding, content):
    folded = WRITERS[encoding](content)
    for form in (bytes, bytearray, memoryview):
        assert decompress(form(folded), encoding, len(content)) == content


@every_encoding
@given(parts=st.lists(st.binary(max_size=50), min_size=1))
def test_what_we_compress_is_read(encoding, parts):
    assert READERS[encoding](b"".join(compress(parts, encoding))) == b"".join(parts)


@every_encoding
@pytest.mark.parametrize("content", [b"", TEXT, bytes(5 << 20), NOISE, NOISE[:1000] * 3000], ids=len)
def test_a_size_is_foretold_without_unpacking_and_never_too_small(encoding, content):
    whole, streamed = WRITERS[encoding](content), b"".join(compress([content], encoding))
    assert unpacked_size(memoryview(whole), encoding) >= len(content) <= unpacked_size(streamed, encoding)
    if encoding != "deflate":
        assert unpacked_size(whole, encoding) == len(content)
        assert unpacked_size(streamed, encoding) <= len(content) + (
            1 << 18
        )  # of zstd, the rest of its blocks


@pytest.mark.parametrize("single", [True, False])
@pytest.mark.parametrize("size", [1, 255, 256, 300, 70_000, 1 << 20])
def test_a_size_is_read_from_every_header_of_zstd(single, size):
    options = {zstd.CompressionParameter.content_size_flag: single}
    assert size <= unpacked_size(zstd.compress(bytes(size), options=options), "zstd") <= size + (1 << 18)


@every_encoding
def test_a_size_of_no_stream_is_foretold_too(encoding):
    for junk in (b"", b"a", b"\x28\xb5\x2f\xfd", NOISE[:100], b"\x28\xb5\x2f\xfd\x00\x58" + bytes(10_000)):
        assert unpacked_size(junk, encoding) >= 0


@every_encoding
def test_one_byte_beyond_the_limit_is_refused(encoding):
    for content in (TEXT, bytes(3 << 20), NOISE):
        with pytest.raises(BodyTooLarge, match=f"at most {len(content) - 1} bytes"):
            decompress(WRITERS[encoding](content), encoding, len(content) - 1)


@every_encoding
def test_a_bomb_takes_no_more_memory_than_the_limit(encoding):
    bomb = WRITERS[encoding](bytes(64 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(BodyTooLarge):
            decompress(bomb, encoding, 1 << 20)
        assert tracemalloc.get_traced_memory()[1] < 5 << 20
    finally:
        tracemalloc.stop()


@every_encoding
def test_every_truncation_is_refused(encoding):
    folded = WRITERS[encoding](TEXT * 10)
    for length in range(len(folded)):
        with pytest.raises(MalformedBody, match="`Content-Encoding`"):
            decompress(folded[:length], encoding, 1000)


@every_encoding
def test_a_tail_is_refused(encoding):
    folded = WRITERS[encoding](TEXT)
    for tail in (b"\0", TEXT, folded, NOISE):
        with pytest.raises(MalformedBody, match=f"got {len(tail)} more bytes"):
            decompress(folded + tail, encoding, 1000)


@every_encoding
def test_another_encoding_is_refused(encoding):
    for other in ENCODINGS.keys() - {encoding}:
        with pytest.raises(MalformedBody):
            decompress(WRITERS[other](TEXT), encoding, 1000)


def test_a_wrong_checksum_is_refused():
    for encoding, place in (("gzip", -8), ("deflate", -4)):
        folded = bytearray(WRITERS[encoding](TEXT))
        folded[place] ^= 1
        with pytest.raises(MalformedBody, match="an intact"):
            decompress(folded, encoding, 1000)


def test_a_window_beyond_that_of_http_is_refused():
    large = {zstd.CompressionParameter.window_log: 24}
    compressor = zstd.ZstdCompressor(options=large)
    folded = compressor.compress(TEXT) + compressor.flush()
    with pytest.raises(MalformedBody, match="zstd"):
        decompress(folded, "zstd", 1000)


@every_encoding
@given(data=st.data())
def test_no_bytes_raise_anything_but_our_errors(encoding, data):
    folded = bytearray(WRITERS[encoding](data.draw(st.sampled_from([b"", TEXT, TEXT * 20, NOISE[:300]]))))
    for _ in range(data.draw(st.integers(1, 4))):
        folded[data.draw(st.integers(0, len(folded) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(LossdError):
        assert len(decompress(folded, encoding, 1000)) <= 1000
