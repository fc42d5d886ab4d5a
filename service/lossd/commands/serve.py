"""Runs uvicorn with the settings of lossd: ``lossd serve``."""

from __future__ import annotations

import argparse
import logging
import os
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lossd.settings import Settings

HELP = "answer HTTP requests"
DESCRIPTION = """\
Answer HTTP requests until SIGTERM or Ctrl-C. Every limit is a LOSSD_ variable; an option here wins over its
variable. On SIGTERM /readyz turns to 503, after LOSSD_DRAIN_SECONDS the socket closes, and what is in flight is
finished. The log is text in a terminal and one JSON object a line elsewhere (LOSSD_LOG_FORMAT).

Exit codes: 0 stopped by SIGTERM or Ctrl-C, 1 cannot listen there (such as a port that is taken), 2 a setting or
option is wrong, 3 the server failed to start.
"""
EXAMPLES = """\
examples:
  lossd serve                              on http://127.0.0.1:8000, documentation at /docs
  LOSSD_AUTH=keys LOSSD_KEYS_FILE=keys.toml lossd serve --host 0.0.0.0 --workers 4
                                           for others who have a key, on four cores
  lossd serve --uds /run/lossd.sock        behind a proxy on the same machine
  LOSSD_LOG_FORMAT=console lossd serve     with a log for people, not only in a terminal
"""
OPTIONS = ("host", "port", "uds", "workers")
STANDARD_OUTPUT, STANDARD_ERROR = 1, 2
STOP_MARGIN_SECONDS = 3.0  # for what a server process does besides to wait


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options; each is named after its setting."""
    parser.add_argument("--host", help="address to listen on (LOSSD_HOST)")
    parser.add_argument("--port", help="port to listen on, 0 for a free one (LOSSD_PORT)")
    parser.add_argument("--uds", metavar="PATH", help="Unix socket to listen on instead (LOSSD_UDS)")
    parser.add_argument("--workers", help="server processes (LOSSD_WORKERS)")


def run(arguments: argparse.Namespace) -> int:
    """Serve; return once every request is finished."""
    _open_standard_files()
    _at_signals(_exit_at_once)
    import uvicorn
    from pydantic import ValidationError
    from uvicorn.config import STARTUP_FAILURE

    from lossd.api.connections.connection import Connection
    from lossd.api.log import adopt_standard_logging, is_text, open_log
    from lossd.api.server import Server
    from lossd.api.supervisor import Supervisor
    from lossd.api.telemetry.extra import missing_packages
    from lossd.api.telemetry.rows import share_table
    from lossd.commands import tls
    from lossd.commands.listening import Announcement, refusal, socket_file
    from lossd.service_links import service_links
    from lossd.settings import PREFIX, Settings, variable

    _raise_descriptor_limit()
    # Worker processes start afresh and read the environment, so that is where the options go.
    for name in OPTIONS:
        if getattr(arguments, name) is not None:
            os.environ[variable(name)] = getattr(arguments, name)
    try:
        settings = Settings()
    except ValidationError as error:
        print("\n".join(f"lossd serve: {_complaint(each)}" for each in error.errors()), file=sys.stderr)
        return 2
    if reason := _unusable_file(settings) or missing_packages(settings):
        print(f"lossd serve: {reason}", file=sys.stderr)
        return 2
    if reason := refusal(settings):
        print(f"lossd serve: {reason}", file=sys.stderr)
        return 1
    log = open_log(settings)
    adopt_standard_logging(log)
    if ignored := service_links(os.environ, PREFIX):
        message = (
            "ignored variables that Kubernetes sets for services; enableServiceLinks: false leaves them out"
        )
        log.log(logging.INFO, message, variables=ignored)
    if settings.workers > 1:
        share_table()
    terminal = is_text(settings, sys.stdout)
    announcement = Announcement(terminal=terminal, early=settings.workers > 1 or settings.uds is not None)
    logging.getLogger("uvicorn.error").addFilter(announcement)
    config = uvicorn.Config(
        "lossd.app:serve_from_environment",
        factory=True,
        host=settings.host,
        port=settings.port,
        uds=settings.uds,
        workers=settings.workers,
        loop="uvloop",
        http=Connection,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        server_header=False,
        timeout_graceful_shutdown=settings.shutdown_seconds,
        **tls.uvicorn_options(settings),
    )
    with ExitStack() as stack:
        stack.callback(_at_signals, signal.SIG_IGN)
        if settings.workers == 1:
            config.load()  # while a signal ends it at once
            # While uvicorn serves, the handlers are its own; it raises the signal again when it is done.
            _at_signals(_stop)
        listener = stack.enter_context(socket_file(config, Path(settings.uds))) if settings.uds else None
        if settings.workers == 1:
            server = Server(config, announcement.announce)
            server.run([listener] if listener else None)
            return 0 if server.started else STARTUP_FAILURE
        return Supervisor(
            config,
            listener or config.bind_socket(),
            patience=settings.worker_timeout_seconds,
            stop_seconds=settings.drain_seconds + settings.shutdown_seconds + STOP_MARGIN_SECONDS,
            announce=announcement.announce,
        ).run()


def _exit_at_once(number: int, frame: FrameType | None) -> None:
    """End a process that is still starting. Python loses exceptions that a signal raises while it compiles a module."""
    os._exit(0)


def _stop(number: int, frame: FrameType | None) -> None:
    """End a process that has served. To stop when told to is no failure."""
    # None ends a process that has stopped: Python restores their defaults while it exits.
    _at_signals(signal.SIG_IGN)
    sys.exit(0)


def _at_signals(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handler)


def _raise_descriptor_limit() -> None:
    """Let this process have as many descriptors as it may; a shell's limit of 1,024 is that of `select`."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _unusable_file(settings: Settings) -> str | None:
    """Say which file that a setting names is not what it should be: uvicorn would only find out in each worker."""
    from lossd.api.access_control import authenticator
    from lossd.commands import tls

    try:
        authenticator(settings)
    except ValueError as error:
        return str(error)
    return tls.refusal(settings)


def _open_standard_files() -> None:
    """Put /dev/null where no standard file is: the next file, such as a socket, would get the log's descriptor."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= STANDARD_ERROR:
        os.set_inheritable(descriptor, True)  # for the server processes
    os.close(descriptor)
    sys.stdout = sys.stdout or os.fdopen(STANDARD_OUTPUT, "w", encoding="utf-8", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(STANDARD_ERROR, "w", encoding="utf-8", closefd=False)


def _complaint(error: Any) -> str:
    """Name the variable that is wrong, what belongs there and what was there."""
    from lossd.engine.request_errors import expectation
    from lossd.settings import variable

    if not error["loc"]:
        return str(error["msg"]).removeprefix("Value error, ")
    field = str(error["loc"][0])
    place = f"--{field} or {variable(field)}" if field in OPTIONS else variable(field)
    told = expectation(error)
    message = told if error["type"] == "value_error" or told == error["msg"] else f"expected {told}"
    return f"{place}: {message}" if ", got " in message else f"{place}: {message}, got {error['input']!r}"
