"""What ``lossd serve`` says about its address: why it cannot listen there, or where to open it once it does."""

from __future__ import annotations

import errno
import logging
import os
import shlex
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from uvicorn import Config

from lossd import __version__
from lossd.settings import Settings

_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}
# What uvicorn logs once it listens, with its arguments: scheme, host and port; or the path of a socket.
_LISTENS = ("Uvicorn running on %s://%s:%d", "Uvicorn running on %s://[%s]:%d")
_LISTENS_ON_A_FILE = "Uvicorn running on unix socket %s"
# What it logs before that is of use to a program that reads the log, not to a person.
_STEPS = (
    "Started server process",
    "Started parent process",
    "Waiting for application startup",
    "Application startup",
)


def refusal(settings: Settings) -> str | None:
    """Return one line that says why a server could not listen as the settings say, or None if it could.

    uvicorn finds out only when the application runs, and buries the reason in what it logs while it stops.
    """
    try:
        if settings.uds:
            _try_socket_file(Path(settings.uds))
        else:
            _try_port(settings.host, settings.port)
    except OSError as error:
        place = settings.uds or f"{settings.host}:{settings.port}"
        setting = "--uds or LOSSD_UDS" if settings.uds else "--host and --port or LOSSD_HOST and LOSSD_PORT"
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error.strerror)
        return f"cannot listen on {place}: {reason}; choose another place by {setting}"
    return None


class Announcement(logging.Filter):
    """Puts an address to open in place of uvicorn's words, and for a person leaves out the steps before.

    Args:
        terminal: Whether a person reads the log.
        early: Whether uvicorn says so as soon as it has an address, before it serves there: the words are then kept
            until `announce`.
    """

    def __init__(self, *, terminal: bool, early: bool) -> None:
        super().__init__()
        self._terminal = terminal
        self._early = early
        self._kept: list[str] = []

    def announce(self) -> None:
        """Say what was kept."""
        for words in self._kept:
            logging.getLogger("uvicorn.error").info(words)
        self._kept.clear()

    def filter(self, record: logging.LogRecord) -> bool:
        """Reword the record that says that the server listens."""
        message, arguments = str(record.msg), record.args
        if message.startswith(_LISTENS) and isinstance(arguments, tuple):
            scheme, host, port = arguments
            host = _EVERY_ADDRESS.get(str(host), f"[{host}]" if ":" in str(host) else host)
            url = f"{scheme}://{host}:{port}"
            return self._says(record, _started(url, f"open {url}/"))
        if message.startswith(_LISTENS_ON_A_FILE) and isinstance(arguments, tuple):
            (path,) = arguments
            command = f"curl --unix-socket {shlex.quote(str(path))} http://localhost/v1/losses"
            return self._says(record, _started(f"the Unix socket {path}", f"try `{command}`"))
        return not (self._terminal and message.startswith(_STEPS))

    def _says(self, record: logging.LogRecord, words: str) -> bool:
        """Put these words into a record, or keep them; return whether the record is logged now."""
        if self._early:
            self._kept.append(words)
        record.msg, record.args = words, ()
        return not self._early


def _started(place: str, invitation: str) -> str:
    return f"lossd {__version__} listens on {place} - {invitation}, stop with Ctrl-C"


def _try_port(host: str, port: int) -> None:
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    for family, kind, protocol, _, address in found:
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(address)
            probe.listen()


@contextmanager
def socket_file(config: Config, path: Path) -> Iterator[socket.socket]:
    """Listen on a Unix socket; in the end remove its file, unless another server has put its own there.

    A file that a server has left, which `refusal` has looked at, is replaced by one of the same permissions.
    """
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else None
    path.unlink(missing_ok=True)
    listener = config.bind_socket()
    if mode is not None:
        path.chmod(mode)
    own = _identity(path)
    try:
        yield listener
    finally:
        with suppress(FileNotFoundError):
            if _identity(path) == own:
                path.unlink()


def _identity(path: Path) -> tuple[int, ...]:
    """Return what no other file has: a number of an inode is given anew, and permissions may be changed."""
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_mtime_ns


def _try_socket_file(path: Path) -> None:
    path.parent.stat()
    if path.exists() and not path.is_socket():
        raise OSError(errno.EEXIST, "")
    with socket.socket(socket.AF_UNIX) as probe:
        if not path.exists():
            probe.bind(str(path))
            path.unlink()
            return
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return  # left by a server that is gone
    raise OSError(errno.EADDRINUSE, "")
