"""What a model server's repository has, as Triton's extensions of the protocol tell it: models and their configuration.

Nothing can be loaded or unloaded. The names and values are those of Triton's `model_config.proto` and of its model
repository extension, which perf_analyzer and tritonclient read.
"""

from __future__ import annotations

from functools import cache
from typing import Literal

import orjson
from pydantic import BaseModel

from lossd.api.v2.model import PLATFORM, VERSION, TensorMetadata, describe_model
from lossd.declaration.loss import Loss
from lossd.errors import excerpt, malformed
from lossd.losses import LOSSES

INDEX_PATH = "/v2/repository/index"
_LONGEST_REQUEST = 1024


class TensorConfig(BaseModel):
    """An input or an output, with all of its axes."""

    name: str
    data_type: str
    dims: list[int]
    optional: bool


class ModelConfig(BaseModel):
    """The configuration of a model: it takes batches as they come, and gathers none."""

    name: str
    platform: str
    backend: str
    version_policy: dict[str, dict[str, list[int]]]
    max_batch_size: Literal[0]
    input: list[TensorConfig]
    output: list[TensorConfig]
    parameters: dict[str, dict[str, str]]


class IndexEntry(BaseModel):
    """A model of the repository."""

    name: str
    version: str
    state: Literal["READY", "UNAVAILABLE"]
    reason: str


@cache
def configuration(loss: Loss) -> ModelConfig:
    """Return the configuration of a loss."""
    metadata = describe_model(loss)
    return ModelConfig(
        name=loss.name,
        platform=PLATFORM,
        backend=PLATFORM,
        version_policy={"specific": {"versions": [int(VERSION)]}},
        max_batch_size=0,
        input=[_tensor(tensor) for tensor in metadata.inputs],
        output=[_tensor(tensor) for tensor in metadata.outputs],
        parameters={},
    )


def index(*, draining: bool, only_ready: bool) -> list[IndexEntry]:
    """Return the models; those that are ready alone, if asked so."""
    if draining:
        return (
            []
            if only_ready
            else [_entry(name, "UNAVAILABLE", "the server is about to stop") for name in LOSSES]
        )
    return [_entry(name, "READY", "") for name in LOSSES]


def only_ready(body: bytes) -> bool:
    """Read what a request for the index asks for: ``{"ready": true}``, or everything where it has no body.

    Raises:
        MalformedBody: It is no such object.
    """
    if not body:
        return False
    try:
        asked = orjson.loads(body) if len(body) <= _LONGEST_REQUEST else None
    except orjson.JSONDecodeError:
        asked = None
    ready = asked.get("ready", False) if isinstance(asked, dict) else None
    if not isinstance(ready, bool):
        raise malformed(
            "the body", 'nothing, or a JSON object such as {"ready": true}', excerpt(repr(body[:80]))
        )
    return ready


def _entry(name: str, state: Literal["READY", "UNAVAILABLE"], reason: str) -> IndexEntry:
    return IndexEntry(name=name, version=VERSION, state=state, reason=reason)


def _tensor(tensor: TensorMetadata) -> TensorConfig:
    return TensorConfig(
        name=tensor.name,
        data_type=f"TYPE_{tensor.datatype}",
        dims=tensor.shape,
        optional=tensor.parameters["optional"],
    )
