"""Runs uvicorn with the settings of lossd: ``lossd serve``."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from typing import Any

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
  lossd serve --host 0.0.0.0 --workers 4   for others, on four cores
  lossd serve --uds /run/lossd.sock        behind a proxy on the same machine
  LOSSD_LOG_FORMAT=console lossd serve     with a log for people, not only in a terminal
"""
OPTIONS = ("host", "port", "uds", "workers")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options; each is named after its setting."""
    parser.add_argument("--host", help="address to listen on (LOSSD_HOST)")
    parser.add_argument("--port", help="port to listen on, 0 for a free one (LOSSD_PORT)")
    parser.add_argument("--uds", metavar="PATH", help="Unix socket to listen on instead (LOSSD_UDS)")
    parser.add_argument("--workers", help="server processes (LOSSD_WORKERS)")


def run(arguments: argparse.Namespace) -> int:
    """Serve; return once every request is finished."""
    # To stop when told to is no failure: exit code 0. While uvicorn serves, the handler is its own; it raises the
    # signal again when it is done.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    import uvicorn
    from pydantic import ValidationError

    from lossd.api.connection import Connection
    from lossd.api.log import adopt_standard_logging, is_text, open_log
    from lossd.commands.listening import Announcement, refusal
    from lossd.settings import Settings, variable

    # Worker processes start afresh and read the environment, so that is where the options go.
    for name in OPTIONS:
        if getattr(arguments, name) is not None:
            os.environ[variable(name)] = getattr(arguments, name)
    try:
        settings = Settings()
    except ValidationError as error:
        print("\n".join(f"lossd serve: {_complaint(each)}" for each in error.errors()), file=sys.stderr)
        return 2
    if reason := refusal(settings):
        print(f"lossd serve: {reason}", file=sys.stderr)
        return 1
    adopt_standard_logging(open_log(settings))
    terminal = is_text(settings, sys.stdout)
    logging.getLogger("uvicorn.error").addFilter(Announcement(terminal=terminal))
    uvicorn.run(
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
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=settings.shutdown_seconds,
        timeout_worker_healthcheck=60,  # a worker is silent while it parses a large body
    )
    return 0


def _complaint(error: Any) -> str:
    """Name the variable that is wrong, what belongs there and what was there."""
    from lossd.settings import variable

    if not error["loc"]:
        return str(error["msg"]).removeprefix("Value error, ")
    field = str(error["loc"][0])
    place = f"--{field} or {variable(field)}" if field in OPTIONS else variable(field)
    message = error["msg"].removeprefix("Value error, ").partition(", unable to parse")[0]
    return f"{place}: {message}" if ", got " in message else f"{place}: {message}, got {error['input']!r}"
