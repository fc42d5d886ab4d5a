"""``lossd healthcheck``: one request to /readyz, from a process that imports little."""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import socket
import sys
from typing import TYPE_CHECKING

from lossd.service_links import is_service_link

if TYPE_CHECKING:
    import ssl

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
    port = environ.get("LOSSD_PORT")
    if not port or is_service_link("LOSSD_PORT", port):
        port = str(DEFAULT_PORT)
    parser.add_argument("--port", type=int, default=port, help="(LOSSD_PORT)")
    parser.add_argument("--uds", metavar="PATH", default=environ.get("LOSSD_UDS") or None, help="(LOSSD_UDS)")
    parser.add_argument("--timeout", type=float, default=3.0, help="seconds to wait (default: 3)")


def run(arguments: argparse.Namespace) -> int:
    """Ask once; say on standard error why the answer is no."""
    host = DEFAULT_HOST if arguments.host in EVERY_ADDRESS else arguments.host
    try:
        with contextlib.closing(_connection(host, arguments)) as connection:
            connection.request("GET", "/readyz")
            response = connection.getresponse()
    except (OSError, http.client.HTTPException) as error:
        print(
            f"lossd: no answer from {arguments.uds or f'{host}:{arguments.port}'}: {error}", file=sys.stderr
        )
        return 1
    if response.status == http.client.OK:
        return 0
    print(f"lossd: not ready: {response.status} {response.reason}", file=sys.stderr)
    return 1


def _connection(host: str, arguments: argparse.Namespace) -> http.client.HTTPConnection:
    """Return a connection as the server's settings say: by its socket, and over TLS if it has a certificate."""
    connection: http.client.HTTPConnection
    certificate = os.environ.get("LOSSD_TLS_CERTIFICATE_FILE")
    context = _context(certificate) if certificate else None
    if context:
        connection = http.client.HTTPSConnection(
            host, arguments.port, timeout=arguments.timeout, context=context
        )
    else:
        connection = http.client.HTTPConnection(host, arguments.port, timeout=arguments.timeout)
    if arguments.uds:
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(arguments.timeout)
        connection.sock.connect(arguments.uds)
        if context:
            connection.sock = context.wrap_socket(connection.sock)
    return connection


def _context(certificate: str) -> ssl.SSLContext:
    """Return how to speak TLS with oneself: nothing is sent that is secret, and no name need fit an address.

    A server that asks callers for certificates is shown its own.
    """
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if os.environ.get("LOSSD_TLS_CLIENT_CA_FILE"):
        context.load_cert_chain(certificate, os.environ.get("LOSSD_TLS_KEY_FILE") or None)
    return context
