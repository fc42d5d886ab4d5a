"""``lossd healthcheck``: one request to /readyz, from a process that imports little."""

from __future__ import annotations

import argparse
import http.client
import os
import socket
import sys

HELP = "ask a running server whether it is ready"
DESCRIPTION = """\
Ask the server on this machine's configured port or socket for /readyz. The exit code is 0 if it is ready
and 1 if it is not, or does not answer in time.
"""
EXAMPLES = """\
examples:
  lossd healthcheck                        as in a container's HEALTHCHECK
  lossd healthcheck --port 9000 || echo down
"""

# What Settings has; they are repeated because importing pydantic takes longer than the request.
DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8000
EVERY_ADDRESS = ("0.0.0.0", "::", "")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    environ = os.environ
    parser.add_argument("--host", default=environ.get("LOSSD_HOST") or DEFAULT_HOST, help="(LOSSD_HOST)")
    parser.add_argument(
        "--port", type=int, default=environ.get("LOSSD_PORT") or DEFAULT_PORT, help="(LOSSD_PORT)"
    )
    parser.add_argument("--uds", metavar="PATH", default=environ.get("LOSSD_UDS") or None, help="(LOSSD_UDS)")
    parser.add_argument("--timeout", type=float, default=3.0, help="seconds to wait (default: 3)")


def run(arguments: argparse.Namespace) -> int:
    """Ask once; say on standard error why the answer is no."""
    host = DEFAULT_HOST if arguments.host in EVERY_ADDRESS else arguments.host
    connection = http.client.HTTPConnection(host, arguments.port, timeout=arguments.timeout)
    try:
        if arguments.uds:
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.settimeout(arguments.timeout)
            connection.sock.connect(arguments.uds)
        connection.request("GET", "/readyz")
        response = connection.getresponse()
    except (OSError, http.client.HTTPException) as error:
        print(
            f"lossd: no answer from {arguments.uds or f'{host}:{arguments.port}'}: {error}", file=sys.stderr
        )
        return 1
    finally:
        connection.close()
    if response.status == http.client.OK:
        return 0
    print(f"lossd: not ready: {response.status} {response.reason}", file=sys.stderr)
    return 1
