"""Health and metadata of the Open Inference Protocol: what a client may ask before it infers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NoReturn

import orjson
from fastapi import APIRouter, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Route

from lossd import __version__
from lossd.api.health import Health
from lossd.api.routes import add_reading
from lossd.api.v2.infer import INFER_PATHS, InferEndpoint
from lossd.api.v2.model import PLATFORM, ModelMetadata, describe_model, find_model
from lossd.api.v2.repository import INDEX_PATH, ModelConfig, configuration, index, only_ready
from lossd.api.v2.statistics import Statistics
from lossd.errors import excerpt
from lossd.losses import LOSSES

TAG = "open inference"
EXTENSIONS = ["binary_tensor_data", "model_configuration", "statistics"]
UNSUPPORTED = (
    "/v2/repository/models/{call:path}",
    "/v2/logging",
    "/v2/trace/setting",
    "/v2/systemsharedmemory/{call:path}",
    "/v2/cudasharedmemory/{call:path}",
    "/v2/models/{name}/trace/setting",
    "/v2/models/{name}/versions/{version}/trace/setting",
)
"""What other servers of the protocol have and lossd has not, so that their clients learn it in a sentence."""


class ServerMetadata(BaseModel):
    """What serves, and which extensions of the protocol it has."""

    name: str
    version: str
    extensions: list[str]


class Live(BaseModel):
    """Whether the process answers."""

    live: bool


class Ready(BaseModel):
    """Whether the server wants requests."""

    ready: bool


class ModelReady(Ready):
    """Whether a model can infer."""

    name: str


def add_v2(router: APIRouter, health: Health, infer: InferEndpoint) -> None:
    """Add every path of the protocol."""

    async def v2_server() -> ServerMetadata:
        """Name the server, and the extensions of the protocol that it has."""
        return ServerMetadata(name=PLATFORM, version=__version__, extensions=EXTENSIONS)

    async def v2_live() -> Live:
        """Say that the process answers."""
        return Live(live=True)

    async def v2_ready() -> Ready:
        """Say whether the server wants requests: not once it is about to stop."""
        health.refuse_if_draining()
        return Ready(ready=True)

    async def v2_model(name: str) -> ModelMetadata:
        """Describe a loss as a model: its versions, its inputs and outputs."""
        # Under the name it was asked by, which may be an alias.
        return describe_model(find_model(name)).model_copy(update={"name": name})

    async def v2_model_version(name: str, version: str) -> ModelMetadata:
        """Describe one version of a model."""
        return describe_model(find_model(name, version)).model_copy(update={"name": name})

    async def v2_model_ready(name: str) -> ModelReady:
        """Say whether a model can infer: every loss can while the server is ready."""
        find_model(name)
        health.refuse_if_draining()
        return ModelReady(name=name, ready=True)

    async def v2_model_version_ready(name: str, version: str) -> ModelReady:
        """Say whether one version of a model can infer."""
        find_model(name, version)
        health.refuse_if_draining()
        return ModelReady(name=name, ready=True)

    async def v2_config(name: str) -> ModelConfig:
        """Return the configuration of a model."""
        return configuration(find_model(name)).model_copy(update={"name": name})

    async def v2_config_version(name: str, version: str) -> ModelConfig:
        """Return the configuration of one version of a model."""
        return configuration(find_model(name, version)).model_copy(update={"name": name})

    async def v2_stats() -> Statistics:
        """Count the inferences of every model since this server process started."""
        return infer.inferences.describe({name: name for name in LOSSES})

    async def v2_model_stats(name: str) -> Statistics:
        """Count the inferences of a model since this server process started."""
        return infer.inferences.describe({name: find_model(name).name})

    async def v2_model_version_stats(name: str, version: str) -> Statistics:
        """Count the inferences of one version of a model since this server process started."""
        return infer.inferences.describe({name: find_model(name, version).name})

    async def repository_index(request: Request) -> Response:
        entries = index(draining=health.draining, only_ready=only_ready(await request.body()))
        return Response(
            orjson.dumps([entry.model_dump() for entry in entries]), media_type="application/json"
        )

    async def unsupported(request: Request) -> NoReturn:
        raise HTTPException(501, f"expected a call that lossd has, got {excerpt(request.scope['path'])}")

    reading: dict[str, Callable[..., Awaitable[BaseModel]]] = {
        "/v2": v2_server,
        "/v2/health/live": v2_live,
        "/v2/health/ready": v2_ready,
        "/v2/models/stats": v2_stats,
        "/v2/models/{name}/config": v2_config,
        "/v2/models/{name}/versions/{version}/config": v2_config_version,
        "/v2/models/{name}/stats": v2_model_stats,
        "/v2/models/{name}/versions/{version}/stats": v2_model_version_stats,
        "/v2/models/{name}": v2_model,
        "/v2/models/{name}/versions/{version}": v2_model_version,
        "/v2/models/{name}/ready": v2_model_ready,
        "/v2/models/{name}/versions/{version}/ready": v2_model_version_ready,
    }
    for path in UNSUPPORTED:
        router.routes.append(Route(path, unsupported, methods=["GET", "POST"]))
    router.routes.append(Route(INDEX_PATH, repository_index, methods=["POST"]))
    for path in INFER_PATHS:
        router.routes.append(Route(path, infer, methods=["POST"]))
    for path, endpoint in reading.items():
        add_reading(router, path, endpoint, TAG)
    # Clients join a base address and an empty path so, and follow no redirect.
    router.add_api_route("/v2/", v2_server, methods=["GET", "HEAD"], include_in_schema=False)
