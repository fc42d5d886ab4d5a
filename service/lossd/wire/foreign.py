"""Names the format that bytes are of, where they are not what their media type says."""

from __future__ import annotations

from collections.abc import Mapping

from lossd.wire.codec import Body

BEGINNINGS: Mapping[bytes, str] = {
    b"\x93NUMPY": "a .npy file; .npz holds named ones (numpy.savez)",
    b"PK\x03\x04": "a ZIP archive, as .npz is (application/x-npz)",
    b"\x1f\x8b": "gzip (Content-Encoding: gzip)",
    b"\x28\xb5\x2f\xfd": "Zstandard (Content-Encoding: zstd)",
    b"{": "JSON (application/json)",
}
"""First bytes of formats that callers have at hand, to what they are and how to say so."""

_HEADER = 8  # where the JSON of safetensors begins, behind its length
_LONGEST = 16


def hint_of_format(body: Body) -> str:
    """Return ``; the bytes look like ...``, or nothing where no format begins so."""
    begun = bytes(memoryview(body)[:_LONGEST])
    looks = next((name for magic, name in BEGINNINGS.items() if begun.startswith(magic)), "")
    if not looks and begun[_HEADER : _HEADER + 1] == b"{" and begun[_HEADER - 1 : _HEADER] == b"\0":
        looks = "safetensors (application/vnd.safetensors)"
    return f"; the bytes look like {looks}" if looks else ""
