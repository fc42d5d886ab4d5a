"""Writes requests and reads answers for tests, by the text of the protocol."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

LENGTH = "inference-header-content-length"
# The protocol's table of datatypes, in the codes of the struct module, which NumPy shares.
CODES = {
    "BOOL": "?",
    **{"INT8": "b", "INT16": "<h", "INT32": "<i", "INT64": "<q"},
    **{"UINT8": "B", "UINT16": "<H", "UINT32": "<I", "UINT64": "<Q"},
    **{"FP16": "<e", "FP32": "<f", "FP64": "<d"},
}


def written(document: Any, *raw: bytes) -> dict[str, Any]:
    """Return the content and headers of a request: JSON, and behind it raw bytes if there are any."""
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    headers = {LENGTH: str(len(text))} if raw else {}
    return {"content": text + b"".join(raw), "headers": headers}


def tensor(
    name: str, datatype: str, shape: list[int], data: Any = None, *, size: int | None = None
) -> dict[str, Any]:
    """Return an entry of ``inputs``, with its numbers or with the count of its raw bytes."""
    entry: dict[str, Any] = {"name": name, "shape": shape, "datatype": datatype}
    if size is not None:
        return {**entry, "parameters": {"binary_data_size": size}}
    return {**entry, "data": data}


def outputs_in(body: bytes, header_length: str | None) -> dict[str, np.ndarray]:
    """Read the outputs of an answer, binary ones from behind the JSON."""
    length = len(body) if header_length is None else int(header_length)
    document, offset, arrays = json.loads(body[:length]), length, {}
    for output in document["outputs"]:
        dtype, size = (
            np.dtype(CODES[output["datatype"]]),
            output.get("parameters", {}).get("binary_data_size"),
        )
        if size is None:
            array = np.array([float(x) if isinstance(x, str) else x for x in output["data"]]).astype(dtype)
        else:
            array = np.frombuffer(body[offset : offset + size], dtype)
            offset += size
        arrays[output["name"]] = array.reshape(output["shape"])
    assert offset == len(body), "bytes that no output tells of"
    return arrays
