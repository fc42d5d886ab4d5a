"""The recorded calls: how they are sent, and how a large one is drawn from its seed.

Small calls keep their whole body and answer; large ones, which take several blocks, keep the seed of their arrays, and
of every array of the answer a digest and some of its numbers. `record` draws and writes them.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from lossd.wire.tensor import to_base64
from tests.api.serving import InProcess

ANSWERS = Path(__file__).with_name("answers.jsonl.gz")

OK = 200
# Elements that are kept of an array of a large answer.
_KEPT = 16

Record = Mapping[str, Any]


def load() -> list[Record]:
    """Return every recorded call."""
    with gzip.open(ANSWERS, "rt") as lines:
        return [json.loads(line) for line in lines]


def ask(service: InProcess, record: Record) -> tuple[int, Any]:
    """Send a recorded call; return the status and the document that it is answered with."""
    body = record.get("body") or large_body(record)
    response = service.request("POST", record["path"], json=body)
    return response.status_code, _shortened(response.json()) if "arrays" in record else response.json()


def large_body(record: Record) -> dict[str, Any]:
    """Draw the arrays of a large call."""
    rng = np.random.default_rng(record["seed"])
    arrays = {name: _draw(rng, **how) for name, how in record["arrays"].items()}
    return {**{name: to_base64(array) for name, array in arrays.items()}, **record["options"]}


def differences(record: Record, answer: Any) -> Iterator[tuple[float, str]]:
    """Yield how far numbers are from the recorded ones, and where, in units in the last place of the largest beside."""
    yield from _differences(record["answer"], answer, record["eps"], "")


def _differences(old: Any, new: Any, eps: float, at: str) -> Iterator[tuple[float, str]]:
    if isinstance(old, dict) and isinstance(new, dict) and old.keys() == new.keys():
        for name in old:
            if name != "data" or "some" not in old:
                yield from _differences(old[name], new[name], eps, f"{at}.{name}")
        if old.get("data") != new.get("data") and "some" in old:
            yield 0.0, f"{at}: other bits"
        return
    if _are_tensors(old) and _are_tensors(new) and len(old) == len(new):
        for place, pair in enumerate(zip(old, new, strict=True)):
            yield from _differences(*pair, eps, f"{at}[{place}]")
        return
    if old == new:
        return
    try:
        one, other = (
            np.array(old, float),
            np.array(new, float),
        )  # NaN and infinity are strings that float reads
    except (TypeError, ValueError):
        yield np.inf, f"{at}: {new}, not {old}"
        return
    if one.shape != other.shape or not np.array_equal(np.isfinite(one), np.isfinite(other)):
        yield np.inf, f"{at}: {new}, not {old}"
        return
    finite = np.isfinite(one)
    size = np.abs(one[finite]).max(initial=np.finfo(np.float32).tiny)
    yield float(np.abs(one - other)[finite].max(initial=0) / (size * eps)), f"{at}: {new}, not {old}"


def _are_tensors(value: Any) -> bool:
    """Return whether it is a list of tensors, as the Open Inference Protocol has them, and not of numbers."""
    return isinstance(value, list) and bool(value) and all(isinstance(entry, dict) for entry in value)


def _draw(rng: np.random.Generator, values: str, shape: list[int], dtype: str) -> np.ndarray:
    """Draw an array: ``normal``, ``uniform``, ``below N`` or ``from M below N``."""
    if "below" in values:
        low, _, high = values.removeprefix("from ").rpartition("below ")
        return rng.integers(int(low or 0), int(high), shape)
    return (rng.standard_normal(shape) if values == "normal" else rng.random(shape)).astype(dtype)


def _shortened(answer: Any) -> Any:
    """Keep a digest and a few numbers of each array."""
    if not isinstance(answer, dict):
        return answer
    if answer.keys() != {"dtype", "shape", "data"}:
        return {name: _shortened(part) for name, part in answer.items()}
    raw = base64.b64decode(answer["data"])
    numbers = np.frombuffer(raw, ml_dtypes.bfloat16 if answer["dtype"] == "bfloat16" else answer["dtype"])
    some = numbers[:: max(1, numbers.size // _KEPT)].astype(float).tolist()
    return {**answer, "data": hashlib.sha256(raw).hexdigest(), "some": some}


def main() -> None:
    """Print which calls are answered otherwise than recorded, even in one bit: python -m tests.golden.calls"""
    service = InProcess()
    others = 0
    for record in load():
        status, answer = ask(service, record)
        found = max(differences(record, answer), default=None) if status == OK else (np.inf, answer)
        if found is not None:
            others += 1
            print(f"{record['path']} {found[0]:.1f} ulp {str(found[1])[:300]}")
    print(f"{others} of {len(load())} calls are answered otherwise")


if __name__ == "__main__":
    main()
