"""Every limit and switch: a field is a variable ``LOSSD_<FIELD>`` and a row of the README."""

from __future__ import annotations

import ipaddress
import os
import re
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from lossd.service_links import is_service_link
from lossd.spelling import did_you_mean

PREFIX = "LOSSD_"
OF_CLIENTS = frozenset({"LOSSD_URL", "LOSSD_TOKEN"})
"""Where a client finds a server, and what it shows there; they may well stand in the same environment."""

MIB = 1024 * 1024
# What each way to authenticate cannot do without.
_NEEDED = {"keys": ("keys_file",), "jwt": ("jwks_file", "jwt_issuer", "jwt_audience")}
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

    auth: Literal["none", "keys", "jwt"] | None = None
    """Who may call: `none` is everyone, `keys` those with a key, `jwt` with a token. Must be set for other hosts."""

    keys_file: str | None = None
    """File of the keys, for `LOSSD_AUTH=keys`; it is read again when it changes. `lossd keys new` adds a key."""

    jwks_file: str | None = None
    """Public keys of those who issue tokens, for `LOSSD_AUTH=jwt`: a JWK Set, read again when it changes."""

    jwt_issuer: str | None = None
    """What the claim `iss` of a token must be."""

    jwt_audience: str | None = None
    """What the claim `aud` of a token must have."""

    jwt_scope_claim: str = "scope"
    """Claim of a token that has its scopes: words, or a list; `lossd:` may stand before each."""

    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = ()
    """Addresses and networks of proxies whose X-Forwarded-For says who calls, separated by commas."""

    tls_certificate_file: str | None = None
    """Certificate of the server and those that lead to its root, in PEM. With it the server speaks TLS."""

    tls_key_file: str | None = None
    """Private key of the certificate, in PEM and not encrypted; by default it is in the certificate's file."""

    tls_client_ca_file: str | None = None
    """Certificates in PEM of which one must have signed that of a caller; a caller without one cannot connect."""

    workers: int = Field(1, ge=1)
    """Server processes. The limits below hold for each of them."""

    worker_timeout_seconds: float = Field(30.0, gt=0)
    """Longest silence of a server process before it is replaced, where there are several."""

    max_body_bytes: int = Field(64 * MIB, ge=1)
    """Largest request body, also once it is unpacked; a larger one gets a 413 before it is read."""

    max_elements: int = Field(2**25, ge=1)
    """Most numbers in the arrays of one request."""

    max_depth: int = Field(16, ge=1, le=64)
    """Most dimensions of an array, and deepest nesting of an option."""

    max_in_flight_bytes: int = Field(256 * MIB, ge=1)
    """Bytes of bodies that came, workspace, and answers not yet sent. Above it, requests get 503 with Retry-After."""

    small_call_share: float = Field(0.125, ge=0, lt=1)
    """Share of these bytes kept for small calls: each open connection has its part, however much large ones hold."""

    max_work: int = Field(10**11, ge=1)
    """Most elementary operations of one call, by its estimate; a call that needs more gets a 422."""

    max_workspace_bytes: int = Field(128 * MIB, ge=1)
    """Most memory that one call may work in, by its estimate; a call that needs more gets a 422."""

    max_answer_bytes: int = Field(64 * MIB, ge=1)
    """Most bytes in the arrays of one answer, with the brackets inside nested lists; a call for more gets a 422."""

    inline_body_bytes: int = Field(16 * 1024, ge=0)
    """Largest body that is read on the event loop; larger ones are read in the thread pool."""

    inline_milliseconds: float = Field(0.5, ge=0)
    """Longest call, by its estimate, that computes on the event loop; longer ones compute in the thread pool."""

    compress_from_bytes: int = Field(256 * 1024, ge=0)
    """Answers in JSON from this size on are compressed for callers that accept it."""

    compute_workers: int = Field(2, ge=1)
    """Calls that compute at the same time in the thread pool."""

    max_wait_seconds: float = Field(1.0, gt=0)
    """Longest estimated wait for the thread pool; a call that would wait longer gets a 503 before its body is read."""

    threads: int = Field(1, ge=1)
    """Threads that share one call of the thread pool; the answer has the same bits for any number."""

    body_timeout_seconds: float = Field(10.0, gt=0)
    """Longest silence while a body arrives, and time after which its rate counts; then a 408."""

    request_timeout_seconds: float = Field(60.0, gt=0)
    """Longest time for a request and cap of its Request-Timeout header; then a 504, or a 408 for the body."""

    max_head_bytes: int = Field(64 * 1024, ge=1024)
    """Largest request line and headers together, and largest trailers of a body; larger ones get a 431."""

    max_head_lines: int = Field(100, ge=1)
    """Most headers of a request, and most trailers of a body; more get a 431."""

    head_timeout_seconds: float = Field(10.0, gt=0)
    """Longest time from the first byte of a head to its last, then a 408; and from connecting to the first byte."""

    max_connections: int = Field(1000, ge=1)
    """Open connections; one more closes those nearest to their time-outs, or gets a 503 if each has a call."""

    max_pipelined: int = Field(16, ge=0)
    """Requests that may wait on a connection for the answer to the one before; one more gets a 503."""

    send_timeout_seconds: float = Field(10.0, gt=0)
    """Longest stall while an answer is sent, and longest time behind the least rate; then the connection closes."""

    min_transfer_rate: int = Field(16 * 1024, ge=0)
    """Bytes a second at which a body must arrive once its time-out has passed, and at which an answer must leave."""

    keep_alive_seconds: float = Field(75.0, gt=0)
    """How long an idle connection stays open; keep it above the idle limit of the balancer in front."""

    drain_seconds: float = Field(5.0, ge=0)
    """How long /readyz answers 503, and all else is served, between SIGTERM and the close of the socket."""

    shutdown_seconds: int = Field(20, ge=0)
    """How long requests in flight may take to finish after that."""

    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Origins such as `https://example.org`, separated by commas, whose pages may call from a browser; `*` is all."""

    calls_per_second: float | None = Field(None, gt=0)
    """Calls that a caller (key, or address without one) may make per second, in each worker; then a 429."""

    calls_burst: int | None = Field(None, ge=1)
    """Calls that a caller who has paused may make at once; by default those of one second."""

    work_per_second: float | None = Field(None, gt=0)
    """Elementary operations per second of a caller's calls, by their estimates, in each worker; then a 429."""

    work_burst: int | None = Field(None, ge=1)
    """Operations that a caller who has paused may ask for at once; by default those of one second."""

    max_callers: int = Field(10_000, ge=1)
    """Callers whose rates are remembered; beyond it the oldest are forgotten."""

    traces: Literal["off", "otlp"] = "off"
    """`otlp`: spans of OpenTelemetry, as the standard `OTEL_` variables say; needs the extra `otel`."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe records to log; each request is one record at info."""

    log_format: Literal["auto", "json", "console"] = "auto"
    """`json`: one object a line; `console`: aligned text; `auto`: text in a terminal, JSON elsewhere."""

    @property
    def looks_at_addresses(self) -> bool:
        """Whether anything looks at the addresses of a connection: limits on rates, or traces."""
        return self.calls_per_second is not None or self.work_per_second is not None or self.traces != "off"

    @model_validator(mode="before")
    @classmethod
    def _ignore_service_links(cls, values: Any) -> Any:
        """Leave out ``LOSSD_PORT=tcp://...``, the one service link that has a setting's name."""
        return {
            field: value
            for field, value in values.items()
            if not (isinstance(value, str) and is_service_link(variable(field), value))
        }

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_variables(cls, values: Any) -> Any:
        known = [variable(field) for field in cls.model_fields]
        for name, value in os.environ.items():
            if not name.upper().startswith(PREFIX) or is_service_link(name, value):
                continue
            if name.upper() not in {*known, *OF_CLIENTS}:
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

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _split_proxies(cls, value: Any) -> Any:
        proxies = tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value
        for proxy in proxies:
            try:
                ipaddress.ip_network(proxy)
            except ValueError:
                raise ValueError(
                    f"expected addresses and networks such as 10.0.0.0/8, got {proxy!r}"
                ) from None
        return proxies

    @model_validator(mode="after")
    def _encrypt_with_a_certificate(self) -> Self:
        for other in ("tls_key_file", "tls_client_ca_file"):
            if getattr(self, other) and not self.tls_certificate_file:
                raise ValueError(
                    f"expected {variable('tls_certificate_file')} beside {variable(other)}, got none"
                )
        return self

    @model_validator(mode="after")
    def _choose_who_may_call(self) -> Self:
        if self.auth is None and not (self.uds or _is_loopback(self.host)):
            raise ValueError(
                f"expected {variable('auth')}=keys or jwt, or none to let everyone call, "
                f"to listen on {self.host or '*'}, got no choice"
            )
        for auth, files in _NEEDED.items():
            missing = [variable(field) for field in files if not getattr(self, field)]
            if self.auth is None and len(missing) < len(files):
                raise ValueError(
                    f"expected {variable('auth')}={auth} beside {variable(files[0])}, got no choice"
                )
            if self.auth == auth and missing:
                raise ValueError(f"expected {missing[0]} beside {variable('auth')}={auth}, got none")
        for burst, rate in (("calls_burst", "calls_per_second"), ("work_burst", "work_per_second")):
            if getattr(self, burst) is not None and getattr(self, rate) is None:
                raise ValueError(f"expected {variable(rate)} beside {variable(burst)}, got none")
        return self

    @model_validator(mode="after")
    def _admit_the_largest_body(self) -> Self:
        if self.max_in_flight_bytes < self.max_body_bytes:
            raise ValueError(
                f"expected {variable('max_in_flight_bytes')} of at least {variable('max_body_bytes')} "
                f"({self.max_body_bytes}), got {self.max_in_flight_bytes}"
            )
        return self


def _is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


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
