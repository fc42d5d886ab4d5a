"""The log: one structured record a line on one stream, for lossd and the libraries that it uses."""

from __future__ import annotations

import logging
import sys
import time
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from typing import IO, Any, BinaryIO, Protocol

import orjson
import structlog
from structlog.typing import EventDict

from lossd.settings import Settings

SELDOM = frozenset({"opentelemetry", "lossd.tls", "lossd.listener"})
"""Loggers, or packages of them, that may repeat what they say with each call: one line of each in `SELDOM_SECONDS`."""
SELDOM_SECONDS = 60.0

_CONSOLE = structlog.dev.ConsoleRenderer(colors=False)


class Log(Protocol):
    """Writes one structured record."""

    def log(self, level: int, event: str, **fields: Any) -> object:
        """Write ``event`` with its fields; ``exc_info`` may be an exception."""


def open_log(settings: Settings, stream: BinaryIO | None = None) -> Log:
    """Return a log that writes as the settings say; to standard output if no stream is given."""
    level = getattr(logging, settings.log_level.upper())
    stream = stream or sys.stdout.buffer
    # Without a buffer: Python would write what a full disk refused once more at its end, and exit with 120.
    return _Lines(getattr(stream, "raw", stream), level, _to_text if is_text(settings, stream) else _to_json)


def is_text(settings: Settings, stream: IO[Any]) -> bool:
    """Return whether what is logged to ``stream`` is text for people."""
    return settings.log_format == "console" or (settings.log_format == "auto" and stream.isatty())


def adopt_standard_logging(log: Log) -> None:
    """Send what other packages log, and warnings, through ``log``."""
    root = logging.getLogger()
    forward = _Forward(log)
    forward.addFilter(Seldom())
    root.handlers[:] = [forward]
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    warnings.simplefilter("default")


class _Lines:
    """Writes whole lines, and loses them when nobody can read them: a request matters more than its record.

    structlog's own loggers bind, copy and dispatch before they render, which costs a small call more than the line.
    """

    def __init__(self, stream: BinaryIO, level: int, render: Callable[[str, EventDict], bytes]) -> None:
        self._write = stream.write
        self._level = level
        self._render = render

    def log(self, level: int, event: str, **fields: Any) -> None:
        if level < self._level:
            return
        fields["event"] = event
        fields["level"] = name = logging.getLevelName(level).lower()
        line = self._render(name, fields)
        try:
            self._write(line)
        except OSError:
            return


class _Forward(logging.Handler):
    """Passes the records of standard logging on."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        fields = {"exc_info": record.exc_info} if record.exc_info else {}
        self._log.log(record.levelno, record.getMessage(), logger=record.name, **fields)


class Seldom(logging.Filter):
    """Passes one record a minute of each logger that is `SELDOM`, and all of the others."""

    def __init__(self) -> None:
        super().__init__()
        self._next: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is to be written."""
        source = record.name if record.name in SELDOM else record.name.partition(".")[0]
        if source not in SELDOM:
            return True
        now = time.monotonic()
        if now < self._next.get(source, 0.0):
            return False
        self._next[source] = now + SELDOM_SECONDS
        return True


def _to_json(level: str, record: EventDict) -> bytes:
    if "exc_info" in record:
        record = structlog.processors.format_exc_info(None, level, record)
    record["timestamp"] = datetime.now(UTC)
    return orjson.dumps(record, default=str, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE)


def _to_text(level: str, record: EventDict) -> bytes:
    record.pop("logger", None)  # the server's start is logged by "uvicorn.error", which reads like a failure
    # A caller's text must not begin a line of its own, or steer a terminal.
    for name, value in record.items():
        if isinstance(value, str) and not value.isprintable():
            record[name] = repr(value)
    record["timestamp"] = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
    line: str = _CONSOLE(None, level, record)
    return f"{line}\n".encode(errors="backslashreplace")
