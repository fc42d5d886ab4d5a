"""Writes a response to infer: one JSON object, and behind it the raw bytes of its binary outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lossd.message import Array, Checkpoint
from lossd.wire.codec import Parts, never_end
from lossd.wire.gathering import gather
from lossd.wire.json.text import dumps
from lossd.wire.open_inference.named_tensor import binary_tensor, json_tensor
from lossd.wire.open_inference.request import Entry, Inference


@dataclass(frozen=True, slots=True)
class Encoded:
    """An answer as bytes: its parts in order, and the length of its JSON if raw bytes follow it."""

    parts: Parts
    header_length: int | None


def encode_inference(
    inference: Inference,
    outputs: Mapping[str, Array],
    *,
    model: str,
    version: str,
    warnings: Sequence[str] = (),
    checkpoint: Checkpoint = never_end,
) -> Encoded:
    """Write the answer: the arrays of ``outputs`` by name, each in the form that was asked for.

    Args:
        inference: The request.
        outputs: What it asks for.
        model: The name of its model.
        version: That model's version.
        warnings: What the caller should know although the call succeeded.
        checkpoint: Called between the pieces of large arrays; what it raises ends the writing.

    Raises:
        InvalidCall: The protocol has no datatype for an array.
    """
    asked = {output.name: output.binary for output in inference.outputs}
    entries: list[Entry] = []
    raw: list[memoryview] = []
    for name, array in outputs.items():
        if asked.get(name, inference.binary):
            entry, data = binary_tensor(name, array)
            raw.append(data)
        else:
            entry = json_tensor(name, array)
        entries.append(entry)
    document: dict[str, Any] = {"model_name": model, "model_version": version}
    if inference.id is not None:
        document["id"] = inference.id
    if warnings:
        document["parameters"] = {"warnings": "; ".join(warnings)}
    parts = dumps({**document, "outputs": entries}, checkpoint)
    # Without raw bytes the body is plain JSON, for which the protocol sends no such header.
    return Encoded(gather([*parts, *raw]), sum(map(len, parts)) if any(raw) else None)
