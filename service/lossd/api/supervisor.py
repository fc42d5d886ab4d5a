"""Several server processes that share one socket: replaces those that died or fell silent, and ends them together.

uvicorn's own supervisor waits for the answer of a silent process, and hears no signal meanwhile. Its sockets stay open
until every process has ended, so that the kernel goes on accepting connections that nobody will serve.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from types import FrameType

from uvicorn.config import STARTUP_FAILURE, Config
from uvicorn.supervisors.multiprocess import Process

from lossd.api.server import Server

_TICK_SECONDS = 0.5
_log = logging.getLogger("lossd")


class Worker(Process):
    """One server process; it ends when its parent does."""

    def __init__(self, config: Config, sockets: list[socket.socket]) -> None:
        super().__init__(config, sockets)
        self._asked: float | None = None  # when it was sent a ping that it has not answered

    def target(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve: what the process runs."""
        self._server = Server(self.config)
        threading.Thread(target=_end_with_parent, daemon=True).start()
        super().target(sockets)

    def silence(self) -> float:
        """Ask for a sign of life; return for how many seconds none has come."""
        now = time.monotonic()
        with contextlib.suppress(OSError, EOFError):
            if self._asked is not None and self.parent_conn.poll():
                self.parent_conn.recv()
                self._asked = None
            if self._asked is None:
                self.parent_conn.send(b"ping")
                self._asked = now
        return now - (self._asked or now)

    def stop(self) -> None:
        """Ask the process to end, also one that was stopped."""
        if self.process.is_alive() and self.process.pid is not None:
            os.kill(self.process.pid, signal.SIGCONT)
            os.kill(self.process.pid, signal.SIGTERM)


class Supervisor:
    """Runs the server processes until a signal ends them.

    Args:
        config: What each process serves, and how many there are.
        listener: The socket that they share; closed in the end.
        patience: Seconds of silence after which a process is replaced.
        stop_seconds: Seconds that the processes may take to end.
        announce: Says where the server listens; called once, when the first process does.
    """

    def __init__(
        self,
        config: Config,
        listener: socket.socket,
        *,
        patience: float,
        stop_seconds: float,
        announce: Callable[[], None],
    ) -> None:
        self._config = config
        self._listener = listener
        self._patience = patience
        self._stop_seconds = stop_seconds
        self._announce = announce
        self._listens = False
        self._workers: list[Worker] = []
        # A handler may interrupt another, or what waits: it writes a byte, and touches no lock.
        self._signals, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        self._exit_code = 0
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)

    def run(self) -> int:
        """Serve; return the exit code."""
        _log.info("Started parent process [%d]", os.getpid())
        self._workers = [self._start() for _ in range(self._config.workers)]
        while not self._told(_TICK_SECONDS):
            if not self._listens and self._listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                self._listens = True
                self._announce()
            for place, worker in enumerate(self._workers):
                if reason := self._reason_to_replace(worker):
                    self._replace(place, worker, reason)
        # The processes have the socket too: once the last of them has closed it, connections are refused.
        self._listener.close()
        self._end()
        self._close()
        return self._exit_code

    def _stop(self, number: int = 0, frame: FrameType | None = None) -> None:
        with contextlib.suppress(BlockingIOError):  # more signals than anybody sends
            os.write(self._wake, b"\0")

    def _told(self, seconds: float, *others: int) -> bool:
        """Wait so many seconds for a signal, or for the end of a process; return whether a signal came."""
        came = self._signals in wait([self._signals, *others], seconds)
        if came:
            os.read(self._signals, 1)
        return came

    def _start(self) -> Worker:
        worker = Worker(self._config, [self._listener])
        # A process is ended by SIGTERM; Ctrl-C goes to all of a terminal, and would meet those that are starting. The
        # first one would start the tracker, which unblocks the signal.
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            worker.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        return worker

    def _reason_to_replace(self, worker: Worker) -> str | None:
        """Return what is wrong with a process, if anything is."""
        if not worker.process.is_alive():
            return f"it ended with exit code {worker.exitcode}"
        if worker.silence() > self._patience:
            return f"it was silent for {self._patience:g} s"
        return None

    def _replace(self, place: int, worker: Worker, reason: str) -> None:
        worker.kill()
        worker.process.join()
        if worker.exitcode == STARTUP_FAILURE:  # another one would fail likewise
            self._exit_code = STARTUP_FAILURE
            self._stop()
            return
        _log.warning("Replaced server process [%d]: %s", worker.pid, reason)
        self._workers[place] = self._start()

    def _end(self) -> None:
        deadline = time.monotonic() + self._stop_seconds
        for worker in self._workers:
            worker.stop()
        while (left := deadline - time.monotonic()) > 0 and (alive := self._alive()):
            if self._told(left, *alive):  # the second signal, which ends the drain time
                for worker in self._workers:
                    worker.stop()
        for worker in self._workers:
            if worker.process.is_alive():
                _log.error("Killed server process [%d]: it did not end in time", worker.pid)
                worker.kill()
                worker.process.join()

    def _close(self) -> None:
        """Ignore signals from here on: nobody reads what their handler writes."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        os.close(self._signals)
        os.close(self._wake)

    def _alive(self) -> list[int]:
        """Return a descriptor for each process that runs, which is ready once it has ended."""
        return [worker.process.sentinel for worker in self._workers if worker.process.is_alive()]


def _end_with_parent() -> None:
    """Ask this process to end once its parent has, which would otherwise leave it on the port."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
