"""The settings of a client, and how it prepares a call by them, whether it blocks or not."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from numbers import Real
from typing import Any, Generic, TypeVar

import httpx

from lossd.client.addresses import read_address, read_token
from lossd.client.combination import Empty, prepare_combination
from lossd.client.exchange import Exchange
from lossd.client.methods import Losses
from lossd.client.outgoing import Headers, Outgoing, prepare
from lossd.client.progress import Report, TerminalLine
from lossd.client.retries import RETRY_FOR
from lossd.message import Part
from lossd.wire import CODECS
from lossd.wire.codec import ANSWER_LIMITS

TIMEOUT = httpx.Timeout(120.0, connect=5.0)
MAX_ANSWER_BYTES = 1 << 30
LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=60.0)
_OF_THE_PROCESS = frozenset({"_http", "_loop", "_inherited", "_finalizer"})
_SECONDS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "timeout": ("> 0", lambda seconds: 0 < seconds < math.inf),
    "retry_for": (">= 0", lambda seconds: seconds >= 0),
}

R = TypeVar("R")


class ConfiguredClient(Losses[R], Generic[R]):
    """What both clients have: their settings, which are those of `LossClient`, and the calls that follow from them."""

    def __init__(
        self,
        url: str | None = None,
        *,
        uds: str | None = None,
        token: str | None = None,
        headers: Headers | None = None,
        timeout: float | httpx.Timeout = TIMEOUT,
        retry_for: float = RETRY_FOR,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
        check_request_id: bool = True,
        progress: Report | None = TerminalLine(),  # noqa: B008  # one terminal, one line
        media_type: str | None = None,
        **http: Any,
    ) -> None:
        if media_type is not None and media_type not in CODECS:
            raise ValueError(f"expected one of {', '.join(CODECS)}, got {media_type!r} - at `media_type`")
        if not isinstance(timeout, httpx.Timeout | None):
            _check_seconds("timeout", timeout)
        _check_seconds("retry_for", retry_for)
        _check_bytes("max_answer_bytes", max_answer_bytes)
        self.url = read_address(url, uds)
        self.retry_for = retry_for
        self.max_answer_bytes = max_answer_bytes
        self._limits = replace(ANSWER_LIMITS, max_bytes=max_answer_bytes)
        self._uds = uds
        self._headers: Headers = headers or {}
        self._check_request_id = check_request_id
        self._progress = progress
        self._media_type = media_type
        self._http_settings: dict[str, Any] = {"limits": LIMITS, **http, "timeout": timeout}
        if (token := read_token(token)) is not None:
            self._http_settings["headers"] = {"Authorization": f"Bearer {token}"}
        self._open()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._uds or self.url!r})"

    def _open(self) -> None:
        raise NotImplementedError

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in _OF_THE_PROCESS}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        vars(self).update(state)
        self._open()  # a copy, in another process perhaps, has connections of its own

    def _prepare(self, loss: str, values: Mapping[str, Any]) -> Outgoing:
        if not isinstance(loss, str):
            raise TypeError(f"expected the name of a loss, got a value of type {type(loss).__name__}")
        return prepare(loss, values, media_type=self._media_type, headers=self._headers)

    def _prepare_combination(self, parts: Iterable[Part], empty: Empty) -> Outgoing:
        return prepare_combination([*parts], empty, media_type=self._media_type, headers=self._headers)

    def _begin(self, outgoing: Outgoing, retry_for: float | None = None) -> Exchange:
        return Exchange(
            outgoing,
            address=self._uds or self.url,
            retry_for=self.retry_for if retry_for is None else retry_for,
            report=self._progress,
            max_answer_bytes=self.max_answer_bytes,
            check_request_id=self._check_request_id,
        )


def _check_seconds(name: str, value: object) -> None:
    bound, holds = _SECONDS[name]
    if not isinstance(value, Real):
        raise TypeError(
            f"expected a number of seconds, got a value of type {type(value).__name__} - at `{name}`"
        )
    if not holds(value):
        raise ValueError(f"expected a number of seconds {bound}, got {value} - at `{name}`")


def _check_bytes(name: str, value: object) -> None:
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"expected a whole number of bytes > 0, got {value!r} - at `{name}`")
