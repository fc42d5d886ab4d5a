"""A job in this process: what is missing of it, part after part."""

from __future__ import annotations

from typing import Any

from lossd.bulk.job import Job, answer, run_part
from lossd.bulk.journal import Journal
from lossd.bulk.outputs import written
from lossd.bulk.progress import Show, nothing


def run(job: Job, journal: Journal, *, threads: int = 1, show: Show = nothing) -> dict[str, Any]:
    """Compute what is missing, and return the answer.

    Args:
        job: What to compute.
        journal: What is done already; parts are added as they are finished.
        threads: How many threads may share a part.
        show: How progress is shown.
    """
    parts = journal.parts()
    with written(job, journal) as job, show(job, job.rows_in(parts)) as progress:
        for number in range(job.parts):
            if number not in parts:
                parts[number] = run_part(job, number, threads)
                journal.add(number, parts[number])
                first, stop = job.bounds(number)
                progress.update(stop - first)
        return answer(job, parts)
