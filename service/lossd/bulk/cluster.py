"""A job on many machines by Dask: one future for each part; the parts are put together here.

A worker needs lossd, and the files under the same paths. It reads its part, writes what belongs to its rows, and sends
back a few numbers: nothing large is ever in the scheduler, on the wire, or spilled.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from itertools import islice
from typing import Any

from lossd.bulk.errors import NoScheduler, UnusableFile, one_line
from lossd.bulk.job import Job, answer, run_part
from lossd.bulk.journal import Journal
from lossd.bulk.outputs import written
from lossd.bulk.progress import Show, nothing
from lossd.errors import InvalidCall
from lossd.message import Part

_WINDOW = 8  # parts for each thread that are sent or under way: a scheduler need not hold a million tasks
_PATIENCE = "10s"  # for a scheduler to answer
_PROTOCOLS = ("tcp://", "tls://", "ws://", "wss://", "ucx://")
_RETRIES = 3  # of a part that fails by itself; a lost worker's parts go to others in any case


def run(job: Job, journal: Journal, scheduler: str, *, show: Show = nothing) -> dict[str, Any]:
    """Compute what is missing on a cluster, and return the answer.

    Args:
        job: What to compute.
        journal: What is done already; parts are added as they are finished.
        scheduler: The address of Dask's scheduler, ``tcp://HOST:PORT``; or ``local:N`` for N processes here.
        show: How progress is shown.
    """
    parts = journal.parts()
    waiting = iter([number for number in range(job.parts) if number not in parts])
    with (
        _client(scheduler) as client,
        written(job, journal) as job,
        show(job, job.rows_in(parts)) as progress,
    ):
        sent = replace(job, fingerprints={})  # these name every shard

        def send(number: int) -> Any:
            return client.submit(_part, sent, number, pure=False, retries=_RETRIES)

        window = _WINDOW * max(1, sum(client.nthreads().values()))
        finished = _dask().as_completed(
            [send(number) for number in islice(waiting, window)], with_results=True
        )
        for future, (number, found) in _results(finished, scheduler):
            if isinstance(found, Exception):
                raise found
            parts[number] = found
            journal.add(number, found)
            first, stop = job.bounds(number)
            progress.update(stop - first)
            future.release()
            following = next(waiting, None)
            if following is not None:
                finished.add(send(following))
        return answer(job, parts)


def _results(finished: Iterable[tuple[Any, Any]], scheduler: str) -> Iterator[tuple[Any, Any]]:
    """Pass finished parts on.

    Raises:
        NoScheduler: The cluster was lost before all were finished.
    """
    try:
        for future, result in finished:
            if isinstance(result, CancelledError):
                raise NoScheduler(f"the scheduler at {scheduler} ended before the job: {one_line(result)}")
            yield future, result
    except _dask().KilledWorker as error:
        raise NoScheduler(f"the workers of {scheduler} ended one after another: {one_line(error)}") from None


def check_address(scheduler: str) -> None:
    """Refuse an address of no cluster, before a file is read.

    Raises:
        NoScheduler: It is none.
        UnusableFile: Dask is not installed.
    """
    place, _, workers = scheduler.partition(":")
    if place == "local" and not (workers.isascii() and workers.isdecimal() and int(workers)):
        raise NoScheduler(f"expected local:N with N >= 1, got {scheduler} - at `--scheduler`")
    if place != "local" and not scheduler.startswith(_PROTOCOLS):
        raise NoScheduler(f"expected tcp://HOST:PORT or local:N, got {scheduler} - at `--scheduler`")
    _dask()


@contextmanager
def _client(scheduler: str) -> Iterator[Any]:
    """Connect to a cluster, or start one of processes here."""
    check_address(scheduler)
    dask = _dask()
    if not scheduler.startswith("local:"):
        try:
            client = dask.Client(scheduler, timeout=_PATIENCE)
        except (OSError, ValueError) as error:
            reason = str(error).partition("\n")[0]
            raise NoScheduler(f"no scheduler answers at {scheduler} within {_PATIENCE}: {reason}") from None
        with client:
            yield client
        return
    workers = int(scheduler.partition(":")[2])
    with (
        dask.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            dashboard_address=None,
            host="127.0.0.1",
            scheduler_port=0,
        ) as cluster,
        dask.Client(cluster) as client,
    ):
        yield client


def _dask() -> Any:
    try:
        return import_module("dask.distributed")
    except ImportError:
        raise UnusableFile(
            "--scheduler", "Dask: pip install '.[cluster]' in a clone of lossd", "none"
        ) from None


def _part(job: Job, number: int) -> tuple[int, Part | Exception]:
    """Compute a part; return what is wrong with its rows, which no other try would mend, instead of raising it."""
    try:
        return number, run_part(job, number)
    except (InvalidCall, UnusableFile) as error:
        return number, error
