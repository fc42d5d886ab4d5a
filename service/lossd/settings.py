"""Every limit and switch: a field is a variable ``LOSSD_<FIELD>`` and a row of the README."""

from __future__ import annotations

import os
import re
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from lossd.spelling import did_you_mean

PREFIX = "LOSSD_"
OF_CLIENTS = frozenset(
    {"LOSSD_URL"}
)  # where a client finds a server; it may well stand in the same environment
MIB = 1024 * 1024
_ORIGIN = re.compile(r"\*|https?://[^/?#@,\s]+")


class Settings(BaseSettings):
    """Read what an operator chose from the environment; keyword arguments win over it.

    Raises:
        pydantic.ValidationError: A value is out of range, or a ``LOSSD_`` variable is unknown. A misspelt
            limit must not turn silently into the default one.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )

    host: str = "127.0.0.1"
    """Address to listen on."""

    port: int = Field(8000, ge=0, le=65535)
    """Port to listen on; 0 takes a free one."""

    uds: str | None = None
    """Path of a Unix socket to listen on, in place of host and port."""

    workers: int = Field(1, ge=1)
    """Server processes. The limits below hold for each of them."""

    max_body_bytes: int = Field(64 * MIB, ge=1)
    """Largest request body, also once it is unpacked; a larger one gets a 413 before it is read."""

    max_elements: int = Field(2**25, ge=1)
    """Most numbers in the arrays of one request."""

    max_depth: int = Field(16, ge=1, le=64)
    """Most dimensions of an array, and deepest nesting of an option."""

    max_in_flight_bytes: int = Field(256 * MIB, ge=1)
    """Total bytes of bodies, workspace and answers in flight. Above this limit, requests get 503 with Retry-After."""

    max_work: int = Field(10**11, ge=1)
    """Most elementary operations of one call, by its estimate; a call that needs more gets a 422."""

    max_workspace_bytes: int = Field(128 * MIB, ge=1)
    """Most memory that one call may work in, by its estimate; a call that needs more gets a 422."""

    max_answer_bytes: int = Field(64 * MIB, ge=1)
    """Most bytes in the arrays of one answer; a call that asks for more gets a 422."""

    inline_body_bytes: int = Field(16 * 1024, ge=0)
    """Largest body that is read on the event loop; larger ones are read in the thread pool."""

    inline_milliseconds: float = Field(0.5, ge=0)
    """Longest call, by its estimate, that computes on the event loop; longer ones compute in the thread pool."""

    compress_from_bytes: int = Field(256 * 1024, ge=0)
    """Answers in JSON from this size on are compressed for callers that accept it."""

    compute_workers: int = Field(2, ge=1)
    """Calls that compute at the same time in the thread pool."""

    threads: int = Field(1, ge=1)
    """Threads that share one call of the thread pool; the answer has the same bits for any number."""

    body_timeout_seconds: float = Field(10.0, gt=0)
    """Longest silence while a body arrives; then a 408."""

    request_timeout_seconds: float = Field(60.0, gt=0)
    """Longest time for a request and cap of its Request-Timeout header; then a 504, or a 408 for the body."""

    keep_alive_seconds: int = Field(75, ge=1)
    """How long an idle connection stays open; keep it above the idle limit of the balancer in front."""

    drain_seconds: float = Field(5.0, ge=0)
    """How long /readyz answers 503, and all else is served, between SIGTERM and the close of the socket."""

    shutdown_seconds: int = Field(20, ge=0)
    """How long requests in flight may take to finish after that."""

    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Origins such as `https://example.org`, separated by commas, whose pages may call from a browser; `*` is all."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe records to log; each request is one record at info."""

    log_format: Literal["auto", "json", "console"] = "auto"
    """`json`: one object a line; `console`: aligned text; `auto`: text in a terminal, JSON elsewhere."""

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_variables(cls, values: Any) -> Any:
        known = [variable(field) for field in cls.model_fields]
        for name in os.environ:
            if name.upper().startswith(PREFIX) and name.upper() not in {*known, *OF_CLIENTS}:
                hint = did_you_mean(name, known)
                raise ValueError(f"expected a known setting, got {name}{hint or ';'} the README lists them")
        return values

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split_origins(cls, value: Any) -> Any:
        origins = tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value
        for origin in origins:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"expected origins such as https://example.org, without a path, or *, got {origin!r}"
                )
        return origins

    @model_validator(mode="after")
    def _admit_the_largest_body(self) -> Self:
        if self.max_in_flight_bytes < self.max_body_bytes:
            raise ValueError(
                f"expected {variable('max_in_flight_bytes')} of at least {variable('max_body_bytes')} "
                f"({self.max_body_bytes}), got {self.max_in_flight_bytes}"
            )
        return self


def variable(field: str) -> str:
    """Name the environment variable of a field."""
    return PREFIX + field.upper()


def settings_table() -> str:
    """Render every setting as a Markdown table: variable, default, meaning."""
    rows = [
        f"| `{variable(name)}` | {_shown(name, field.default)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join(["| variable | default | meaning |", "|---|---|---|", *rows]) + "\n"


def _shown(name: str, value: object) -> str:
    """Write a default as a person would, with whole mebibytes or kibibytes beside the bytes."""
    if value is None or value == ():
        return "none"
    for unit, size in (("MiB", MIB), ("KiB", 1024)):
        if name.endswith("_bytes") and isinstance(value, int) and value % size == 0:
            return f"`{value}` ({value // size} {unit})"
    return f"`{value}`"
